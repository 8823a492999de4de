/* MANIFEST.json of a checkpoint: what the folder holds, with sizes and hashes.
 * Internal to common/store. The text ends with a line of its own SHA-256 over
 * everything before that line, so that any changed byte is noticed before the
 * JSON is looked at. docs/checkpoint-format.md lists the fields. */
#ifndef MTPS_STORE_MANIFEST_H
#define MTPS_STORE_MANIFEST_H

#include "common/base/mem.h"
#include "common/store/ckpt.h"

#define MANIFEST_NAME "MANIFEST.json"

enum { MANIFEST_VERSION = 1, PARTITION_VERSION = 1 };

enum file_role { ROLE_SPARSE, ROLE_DENSE, ROLE_STATE, ROLE_COUNT };

struct manifest_file {
    struct ckpt_file_info info;
    enum file_role role;
    uint64_t *rows;      /* [n_tables], sparse files only */
    struct range buckets; /* sparse files only */
    bool hashed;         /* its SHA-256 was compared in this process */
};

struct manifest_tensor {
    const char *name;
    size_t rows, cols;
};

/* Everything lives in the arena. */
struct manifest {
    struct arena *arena;
    struct ckpt_meta meta;
    struct ckpt_table *tables;
    uint64_t *table_rows;
    size_t n_tables;
    struct manifest_file *files; /* sparse ones first, in order */
    size_t n_files, n_sparse;
    struct manifest_tensor *tensors;
    size_t n_tensors;
    const char **slots; /* of the dense part */
    size_t n_slots;
    struct digest digest; /* of the whole checkpoint */
};

/* Name of a server's file. */
void manifest_sparse_name(size_t index, size_t n_servers, char out[64]);
/* Role by name; ROLE_COUNT when it is none of ours. */
enum file_role manifest_role(const char *name);

/* Sum of the files' digests and of the counters. */
void manifest_sum_digest(const struct manifest *m, struct digest *out);

/* Text of a manifest, with its hash (mem_free). */
enum status manifest_print(const struct manifest *m, char **text, size_t *bytes, struct error *err) MUST_USE;
/* Read and check FOLDER/MANIFEST.json; names in errors are full paths. */
enum status manifest_read(const char *folder, struct manifest *m, struct error *err) MUST_USE;
void manifest_close(struct manifest *m);

/* Each file is there and has its size; hashes: and its SHA-256. */
enum status manifest_check_file(const char *folder, struct manifest_file *f, bool hashes, struct error *err) MUST_USE;

/* out = folder/name. */
enum status manifest_path(const char *folder, const char *name, char *out, size_t size, struct error *err) MUST_USE;

#endif
