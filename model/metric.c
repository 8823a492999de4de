#include "model/metric.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/fmath.h"
#include "model/metric_pairs.h"

enum { PACK_MAGIC = 0x6d657472, DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* Sums of one block and task. */
struct sums {
    double logloss, predictions, labels, absolute, squared;
    uint64_t rows;
};

struct block {
    uint64_t index;
    size_t n;
    struct sums *sums;      /* [K] */
    float *scores, *labels; /* [n, K] */
    uint64_t *group;        /* [n] or NULL */
};

struct metric {
    size_t n_tasks, n_blocks, cap;
    struct block *blocks;
};

/* ---- collecting ---- */

enum status metric_create(size_t n_tasks, struct metric **out, struct error *err)
{
    struct metric *m = *out = mem_zeroed(1, sizeof *m);
    if (m == NULL) return mem_error(err, "metrics", sizeof *m);
    m->n_tasks = n_tasks;
    return ST_OK;
}

static void block_free(struct block *b)
{
    mem_free(b->sums);
    mem_free(b->scores);
    mem_free(b->labels);
    mem_free(b->group);
}

void metric_destroy(struct metric *m)
{
    if (m == NULL) return;
    for (size_t i = 0; i < m->n_blocks; i++) block_free(&m->blocks[i]);
    mem_free(m->blocks);
    mem_free(m);
}

/* A new block with arrays for n rows at the end of the list. */
static enum status block_new(struct metric *m, uint64_t index, size_t n, bool grouped,
                             struct block **out, struct error *err)
{
    size_t K = m->n_tasks;
    if (m->n_blocks == m->cap) {
        size_t cap = m->cap * 2 + 16;
        struct block *more = mem_resize(m->blocks, cap, sizeof *more);
        if (more == NULL) return mem_error(err, "metrics", cap * sizeof *more);
        m->blocks = more;
        m->cap = cap;
    }
    struct block *b = *out = &m->blocks[m->n_blocks];
    *b = (struct block){.index = index, .n = n};
    b->sums = mem_zeroed(K, sizeof *b->sums);
    b->scores = mem_array(n * K, sizeof *b->scores);
    b->labels = mem_array(n * K, sizeof *b->labels);
    if (grouped) b->group = mem_array(n, sizeof *b->group);
    if (!b->sums || !b->scores || !b->labels || (grouped && !b->group)) {
        block_free(b);
        return mem_error(err, "metrics", n * K * 2 * sizeof(float));
    }
    m->n_blocks++;
    return ST_OK;
}

static void sums_add(struct sums *s, double score, double z, double y)
{
    double e = score - y;
    s->logloss += fmath_softplus(z) - y * z;
    s->predictions += score;
    s->labels += y;
    s->absolute += e < 0 ? -e : e;
    s->squared += e * e;
    s->rows++;
}

enum status metric_add(struct metric *m, uint64_t block, size_t n, const float *scores,
                       const float *logits, const float *labels, const uint64_t *group,
                       struct error *err)
{
    struct block *b;
    size_t K = m->n_tasks;
    TRY(block_new(m, block, n, group != NULL, &b, err));
    if (n == 0) return ST_OK;
    memcpy(b->scores, scores, n * K * sizeof *scores);
    memcpy(b->labels, labels, n * K * sizeof *labels);
    if (group != NULL) memcpy(b->group, group, n * sizeof *group);
    for (size_t i = 0; i < n * K; i++) {
        if (isnan(labels[i])) continue;
        sums_add(&b->sums[i % K], (double)scores[i], (double)logits[i],
                 (double)labels[i]);
    }
    return ST_OK;
}

/* ---- sending ---- */

/* Header of the set, then of each block: index, n, grouped; then its arrays. */
struct pack_head {
    uint64_t magic, n_tasks, n_blocks;
};
struct pack_block {
    uint64_t index, n, grouped;
};

static size_t block_bytes(const struct metric *m, uint64_t n, bool grouped)
{
    return sizeof(struct pack_block) + m->n_tasks * sizeof(struct sums) +
           2 * n * m->n_tasks * sizeof(float) + (grouped ? n * sizeof(uint64_t) : 0);
}

size_t metric_pack_bytes(const struct metric *m)
{
    size_t n = sizeof(struct pack_head);
    for (size_t i = 0; i < m->n_blocks; i++)
        n += block_bytes(m, m->blocks[i].n, m->blocks[i].group != NULL);
    return n;
}

static char *put(char *at, const void *from, size_t n)
{
    if (n > 0) memcpy(at, from, n);
    return at + n;
}

static const char *get(const char *at, void *to, size_t n)
{
    if (n > 0) memcpy(to, at, n);
    return at + n;
}

void metric_pack(const struct metric *m, void *out)
{
    size_t K = m->n_tasks;
    struct pack_head h = {PACK_MAGIC, K, m->n_blocks};
    char *at = put(out, &h, sizeof h);
    for (size_t i = 0; i < m->n_blocks; i++) {
        const struct block *b = &m->blocks[i];
        struct pack_block p = {b->index, b->n, b->group != NULL};
        at = put(at, &p, sizeof p);
        at = put(at, b->sums, K * sizeof *b->sums);
        at = put(at, b->scores, b->n * K * sizeof *b->scores);
        at = put(at, b->labels, b->n * K * sizeof *b->labels);
        if (b->group != NULL) at = put(at, b->group, b->n * sizeof *b->group);
    }
}

static enum status bad_bytes(struct error *err)
{
    return error_set(err, ST_INTERNAL, "metrics: packed rows do not fit this run");
}

static enum status merge_block(struct metric *m, const char **at, size_t *left,
                               struct error *err)
{
    struct pack_block p;
    struct block *b;
    size_t K = m->n_tasks;
    if (*left < sizeof p) return bad_bytes(err);
    get(*at, &p, sizeof p);
    if (p.grouped > 1 || p.n > *left / sizeof(float)) return bad_bytes(err);
    size_t bytes = block_bytes(m, p.n, p.grouped != 0);
    if (bytes > *left) return bad_bytes(err);
    TRY(block_new(m, p.index, p.n, p.grouped != 0, &b, err));
    const char *from = *at + sizeof p;
    from = get(from, b->sums, K * sizeof *b->sums);
    from = get(from, b->scores, b->n * K * sizeof *b->scores);
    from = get(from, b->labels, b->n * K * sizeof *b->labels);
    if (p.grouped) from = get(from, b->group, b->n * sizeof *b->group);
    *at = from;
    *left -= bytes;
    return ST_OK;
}

enum status metric_merge(struct metric *m, const void *bytes, size_t n, struct error *err)
{
    struct pack_head h;
    if (n < sizeof h) return bad_bytes(err);
    const char *at = get(bytes, &h, sizeof h);
    if (h.magic != PACK_MAGIC || h.n_tasks != m->n_tasks) return bad_bytes(err);
    n -= sizeof h;
    for (uint64_t i = 0; i < h.n_blocks; i++) TRY(merge_block(m, &at, &n, err));
    return n == 0 ? ST_OK : bad_bytes(err);
}

/* ---- order ---- */

/* Blocks by index, with a merge sort: they mostly come in order. */
static enum status sort_blocks(struct metric *m, struct error *err)
{
    size_t n = m->n_blocks;
    struct block *other = mem_array(n, sizeof *other);
    if (other == NULL) return mem_error(err, "metrics", n * sizeof *other);
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t first = 0; first < n; first += 2 * width) {
            size_t mid = first + width < n ? first + width : n;
            size_t end = mid + width < n ? mid + width : n, a = first, b = mid;
            for (size_t o = first; o < end; o++) {
                bool left =
                    a < mid && (b == end || m->blocks[a].index <= m->blocks[b].index);
                other[o] = m->blocks[left ? a++ : b++];
            }
        }
        memcpy(m->blocks, other, n * sizeof *other);
    }
    mem_free(other);
    for (size_t i = 1; i < n; i++)
        if (m->blocks[i].index == m->blocks[i - 1].index)
            return error_set(err, ST_INTERNAL, "metrics: row block %llu was scored twice",
                             (unsigned long long)m->blocks[i].index);
    return ST_OK;
}

/* Present rows of one task in block order, and the two arrays a radix sort needs. */
struct rows {
    size_t n;
    float *score, *label;
    uint64_t *group; /* NULL without groups */
    uint64_t *key;
    uint32_t *order, *spare;
    uint32_t *pair_label, *pair_score; /* of rows whose pairs are counted */
};

/* Stable: order[] by key[order[i]], 64 bits in digits; equal digits cost one pass
 * over the counts only. */
static void radix_sort(struct rows *r)
{
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
        size_t count[DIGITS + 1] = {0};
        for (size_t i = 0; i < r->n; i++) count[(r->key[i] >> shift) % DIGITS + 1]++;
        bool one = false;
        for (size_t d = 1; d <= DIGITS; d++) one |= count[d] == r->n;
        if (one) continue;
        for (size_t d = 1; d <= DIGITS; d++) count[d] += count[d - 1];
        for (size_t i = 0; i < r->n; i++)
            r->spare[count[(r->key[r->order[i]] >> shift) % DIGITS]++] = r->order[i];
        uint32_t *t = r->order;
        r->order = r->spare;
        r->spare = t;
    }
}

/* Floats as numbers that sort alike; -0 equals 0. */
static uint64_t sortable(float score)
{
    uint32_t bits;
    float v = score + 0.0f;
    memcpy(&bits, &v, sizeof bits);
    return bits >> 31 ? ~bits : bits | UINT32_C(0x80000000);
}

/* ---- figures ---- */

/* Area under the curve over order[first, end), which is in ascending score order:
 * every pair (positive, negative) counts 1, or 1/2 when tied. NaN with one class. */
static double area(const struct rows *r, size_t first, size_t end)
{
    double below = 0, positives = 0, sum = 0;
    for (size_t i = first; i < end;) {
        float score = r->score[r->order[i]];
        double p = 0, n = 0;
        for (; i < end && r->score[r->order[i]] == score; i++) {
            double y = (double)r->label[r->order[i]];
            p += y;
            n += 1 - y;
        }
        sum += p * (below + 0.5 * n);
        below += n;
        positives += p;
    }
    return positives > 0 && below > 0 ? sum / (positives * below) : (double)NAN;
}

/* Share of pairs in order over order[first, end), which is in ascending order of
 * (label, score). NaN with one label. */
static double pairs(const struct rows *r, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        r->pair_label[i - first] = (uint32_t)sortable(r->label[r->order[i]]);
        r->pair_score[i - first] = (uint32_t)sortable(r->score[r->order[i]]);
    }
    struct metric_pairs p =
        metric_count_pairs(end - first, r->pair_label, r->pair_score, r->spare);
    return metric_pairs_share(&p);
}

/* Mean of a figure over groups, weighted by their rows; rows come in the order that
 * the figure needs. */
static double grouped(struct rows *r,
                      double (*figure)(const struct rows *, size_t, size_t),
                      uint64_t *groups)
{
    double sum = 0, rows = 0;
    for (size_t i = 0; i < r->n; i++) r->key[i] = r->group[i];
    radix_sort(r); /* stable, so each group stays in order */
    *groups = 0;
    for (size_t first = 0, end; first < r->n; first = end) {
        uint64_t g = r->group[r->order[first]];
        for (end = first + 1; end < r->n && r->group[r->order[end]] == g;) end++;
        double v = figure(r, first, end);
        if (isnan(v)) continue;
        sum += v * (double)(end - first);
        rows += (double)(end - first);
        ++*groups;
    }
    return rows > 0 ? sum / rows : (double)NAN;
}

/* Labels that are shares of a positive; whole when all are 0 or 1. */
enum label_kind { LABELS_CLASSES, LABELS_SHARES, LABELS_ANY };
static enum label_kind kind_of_labels(const struct rows *r)
{
    enum label_kind kind = LABELS_CLASSES;
    for (size_t i = 0; i < r->n; i++) {
        float y = r->label[i];
        if (y < 0 || y > 1) return LABELS_ANY;
        if (y > 0 && y < 1) kind = LABELS_SHARES;
    }
    return kind;
}

static bool can_rank(const struct rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (isnan(r->score[i])) return false;
    return true;
}

/* Areas of classes and shares; pairs of shares and numbers. Two classes have the same
 * area and share of pairs. */
static void rank_task(struct rows *r, struct metric_result *out)
{
    enum label_kind kind = kind_of_labels(r);
    if (kind != LABELS_ANY) {
        radix_sort(r);
        out->auc = area(r, 0, r->n);
        if (r->group != NULL) out->gauc = grouped(r, area, &out->groups);
    }
    if (kind == LABELS_CLASSES) {
        out->xauc = out->auc;
        out->gxauc = out->gauc;
        return;
    }
    for (size_t i = 0; i < r->n; i++)
        r->key[i] = sortable(r->label[i]) << 32 | sortable(r->score[i]);
    radix_sort(r);
    out->xauc = pairs(r, 0, r->n);
    uint64_t groups;
    if (r->group != NULL) out->gxauc = grouped(r, pairs, &groups);
}

static void collect(const struct metric *m, size_t k, struct rows *r)
{
    r->n = 0;
    for (size_t i = 0; i < m->n_blocks; i++) {
        const struct block *b = &m->blocks[i];
        for (size_t j = 0; j < b->n; j++) {
            float y = b->labels[j * m->n_tasks + k];
            if (isnan(y)) continue;
            r->score[r->n] = b->scores[j * m->n_tasks + k];
            r->label[r->n] = y;
            if (r->group != NULL) r->group[r->n] = b->group[j];
            r->key[r->n] = sortable(r->score[r->n]);
            r->order[r->n] = (uint32_t)r->n;
            r->n++;
        }
    }
}

static void finish_task(const struct metric *m, size_t k, struct rows *r,
                        struct metric_result *out)
{
    struct sums s = {0};
    for (size_t i = 0; i < m->n_blocks; i++) {
        const struct sums *b = &m->blocks[i].sums[k];
        s.logloss += b->logloss;
        s.predictions += b->predictions;
        s.labels += b->labels;
        s.absolute += b->absolute;
        s.squared += b->squared;
        s.rows += b->rows;
    }
    double n = s.rows > 0 ? (double)s.rows : (double)NAN;
    *out = (struct metric_result){.auc = (double)NAN,
                                  .gauc = (double)NAN,
                                  .xauc = (double)NAN,
                                  .gxauc = (double)NAN,
                                  .logloss = s.logloss / n,
                                  .pcoc = s.labels > 0 ? s.predictions / s.labels
                                                       : (double)NAN,
                                  .mae = s.absolute / n,
                                  .rmse = __builtin_sqrt(s.squared / n),
                                  .positives = s.labels,
                                  .rows = s.rows};
    collect(m, k, r);
    if (can_rank(r)) rank_task(r, out);
}

enum status metric_finalize(struct metric *m, struct metric_result *out,
                            struct error *err)
{
    size_t n = 0;
    bool groups = m->n_blocks > 0;
    TRY(sort_blocks(m, err));
    for (size_t i = 0; i < m->n_blocks; i++) {
        n += m->blocks[i].n;
        groups &= m->blocks[i].group != NULL || m->blocks[i].n == 0;
    }
    struct rows r = {.score = mem_array(n, sizeof(float)),
                     .label = mem_array(n, sizeof(float)),
                     .group = groups ? mem_array(n, sizeof(uint64_t)) : NULL,
                     .key = mem_array(n, sizeof(uint64_t)),
                     .order = mem_array(n, sizeof(uint32_t)),
                     .spare = mem_array(n, sizeof(uint32_t)),
                     .pair_label = mem_array(n, sizeof(uint32_t)),
                     .pair_score = mem_array(n, sizeof(uint32_t))};
    bool ok = r.score && r.label && r.key && r.order && r.spare && r.pair_label &&
              r.pair_score && (!groups || r.group);
    for (size_t k = 0; k < m->n_tasks && ok; k++) finish_task(m, k, &r, &out[k]);
    mem_free(r.score);
    mem_free(r.label);
    mem_free(r.group);
    mem_free(r.key);
    mem_free(r.order);
    mem_free(r.spare);
    mem_free(r.pair_label);
    mem_free(r.pair_score);
    return ok ? ST_OK : mem_error(err, "metrics", n * 40);
}
