/* Prepared data sets: making, opening, selecting, reading (docs/prepared-format.md).
 *
 * A prepared file holds the accepted rows of some raw files, columnar, with
 * untransformed numbers, whatever `where` says; several uses share it. Opening
 * applies a selection (where, valid) and fixes the row order of training.
 *
 * Settings -> schema (features with their places) -> prepared file -> dataset
 * (selected rows) -> fit (statistics of the training rows) -> stream or scan
 * (batches). */
#ifndef MTPS_DATA_DATASET_H
#define MTPS_DATA_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/settings.h"
#include "common/store/ckpt.h"
#include "data/batch.h"
#include "data/funnel.h"
#include "data/raw.h"

/* ---- schema: what the configuration and the header line say together ---- */

struct schema_feature {
    const char *name;
    const struct feature_cfg *cfg; /* of the entry it came from */
    enum feature_kind kind;
    size_t place; /* among id features, one_hot features; dense: first column */
    size_t width; /* id: table dim; dense: width; one_hot: 0 until fitted */
    size_t table; /* id: index into tables */
    bool multi;
    enum pool pool;
    size_t target; /* POOL_ATTENTION: the feature that the list is pooled against */
};

struct schema {
    struct schema_feature *features;              /* config order */
    size_t n_features, n_ids, n_one_hot, n_dense; /* n_dense counts columns */
    const struct table_cfg **tables;              /* [n_tables], sorted by name */
    const char **table_names;
    size_t n_tables;
    const struct settings *settings; /* borrowed */
    struct arena *arena;
    struct schema_plan *plan; /* data/schema.h */
};

/* Expands globs, resolves columns, parses every expression once (errors point
 * into the configuration), checks crosses, tables and label columns. columns:
 * what raw_columns_read() found; when labels_optional, label columns may be absent
 * (predict --input). */
enum status schema_build(const struct settings *s, const struct raw_columns *columns,
                         bool labels_optional, struct schema **out,
                         struct error *err) MUST_USE;
/* The same without features: for labels, durations and the group of rows that something
 * else scores. When labels_optional, durations may be absent, too: their labels are then. */
enum status schema_build_tasks(const struct settings *s, const struct raw_columns *columns,
                               bool labels_optional, struct schema **out,
                               struct error *err) MUST_USE;
void schema_destroy(struct schema *s);
/* The columns that it was built with; valid as long as the schema. */
struct raw_columns schema_columns(const struct schema *s);

/* All that can be checked without reading rows: every expression, and every column and
 * feature against the header lines of all sources. *unread (mem_free): NULL, or which
 * file is not there, so that its columns were not checked. */
enum status schema_check(const struct settings *s, char **unread,
                         struct error *err) MUST_USE;

/* ---- preparing ---- */

enum use { USE_TRAIN, USE_EVAL, USE_VALID, USE_INPUT };

struct prepare_options {
    bool labels_optional;
    const char *const *keep; /* columns whose text is kept */
    size_t n_keep;
    const char *keep_option; /* who asks for them: "--keep" */
    bool force; /* make it again */
    /* About once a second. total 0: not known. */
    void (*progress)(void *arg, uint64_t done, uint64_t total, uint64_t rows,
                     const char *phase);
    bool (*stop)(void *arg); /* asked after every block of rows; true: ST_STOPPED */
    void *arg;
};

/* Make the prepared file of a source unless it is in the cache (key: schema,
 * file names, sizes and contents, hash version; `where`, seed and transforms are
 * not part of it). One statistics pass (dictionaries), one writing pass; memory
 * bounded; atomic. Gives its path (mem_free) and the bad-row ledger, also when it was
 * cached. */
enum status prepare(const struct schema *schema, const struct source_cfg *source,
                    const struct prepare_options *opt, char **path, struct bad_rows *bad,
                    struct error *err) MUST_USE;

/* ---- opened and selected ---- */

struct dataset;
/* Selects rows: `where` of the source, minus or plus the validation part
 * (USE_TRAIN leaves it out, USE_VALID is only it when valid is a part of
 * training). source is the one that was prepared; path, schema and source are
 * borrowed, schema until dataset_close. */
enum status dataset_open(const char *path, const struct schema *schema,
                         const struct source_cfg *source, enum use use,
                         struct dataset **out, struct error *err) MUST_USE;
void dataset_close(struct dataset *d);
uint64_t dataset_rows(const struct dataset *d);      /* selected */
uint64_t dataset_rows_all(const struct dataset *d);  /* accepted rows in the file */
const char *dataset_digest(const struct dataset *d); /* hex key of the prepared file */
/* Most occurrences of id feature i on one row. */
size_t dataset_max_per_row(const struct dataset *d, size_t id);
/* Text of a kept or auxiliary column on a (prepared) row; valid until the next call. */
enum status dataset_kept(struct dataset *d, const char *column, uint64_t row,
                         struct text *out, struct error *err) MUST_USE;

/* An expression over kept columns, by row. what names it in errors (borrowed).
 * ST_USAGE when a column is not in the data. */
struct row_values;
enum status row_values_open(const struct dataset *d, const struct text_cfg *expr,
                            const char *what, struct row_values **out,
                            struct error *err) MUST_USE;
void row_values_close(struct row_values *v);
/* Its value on a (prepared) row as the text of an id, "missing" when it is; valid until
 * the next call. */
enum status row_values_text(struct row_values *v, uint64_t row, struct text *out,
                            struct error *err) MUST_USE;

/* ---- statistics of the training rows: part of the model ---- */

struct fit; /* transforms, borders, levels, base and presence rates */
/* lane_rows: rows of a full lane batch; picks the form of layer 1 per feature
 * from how often ids repeat in a lane (never from timing). ST_DATA when a task
 * has no present label or (bce) one class only. */
enum status fit_compute(struct dataset *train, size_t lane_rows, struct fit **out,
                        struct error *err) MUST_USE;
void fit_destroy(struct fit *f);
/* r: sum of row weights over present labels (data/funnel.h) / rows. */
double fit_presence(const struct fit *f, size_t task);
/* Mean target (common/math/target.h), weighted: a rate, or the mean label. */
double fit_base(const struct fit *f, size_t task);
/* Rows of a later step of the funnel, as fit_compute met them; 0 in a fit that was read. */
const struct funnel_rows *fit_funnel(const struct fit *f, size_t task);
size_t fit_levels(const struct fit *f, size_t one_hot);
double fit_distinct_share(const struct fit *f, size_t id); /* U_f / B in a lane batch */
double fit_mean_per_row(const struct fit *f, size_t id);   /* N / B */
/* As arrays for a checkpoint (valid until fit_destroy) and back: find gives the array
 * of a name, or NULL. */
const struct named_array *fit_arrays(const struct fit *f, size_t *n);
struct fit_source {
    const struct named_array *(*find)(void *arg, const char *name);
    void *arg;
};
enum status fit_from_arrays(const struct schema *schema, const struct fit_source *from,
                            struct fit **out, struct error *err) MUST_USE;

/* Features that the checkpoint has statistics of, in their shape, get these instead (after
 * ckpt_read_state). source gives a feature's name there; NULL: it keeps what it has. Rates
 * of labels and how often ids repeat stay those of the rows. */
enum status fit_keep(struct fit *f, const struct fit_source *from,
                     const char *(*source)(void *arg, const char *feature), void *arg,
                     struct error *err) MUST_USE;
/* Levels of feature number i of the schema are those of this array (NULL: no). */
bool fit_same_levels(const struct fit *f, size_t i, const struct named_array *levels);

/* ---- training order: DESIGN section 4 rule 4 ---- */

struct stream;
/* Batches of lanes [lane_first, lane_end) of n_lanes, from start_step on. A
 * thread of its own reads windows ahead. */
struct stream_spec {
    uint64_t seed;
    size_t n_lanes, lane_first, lane_end;
    size_t batch_size; /* global */
    uint64_t start_step, end_step;
};
enum status stream_open(struct dataset *train, const struct fit *fit,
                        const struct stream_spec *spec, struct stream **out,
                        struct error *err) MUST_USE;
void stream_close(struct stream *s);
uint64_t stream_steps_per_epoch(uint64_t rows, size_t batch_size, size_t n_lanes);
/* Build the batch of a lane for the lane's next step into one of `slots` buffers
 * (slot 0 ..2): valid until the same (lane, slot) is built again. Different lanes may be
 * called at once from different threads. Never allocates once warm. Waits when the
 * window is not read yet (stream_wait_s counts). */
enum { STREAM_SLOTS = 3 };
enum status stream_next(struct stream *s, size_t lane, size_t slot,
                        const struct batch **out, struct error *err) MUST_USE;
/* Seconds in which callers have waited for windows, those of several at once counted
 * once: never more than have passed. Between calls only. */
double stream_wait_s(const struct stream *s);

/* ---- scanning in input order: eval, predict ---- */

struct scan;
/* Selected rows [first, end) in input order, `batch_rows` at a time. */
enum status scan_open(struct dataset *d, const struct fit *fit, uint64_t first,
                      uint64_t end, size_t batch_rows, struct scan **out,
                      struct error *err) MUST_USE;
/* All features of a list have their values moved to other rows, together, so that
 * they say nothing about their row any more and keep their distribution. Rows are
 * visited with blocks of 4,096 in permuted order and exchange values within windows
 * of data.shuffle_window rows of that sequence (rounded up to whole batches); both
 * depend on seed alone. */
struct scan_exchange {
    const size_t *features; /* of the schema */
    size_t n;
    uint64_t seed;
};
/* Positions [first, end) of that sequence; first is a multiple of batch_rows. what is
 * borrowed. */
enum status scan_open_exchanged(struct dataset *d, const struct fit *fit, uint64_t first,
                                uint64_t end, size_t batch_rows,
                                const struct scan_exchange *what, struct scan **out,
                                struct error *err) MUST_USE;
void scan_close(struct scan *s);
/* *out NULL at the end; valid until the next call. */
enum status scan_next(struct scan *s, const struct batch **out,
                      struct error *err) MUST_USE;

/* Read the selected rows into memory, a window of data.shuffle_window rows at a time,
 * with transforms applied, as the reader of a stream does; nothing is kept. */
enum status dataset_read(struct dataset *d, const struct fit *fit,
                         struct error *err) MUST_USE;

/* Capacities for model_work_create: U_f and N at most for batches of `rows`. */
void dataset_caps(const struct dataset *d, const struct fit *f, size_t rows,
                  size_t *max_distinct /*[n_ids]*/, size_t *max_occurrences /*[n_ids]*/);

#endif
