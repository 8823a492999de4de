/* What the selected rows of a prepared data set hold, for people to look at. */
#ifndef MTPS_DATA_DATASET_STATS_H
#define MTPS_DATA_DATASET_STATS_H

#include "data/dataset.h"
#include "data/funnel.h"

struct task_stats {
    uint64_t present;   /* rows with a label */
    double weight, sum; /* of row weights, of weighted labels */
    double low, high;   /* of labels; 0 when there is none */
    struct funnel_rows funnel;
};

struct feature_stats {
    uint64_t filled;              /* rows on which it is not missing */
    uint64_t values;              /* ids, levels or numbers on all rows */
    uint64_t distinct;            /* ids, levels */
    uint64_t high;                /* `key: uint64`: values of 2^63 and more */
    double low, high_value, mean; /* of numbers */
};

struct dataset_stats {
    uint64_t rows, rows_all;
    struct task_stats *tasks;       /* [n_tasks] */
    struct feature_stats *features; /* [n_features] */
    uint64_t slots;                 /* features with a value on some row */
    uint64_t values;                /* of id features */
    uint64_t distinct;              /* keys over all tables */
    uint64_t high;
    uint64_t ignored_values, ignored_names; /* slot text that no feature names */
};

enum status dataset_stats(const struct dataset *d, struct dataset_stats *out,
                          struct error *err) MUST_USE;
void dataset_stats_close(struct dataset_stats *s);

#endif
