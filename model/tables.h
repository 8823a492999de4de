/* Which features a model reads, and how, and the tables that it has for them: the same
 * for training, scoring and the inference library.
 *
 * Data has one table per name in the configuration; its batches say which keys of it
 * occur. A model has, of each, the embeddings, or the weights of a wide part, "wide/NAME",
 * with one float per task, or both: then two tables have the same keys. */
#ifndef MTPS_MODEL_TABLES_H
#define MTPS_MODEL_TABLES_H

#include "data/dataset.h"
#include "model/model.h"

struct model_tables {
    size_t n;
    const char **name;   /* [n] "user_id", "wide/user_id" */
    size_t *dim;         /* [n] floats of a row's weights */
    size_t *source;      /* [n] table of the schema whose keys it has */
    bool same;           /* they are the schema's tables, one by one */
    bool *deep, *wide;   /* [n_features] who reads the feature */
    size_t *deep_table;  /* [n tables of the schema] place among these; SIZE_MAX: none */
    size_t *wide_table;
    size_t vector;       /* fm, deepfm: floats of a field's vector */
    struct arena *arena; /* owns it all */
};

/* ST_USAGE, with the place in the configuration, when features do not fit the type. */
enum status model_tables_make(const struct settings *s, const struct schema *schema,
                              struct model_tables **out, struct error *err) MUST_USE;
void model_tables_destroy(struct model_tables *t);

/* The schema's table whose keys the model's table of this name has: "user_id" of
 * "wide/user_id". */
const char *model_tables_source(const char *name);
/* How the rows of the model's table of this name start and learn. */
struct table_cfg model_tables_cfg(const struct settings *s, const char *name);

/* A batch as the model sees it: with the model's tables. */
struct batch_view {
    struct batch batch;
    struct batch_table *tables; /* [n] */
};
enum status batch_view_make(const struct model_tables *t, struct batch_view *v,
                            struct error *err) MUST_USE;
void batch_view_close(struct batch_view *v);
/* b itself when the tables are the same; else v's batch, good as long as b is. */
const struct batch *batch_view_set(struct batch_view *v, const struct model_tables *t,
                                   const struct batch *b);

#endif
