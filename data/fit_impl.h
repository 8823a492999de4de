/* Statistics of the training rows, inside data/. */
#ifndef MTPS_DATA_FIT_IMPL_H
#define MTPS_DATA_FIT_IMPL_H

#include "data/funnel.h"
#include "data/schema.h"

/* A dense column: what stands for missing, and per transform mean and deviation
 * or lowest and highest. */
struct fit_column {
    const struct feature_cfg *cfg;
    double default_value;
    double stat[MAX_TRANSFORMS][2];
};

struct fit {
    const struct schema *schema;
    struct fit_column *columns; /* [n_dense] */
    float **borders;            /* [n_features] of bucketized ones: [bucketize - 1] */
    uint64_t **levels;          /* [n_one_hot] keys, most frequent first */
    size_t *n_levels;
    double *presence, *base;               /* [n_tasks] */
    struct funnel_rows *funnel;            /* [n_tasks] counted by fit_compute alone */
    double *distinct_share, *mean_per_row; /* [n_ids] */
    struct named_array *arrays;
    size_t n_arrays;
    struct arena *arena;
};

/* An empty fit of the schema: no statistics yet. */
enum status fit_create(const struct schema *s, struct fit **out,
                       struct error *err) MUST_USE;
/* Lists everything in it as named arrays. */
enum status fit_list_arrays(struct fit *f, struct error *err) MUST_USE;

/* Value after the first n transforms; NaN = missing. */
double fit_transform_first(const struct fit_column *c, double raw, size_t n);
static inline float fit_transform(const struct fit_column *c, float raw)
{
    return (float)fit_transform_first(c, raw, c->cfg->n_transforms);
}

/* Bucket of a number: how many borders are at or below it. */
static inline size_t fit_bucket(const float *borders, size_t n, float v)
{
    size_t low = 0;
    while (n) {
        size_t half = n / 2;
        if (borders[low + half] <= v) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

#endif
