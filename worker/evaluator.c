#include "worker/evaluator.h"

#include <math.h>

#include "common/base/mem.h"
#include "common/math/target.h"

struct evaluation {
    const struct session *session;
    size_t n_scores;
    float *scores, *logits, *labels; /* [SCORE_BLOCK, n_scores] */
    struct metric *metric;
};

static enum status add_block(void *arg, uint64_t block, const struct batch *b, const float *z,
                             struct error *err)
{
    struct evaluation *e = arg;
    for (size_t i = 0; i < b->n_rows; i++) {
        size_t at = i * e->n_scores;
        scorer_scores(e->session, b, i, z + i * b->n_tasks, e->scores + at, e->logits + at);
        scorer_labels(e->session->spec.settings, b->labels + i * b->n_tasks, e->labels + at);
    }
    return metric_add(e->metric, block, b->n_rows, e->scores, e->logits, e->labels, b->group, err);
}

static enum status merge(void *arg, size_t worker, const struct message *m, struct error *err)
{
    struct evaluation *e = arg;
    return worker == 0 ? ST_OK : metric_merge(e->metric, m->data, m->bytes, err);
}

static enum status gather(const struct crew *crew, struct evaluation *e, struct error *err)
{
    void *data = NULL;
    size_t bytes = crew->worker > 0 ? metric_pack_bytes(e->metric) : 0;
    if (bytes) {
        data = mem_alloc(bytes);
        if (!data) return mem_error(err, "metrics", bytes);
        metric_pack(e->metric, data);
    }
    enum status st = crew_gather(crew, data, bytes, "metrics", merge, e, err);
    mem_free(data);
    return st;
}

static enum status merge_health(void *arg, size_t worker, const struct message *m,
                                struct error *err)
{
    return worker == 0 ? ST_OK : health_merge(arg, m->data, m->bytes, err);
}

/* Blocks of all workers come to the leader. */
static enum status gather_health(const struct crew *crew, struct health *h, struct error *err)
{
    if (!h) return ST_OK;
    size_t bytes = health_pack_bytes(h);
    void *data = mem_alloc(bytes);
    if (!data) return mem_error(err, "health", bytes);
    health_pack(h, data);
    enum status st = crew_gather(crew, data, bytes, "health", merge_health, h, err);
    mem_free(data);
    return st;
}

void evaluator_drop_meaningless(const struct settings *s, struct metric_result *results)
{
    for (size_t i = 0; i < s->n_scores; i++) {
        struct metric_result *r = &results[i];
        enum loss_kind loss = s->tasks[s->scores[i].task].loss;
        if (loss == LOSS_BCE) {
            r->mae = r->rmse = r->xauc = r->gxauc = NAN;
            continue;
        }
        r->auc = r->logloss = r->gauc = NAN;
        if (!target_is_time(loss)) r->pcoc = NAN;
    }
}

enum status evaluate(const struct scorer_spec *spec, struct metric_result *results, struct error *err)
{
    return evaluate_exchanged(spec, NULL, results, err);
}

enum status evaluate_exchanged(const struct scorer_spec *spec, const struct scan_exchange *what,
                               struct metric_result *results, struct error *err)
{
    const struct settings *settings = spec->session->spec.settings;
    struct evaluation e = {.session = spec->session, .n_scores = settings->n_scores};
    size_t n = SCORE_BLOCK * e.n_scores;
    enum status st = ST_OK;
    e.scores = mem_array(n, sizeof *e.scores);
    e.logits = mem_array(n, sizeof *e.logits);
    e.labels = mem_array(n, sizeof *e.labels);
    if (!e.scores || !e.logits || !e.labels) st = mem_error(err, "scores", n * sizeof *e.scores);
    if (st == ST_OK) st = metric_create(e.n_scores, &e.metric, err);
    if (st == ST_OK) st = scorer_run_exchanged(spec, what, add_block, &e, err);
    if (st == ST_OK) st = gather(spec->crew, &e, err);
    if (st == ST_OK) st = gather_health(spec->crew, spec->health, err);
    if (st == ST_OK && spec->crew->worker == 0) st = metric_finalize(e.metric, results, err);
    metric_destroy(e.metric);
    mem_free(e.scores);
    mem_free(e.logits);
    mem_free(e.labels);
    if (st != ST_OK) return st;
    evaluator_drop_meaningless(settings, results);
    return crew_tell(spec->crew, results, e.n_scores * sizeof *results, "metrics", err);
}
