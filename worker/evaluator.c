#include "worker/evaluator.h"

#include <math.h>

#include "common/base/mem.h"
#include "common/math/target.h"

struct evaluation {
    const struct session *session;
    size_t n_tasks;
    float *scores; /* [SCORE_BLOCK, n_tasks] */
    struct metric *metric;
};

static enum status add_block(void *arg, uint64_t block, const struct batch *b, const float *logits,
                             struct error *err)
{
    struct evaluation *e = arg;
    for (size_t i = 0; i < b->n_rows; i++)
        for (size_t k = 0; k < e->n_tasks; k++)
            e->scores[i * e->n_tasks + k] =
                scorer_value(e->session, b, i, k, logits[i * e->n_tasks + k]);
    return metric_add(e->metric, block, b->n_rows, e->scores, logits, b->labels, b->group, err);
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
    for (size_t k = 0; k < s->n_tasks; k++) {
        struct metric_result *r = &results[k];
        if (s->tasks[k].loss == LOSS_BCE) {
            r->mae = r->rmse = r->xauc = r->gxauc = NAN;
            continue;
        }
        r->auc = r->logloss = r->gauc = NAN;
        if (!target_is_time(s->tasks[k].loss)) r->pcoc = NAN;
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
    struct evaluation e = {.session = spec->session, .n_tasks = settings->n_tasks};
    enum status st = ST_OK;
    e.scores = mem_array(SCORE_BLOCK * e.n_tasks, sizeof *e.scores);
    if (!e.scores) st = mem_error(err, "scores", SCORE_BLOCK * sizeof *e.scores);
    if (st == ST_OK) st = metric_create(e.n_tasks, &e.metric, err);
    if (st == ST_OK) st = scorer_run_exchanged(spec, what, add_block, &e, err);
    if (st == ST_OK) st = gather(spec->crew, &e, err);
    if (st == ST_OK) st = gather_health(spec->crew, spec->health, err);
    if (st == ST_OK && spec->crew->worker == 0) st = metric_finalize(e.metric, results, err);
    metric_destroy(e.metric);
    mem_free(e.scores);
    if (st != ST_OK) return st;
    evaluator_drop_meaningless(settings, results);
    return crew_tell(spec->crew, results, e.n_tasks * sizeof *results, "metrics", err);
}
