/* Initial rows computed lately. A row that is asked for before it exists is
 * computed for every worker that pulls it and again when its first push creates
 * it, within two steps; drawing normal numbers costs far more than looking here.
 * Entries are values of a pure function of (table, key), so they are never stale;
 * a collision only costs time. One thread owns a memo. */
#ifndef MTPS_PS_MEMO_H
#define MTPS_PS_MEMO_H

#include "ps/table.h"

struct memo;
enum status memo_create(size_t max_dim, struct memo **out, struct error *err) MUST_USE;
void memo_destroy(struct memo *m);

/* table_initial(t, key); number tells the tables of one memo apart. The pointer
 * is good until the next call. */
const float *memo_initial(struct memo *m, size_t number, const struct table *t,
                          uint64_t key);

#endif
