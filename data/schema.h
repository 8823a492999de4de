/* What a configuration and a header line say together, inside data/: the raw
 * columns that somebody reads, every expression parsed once, and where each
 * feature's values lie in prepared data. The public part is struct schema of
 * data/dataset.h.
 *
 * Letters: S single-valued id features (bucketized ones apart), M multi-valued
 * ones, O one_hot, Q numbers (dense columns, then bucketized features), K tasks. */
#ifndef MTPS_DATA_SCHEMA_H
#define MTPS_DATA_SCHEMA_H

#include "data/dataset.h"
#include "data/expr.h"

/* A column as raw_open() delivers it; missing NULL = the source's texts. */
struct schema_column {
    const char *name;
    const struct list_cfg *missing;
    int owner; /* -1 the main rows, else the join */
};

/* A parsed expression and where its inputs are among the schema's columns. */
struct schema_expr {
    struct expr *expr; /* NULL = not given */
    const size_t *inputs;
    size_t n;
};

enum feature_from { FROM_COLUMN, FROM_EXPR, FROM_CROSS };

/* Where a feature's value comes from, and its place among the features that
 * are stored alike. */
enum feature_store { STORE_SINGLE, STORE_MULTI, STORE_ONE_HOT, STORE_NUMBER };
struct feature_plan {
    enum feature_from from;
    size_t column; /* FROM_COLUMN: index into columns */
    struct schema_expr expr;
    size_t cross[2]; /* features */
    enum feature_store store;
    size_t at;    /* index among S, M or O; STORE_NUMBER: first of its numbers */
    size_t width; /* STORE_NUMBER */
    int owner;    /* join that alone decides the value, or -1 */
};

struct task_plan {
    struct schema_expr label, present, weight; /* label.expr NULL: absent (predict) */
    struct schema_expr duration;
};

struct schema_plan {
    struct feature_plan *features; /* [n_features] */
    struct task_plan *tasks;       /* [n_tasks] */
    struct schema_column *columns;
    size_t n_columns, max_columns;
    size_t n_single, n_multi, n_one_hot, n_number, n_bucket;
    size_t *single;   /* [S] features */
    size_t *multi;    /* [M] */
    size_t *one_hot;  /* [O] */
    size_t *ids;      /* [n_ids] features in config order */
    size_t group;     /* column, SIZE_MAX = none */
    bool row_weights; /* some task has row_weight */
    bool durations;   /* some task has duration */
    bool labels_optional;
    bool has_features; /* of schema_build() */
    const char **known; /* every column there is */
    const int *known_owner;
    size_t n_known;
    const char *text;    /* what is computed from what: part of the cache key */
    struct expr **exprs; /* all of them, to be destroyed */
    size_t n_exprs;
};

/* Index of the column, added when new; SIZE_MAX with the error set when memory
 * is short. */
size_t schema_column_add(struct schema *s, const char *name,
                         const struct list_cfg *missing, struct error *err);
/* Owner of a known column; -1 for main columns and unknown ones. */
int schema_owner(const struct schema_plan *p, const char *name);

/* The canonical text of what the schema computes, without names of files. In the
 * schema's arena; NULL when out of memory. */
const char *schema_describe(const struct schema *s);

#endif
