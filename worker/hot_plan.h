/* The plan of a hot start: what each table and tensor of the new model takes from a
 * checkpoint, and why. Made once from the configuration, the names and shapes of both
 * sides, without data, servers or MPI; the dry run, the report and the loading all read
 * this one object.
 *
 * A target is a table or tensor of the new model, or (skipped) a part of the checkpoint
 * that nothing takes. */
#ifndef MTPS_WORKER_HOT_PLAN_H
#define MTPS_WORKER_HOT_PLAN_H

#include "common/store/ckpt.h"
#include "model/model.h"

enum hot_action {
    HOT_LOADED,
    HOT_INITIALISED, /* first values of a fresh model, or zeros */
    HOT_SKIPPED      /* of the checkpoint, not taken */
};
const char *hot_action_name(enum hot_action a);

enum { HOT_CLOSED = -1 }; /* a column for an expert, or a task, that has not been loaded */

struct hot_target {
    const char *name;   /* "table/user", "tower/click/layer0/w"; of the checkpoint when skipped */
    bool is_table;
    size_t rows, cols;  /* of a tensor now; of a table 0 and dim */
    enum hot_action action;
    const char *source; /* its name in the checkpoint; NULL when it has none */
    size_t place;       /* of the source among the checkpoint's tables or tensors */
    size_t source_rows, source_cols; /* of a table: rows there, dim */
    const int *columns; /* [cols] the source's column or HOT_CLOSED: of loaded gates, and of tables
                           with a column per task that are others now; else NULL */
    bool zero;          /* initialised with zeros */
    bool keep_state;
    bool resized;
    uint64_t min_step;  /* of a table: rows seen last before it are left out */
    size_t task;        /* the new configuration's that it belongs to, or SIZE_MAX */
    double shrink, noise;
    const char *reason;
};

struct hot_plan {
    struct hot_target *targets; /* tables in order, tensors in order, then what is skipped */
    size_t n, n_tables, n_tensors;
    size_t n_loaded;
    bool *new_task; /* [n_tasks] nothing of it is in the checkpoint */
    const struct settings *settings; /* borrowed */
    struct ckpt *ckpt;               /* borrowed; NULL: there is none */
    const char *path;                /* of the checkpoint */
    struct settings *then;           /* the checkpoint's; NULL: nothing was looked at */
    struct arena *arena;
};

/* The new model's side. */
struct hot_model {
    const char *const *tables;
    const size_t *dims; /* [n_tables] */
    size_t n_tables;
    const struct model_tensor *tensors;
    size_t n_tensors;
};

/* Statuses: ST_MISMATCH for everything that does not fit, one line each: a pattern that fits
 * nothing, two sources for one target, a shape, other ids, another optimiser, nothing loaded.
 * ckpt NULL (mode cold without a checkpoint): everything is initialised. settings and the
 * names of m are borrowed. */
enum status hot_plan_make(const struct settings *s, const struct hot_model *m, struct ckpt *ckpt,
                          const char *path, struct hot_plan **out, struct error *err) MUST_USE;
void hot_plan_destroy(struct hot_plan *p);

#endif
