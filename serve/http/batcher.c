#include "serve/http/batcher.h"

#include <string.h>
#include <time.h>

#include "common/base/mem.h"

/* Memory of one thread for the rows of several jobs side by side. */
struct table {
    struct batcher *b;
    pthread_t thread;
    struct mtps_value *rows;
    float *scores;
    size_t max_values, max_scores;
};

struct batcher {
    struct batcher_spec spec;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct batch_job *first, **end; /* in order of arrival */
    struct batcher_counts counts;
    bool stop;
    struct table *tables; /* [n_started] */
    size_t n_started;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- a batch ---- */

static size_t count_rows(const struct batch_job *job)
{
    size_t n = 0;
    for (; job; job = job->next) n += job->n_rows;
    return n;
}

static bool table_room(struct table *t, size_t values, size_t scores)
{
    if (values > t->max_values) {
        mem_free(t->rows);
        t->rows = mem_array(2 * values, sizeof *t->rows);
        t->max_values = t->rows ? 2 * values : 0;
    }
    if (scores > t->max_scores) {
        mem_free(t->scores);
        t->scores = mem_array(2 * scores, sizeof *t->scores);
        t->max_scores = t->scores ? 2 * scores : 0;
    }
    return t->rows && t->scores;
}

static void score_alone(struct batch_job *job)
{
    job->status = served_score(job->served, job->rows, job->n_rows, job->scores, &job->error);
}

/* All jobs at once; false when a row does not fit, or memory is short. */
static bool score_together(struct table *t, struct batch_job *jobs, size_t n_rows)
{
    struct served *v = jobs->served;
    size_t inputs = v->names.n_inputs, tasks = v->names.n_tasks, at = 0;
    if (!table_room(t, n_rows * inputs + 1, n_rows * tasks + 1)) return false;
    for (struct batch_job *j = jobs; j; at += j->n_rows, j = j->next)
        memcpy(t->rows + at * inputs, j->rows, j->n_rows * inputs * sizeof *t->rows);
    if (served_score(v, t->rows, n_rows, t->scores, NULL) != MTPS_OK) return false;
    at = 0;
    for (struct batch_job *j = jobs; j; at += j->n_rows, j = j->next) {
        memcpy(j->scores, t->scores + at * tasks, j->n_rows * tasks * sizeof *t->scores);
        j->status = MTPS_OK;
    }
    return true;
}

/* A request that is at fault must not fail its neighbours. */
static void run(struct table *t, struct batch_job *jobs)
{
    bool together = jobs->next && score_together(t, jobs, count_rows(jobs));
    for (struct batch_job *j = jobs, *next; j; j = next) {
        next = j->next; /* done may end the job's life */
        if (!together) score_alone(j);
        j->done(j);
    }
}

/* ---- the queue ---- */

/* Where the batch that begins with the first job ends: at another version's job, or when
 * it is full. */
static struct batch_job **batch_end(struct batcher *b, bool *full)
{
    struct batch_job **end = &b->first->next;
    size_t rows = b->first->n_rows;
    while (*end && (*end)->served == b->first->served && rows + (*end)->n_rows <= b->spec.max_rows) {
        rows += (*end)->n_rows;
        end = &(*end)->next;
    }
    *full = *end || rows >= b->spec.max_rows;
    return end;
}

static struct batch_job *take(struct batcher *b, struct batch_job **end)
{
    struct batch_job *jobs = b->first;
    b->first = *end;
    if (!b->first) b->end = &b->first;
    *end = NULL;
    b->counts.batches++;
    b->counts.rows += count_rows(jobs);
    for (struct batch_job *j = jobs; j; j = j->next) b->counts.waiting--;
    return jobs;
}

/* The next batch, once it is due; NULL at the end. Called with the lock. */
static struct batch_job *await_batch(struct batcher *b)
{
    for (;;) {
        if (!b->first) {
            if (b->stop) return NULL;
            pthread_cond_wait(&b->more, &b->lock);
            continue;
        }
        bool full;
        struct batch_job **end = batch_end(b, &full);
        int64_t due = b->first->arrived + (int64_t)b->spec.window_us * 1000;
        if (full || b->stop || now_ns() >= due) return take(b, end);
        struct timespec until = {due / 1000000000, due % 1000000000};
        pthread_cond_timedwait(&b->more, &b->lock, &until);
    }
}

static void *work(void *arg)
{
    struct table *t = arg;
    struct batcher *b = t->b;
    struct batch_job *jobs;
    pthread_mutex_lock(&b->lock);
    while ((jobs = await_batch(b))) {
        pthread_mutex_unlock(&b->lock);
        run(t, jobs);
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

bool batcher_submit(struct batcher *b, struct batch_job *job)
{
    pthread_mutex_lock(&b->lock);
    bool ok = b->counts.waiting < b->spec.max_jobs;
    if (ok) {
        job->next = NULL;
        job->arrived = now_ns();
        *b->end = job;
        b->end = &job->next;
        b->counts.waiting++;
        pthread_cond_signal(&b->more);
    }
    pthread_mutex_unlock(&b->lock);
    return ok;
}

void batcher_count(struct batcher *b, struct batcher_counts *out)
{
    pthread_mutex_lock(&b->lock);
    *out = b->counts;
    pthread_mutex_unlock(&b->lock);
}

/* ---- the whole ---- */

static enum status start(struct batcher *b, struct error *err)
{
    b->tables = mem_zeroed(b->spec.n_threads, sizeof *b->tables);
    if (!b->tables) return mem_error(err, "batches", b->spec.n_threads * sizeof *b->tables);
    for (; b->n_started < b->spec.n_threads; b->n_started++) {
        struct table *t = &b->tables[b->n_started];
        t->b = b;
        int code = pthread_create(&t->thread, NULL, work, t);
        if (code) return error_set(err, ST_INTERNAL, "a thread cannot be started: %s", strerror(code));
    }
    return ST_OK;
}

enum status batcher_create(const struct batcher_spec *spec, struct batcher **out, struct error *err)
{
    pthread_condattr_t attr;
    struct batcher *b = *out = mem_zeroed(1, sizeof *b);
    if (!b) return mem_error(err, "batches", sizeof *b);
    b->spec = *spec;
    b->end = &b->first;
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->more, &attr);
    pthread_condattr_destroy(&attr);
    enum status st = start(b, err);
    if (st == ST_OK) return ST_OK;
    batcher_destroy(b);
    *out = NULL;
    return st;
}

void batcher_destroy(struct batcher *b)
{
    if (!b) return;
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_broadcast(&b->more);
    pthread_mutex_unlock(&b->lock);
    for (size_t i = 0; i < b->n_started; i++) {
        pthread_join(b->tables[i].thread, NULL);
        mem_free(b->tables[i].rows);
        mem_free(b->tables[i].scores);
    }
    mem_free(b->tables);
    pthread_cond_destroy(&b->more);
    pthread_mutex_destroy(&b->lock);
    mem_free(b);
}
