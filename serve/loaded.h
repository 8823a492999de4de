/* An open model of the inference library. Inside serve/: mtps.h is what others see. */
#ifndef MTPS_SERVE_LOADED_H
#define MTPS_SERVE_LOADED_H

#include <locale.h>
#include <stdatomic.h>

#include "data/fit_impl.h"
#include "model/model.h"
#include "serve/include/mtps.h"
#include "serve/lookup.h"

enum { LOADED_MAX_FEATURES = 16384 };

/* A key and its place among a one_hot feature's levels. */
struct loaded_level {
    uint64_t key;
    uint32_t level;
};

/* A raw column as the schema reads it, and the input or side table that fills it. */
struct loaded_column {
    size_t input;                   /* SIZE_MAX: none */
    struct loaded_join *join;       /* NULL: none */
    const char *side;               /* the side table's column ... */
    size_t cell;                    /* ... and its place in a row */
    const struct list_cfg *missing; /* texts that mean missing */
    bool trim;
    bool list;         /* slot data: any number of texts */
    const char *joint; /* csv: what joins a list's values to one text; NULL: no list */
};

/* A side table inside the bundle. */
struct loaded_join {
    size_t index; /* among data.joins */
    int owner;    /* of the column that holds its key: -1 the main rows, or an earlier join */
    bool used;
    struct lookup_keys keys; /* hashes of the keys' texts */
    const char **names;      /* [n_cells] columns */
    size_t n_cells;          /* of a row */
    const uint64_t *offsets; /* [rows * n_cells + 1] of cells, in bytes */
    const char *bytes;
    size_t n_bytes;
    struct loaded_column key;
};

struct mtps_model {
    _Atomic size_t holders; /* the caller, and every scorer */
    struct bundle *bundle;
    struct mtps_model *base; /* of a delta: holds the other rows; or NULL */
    bool is_base;            /* opened for a delta */
    struct arena *arena;
    struct settings *settings;
    struct schema *schema;
    struct fit *fit;
    struct model *model;
    struct infer *infer;
    struct model_tables *kinds;   /* the model's tables */
    const size_t *table_dim;      /* [kinds->n] */
    struct lookup *tables;        /* [kinds->n] */
    const float **projected;      /* [n_features] rows x layer 1; NULL: not; all NULL: no such */
    size_t projected_width;       /* 0: nothing is projected */
    uint64_t missing_key;
    const float **missing;        /* [n_features] the same of a missing value's initial row, which
                                     is wanted often; NULL: not projected */
    struct loaded_level **levels; /* [n_one_hot] in order of keys */
    struct loaded_column *columns;
    struct loaded_join *joins; /* [data.n_joins]; NULL: requests carry their columns */
    struct mtps_input *inputs;
    struct mtps_task *tasks;
    struct mtps_feature *features;
    size_t n_inputs;
    bool has_durations; /* some score is a share of a duration */
    struct mtps_info info;
    locale_t plain; /* numbers have a point, whatever the program around says */
};

/* What the functions of mtps.h do, with the errors of this program. */
enum status loaded_open(const char *path, enum bundle_checks checks, struct mtps_model **out,
                        struct error *err) MUST_USE;
void loaded_release(struct mtps_model *m);
/* The dense parameters as the model lays them out (mem_free). */
enum status loaded_params(struct mtps_model *m, float **out, struct error *err) MUST_USE;

/* Copies what fits. */
enum mtps_status loaded_fail(enum status st, const struct error *err, struct mtps_error *out);

#endif
