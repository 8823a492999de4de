#include "worker/slices.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "worker/evaluator.h"

/* Rows of one value, as scored so far. */
struct bin {
    char *value;
    struct metric *metric;
};

struct slicing {
    const struct scorer_spec *spec;
    struct row_values *by;
    size_t n_scores, n;
    struct bin bins[MAX_SLICES];
    size_t of_row[SCORE_BLOCK];
    float *scores, *logits, *labels; /* [SCORE_BLOCK, n_scores] rows of one bin, packed */
    uint64_t group[SCORE_BLOCK];
};

static enum status bin_of(struct slicing *s, struct text value, size_t *bin, struct error *err)
{
    for (*bin = 0; *bin < s->n; ++*bin) {
        const char *have = s->bins[*bin].value;
        if (strlen(have) == value.n && !memcmp(have, value.s, value.n)) return ST_OK;
    }
    if (s->n == MAX_SLICES) {
        error_set(err, ST_USAGE, "--by: more than %d different values", MAX_SLICES);
        return error_hint(err, ST_USAGE, "take an expression with fewer values");
    }
    struct bin *b = &s->bins[s->n];
    b->value = mem_strndup(value.s, value.n);
    if (!b->value) return mem_error(err, "--by", value.n);
    s->n++;
    return metric_create(s->n_scores, &b->metric, err);
}

static enum status add_bin(struct slicing *s, size_t bin, uint64_t block, const struct batch *b,
                           const float *z, struct error *err)
{
    const struct session *session = s->spec->session;
    size_t n = 0, K = b->n_tasks;
    for (size_t i = 0; i < b->n_rows; i++) {
        if (s->of_row[i] != bin) continue;
        size_t at = n * s->n_scores;
        scorer_scores(session, b, i, z + i * K, s->scores + at, s->logits + at);
        scorer_labels(session->spec.settings, b->labels + i * K, s->labels + at);
        s->group[n++] = b->group ? b->group[i] : 0;
    }
    if (!n) return ST_OK;
    return metric_add(s->bins[bin].metric, block, n, s->scores, s->logits, s->labels,
                      b->group ? s->group : NULL, err);
}

static enum status add_block(void *arg, uint64_t block, const struct batch *b, const float *logits,
                             struct error *err)
{
    struct slicing *s = arg;
    for (size_t i = 0; i < b->n_rows; i++) {
        struct text value;
        TRY(row_values_text(s->by, b->row[i], &value, err));
        TRY(bin_of(s, value, &s->of_row[i], err));
    }
    for (size_t bin = 0; bin < s->n; bin++) TRY(add_bin(s, bin, block, b, logits, err));
    return ST_OK;
}

/* ---- between workers: per bin {value bytes, metric bytes}, value, metric ---- */

static enum status pack(const struct slicing *s, void **out, size_t *bytes, struct error *err)
{
    *bytes = 0;
    for (size_t i = 0; i < s->n; i++)
        *bytes += 2 * sizeof(uint64_t) + strlen(s->bins[i].value) + metric_pack_bytes(s->bins[i].metric);
    unsigned char *p = mem_alloc(*bytes);
    if (!p) return mem_error(err, "--by", *bytes);
    *out = p;
    for (size_t i = 0; i < s->n; i++) {
        uint64_t head[2] = {strlen(s->bins[i].value), metric_pack_bytes(s->bins[i].metric)};
        memcpy(p, head, sizeof head);
        memcpy(p + sizeof head, s->bins[i].value, head[0]);
        metric_pack(s->bins[i].metric, p + sizeof head + head[0]);
        p += sizeof head + head[0] + head[1];
    }
    return ST_OK;
}

static enum status merge(void *arg, size_t worker, const struct message *m, struct error *err)
{
    struct slicing *s = arg;
    const unsigned char *p = m->data, *end = p + m->bytes;
    while (worker > 0 && p < end) {
        uint64_t head[2];
        if ((size_t)(end - p) < sizeof head) return error_set(err, ST_PEER, "--by: message too short");
        memcpy(head, p, sizeof head);
        p += sizeof head;
        size_t left = (size_t)(end - p), bin;
        if (head[0] > left || head[1] > left - head[0])
            return error_set(err, ST_PEER, "--by: message too short");
        TRY(bin_of(s, (struct text){(const char *)p, head[0]}, &bin, err));
        TRY(metric_merge(s->bins[bin].metric, p + head[0], head[1], err));
        p += head[0] + head[1];
    }
    return ST_OK;
}

static enum status gather(struct slicing *s, struct error *err)
{
    void *data = NULL;
    size_t bytes = 0;
    if (s->spec->crew->worker > 0) TRY(pack(s, &data, &bytes, err));
    enum status st = crew_gather(s->spec->crew, data, bytes, "metrics by value", merge, s, err);
    mem_free(data);
    return st;
}

static int by_value(const void *a, const void *b)
{
    return strcmp(((const struct bin *)a)->value, ((const struct bin *)b)->value);
}

static enum status results(struct slicing *s, struct slice **out, size_t *n, struct error *err)
{
    *n = 0;
    if (s->spec->crew->worker > 0) return ST_OK;
    qsort(s->bins, s->n, sizeof *s->bins, by_value);
    *out = mem_zeroed(s->n, sizeof **out);
    if (!*out) return mem_error(err, "--by", s->n * sizeof **out);
    for (; *n < s->n; ++*n) {
        struct slice *slice = &(*out)[*n];
        slice->results = mem_zeroed(s->n_scores, sizeof *slice->results);
        slice->value = mem_strdup(s->bins[*n].value);
        if (!slice->results || !slice->value) return mem_error(err, "--by", sizeof *slice->results);
        TRY(metric_finalize(s->bins[*n].metric, slice->results, err));
        evaluator_drop_meaningless(s->spec->session->spec.settings, slice->results);
    }
    return ST_OK;
}

static enum status make(struct slicing *s, const struct text_cfg *by, struct error *err)
{
    size_t n = SCORE_BLOCK * s->n_scores;
    s->scores = mem_array(n, sizeof *s->scores);
    s->logits = mem_array(n, sizeof *s->logits);
    s->labels = mem_array(n, sizeof *s->labels);
    if (!s->scores || !s->logits || !s->labels) return mem_error(err, "--by", n * sizeof *s->scores);
    return row_values_open(s->spec->data, by, by->at.file, &s->by, err);
}

enum status evaluate_slices(const struct scorer_spec *spec, const struct text_cfg *by,
                            struct slice **slices, size_t *n, struct error *err)
{
    struct slicing *s = mem_zeroed(1, sizeof *s);
    *slices = NULL;
    *n = 0;
    if (!s) return mem_error(err, "--by", sizeof *s);
    s->spec = spec;
    s->n_scores = spec->session->spec.settings->n_scores;
    enum status st = make(s, by, err);
    if (st == ST_OK) st = scorer_run(spec, add_block, s, err);
    if (st == ST_OK) st = gather(s, err);
    if (st == ST_OK) st = results(s, slices, n, err);
    for (size_t i = 0; i < s->n; i++) {
        mem_free(s->bins[i].value);
        metric_destroy(s->bins[i].metric);
    }
    row_values_close(s->by);
    mem_free(s->scores);
    mem_free(s->logits);
    mem_free(s->labels);
    mem_free(s);
    return st;
}

void slices_free(struct slice *slices, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(slices[i].value);
        mem_free(slices[i].results);
    }
    mem_free(slices);
}
