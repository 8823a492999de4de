/* One lane's rows of one step, ready to compute: everything in it depends on the
 * lane's rows alone. Built by the data side, read by the model and the client.
 *
 * Letters: B rows of the lane, U distinct keys, N occurrences.
 *
 * An id feature sees its table through two indirections:
 *
 *   idx[N] --> row[U_f] --> table.keys[U_t] --(client)--> pulled row
 *
 * row[] is ascending, table.keys[] is in (bucket, key) order, so everything that
 * walks distinct rows walks them in the one order of keys. */
#ifndef MTPS_DATA_BATCH_H
#define MTPS_DATA_BATCH_H

#include <stddef.h>
#include <stdint.h>

/* Distinct keys of one embedding table, over all features that share it. */
struct batch_table {
    size_t n;              /* U_t */
    const uint64_t *keys;  /* [U_t], strictly increasing in (bucket, key) */
    const uint32_t *codes; /* [U_t], strictly increasing: place in the dictionary of keys that
                              the lane's rows have in memory (not the same for all lanes) */
    const uint32_t *count; /* [U_t], occurrences of the key in this lane */
};

/* One id feature. Occurrences are in (row, position) order. */
struct batch_id {
    size_t n_distinct;    /* U_f */
    const uint32_t *row;  /* [U_f] place in the table's keys, ascending */
    size_t n;             /* N; equals B when single-valued */
    const uint32_t *off;  /* [B + 1] first occurrence of each row; NULL when single-valued */
    const uint32_t *idx;  /* [N] place in row[] */
    /* The same transposed: rows in which a distinct key occurs, ascending
     * (a key that occurs twice in a row stands twice). */
    const uint32_t *t_off; /* [U_f + 1] */
    const uint32_t *t_row; /* [N] */
};

/* One one_hot feature: level of each row, ONE_HOT_NONE for none (missing or
 * never seen in training). */
enum { ONE_HOT_NONE = UINT32_MAX };

struct batch {
    size_t n_rows; /* B; 0 is allowed */
    size_t n_tables, n_ids, n_one_hot, n_dense, n_tasks;
    const struct batch_table *tables; /* [n_tables] */
    const struct batch_id *ids;       /* [n_ids], id features in config order */
    const uint32_t *const *one_hot;   /* [n_one_hot][B], in config order */
    const float *dense;  /* [B, n_dense] transformed; features in config order, widths added up */
    const float *labels; /* [B, n_tasks]; NaN = absent */
    const float *weights; /* [B, n_tasks] row weights, 1 by default */
    const float *durations; /* [B, n_tasks], 0 = none; NULL when no task has a duration */
    const uint64_t *group; /* [B] hash of the group column; NULL without data.group */
    const uint64_t *row;   /* [B] number of the row among all rows of the prepared file */
    uint64_t step;         /* of training: the step that the rows are for */
};

#endif
