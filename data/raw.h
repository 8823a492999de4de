/* Raw rows: the files of one source, in sorted order, joined with their side
 * tables, reduced to the columns that somebody reads.
 *
 *   csv, tsv   a row has one text per column, or none when it is missing
 *   slot       a row has any number of texts per name
 *
 * A row that cannot be read (broken quote, missing column, invalid UTF-8 in a
 * name, over-long line, damaged compression, binary junk) is counted in the
 * ledger and left out; so is a row that the caller rejects with raw_reject().
 * Where a compressed stream is damaged the rest of that file counts as one bad
 * row. A quote that is never closed costs its own line when a line behind it is a
 * whole row by itself. Empty lines are no rows, unless a row is one column. Memory is
 * bounded by the longest accepted line (1 MiB) and the side tables (data.join_memory).
 *
 * Not thread-safe. */
#ifndef MTPS_DATA_RAW_H
#define MTPS_DATA_RAW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/settings.h"
#include "data/text.h"

/* Bad rows of one pass over some sources: how many, the first ten, the limit. */
enum { BAD_ROWS_SHOWN = 10 };
struct bad_rows {
    uint64_t n_bad, n_good;
    double max; /* from data.bad_rows */
    bool max_is_share;
    size_t n_shown;
    char shown[BAD_ROWS_SHOWN][512]; /* "file:line:column: why: 'text'" */
};
void bad_rows_init(struct bad_rows *b, const struct data_cfg *cfg);
/* Count one; the text is made safe to print (escaped, cut). column 0 = unknown. */
void bad_rows_add(struct bad_rows *b, const char *file, uint64_t line, uint64_t column,
                  const char *why, struct text excerpt);
/* ST_DATA when over the limit: an absolute limit at once, a share only when
 * `at_end` (or when it cannot be met any more). */
enum status bad_rows_check(const struct bad_rows *b, bool at_end,
                           struct error *err) MUST_USE;

/* Values of one column on one row. n = 0: missing. csv has n <= 1. */
struct raw_field {
    const struct text *v;
    size_t n;
};

struct raw_row {
    const struct raw_field *fields; /* [n_columns], in the order asked for */
    const uint32_t *side; /* [n_joins] row of the side table, RAW_NO_MATCH on a miss */
    const char *file;
    uint64_t line; /* of the row's first line */
};
enum { RAW_NO_MATCH = UINT32_MAX };

struct raw; /* an open stream of rows */

/* Expand the globs of a source: matching regular files, sorted by name, each
 * once; or, as_listed, the files of each pattern in turn. ST_NOINPUT names a pattern without a match. Caller frees *files (one
 * block holding array and strings) with mem_free. */
enum status raw_expand(const struct source_cfg *source, const char ***files, size_t *n,
                       struct error *err) MUST_USE;

/* Column names there are: header or `columns:` of the source's first file, then
 * those of each join (a name that an earlier one has is skipped; the join's key
 * is the main column). For slot text: the names seen in the first 10,000 rows,
 * fixed columns first. owner[i]: -1 main, else the join. Arrays and strings in
 * one block, freed with mem_free(*names) . */
struct raw_columns {
    const char **names;
    int *owner;
    size_t n;
};
enum status raw_columns_read(const struct data_cfg *data, const struct source_cfg *source,
                             struct raw_columns *out, struct error *err) MUST_USE;
void raw_columns_close(struct raw_columns *c);
/* As bytes for a checkpoint (mem_free), and back: ST_DATA when they are not such. */
enum status raw_columns_pack(const struct raw_columns *c, char **bytes, size_t *n,
                             struct error *err) MUST_USE;
enum status raw_columns_unpack(const char *bytes, size_t n, struct raw_columns *out,
                               struct error *err) MUST_USE;

/* Open the rows of `source` with the side tables of data->joins.
 *   columns   the n names to deliver; a name nobody has is ST_USAGE naming it
 *             and the nearest there is
 *   missing   per column, the texts that mean missing (NULL entry: the source's)
 *   bad       borrowed; counts this pass
 * Side tables are read here, used columns only; a duplicate join key is ST_DATA
 * with both lines; their own `where` is applied. Files are opened one after another; each
 * file's header must hold the wanted columns (order may differ). Source `where` is not
 * applied. */
enum status raw_open(const struct data_cfg *data, const struct source_cfg *source,
                     const char *const *columns, const struct list_cfg *const *missing,
                     size_t n, struct bad_rows *bad, struct raw **out,
                     struct error *err) MUST_USE;
void raw_close(struct raw *r);

/* Next readable row, valid until the next call. *row = NULL at the end. ST_DATA
 * when there are too many bad rows already (bad_rows_check, not at_end). */
enum status raw_next(struct raw *r, const struct raw_row **row,
                     struct error *err) MUST_USE;
/* Count the row just delivered as bad after all. column: index into the columns
 * asked for, or SIZE_MAX. */
void raw_reject(struct raw *r, size_t column, const char *why);

/* Which join delivers column i (-1: the main row), and how many side rows there
 * are: lets a caller work out what depends on a side row once per side row. */
int raw_column_owner(const struct raw *r, size_t column);
size_t raw_side_rows(const struct raw *r, size_t join);

/* Progress: compressed bytes read so far and in all. */
void raw_progress(const struct raw *r, uint64_t *done, uint64_t *total);

/* Slot text: names that were met and that nobody asked for. */
uint64_t raw_ignored_values(const struct raw *r);
size_t raw_ignored_names(const struct raw *r);

#endif
