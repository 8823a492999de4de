/* Checkpoints: a committed folder of per-server HDF5 files, a dense file, a
 * state file and a manifest (docs/checkpoint-format.md).
 *
 *   DIR/step-000000012000/{MANIFEST.json, dense.h5, train_state.h5, sparse-00000-of-00003.h5 ...}
 *
 * Saving, over all ranks:
 *   leader    ckpt_begin           temp folder, free space, lock still ours
 *   servers   ckpt_sparse_write    each its own file: close, reopen, SHA-256, fsync
 *   leader    ckpt_dense_write, ckpt_state_write
 *   leader    ckpt_commit          manifest, rename, fsync parent, only then "committed"
 *   leader    ckpt_retire          keeps the newest n (and a named best), deletes others
 * Any failure: ckpt_abandon removes the temp folder; what was committed before stays.
 *
 * Loading never opens an HDF5 file before size and SHA-256 agree with the
 * manifest and the manifest's own SHA-256 holds. */
#ifndef MTPS_STORE_CKPT_H
#define MTPS_STORE_CKPT_H

#include "common/base/dtype.h"
#include "common/base/partition.h"
#include "common/store/file.h"

/* An array with a name, for dense tensors and state. */
struct named_array {
    const char *name;
    enum dtype type;
    size_t rows, cols;   /* cols 0 = one-dimensional */
    size_t stride;       /* elements from row to row when writing; 0 = cols */
    void *data;
};

/* Layout-independent digest: 128-bit sums (wrapping) of hashes of every row
 * {table, key, step, count, weights, state} and every tensor {name, shape,
 * values, slots}. Equal for any number of servers. */
struct digest {
    uint64_t low, high;
};
void digest_add(struct digest *d, const struct digest *other);
void digest_row(struct digest *d, uint64_t table_hash, uint64_t key, uint64_t last_step, uint64_t count,
                const float *values, size_t n_values); /* weights then state, contiguous */
void digest_tensor(struct digest *d, const char *name, size_t rows, size_t cols, const float *values, size_t stride);
void digest_number(struct digest *d, const char *name, uint64_t value); /* step, updates */
void digest_hex(const struct digest *d, char hex[33]);
bool digest_equal(const struct digest *a, const struct digest *b);

/* What a table looks like in a file. State slots are separate datasets. The ids that wait
 * for a row of table NAME (tables.*.admit) are a table of their own, NAME/waiting: keys with
 * last_step and count, dim 0, no slots. */
struct ckpt_table {
    const char *name;
    size_t dim;                /* 0: waiting ids */
    size_t n_slots;            /* optimiser state arrays */
    const char *slot_name[2];  /* "accumulator"; "m", "v" */
    size_t slot_width[2];      /* floats per row: dim, or 1 (rowwise) */
};
#define CKPT_WAITING "/waiting"
/* NAME/waiting; mem_free, NULL when out of memory. */
char *ckpt_waiting_name(const char *table) MUST_USE;
/* Rows of one table in (bucket, key) order, some at a time. */
struct ckpt_rows {
    size_t n;
    const uint64_t *keys, *last_step, *count;
    const float *weights;  /* [n, dim]; NULL for dim 0 */
    const float *slots[2]; /* [n, slot_width] */
};

struct ckpt_file_info {
    char name[64];
    uint64_t bytes, rows;
    char sha256[SHA256_HEX];
    struct digest digest;
};

struct ckpt_meta { /* what the manifest says besides its files */
    uint64_t step, updates, seed, lanes, batch_size, attempt;
    double epoch;
    const char *config;      /* effective YAML */
    const char *run_uuid;
    const char *data_digest; /* of the prepared data's key */
    const char *build;
};

/* ---- saving ---- */
struct ckpt_save;
enum status ckpt_begin(const char *dir, uint64_t step, uint64_t attempt, uint64_t expect_bytes,
                       struct ckpt_save **out, struct error *err) MUST_USE;
const char *ckpt_save_path(const struct ckpt_save *s); /* the temp folder, for the servers */

/* Server side: next() hands over the table's rows chunk by chunk (n = 0: done),
 * in order; keys increasing over all chunks. Writes TEMP/sparse-IIIII-of-SSSSS.h5. */
struct ckpt_row_source {
    void *arg;
    enum status (*next)(void *arg, size_t table, struct ckpt_rows *rows, struct error *err);
};
enum status ckpt_sparse_write(const char *temp, size_t index, size_t n_servers,
                              const struct ckpt_table *tables, size_t n_tables,
                              const struct ckpt_row_source *source,
                              void (*progress)(void *, uint64_t), void *progress_arg,
                              struct ckpt_file_info *info, struct error *err) MUST_USE;
/* An optimiser's state of some of the tensors: arrays with their names, under slot/NAME/. */
struct ckpt_slot {
    const char *name;
    const struct named_array *arrays;
    size_t n;
};
enum status ckpt_dense_write(const char *temp, const struct named_array *tensors, size_t n,
                             const struct ckpt_slot *slots, size_t n_slots,
                             struct ckpt_file_info *info, struct error *err) MUST_USE;
enum status ckpt_state_write(const char *temp, const struct named_array *arrays, size_t n,
                             struct ckpt_file_info *info, struct error *err) MUST_USE;
/* files: all of the above infos, tables with total rows. still_ours is asked just
 * before the rename; false abandons with ST_BUSY. Gives the final path (mem_free). */
enum status ckpt_commit(struct ckpt_save *s, const struct ckpt_meta *meta,
                        const struct ckpt_table *tables, size_t n_tables,
                        const struct ckpt_file_info *files, size_t n_files,
                        bool (*still_ours)(void *), void *arg, char **path, struct error *err) MUST_USE;
void ckpt_abandon(struct ckpt_save *s);
/* Keep the newest `keep` (at least 2 valid ones) and the one named best (its path or name,
 * or NULL). */
enum status ckpt_retire(const char *dir, size_t keep, const char *best, struct error *err) MUST_USE;
/* Remove temp and trash folders of dead attempts. */
enum status ckpt_sweep(const char *dir, struct error *err) MUST_USE;

/* ---- reading ---- */
struct ckpt; /* an open, verified checkpoint; read-only */
/* Is this path a checkpoint's (has a manifest, or the name of one)? Else it may be a
 * run directory. */
bool ckpt_is(const char *path);
/* Path of a checkpoint folder, or of a run directory (then its best checkpoint
 * when one is named in best.json, else the newest valid one; warn as below). */
enum status ckpt_resolve(const char *path, void (*warn)(void *, const char *), void *arg,
                         char **ckpt_path, struct error *err) MUST_USE;
/* Newest valid checkpoint below DIR; *path NULL when there is none. Each one
 * skipped is reported through warn (NULL = silent). */
enum status ckpt_newest(const char *dir, void (*warn)(void *, const char *), void *arg, char **path,
                        struct error *err) MUST_USE;
/* hashes: also re-hash the big sparse files (else only the manifest, sizes, dense and state). */
enum status ckpt_open(const char *path, bool hashes, struct ckpt **out, struct error *err) MUST_USE;
/* What ckpt_resolve finds, open, with every hash checked once. */
enum status ckpt_open_resolved(const char *path, void (*warn)(void *, const char *), void *arg,
                               struct ckpt **out, struct error *err) MUST_USE;
void ckpt_close(struct ckpt *c);

const char *ckpt_path(const struct ckpt *c); /* of its folder */
const struct ckpt_meta *ckpt_meta(const struct ckpt *c);
size_t ckpt_n_tables(const struct ckpt *c);
const struct ckpt_table *ckpt_table(const struct ckpt *c, size_t i);
uint64_t ckpt_table_rows(const struct ckpt *c, size_t i);
size_t ckpt_n_files(const struct ckpt *c);
const struct ckpt_file_info *ckpt_file(const struct ckpt *c, size_t i);
/* Of all tables: rows, and ids that wait for one. */
struct ckpt_counts {
    uint64_t rows, waiting;
};
struct ckpt_counts ckpt_count_rows(const struct ckpt *c);
void ckpt_digest(const struct ckpt *c, struct digest *d); /* from the manifest's per-file digests */
/* Tensors and the optimiser's slots as the manifest lists them, without data. */
size_t ckpt_n_tensors(const struct ckpt *c);
struct named_array ckpt_tensor_shape(const struct ckpt *c, size_t i);
size_t ckpt_n_slots(const struct ckpt *c);
const char *ckpt_slot(const struct ckpt *c, size_t i);

/* All tensors (views into memory owned by c), their slots, all state arrays. */
enum status ckpt_read_dense(struct ckpt *c, const struct named_array **tensors, size_t *n, struct error *err) MUST_USE;
const struct named_array *ckpt_find_tensor(struct ckpt *c, const char *name);
const struct named_array *ckpt_find_slot(struct ckpt *c, const char *slot, const char *name);
enum status ckpt_read_state(struct ckpt *c, struct error *err) MUST_USE;
const struct named_array *ckpt_find_state(struct ckpt *c, const char *name);
const struct named_array *ckpt_state(const struct ckpt *c, size_t *n); /* all of them, once read */
/* Rows of a table whose bucket is in [buckets.first, buckets.end), chunk by chunk,
 * in (bucket, key) order, from all files. Checks order, owner and duplicates. */
enum status ckpt_read_rows(struct ckpt *c, size_t table, struct range buckets,
                           enum status (*visit)(void *arg, const struct ckpt_rows *rows, struct error *err),
                           void *arg, struct error *err) MUST_USE;

/* Full check: manifest, every hash, structure, order, owners, finiteness, digests. Names the
 * file and the check. */
enum status ckpt_verify(const char *path, struct error *err) MUST_USE;

#endif
