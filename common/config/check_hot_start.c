/* Rules for `hot_start` that need no checkpoint. */
#include <string.h>

#include "common/config/config.h"
#include "common/config/nearest.h"
#include "common/config/value.h"

enum { MAX_KNOWN = 256 };

/* What the mode decides unless it is written. */
static void fill_by_mode(struct settings *s)
{
    struct hot_start_cfg *h = &s->hot_start;
    if (!config_given(s, "hot_start.state.dense"))
        h->state_dense = h->mode == HOT_ALL ? HOT_KEEP : HOT_RESET;
    if (!config_given(s, "hot_start.statistics"))
        h->statistics = h->mode == HOT_COLD || h->mode == HOT_SPARSE ? HOT_STATISTICS_FIT
                                                                     : HOT_STATISTICS_KEEP;
}

static enum status read_factors(struct settings *s, struct error *err)
{
    struct hot_start_cfg *h = &s->hot_start;
    h->lr_factor = arena_take(s->arena, h->lr_scale.n + 1, sizeof *h->lr_factor);
    if (!h->lr_factor) return config_no_memory(err);
    for (size_t i = 0; i < h->lr_scale.n; i++) {
        double *x = &h->lr_factor[i];
        if (value_real(h->lr_scale.value[i], x) && *x >= 0 && *x <= 1e6) continue;
        return config_fail(err, h->lr_scale.where[i],
                           "hot_start.lr_scale: '%.60s' is no number from 0 to 1e6",
                           h->lr_scale.value[i]);
    }
    return ST_OK;
}

/* The gate of a task that is itself new cannot be known here: the plan looks it up. */
static enum status check_gate(const struct settings *s, struct error *err)
{
    const char *gate = s->hot_start.new_task.gate, *known[MAX_KNOWN + 1];
    if (!strcmp(gate, "uniform")) return ST_OK;
    size_t n = 0;
    for (; n < s->n_tasks && n < MAX_KNOWN; n++) {
        if (!strcmp(s->tasks[n].name, gate)) return ST_OK;
        known[n] = s->tasks[n].name;
    }
    known[n++] = "uniform";
    bool is_default;
    config_fail(err, config_origin(s, "hot_start.new_task.gate", &is_default),
                "hot_start.new_task.gate: there is no task '%.60s'", gate);
    const char *nearest = nearest_word(gate, known, n);
    if (nearest) return error_hint(err, ST_USAGE, "did you mean '%s'?", nearest);
    return error_hint(err, ST_USAGE, "write the name of a task, or uniform");
}

enum status check_hot_start(struct settings *s, struct error *err)
{
    struct hot_start_cfg *h = &s->hot_start;
    if (!h->given) return ST_OK;
    fill_by_mode(s);
    for (size_t i = 0; i < h->n_freeze; i++)
        if (!h->freeze[i].until) h->freeze[i].until = UINT64_MAX;
    if (!h->from && h->mode != HOT_COLD) {
        bool is_default;
        config_fail(err, config_origin(s, "hot_start", &is_default), "hot_start needs 'from'");
        return error_hint(err, ST_USAGE, "for example hot_start: {from: runs/yesterday}");
    }
    TRY(read_factors(s, err));
    return check_gate(s, err);
}
