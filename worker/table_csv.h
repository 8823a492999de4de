/* Rows of an embedding table as csv: out of a checkpoint, and pretrained vectors in.
 *
 *   key,count,last_step,w0,w1,...        what is written; rows in (bucket, key) order
 *   id,w0,w1,... or key,w0,w1,...        what is read, in any order; id is the id's text, key
 *                                        the number itself; count and last_step may stand there
 *
 * Values have the digits that give their bits back. Only weights: no optimiser state. */
#ifndef MTPS_WORKER_TABLE_CSV_H
#define MTPS_WORKER_TABLE_CSV_H

#include <stdio.h>

#include "common/store/ckpt.h"

enum status table_csv_write(struct ckpt *c, size_t table, FILE *out, struct error *err) MUST_USE;

struct table_csv {
    uint64_t *keys, *count, *last_step; /* [n] in (bucket, key) order */
    float *weights;                     /* [n, dim] */
    size_t n, dim;
    bool ids; /* the first column is id: keys are hashes of texts */
};
/* ST_NOINPUT when the file cannot be read, ST_DATA with its line for anything wrong in it:
 * another number of cells, a value that is no finite number, an id that stands twice. */
enum status table_csv_read(const char *path, struct table_csv *out, struct error *err) MUST_USE;
void table_csv_close(struct table_csv *t);

#endif
