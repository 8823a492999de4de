/* Parameters that do not learn as their optimiser alone would have it: frozen at first,
 * slowed down, or set by a schedule. All of it elementwise, so no layout matters. */
#include <string.h>

#include "common/base/mem.h"
#include "common/math/fmath.h"
#include "ps/server_impl.h"

enum status rates_set(struct server *s, const struct wire_rates *r, struct error *err)
{
    if (r->n_dense != s->n_dense || r->n_tables != s->spec.n_tables || !r->n)
        return error_set(err, ST_PEER, "rates of %zu floats and %zu tables came, here are %zu "
                         "and %zu", r->n_dense, r->n_tables, s->n_dense, s->spec.n_tables);
    struct wire_rate *rates = mem_array(r->n, sizeof *rates);
    struct rate_now *now = mem_zeroed(r->n, sizeof *now);
    uint8_t *of = mem_array(r->n_dense, 1);
    if (!rates || !now || !of) {
        mem_free(rates);
        mem_free(now);
        mem_free(of);
        return mem_error(err, "rates", r->n_dense);
    }
    memcpy(rates, r->rates, r->n * sizeof *rates);
    memcpy(of, r->dense, r->n_dense);
    for (size_t t = 0; t < r->n_tables; t++) s->tables[t].rate = r->tables[t];
    mem_free(s->rates);
    mem_free(s->rates_now);
    mem_free(s->rate_of);
    s->rates = rates;
    s->rates_now = now;
    s->rate_of = of;
    s->n_rates = r->n;
    return ST_OK;
}

static struct rate_now now(const struct wire_rate *r, uint64_t step)
{
    if (step < r->from) return (struct rate_now){RATE_FROZEN, 0};
    uint64_t since = step - r->from, before = r->opened < r->open ? r->opened : r->open;
    if (since < r->open - before)
        return (struct rate_now){RATE_SET,
                                 (float)fmath_log((double)(before + since + 1) / (double)r->open)};
    if (r->scale != 1) return (struct rate_now){RATE_SCALED, (float)r->scale};
    return (struct rate_now){RATE_PLAIN, 0};
}

void rates_step(struct server *s)
{
    for (size_t i = 0; i < s->n_rates; i++) s->rates_now[i] = now(&s->rates[i], s->step);
}

struct rate_now rates_of_table(const struct server *s, size_t table)
{
    return s->n_rates ? s->rates_now[s->tables[table].rate] : (struct rate_now){RATE_PLAIN, 0};
}

static bool all_plain(const struct server *s, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s->rates_now[s->rate_of[first + i]].kind != RATE_PLAIN) return false;
    return true;
}

void rates_before(const struct server *s, size_t first, size_t n, struct rates_block *b)
{
    b->used = s->n_rates && !all_plain(s, first, n);
    if (!b->used) return;
    memcpy(b->params, s->params + first, n * sizeof *b->params);
    for (size_t k = 0; k < OPTIM_MAX_SLOTS; k++)
        if (s->slots[k]) memcpy(b->slots[k], s->slots[k] + first, n * sizeof *b->params);
}

void rates_after(struct server *s, size_t first, size_t n, const struct rates_block *b)
{
    for (size_t i = 0; b->used && i < n; i++) {
        struct rate_now rate = s->rates_now[s->rate_of[first + i]];
        float *w = &s->params[first + i];
        if (rate.kind == RATE_PLAIN) continue;
        if (rate.kind == RATE_SCALED) {
            *w = b->params[i] + rate.x * (*w - b->params[i]);
            continue;
        }
        *w = rate.kind == RATE_SET ? rate.x : b->params[i];
        for (size_t k = 0; k < OPTIM_MAX_SLOTS; k++)
            if (s->slots[k]) s->slots[k][first + i] = b->slots[k][i];
    }
}
