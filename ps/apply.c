/* The work of a step, shard by shard: join what the workers pushed, apply the
 * optimiser once per key and per dense float, copy the rows asked for next. A
 * block of dense floats, or some dozens of rows, go through all of it while they
 * are in the nearest cache. */
#include <math.h>
#include <string.h>

#include "common/math/vec.h"
#include "ps/server_impl.h"

VECTOR_CLONES
static bool is_finite(size_t n, const float *x)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
    }
    return !bad;
}

static void fail_not_finite(struct server *s, struct shard *h, const char *what)
{
    if (h->status != ST_OK) return;
    h->status = error_set(
        &h->err, ST_INTERNAL,
        "step %llu: the gradient of %s is finite in every lane but not their sum",
        (unsigned long long)s->step, what);
    error_hint(&h->err, ST_INTERNAL, "lower the learning rate, or set train.clip_norm");
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Floats [f, f + n), each with its optimiser. */
static void apply_floats(struct server *s, size_t f, size_t n, const float *g)
{
    struct range part = s->part;
    for (size_t at = f, end = f + n; at < end;) {
        bool inside = at >= part.first && at < part.end;
        size_t stop = inside              ? smaller(end, part.end)
                      : at < part.first ? smaller(end, part.first)
                                        : end;
        float *slots[OPTIM_MAX_SLOTS] = {s->slots[0] ? s->slots[0] + at : NULL,
                                         s->slots[1] ? s->slots[1] + at : NULL};
        optim_dense(inside ? &s->part_step : &s->dense_step, stop - at, g + (at - f),
                    s->params + at, slots, s->decay ? s->decay + at : NULL);
        at = stop;
    }
}

static void apply_dense(struct server *s, struct shard *h)
{
    if (!s->plan.n_parts) return; /* no lane had a row */
    for (size_t f = h->dense.first; f < h->dense.end; f += DENSE_BLOCK) {
        size_t n = h->dense.end - f < DENSE_BLOCK ? h->dense.end - f : DENSE_BLOCK;
        const float *g = s->joined ? s->joined + f : join_dense(&s->plan, &h->work, f, n);
        if (s->joined && s->clip_scale != 1.0f)
            vec_scale(n, s->clip_scale, s->joined + f);
        if (!is_finite(n, g)) {
            fail_not_finite(s, h, "the dense parameters");
            return;
        }
        struct rates_block before;
        rates_before(s, f, n, &before);
        apply_floats(s, f, n, g);
        rates_after(s, f, n, &before);
    }
}

/* The optimiser's work on a row, as far as the table's rate lets it count. */
static void learn_row(const struct server_table *info, struct rate_now rate, const float *grad,
                      float *before, struct row *r)
{
    size_t dim = info->dim;
    if (rate.kind == RATE_FROZEN) return;
    if (rate.kind == RATE_SCALED) memcpy(before, r->values, dim * sizeof *before);
    optim_row(&info->step, dim, grad, r->values, r->values + dim);
    for (size_t j = 0; rate.kind == RATE_SCALED && j < dim; j++)
        r->values[j] = before[j] + rate.x * (r->values[j] - before[j]);
}

/* Adds a push to what an id without a row has been seen. *seen: occurrences before it, if
 * the id gets its row now, else *waits. */
static enum status count_waiting(struct server *s, struct shard *h, size_t t, size_t i,
                                 uint64_t *seen, bool *waits)
{
    struct table *waiting = h->waiting[t];
    uint64_t key = h->rows.keys[i];
    struct row *w;
    TRY(table_insert(waiting, key, NULL, &w, &h->err));
    *seen = w->count;
    w->count += h->rows.counts[i];
    w->last_step = s->past.steps + s->step;
    *waits = w->count < s->tables[t].admit;
    if (!*waits) table_remove(waiting, key);
    return ST_OK;
}

/* The row of a key that had none; NULL while its id waits for one. */
static enum status give_birth(struct server *s, struct shard *h, size_t t, size_t i,
                              struct row **out)
{
    uint64_t key = h->rows.keys[i], seen = 0;
    bool waits = false;
    *out = NULL;
    if (h->waiting[t]) TRY(count_waiting(s, h, t, i, &seen, &waits));
    if (waits) return ST_OK;
    const float *w = memo_initial(h->memo, t, h->tables[t], key);
    TRY(table_insert(h->tables[t], key, w, out, &h->err));
    (*out)->count = seen;
    return ST_OK;
}

static void apply_rows(struct server *s, struct shard *h, size_t t)
{
    struct rate_now rate = rates_of_table(s, t);
    const struct server_table *info = &s->tables[t];
    struct join_rows *in = &h->rows;
    struct row *rows[JOIN_KEYS];
    table_find(h->tables[t], in->n, in->keys, rows);
    for (size_t i = 0; i < in->n; i++) {
        if (!is_finite(info->dim, in->grads[i])) {
            fail_not_finite(s, h, info->name);
            return;
        }
        if (!rows[i]) {
            h->status = give_birth(s, h, t, i, &rows[i]);
            if (h->status != ST_OK) return;
            if (!rows[i]) continue;
        }
        struct row *r = rows[i];
        const float *g = in->grads[i];
        if (info->l2 > 0) {
            optim_add_l2(info->l2, info->dim, g, r->values, h->grad);
            g = h->grad;
        }
        learn_row(info, rate, g, h->before, r);
        r->last_step = s->past.steps + s->step;
        r->count += in->counts[i];
    }
    h->keys_pushed += in->n;
}

static void apply_table(struct server *s, struct shard *h, size_t t)
{
    join_runs_begin(&s->plan, &h->work, t, h->buckets);
    while (h->status == ST_OK) {
        join_runs_next(&s->plan, &h->work, s->tables[t].dim, &h->rows);
        if (!h->rows.n) return;
        apply_rows(s, h, t);
    }
}

/* Rows of n keys side by side; unknown keys get their initial row, by way of the
 * memo unless it is NULL. */
static void copy_rows(const struct table *table, struct memo *memo, size_t number,
                      size_t n, const uint64_t *keys, float *out)
{
    size_t dim = table_dim(table);
    struct row *rows[JOIN_KEYS];
    for (size_t first = 0; first < n; first += JOIN_KEYS) {
        size_t some = n - first < JOIN_KEYS ? n - first : JOIN_KEYS;
        table_find(table, some, keys + first, rows);
        for (size_t i = 0; i < some; i++, out += dim) {
            uint64_t key = keys[first + i];
            const float *row = rows[i] ? rows[i]->values
                               : memo  ? memo_initial(memo, number, table, key)
                                       : NULL;
            if (row)
                memcpy(out, row, dim * sizeof *out);
            else
                table_initial(table, key, out);
        }
    }
}

void server_pull(const struct server *s, size_t table, size_t n, const uint64_t *keys,
                 float *out)
{
    for (size_t i = 0; i < s->spec.n_shards; i++) {
        const struct shard *h = &s->shards[i];
        size_t first = partition_lower(keys, n, h->buckets.first);
        size_t end = partition_lower(keys, n, h->buckets.end);
        if (end > first)
            copy_rows(h->tables[table], NULL, table, end - first, keys + first,
                      out + first * s->tables[table].dim);
    }
}

static void answer_pull(struct server *s, struct shard *h, struct worker_slot *slot,
                        size_t t)
{
    if (!slot->n_rows[t]) return;
    const struct wire_keys *k = &slot->view.pulls[t];
    size_t first = partition_lower(k->keys, k->n, h->buckets.first);
    size_t end = partition_lower(k->keys, k->n, h->buckets.end);
    if (end <= first) return;
    float *out = slot->rows + (slot->answer[t] - slot->rows) + first * s->tables[t].dim;
    copy_rows(h->tables[t], h->memo, t, end - first, k->keys + first, out);
    h->keys_pulled += end - first;
}

void server_apply(struct server *s, size_t shard)
{
    struct shard *h = &s->shards[shard];
    if (s->pushing && h->status == ST_OK) {
        apply_dense(s, h);
        for (size_t t = 0; t < s->spec.n_tables; t++) apply_table(s, h, t);
    }
    for (size_t t = 0; t < s->spec.n_tables; t++)
        for (size_t w = 0; w < s->spec.n_workers; w++)
            answer_pull(s, h, &s->workers[w], t);
}

/* ---- clipping ---- */

bool server_clips(const struct server *s)
{
    return s->spec.clip_norm > 0;
}

void server_join(struct server *s, size_t shard)
{
    struct shard *h = &s->shards[shard];
    if (!s->pushing || !s->joined) return;
    for (size_t f = h->dense.first; f < h->dense.end; f += DENSE_BLOCK) {
        size_t n = h->dense.end - f < DENSE_BLOCK ? h->dense.end - f : DENSE_BLOCK;
        const float *g = join_dense(&s->plan, &h->work, f, n);
        if (g)
            memcpy(s->joined + f, g, n * sizeof *g);
        else
            memset(s->joined + f, 0, n * sizeof *g);
        s->squares[f / DENSE_BLOCK] = vec_sum_squares(n, s->joined + f);
    }
}

const double *server_block_squares(const struct server *s, size_t *n_blocks)
{
    *n_blocks = s->n_blocks;
    return s->squares;
}

void server_set_norm(struct server *s, double norm)
{
    if (norm > s->spec.clip_norm) s->clip_scale = (float)(s->spec.clip_norm / norm);
}

double server_norm(const struct server *s)
{
    double sum = 0;
    for (size_t b = 0; b < s->n_blocks; b++) sum += s->squares[b];
    return sqrt(sum);
}
