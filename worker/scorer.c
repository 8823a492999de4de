#include "worker/scorer.h"

#include <math.h>

#include "common/base/mem.h"
#include "common/math/funnel.h"

/* What one thread owns. */
struct hand {
    struct scan *scan;
    struct infer_work *work;
    struct watch *watch; /* NULL: nobody asks */
    struct batch_view view;
    float **rows;  /* [n_tables] -> [max_keys, dim] */
    float *logits; /* [SCORE_BLOCK, scorer_width] */
    const struct batch *batch; /* NULL: at the end */
    uint64_t block;
    enum status status;
    struct error err;
};

struct scorer {
    const struct scorer_spec *spec;
    const struct scan_exchange *what; /* or NULL */
    struct infer *infer;
    struct hand *hands;
    const uint32_t **nowhere; /* [n_tables] NULL: rows lie in the batch's own order */
    size_t n;
};

struct range scorer_blocks(const struct dataset *d, size_t worker, size_t n_workers)
{
    uint64_t n = (dataset_rows(d) + SCORE_BLOCK - 1) / SCORE_BLOCK;
    return partition_part((size_t)n, worker, n_workers);
}

size_t scorer_width(const struct scorer_spec *spec)
{
    const struct model *m = spec->session->model;
    return model_n_tasks(m) * (spec->vectors ? model_vector_width(m) : 1);
}

static float task_value(const struct session *s, const struct batch *b, size_t row, size_t task,
                        float z)
{
    float value = model_link(s->model, task, z);
    if (s->spec.settings->tasks[task].loss != LOSS_COMPLETION) return value;
    return value * b->durations[row * b->n_tasks + task];
}

void scorer_scores(const struct session *s, const struct batch *b, size_t row, const float *z,
                   float *values, float *logits)
{
    const struct settings *settings = s->spec.settings;
    for (size_t i = 0; i < settings->n_scores; i++) {
        const struct score_cfg *c = &settings->scores[i];
        logits[i] = z[c->task];
        if (c->given != SCORE_OF_TASK)
            logits[i] = (float)funnel_conditional((double)z[c->given], (double)z[c->task]);
        values[i] = task_value(s, b, row, c->task, logits[i]);
    }
}

void scorer_labels(const struct settings *s, const float *labels, float *out)
{
    for (size_t i = 0; i < s->n_scores; i++) {
        const struct score_cfg *c = &s->scores[i];
        bool counts = c->given == SCORE_OF_TASK || labels[c->given] == 1;
        out[i] = counts ? labels[c->task] : NAN;
    }
}

/* ---- making ---- */

static enum status make_infer(struct scorer *s, struct error *err)
{
    const struct model *model = s->spec->session->model;
    size_t bytes = model_n_params(model) * sizeof(float);
    float *params = mem_alloc(bytes);
    if (!params) return mem_error(err, "parameters", bytes);
    uint64_t step, updates;
    enum status st = client_dense_get(s->spec->client, params, NULL, &step, &updates, err);
    if (st == ST_OK) st = infer_create(model, params, &s->infer, err);
    mem_free(params);
    return st;
}

static enum status make_hand(struct scorer *s, struct hand *h, struct range blocks,
                             const struct session_caps *caps, struct error *err)
{
    const struct session *session = s->spec->session;
    struct dataset *data = s->spec->data;
    uint64_t rows = dataset_rows(data);
    uint64_t first = (uint64_t)blocks.first * SCORE_BLOCK, end = (uint64_t)blocks.end * SCORE_BLOCK;
    h->block = blocks.first;
    if (first > rows) first = rows;
    if (end > rows) end = rows;
    TRY(s->what ? scan_open_exchanged(data, session->fit, first, end, SCORE_BLOCK, s->what,
                                      &h->scan, err)
                : scan_open(data, session->fit, first, end, SCORE_BLOCK, &h->scan, err));
    TRY(infer_work_create(s->infer, SCORE_BLOCK, &h->work, err));
    if (s->spec->health) TRY(watch_create(session->model, h->work, &h->watch, err));
    TRY(batch_view_make(session->tables, &h->view, err));
    size_t n_tables = session->tables->n;
    h->logits = mem_array(SCORE_BLOCK * scorer_width(s->spec), sizeof *h->logits);
    h->rows = mem_zeroed(n_tables + 1, sizeof *h->rows);
    if (!h->logits || !h->rows) return mem_error(err, "scores", SCORE_BLOCK * sizeof *h->logits);
    for (size_t t = 0; t < n_tables; t++) {
        h->rows[t] = mem_array(caps->max_keys[t] * session->tables->dim[t], sizeof **h->rows);
        if (!h->rows[t]) return mem_error(err, "rows", caps->max_keys[t] * sizeof **h->rows);
    }
    return ST_OK;
}

static enum status make(struct scorer *s, struct error *err)
{
    s->n = threads_size(s->spec->threads);
    s->hands = mem_zeroed(s->n, sizeof *s->hands);
    s->nowhere = mem_zeroed(s->spec->session->tables->n + 1, sizeof *s->nowhere);
    if (!s->hands || !s->nowhere) return mem_error(err, "scorer", s->n * sizeof *s->hands);
    TRY(make_infer(s, err));
    struct session_caps caps;
    TRY(session_caps_make(s->spec->session, s->spec->data, SCORE_BLOCK, &caps, err));
    struct range own = scorer_blocks(s->spec->data, s->spec->crew->worker, s->spec->crew->n_workers);
    enum status st = ST_OK;
    for (size_t i = 0; i < s->n && st == ST_OK; i++) {
        struct range part = partition_part(own.end - own.first, i, s->n);
        part.first += own.first;
        part.end += own.first;
        st = make_hand(s, &s->hands[i], part, &caps, err);
    }
    session_caps_close(&caps);
    return st;
}

static void dismantle(struct scorer *s)
{
    size_t n_tables = s->spec->session->tables->n;
    for (size_t i = 0; s->hands && i < s->n; i++) {
        struct hand *h = &s->hands[i];
        scan_close(h->scan);
        watch_destroy(h->watch);
        infer_work_destroy(h->work);
        batch_view_close(&h->view);
        for (size_t t = 0; h->rows && t < n_tables; t++) mem_free(h->rows[t]);
        mem_free(h->rows);
        mem_free(h->logits);
    }
    mem_free(s->hands);
    mem_free(s->nowhere);
    infer_destroy(s->infer);
}

/* ---- running ---- */

static void read_phase(void *arg, size_t thread)
{
    struct scorer *s = arg;
    struct hand *h = &s->hands[thread];
    h->status = scan_next(h->scan, &h->batch, &h->err);
    if (h->status == ST_OK && h->batch)
        h->batch = batch_view_set(&h->view, s->spec->session->tables, h->batch);
}

static void infer_phase(void *arg, size_t thread)
{
    struct scorer *s = arg;
    struct hand *h = &s->hands[thread];
    if (!h->batch) return;
    struct model_rows rows = {.rows = (const float *const *)h->rows, .place = s->nowhere};
    if (s->spec->vectors)
        infer_vectors(s->infer, h->batch, &rows, *s->spec->vectors, h->work, h->logits);
    else
        infer_forward(s->infer, h->batch, &rows, h->work, h->logits);
}

static enum status pull(struct scorer *s, struct hand *h, struct wire_keys *keys, struct error *err)
{
    for (size_t t = 0; t < h->batch->n_tables; t++)
        keys[t] = (struct wire_keys){h->batch->tables[t].n, h->batch->tables[t].keys};
    return client_pull(s->spec->client, keys, h->rows, NULL, err);
}

/* One block per thread; *more is false when none had any. */
static enum status round_of_blocks(struct scorer *s, struct wire_keys *keys, bool *more,
                                   enum status (*take)(void *, uint64_t, const struct batch *,
                                                       const float *, struct error *),
                                   void *arg, struct error *err)
{
    threads_run(s->spec->threads, read_phase, s);
    *more = false;
    for (size_t i = 0; i < s->n; i++) {
        struct hand *h = &s->hands[i];
        if (h->status != ST_OK) {
            if (err) *err = h->err;
            return h->status;
        }
        if (!h->batch) continue;
        *more = true;
        TRY(pull(s, h, keys, err));
    }
    threads_run(s->spec->threads, infer_phase, s);
    for (size_t i = 0; i < s->n; i++) {
        struct hand *h = &s->hands[i];
        if (!h->batch) continue;
        if (h->watch) TRY(health_take(s->spec->health, h->block, h->watch, err));
        TRY(take(arg, h->block++, h->batch, h->logits, err));
    }
    return ST_OK;
}

enum status scorer_run(const struct scorer_spec *spec,
                       enum status (*take)(void *arg, uint64_t block, const struct batch *b,
                                           const float *logits, struct error *err),
                       void *arg, struct error *err)
{
    return scorer_run_exchanged(spec, NULL, take, arg, err);
}

enum status scorer_run_exchanged(const struct scorer_spec *spec, const struct scan_exchange *what,
                                 enum status (*take)(void *arg, uint64_t block,
                                                     const struct batch *b,
                                                     const float *logits, struct error *err),
                                 void *arg, struct error *err)
{
    struct scorer s = {.spec = spec, .what = what};
    size_t n_tables = spec->session->tables->n;
    struct wire_keys *keys = mem_zeroed(n_tables + 1, sizeof *keys);
    enum status st = keys ? make(&s, err) : mem_error(err, "scorer", n_tables * sizeof *keys);
    for (bool more = true; st == ST_OK && more;)
        st = round_of_blocks(&s, keys, &more, take, arg, err);
    dismantle(&s);
    mem_free(keys);
    return st;
}
