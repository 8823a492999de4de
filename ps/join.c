#include "ps/join.h"

#include <string.h>

#include "common/base/mem.h"

/* Reads one part's run. */
struct join_cursor {
    const struct wire_run *run;
    size_t at, end;
    uint32_t bucket; /* of the key at `at` */
};

/* ---- plan ---- */

static size_t tree_levels(size_t n_lanes)
{
    size_t levels = 0;
    while (((size_t)1 << levels) < n_lanes) levels++;
    return levels;
}

enum status join_plan_create(size_t n_lanes, size_t max_parts, struct join_plan *p,
                             struct error *err)
{
    *p = (struct join_plan){.n_lanes = n_lanes, .max_parts = max_parts};
    p->parts = mem_array(max_parts, sizeof *p->parts);
    p->ops = mem_array(2 * max_parts, sizeof *p->ops);
    if (p->parts && p->ops) return ST_OK;
    join_plan_close(p);
    return mem_error(err, "join plan", max_parts * sizeof *p->parts);
}

void join_plan_close(struct join_plan *p)
{
    mem_free(p->parts);
    mem_free(p->ops);
    *p = (struct join_plan){0};
}

void join_plan_clear(struct join_plan *p)
{
    p->n_parts = p->n_ops = p->depth = 0;
}

static uint64_t first_lane(const struct wire_part *part)
{
    return (uint64_t)part->node.index << part->node.level;
}

static uint64_t end_lane(const struct wire_part *part)
{
    return ((uint64_t)part->node.index + 1) << part->node.level;
}

enum status join_plan_add(struct join_plan *p, const struct wire_part *part,
                          struct error *err)
{
    if (p->n_parts == p->max_parts)
        return error_set(err, ST_PEER, "more than %zu parts in one step", p->max_parts);
    if (part->node.level > 31 || first_lane(part) >= p->n_lanes)
        return error_set(err, ST_PEER,
                         "part (level %u, index %u) is outside of %zu lanes",
                         part->node.level, part->node.index, p->n_lanes);
    size_t i = p->n_parts++;
    for (; i && first_lane(p->parts[i - 1]) > first_lane(part); i--)
        p->parts[i] = p->parts[i - 1];
    p->parts[i] = part;
    return ST_OK;
}

/* Emits the program of the subtree that starts at part *next; true when it holds
 * a part. The recursion is as deep as the tree, at most 32. */
static bool plan_subtree(struct join_plan *p, size_t level, uint64_t lane, size_t *next,
                         size_t depth)
{
    if (*next == p->n_parts) return false;
    const struct wire_part *part = p->parts[*next];
    uint64_t end = lane + ((uint64_t)1 << level);
    if (first_lane(part) >= end) return false;
    if (part->node.level == level) {
        p->ops[p->n_ops++] = (int)(*next)++;
        if (depth + 1 > p->depth) p->depth = depth + 1;
        return true;
    }
    bool left = plan_subtree(p, level - 1, lane, next, depth);
    bool right = plan_subtree(p, level - 1, lane + ((uint64_t)1 << (level - 1)), next,
                              depth + left);
    if (left && right) p->ops[p->n_ops++] = JOIN_ADD;
    return left || right;
}

enum status join_plan_finish(struct join_plan *p, struct error *err)
{
    for (size_t i = 1; i < p->n_parts; i++)
        if (end_lane(p->parts[i - 1]) > first_lane(p->parts[i]))
            return error_set(err, ST_PEER, "lane %llu was pushed twice",
                             (unsigned long long)first_lane(p->parts[i]));
    size_t levels = tree_levels(p->n_lanes), next = 0;
    for (size_t i = 0; i < p->n_parts; i++)
        if (p->parts[i]->node.level > levels) levels = p->parts[i]->node.level;
    plan_subtree(p, levels, 0, &next, 0);
    return ST_OK;
}

/* ---- sums ---- */

enum status join_work_create(size_t n_lanes, size_t max_parts, size_t max_dim,
                             struct join_work *w, struct error *err)
{
    size_t depth = tree_levels(n_lanes) + 1;
    *w = (struct join_work){0};
    w->width = max_dim > DENSE_BLOCK ? max_dim : DENSE_BLOCK;
    w->stack = mem_array((depth + 1) * w->width, sizeof *w->stack);
    w->block = mem_array(DENSE_BLOCK, sizeof *w->block);
    w->values = mem_array(max_parts, sizeof *w->values);
    w->sums = mem_array(JOIN_KEYS * max_dim, sizeof *w->sums);
    w->slots = mem_array(depth, sizeof *w->slots);
    w->cursors = mem_array(max_parts, sizeof *w->cursors);
    if (w->stack && w->block && w->values && w->sums && w->slots && w->cursors)
        return ST_OK;
    size_t bytes = depth * w->width * sizeof *w->stack;
    join_work_close(w);
    return mem_error(err, "join buffers", bytes);
}

void join_work_close(struct join_work *w)
{
    mem_free(w->stack);
    mem_free(w->block);
    mem_free(w->values);
    mem_free(w->sums);
    mem_free(w->slots);
    mem_free(w->cursors);
    *w = (struct join_work){0};
}

VECTOR_CLONES
static void add(size_t n, const float *a, const float *b, float *restrict out)
{
    for (size_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

VECTOR_CLONES
static void add_to(size_t n, const float *b, float *restrict a)
{
    for (size_t i = 0; i < n; i++) a[i] += b[i];
}

/* Sums of stack place i live here; the bottom one is the result. */
static float *place(const struct join_work *w, size_t i, float *out)
{
    return i ? w->stack + i * w->width : out;
}

/* a + b, both of which may be missing, at stack place i; b may be the sum at
 * place i + 1. A sum never stays in another place's memory. */
static const float *join_two(const struct join_work *w, size_t i, size_t n,
                             const float *a, const float *b, float *out)
{
    float *sum = place(w, i, out);
    if (!b) return a;
    if (!a) {
        if (b != place(w, i + 1, out)) return b; /* a part passes through */
        memcpy(sum, b, n * sizeof *sum);
    } else if (a == sum) {
        add_to(n, b, sum);
    } else {
        add(n, a, b, sum);
    }
    return sum;
}

/* Runs the program over w->values, one pointer per part, NULL when the part has
 * nothing here. The sum goes to `out`; when only one part has something, its own
 * pointer comes back. */
static const float *run_plan(const struct join_plan *p, struct join_work *w, size_t n,
                             float *out)
{
    size_t top = 0;
    for (size_t i = 0; i < p->n_ops; i++) {
        if (p->ops[i] != JOIN_ADD) {
            w->slots[top++] = w->values[p->ops[i]];
            continue;
        }
        top--;
        w->slots[top - 1] =
            join_two(w, top - 1, n, w->slots[top - 1], w->slots[top], out);
    }
    return top ? w->slots[0] : NULL;
}

const float *join_dense(const struct join_plan *p, struct join_work *w, size_t first,
                        size_t n)
{
    for (size_t i = 0; i < p->n_parts; i++) w->values[i] = p->parts[i]->dense + first;
    return run_plan(p, w, n, w->block);
}

/* ---- runs ---- */

static void load_bucket(struct join_cursor *c)
{
    if (c->at < c->end) c->bucket = partition_bucket(c->run->keys[c->at]);
}

void join_runs_begin(const struct join_plan *p, struct join_work *w, size_t table,
                     struct range buckets)
{
    for (size_t i = 0; i < p->n_parts; i++) {
        struct join_cursor *c = &w->cursors[i];
        const struct wire_run *run = &p->parts[i]->runs[table];
        c->run = run;
        c->at = buckets.first ? partition_lower(run->keys, run->n, buckets.first) : 0;
        c->end = buckets.end < N_BUCKETS ? partition_lower(run->keys, run->n, buckets.end)
                                         : run->n;
        load_bucket(c);
    }
}

/* One part: nothing to merge or to add. */
static void single_next(struct join_cursor *c, size_t dim, struct join_rows *out)
{
    size_t n = c->end - c->at < JOIN_KEYS ? c->end - c->at : JOIN_KEYS;
    for (size_t i = 0; i < n; i++) {
        out->keys[i] = c->run->keys[c->at + i];
        out->counts[i] = c->run->counts[c->at + i];
        out->grads[i] = c->run->grads + (c->at + i) * dim;
    }
    c->at += n;
    out->n = n;
}

/* The cursor that stands at the least key, or NULL at the end. */
static const struct join_cursor *least(const struct join_cursor *c, size_t n)
{
    const struct join_cursor *best = NULL;
    for (size_t i = 0; i < n; i++) {
        if (c[i].at == c[i].end) continue;
        if (!best || c[i].bucket < best->bucket ||
            (c[i].bucket == best->bucket &&
             c[i].run->keys[c[i].at] < best->run->keys[best->at]))
            best = &c[i];
    }
    return best;
}

/* Takes the key from every part that has it. */
static void take_key(const struct join_plan *p, struct join_work *w, uint64_t key,
                     size_t dim, struct join_rows *out)
{
    uint32_t count = 0;
    for (size_t i = 0; i < p->n_parts; i++) {
        struct join_cursor *c = &w->cursors[i];
        w->values[i] = NULL;
        if (c->at == c->end || c->run->keys[c->at] != key) continue;
        w->values[i] = c->run->grads + c->at * dim;
        count += c->run->counts[c->at++];
        load_bucket(c);
    }
    size_t i = out->n++;
    out->keys[i] = key;
    out->counts[i] = count;
    out->grads[i] = run_plan(p, w, dim, w->sums + i * dim);
}

void join_runs_next(const struct join_plan *p, struct join_work *w, size_t dim,
                    struct join_rows *out)
{
    out->n = 0;
    if (p->n_parts == 1) {
        single_next(w->cursors, dim, out);
        return;
    }
    while (out->n < JOIN_KEYS) {
        const struct join_cursor *c = least(w->cursors, p->n_parts);
        if (!c) return;
        take_key(p, w, c->run->keys[c->at], dim, out);
    }
}
