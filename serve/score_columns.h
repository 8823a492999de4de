/* Which columns the files of score_rows() have. A model that holds its side tables reads
 * them from itself; labels, conditions, the group and kept columns that are columns of a
 * side table are read from its files, when these are there. */
#ifndef MTPS_SERVE_SCORE_COLUMNS_H
#define MTPS_SERVE_SCORE_COLUMNS_H

#include "serve/score_rows.h"

struct score_columns {
    struct data_cfg data;       /* n_joins 0: side tables are not read */
    struct raw_columns columns; /* of the files, and of side tables that are read */
    char *first;                /* the first file */
    const char *absent;         /* files of a side table that are not there; NULL: nothing is amiss */
};

/* Closed by score_columns_close(), also after a failure. */
enum status score_columns_read(const struct score_rows_spec *spec, struct score_columns *out,
                               struct error *err) MUST_USE;
void score_columns_close(struct score_columns *c);

bool score_columns_have(const struct score_columns *c, const char *name);

/* Every column that the model reads is in the files. Requests may leave an input out; a
 * file without a whole column is more often a mistake. */
enum status score_columns_check(const struct score_columns *c, const struct score_rows_spec *spec,
                                struct error *err) MUST_USE;

/* st, whose error says that a column is not there: the hint says why it may be. */
enum status score_columns_fault(const struct score_columns *c, enum status st, struct error *err);

/* Tells spec->warn which labels, and whether the group, are left out of rows with labels
 * because side tables' files are not there. schema: what was built of the columns. */
void score_columns_warn(const struct score_columns *c, const struct score_rows_spec *spec,
                        const struct schema *schema);

#endif
