#include "worker/lanes.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/partition.h"
#include "common/math/vec.h"

#define NO_ROW UINT32_MAX

/* A maximal aligned subtree of the worker's lanes. */
struct part {
    struct wire_node node;
    size_t first, end; /* local lanes */
};

struct table_union {
    size_t n;
    uint64_t *keys;   /* [cap] */
    uint32_t **place; /* [n_local] -> [max_keys] */
};

/* What one part pushes of one table. Unused when the part is a single lane. */
struct part_run {
    size_t n;
    uint64_t *keys;   /* [cap] */
    uint32_t *counts; /* [cap] */
    uint32_t **at;    /* [lanes of the part] -> [cap] row of the lane, or NO_ROW */
    float *grads;     /* [cap, dim], shared by all slots */
};

struct slot {
    const struct batch **batches; /* [n_local] */
    struct table_union *unions;   /* [n_tables] */
    struct part_run *runs;        /* [n_parts * n_tables] */
    struct wire_keys *pull;       /* [n_tables] */
    const uint32_t **place;       /* [n_local * n_tables] */
};

struct lanes {
    size_t n_local, n_tables, n_params, n_parts;
    size_t *dim, *max_keys;
    struct part *parts;
    struct slot slots[LANE_SLOTS];
    struct wire_run *wire_runs;
    struct wire_part *wire_parts;
    uint64_t **scratch; /* [n_tables] -> [cap] merge space */
    struct arena *arena;
};

static size_t find_parts(size_t first, size_t end, struct part *out)
{
    size_t n = 0;
    for (size_t a = first; a < end;) {
        uint32_t level = 0;
        while (a % ((size_t)2 << level) == 0 && a + ((size_t)2 << level) <= end) level++;
        out[n++] = (struct part){.node = {level, (uint32_t)(a >> level)},
                                 .first = a - first,
                                 .end = a - first + ((size_t)1 << level)};
        a += (size_t)1 << level;
    }
    return n;
}

static enum status take(struct arena *a, void *out, size_t n, size_t size, struct error *err)
{
    void *p = arena_take(a, n ? n : 1, size);
    if (!p) return mem_error(err, "lanes", n * size);
    memcpy(out, &p, sizeof p);
    return ST_OK;
}

static enum status make_union(struct lanes *l, struct table_union *u, size_t t, struct error *err)
{
    if (l->n_local == 1) return ST_OK;
    TRY(take(l->arena, &u->keys, l->n_local * l->max_keys[t], sizeof *u->keys, err));
    TRY(take(l->arena, &u->place, l->n_local, sizeof *u->place, err));
    for (size_t i = 0; i < l->n_local; i++)
        TRY(take(l->arena, &u->place[i], l->max_keys[t], sizeof **u->place, err));
    return ST_OK;
}

static enum status make_run(struct lanes *l, struct part_run *r, const struct part *p, size_t t,
                            float **grads, struct error *err)
{
    size_t width = p->end - p->first, cap = width * l->max_keys[t];
    if (width == 1) return ST_OK;
    TRY(take(l->arena, &r->keys, cap, sizeof *r->keys, err));
    TRY(take(l->arena, &r->counts, cap, sizeof *r->counts, err));
    TRY(take(l->arena, &r->at, width, sizeof *r->at, err));
    for (size_t i = 0; i < width; i++)
        TRY(take(l->arena, &r->at[i], cap, sizeof **r->at, err));
    if (!*grads) TRY(take(l->arena, grads, cap * l->dim[t], sizeof **grads, err));
    r->grads = *grads;
    return ST_OK;
}

static enum status make_slots(struct lanes *l, struct error *err)
{
    float **grads = NULL;
    TRY(take(l->arena, &grads, l->n_parts * l->n_tables, sizeof *grads, err));
    for (size_t s = 0; s < LANE_SLOTS; s++) {
        struct slot *slot = &l->slots[s];
        TRY(take(l->arena, &slot->batches, l->n_local, sizeof *slot->batches, err));
        TRY(take(l->arena, &slot->unions, l->n_tables, sizeof *slot->unions, err));
        TRY(take(l->arena, &slot->runs, l->n_parts * l->n_tables, sizeof *slot->runs, err));
        TRY(take(l->arena, &slot->pull, l->n_tables, sizeof *slot->pull, err));
        TRY(take(l->arena, &slot->place, l->n_local * l->n_tables, sizeof *slot->place, err));
        for (size_t t = 0; t < l->n_tables; t++) {
            TRY(make_union(l, &slot->unions[t], t, err));
            for (size_t p = 0; p < l->n_parts; p++)
                TRY(make_run(l, &slot->runs[p * l->n_tables + t], &l->parts[p], t,
                             &grads[p * l->n_tables + t], err));
        }
    }
    return ST_OK;
}

static enum status fill(struct lanes *l, const struct lanes_spec *spec, struct error *err)
{
    TRY(arena_create(&l->arena, err));
    TRY(take(l->arena, &l->dim, spec->n_tables, sizeof *l->dim, err));
    TRY(take(l->arena, &l->max_keys, spec->n_tables, sizeof *l->max_keys, err));
    memcpy(l->dim, spec->dim, spec->n_tables * sizeof *l->dim);
    memcpy(l->max_keys, spec->max_keys, spec->n_tables * sizeof *l->max_keys);
    TRY(take(l->arena, &l->parts, l->n_local, sizeof *l->parts, err));
    l->n_parts = find_parts(spec->first, spec->end, l->parts);
    TRY(take(l->arena, &l->wire_parts, l->n_parts, sizeof *l->wire_parts, err));
    TRY(take(l->arena, &l->wire_runs, l->n_parts * l->n_tables, sizeof *l->wire_runs, err));
    TRY(take(l->arena, &l->scratch, l->n_tables, sizeof *l->scratch, err));
    for (size_t t = 0; t < l->n_tables; t++)
        TRY(take(l->arena, &l->scratch[t], l->n_local * l->max_keys[t], sizeof **l->scratch, err));
    return make_slots(l, err);
}

enum status lanes_create(const struct lanes_spec *spec, struct lanes **out, struct error *err)
{
    struct lanes *l = mem_zeroed(1, sizeof *l);
    if (!l) return mem_error(err, "lanes", sizeof *l);
    l->n_local = spec->end - spec->first;
    l->n_tables = spec->n_tables;
    l->n_params = spec->n_params;
    enum status st = fill(l, spec, err);
    if (st != ST_OK) {
        lanes_destroy(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

void lanes_destroy(struct lanes *l)
{
    if (!l) return;
    arena_destroy(l->arena);
    mem_free(l);
}

void lanes_set(struct lanes *l, size_t slot, const struct batch *const *batches)
{
    for (size_t i = 0; i < l->n_local; i++) l->slots[slot].batches[i] = batches[i];
}

/* out = sorted union of a and b, in (bucket, key) order. out may not overlap. */
static size_t merge_keys(const uint64_t *a, size_t na, const uint64_t *b, size_t nb, uint64_t *out)
{
    size_t i = 0, j = 0, n = 0;
    while (i < na && j < nb) {
        uint64_t x = a[i], y = b[j];
        bool take_a = x == y || partition_before(x, y);
        i += take_a;
        j += x == y || !take_a;
        out[n++] = take_a ? x : y;
    }
    memcpy(out + n, a + i, (na - i) * sizeof *out);
    n += na - i;
    memcpy(out + n, b + j, (nb - j) * sizeof *out);
    return n + (nb - j);
}

/* keys = union of the lanes [first, end); scratch is of the same size. Halves
 * are merged first, so that each key moves log2(lanes) times. */
static size_t unite(const struct batch *const *batches, size_t table, size_t first, size_t end,
                    uint64_t *keys, uint64_t *scratch)
{
    if (end - first == 1) {
        const struct batch_table *t = &batches[first]->tables[table];
        if (t->n) memcpy(keys, t->keys, t->n * sizeof *keys);
        return t->n;
    }
    size_t middle = first + (end - first) / 2;
    size_t left = unite(batches, table, first, middle, scratch, keys);
    size_t right = unite(batches, table, middle, end, scratch + left, keys + left);
    return merge_keys(scratch, left, scratch + left, right, keys);
}

static void unite_part(const struct slot *slot, const struct part *p, size_t table,
                       struct part_run *run, uint64_t *scratch)
{
    run->n = unite(slot->batches, table, p->first, p->end, run->keys, scratch);
    memset(run->counts, 0, run->n * sizeof *run->counts);
    for (size_t lane = p->first; lane < p->end; lane++) {
        const struct batch_table *t = &slot->batches[lane]->tables[table];
        uint32_t *at = run->at[lane - p->first];
        uint32_t i = 0;
        for (size_t u = 0; u < run->n; u++) {
            bool has = i < t->n && t->keys[i] == run->keys[u];
            at[u] = has ? i : NO_ROW;
            if (has) run->counts[u] += t->count[i++];
        }
    }
}

void lanes_unite(struct lanes *l, size_t s, size_t table)
{
    struct slot *slot = &l->slots[s];
    if (l->n_local == 1) {
        const struct batch_table *t = &slot->batches[0]->tables[table];
        slot->pull[table] = (struct wire_keys){t->n, t->keys};
        slot->place[table] = NULL;
        return;
    }
    for (size_t p = 0; p < l->n_parts; p++)
        if (l->parts[p].end - l->parts[p].first > 1)
            unite_part(slot, &l->parts[p], table, &slot->runs[p * l->n_tables + table],
                       l->scratch[table]);
    struct table_union *u = &slot->unions[table];
    const struct part_run *whole = &slot->runs[table];
    if (l->n_parts == 1) { /* the part is all lanes: its keys are the union */
        memcpy(u->keys, whole->keys, whole->n * sizeof *u->keys);
        u->n = whole->n;
    } else {
        u->n = unite(slot->batches, table, 0, l->n_local, u->keys, l->scratch[table]);
    }
    for (size_t lane = 0; lane < l->n_local; lane++) {
        const struct batch_table *t = &slot->batches[lane]->tables[table];
        uint32_t i = 0;
        for (uint32_t k = 0; i < t->n; k++)
            if (u->keys[k] == t->keys[i]) u->place[lane][i++] = k;
        slot->place[lane * l->n_tables + table] = u->place[lane];
    }
    slot->pull[table] = (struct wire_keys){u->n, u->keys};
}

const struct wire_keys *lanes_pull(const struct lanes *l, size_t slot)
{
    return l->slots[slot].pull;
}

const uint32_t *const *lanes_place(const struct lanes *l, size_t slot, size_t lane)
{
    return &l->slots[slot].place[lane * l->n_tables];
}

static bool present(const struct slot *slot, size_t lane)
{
    return slot->batches[lane]->n_rows > 0;
}

/* Sum grad[lanes of p][first..end) up the tree in place; NO_ROW when no lane is present, else the
 * lane that holds the sum. */
static size_t reduce_dense(const struct slot *slot, size_t first, size_t end, float *const *grad,
                           struct range r)
{
    if (end - first == 1) return present(slot, first) ? first : NO_ROW;
    size_t middle = first + (end - first) / 2;
    size_t left = reduce_dense(slot, first, middle, grad, r);
    size_t right = reduce_dense(slot, middle, end, grad, r);
    if (left == NO_ROW) return right;
    if (right == NO_ROW) return left;
    vec_add(r.end - r.first, grad[right] + r.first, grad[left] + r.first);
    return left;
}

/* The same for one row: gives a pointer to the sum, which is a lane's row or
 * `space` itself, or NULL. A tree of depth d needs d + 1 rows of space. */
static const float *reduce_row(const float *const *rows, size_t first, size_t end, size_t dim,
                               float *space)
{
    if (end - first == 1) return rows[first];
    size_t middle = first + (end - first) / 2;
    const float *left = reduce_row(rows, first, middle, dim, space + dim);
    if (left == space + dim) { /* keep it while the right half uses the space */
        memcpy(space, left, dim * sizeof *space);
        left = space;
    }
    const float *right = reduce_row(rows, middle, end, dim, space + dim);
    if (!left && right == space + dim) right = memcpy(space, right, dim * sizeof *space);
    if (!left) return right;
    if (!right) return left;
    for (size_t d = 0; d < dim; d++) space[d] = left[d] + right[d];
    return space;
}

enum { MAX_LANES = 1024, MAX_DEPTH = 11, ROW_PIECE = 256 };

static void reduce_rows(const struct part *p, struct part_run *run, size_t table, size_t dim,
                        float *const *const *row_grad, struct range r)
{
    size_t width = p->end - p->first;
    const float *rows[MAX_LANES];
    float space[MAX_DEPTH * ROW_PIECE];
    /* Long rows are summed piece by piece; the tree is the same for each float. */
    for (size_t from = 0; from < dim; from += ROW_PIECE) {
        size_t n = dim - from < ROW_PIECE ? dim - from : ROW_PIECE;
        for (size_t u = r.first; u < r.end; u++) {
            for (size_t i = 0; i < width; i++) {
                uint32_t at = run->at[i][u];
                const float *of_lane = row_grad[p->first + i][table];
                rows[i] = at == NO_ROW ? NULL : of_lane + at * dim + from;
            }
            const float *sum = reduce_row(rows, 0, width, n, space);
            memcpy(run->grads + u * dim + from, sum, n * sizeof *sum);
        }
    }
}

void lanes_reduce(struct lanes *l, size_t s, float *const *grad, float *const *const *row_grad,
                  size_t thread, size_t n_threads)
{
    const struct slot *slot = &l->slots[s];
    struct range dense = partition_part(l->n_params, thread, n_threads);
    for (size_t p = 0; p < l->n_parts; p++) {
        const struct part *part = &l->parts[p];
        if (part->end - part->first == 1) continue;
        reduce_dense(slot, part->first, part->end, grad, dense);
        for (size_t t = 0; t < l->n_tables; t++) {
            struct part_run *run = &slot->runs[p * l->n_tables + t];
            reduce_rows(part, run, t, l->dim[t], row_grad,
                        partition_part(run->n, thread, n_threads));
        }
    }
}

const struct wire_part *lanes_parts(struct lanes *l, size_t s, float *const *grad,
                                    float *const *const *row_grad, size_t *n_parts)
{
    const struct slot *slot = &l->slots[s];
    size_t n = 0;
    for (size_t p = 0; p < l->n_parts; p++) {
        const struct part *part = &l->parts[p];
        size_t holder = part->first;
        while (holder < part->end && !present(slot, holder)) holder++;
        if (holder == part->end) continue;
        struct wire_run *runs = &l->wire_runs[n * l->n_tables];
        for (size_t t = 0; t < l->n_tables; t++) {
            const struct part_run *run = &slot->runs[p * l->n_tables + t];
            const struct batch_table *bt = &slot->batches[part->first]->tables[t];
            runs[t] = part->end - part->first == 1
                          ? (struct wire_run){bt->n, bt->keys, bt->count, row_grad[part->first][t]}
                          : (struct wire_run){run->n, run->keys, run->counts, run->grads};
        }
        l->wire_parts[n++] = (struct wire_part){part->node, grad[holder], runs};
    }
    *n_parts = n;
    return l->wire_parts;
}

uint64_t lanes_message_bytes(const struct lanes *l)
{
    uint64_t bytes = l->n_parts * l->n_params * sizeof(float);
    for (size_t t = 0; t < l->n_tables; t++) {
        uint64_t pulled = sizeof(uint64_t);
        uint64_t pushed = sizeof(uint64_t) + sizeof(uint32_t) + l->dim[t] * sizeof(float);
        bytes += l->n_local * l->max_keys[t] * (pulled + pushed);
    }
    return bytes;
}
