/* Rows from outside become part of a checkpoint, which a hot start reads like any other. */
#ifndef MTPS_WORKER_CKPT_IMPORT_H
#define MTPS_WORKER_CKPT_IMPORT_H

#include "worker/table_csv.h"

struct ckpt_import {
    const char *table;
    const struct table_csv *rows;
    struct ckpt *base;    /* what else the new checkpoint holds; NULL: nothing else */
    const char *run_dir;  /* the new checkpoint is RUN/checkpoints/step-... */
    const char *build;
};

/* With a base its counters, configuration, tensors and tables are copied; rows of the table
 * with the same key are replaced, their optimiser state starts fresh. A table that the base
 * does not have has no state. ST_MISMATCH for another dim, ST_CANTCREATE when run_dir holds
 * checkpoints. *path: mem_free. */
enum status ckpt_import(const struct ckpt_import *spec, char **path, struct error *err) MUST_USE;

#endif
