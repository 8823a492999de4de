/* A side table in memory: its used columns as text, found by key.
 *
 *   texts  key|cell|cell|.. key|cell|..      bytes of all rows, one after another
 *   base   [rows] where a row's bytes begin
 *   ends   [rows][n_cells] end of each cell from its row's base; MISSING bit
 *   slots  open addressing over the keys: row + 1 and a part of the hash */
#ifndef MTPS_DATA_RAW_JOIN_H
#define MTPS_DATA_RAW_JOIN_H

#include "data/raw.h"

struct raw_join;

/* What is wanted of a side table; borrowed while it is read. */
struct raw_join_spec {
    const struct join_cfg *cfg;
    const char *const *names;              /* [n] columns */
    const struct list_cfg *const *missing; /* [n] */
    size_t n;
    uint64_t limit; /* data.join_memory, of all side tables together ... */
    uint64_t *used; /* ... and what they take so far */
};

/* Read the whole table. ST_DATA: a key stands twice; ST_NOMEM: over the limit. */
enum status raw_join_create(const struct raw_join_spec *spec, struct bad_rows *bad,
                            struct raw_join **out, struct error *err) MUST_USE;
void raw_join_destroy(struct raw_join *j);

/* Text of a row's key. */
struct text raw_join_key(const struct raw_join *j, uint32_t row);
size_t raw_join_rows(const struct raw_join *j);
/* The row whose key is this text, blanks around it cut; or RAW_NO_MATCH. */
uint32_t raw_join_find(const struct raw_join *j, struct text key);
/* Cells of a row: texts[n] and whether each is there. */
void raw_join_get(const struct raw_join *j, uint32_t row, struct text *texts,
                  struct raw_field *fields);
/* Where a row was read: a file and a line. */
const char *raw_join_place(const struct raw_join *j, uint32_t row, uint64_t *line);

#endif
