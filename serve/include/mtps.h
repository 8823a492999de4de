/* libmtps_infer: scores of a trained multi-task model, from a bundle that `mtps export`
 * wrote. The results are those of `mtps predict`, bit for bit, for bundles with f32 rows
 * (within 1e-6 where rows were projected for speed):
 * ids are hashed and numbers transformed by the code that training used, and a row's
 * scores depend on nothing but the model and the row.
 *
 *   struct mtps_error error;
 *   struct mtps_model *model;
 *   struct mtps_scorer *scorer;
 *   if (mtps_open("bundles/click", 0, &model, &error) != MTPS_OK) ...
 *   if (mtps_scorer_create(model, &scorer, &error) != MTPS_OK) ...
 *   struct mtps_value *row = calloc(mtps_n_inputs(model), sizeof *row);
 *   row[mtps_find_input(model, "user_id")] = mtps_text("u17");
 *   if (mtps_score(scorer, row, 1, scores, &error) != MTPS_OK) ...
 *
 * Threads: a model is read-only and may be used by any number of threads; a scorer is
 * used by one thread at a time. A new version is swapped in by opening it, handing its
 * scorers out, and closing the old model: memory goes when its last scorer does.
 *
 * The library prints nothing, starts no threads, ends no process and keeps no global state
 * that a caller could see. Memory that is not to be had is MTPS_NOMEM. Texts are
 * UTF-8 unless the training data was not. Pointers that functions give are valid as long
 * as the model.
 *
 * NULL where a function needs something is MTPS_USAGE; functions without a status then give
 * what nothing has: 0, -1, NULL, a description of zeros. Not checked, and the caller's
 * business: that pointers lead to memory that is there and large enough, also those inside
 * values and columns; that a model is not used after its mtps_close nor a scorer after its
 * mtps_scorer_destroy; that a scorer is used by one thread at a time. */
#ifndef MTPS_H
#define MTPS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MTPS_API __attribute__((visibility("default")))

/* Outcomes; the numbers are the exit codes of the command line. */
enum mtps_status {
    MTPS_OK = 0,
    MTPS_USAGE = 64,    /* an argument is not valid */
    MTPS_DATA = 65,     /* a value of a row, or the bundle, is not valid */
    MTPS_NOINPUT = 66,  /* no bundle is there */
    MTPS_INTERNAL = 70,
    MTPS_NOMEM = 71,
    MTPS_IO = 74
};

/* On the caller's stack; NULL where it is not wanted. Stays as it is when all went well. */
struct mtps_error {
    char text[1536]; /* one line */
    char hint[512];  /* what to do, or empty */
    size_t row;      /* MTPS_DATA of mtps_score: the row at fault */
};

/* Version of the library, "1.2.3". */
MTPS_API const char *mtps_version(void);

/* ---- models ---- */

struct mtps_model;

enum mtps_open_flags {
    MTPS_SKIP_BIG_CHECKS = 1 /* no checksums of sections over 16 MiB: big tables open at
                                once, and damage in them is not noticed */
};

/* path: a bundle's file, its folder, or a folder of versions (the highest number). The
 * file is mapped and must not be changed while the model is open. flags: 0 or some of
 * mtps_open_flags; others are MTPS_USAGE. *model is NULL unless it is opened. */
MTPS_API enum mtps_status mtps_open(const char *path, unsigned flags, struct mtps_model **model,
                                    struct mtps_error *error);
/* NULL is fine. Scorers that exist go on working. */
MTPS_API void mtps_close(struct mtps_model *model);

struct mtps_info {
    const char *name;      /* of the configuration */
    const char *id;        /* 32 hexadecimal digits that name the contents */
    const char *path;      /* of the file */
    const char *rows;      /* "f32", "f16" or "i8": how embedding rows are kept */
    const char *created_by;
    int projected;         /* rows went through layer 1 at export: scores within 1e-6 */
    uint64_t version;      /* number of the exported version */
    uint64_t step;         /* of training */
    uint64_t n_rows;       /* of all tables */
    uint64_t bytes;        /* of the file */
};
MTPS_API void mtps_describe(const struct mtps_model *model, struct mtps_info *info);

/* ---- what a row holds ---- */

/* Inputs are the raw columns that features are made of (hourmin, not hour). */
struct mtps_input {
    const char *name;
    int is_list;   /* several values may be given */
    int is_number; /* its text must be a number */
};
MTPS_API size_t mtps_n_inputs(const struct mtps_model *model);
/* NULL unless i < mtps_n_inputs. */
MTPS_API const struct mtps_input *mtps_input(const struct mtps_model *model, size_t i);
/* Place of an input by name; -1 when there is none. */
MTPS_API ptrdiff_t mtps_find_input(const struct mtps_model *model, const char *name);

enum mtps_task_kind { MTPS_PROBABILITY, MTPS_NUMBER };
struct mtps_task {
    const char *name;
    enum mtps_task_kind kind;
};
MTPS_API size_t mtps_n_tasks(const struct mtps_model *model);
/* NULL unless i < mtps_n_tasks. */
MTPS_API const struct mtps_task *mtps_task(const struct mtps_model *model, size_t i);

/* ---- scoring raw values ---- */

/* Zeroed memory is a missing value. An integer counts as its decimal text, a real
 * number as the shortest text that reads back (21, not 21.0). */
enum mtps_kind { MTPS_MISSING, MTPS_TEXT, MTPS_INTEGER, MTPS_REAL, MTPS_LIST };
struct mtps_value {
    enum mtps_kind kind;
    size_t n; /* TEXT: bytes; LIST: values, none of them a list */
    union {
        const char *text; /* need not end with 0; NULL with n 0 only */
        int64_t integer;
        double real;
        const struct mtps_value *list;
    } u;
};
MTPS_API struct mtps_value mtps_text(const char *text); /* NULL: missing */
MTPS_API struct mtps_value mtps_integer(int64_t integer);
MTPS_API struct mtps_value mtps_real(double real);
MTPS_API struct mtps_value mtps_list(const struct mtps_value *values, size_t n);

/* Memory of one thread. Holds on to the model. *scorer is NULL unless it is made. */
struct mtps_scorer;
MTPS_API enum mtps_status mtps_scorer_create(struct mtps_model *model, struct mtps_scorer **scorer,
                                             struct mtps_error *error);
MTPS_API void mtps_scorer_destroy(struct mtps_scorer *scorer); /* NULL is fine */

/* scores[n_rows][n_tasks] of rows[n_rows][n_inputs], borrowed. MTPS_DATA names the row
 * and the value when one does not fit its input; then no score counts. Allocates nothing
 * once rows as large were scored. */
MTPS_API enum mtps_status mtps_score(struct mtps_scorer *scorer, const struct mtps_value *rows,
                                     size_t n_rows, float *scores, struct mtps_error *error);

/* ---- scoring prepared keys ---- */

/* Features are what the model is made of, in the order of the configuration. */
enum mtps_feature_kind {
    MTPS_FEATURE_KEYS,   /* ids: keys of an embedding table */
    MTPS_FEATURE_LEVELS, /* one_hot: keys of levels */
    MTPS_FEATURE_NUMBERS /* numbers before transforms; also ids that are made of buckets */
};
/* What a key of KEYS and LEVELS is made of. */
enum mtps_key_kind {
    MTPS_KEY_TEXT,   /* mtps_key of the text: its XXH3-64 */
    MTPS_KEY_NUMBER, /* the number itself (`key: uint64`) */
    MTPS_KEY_CROSS   /* the mix of the keys of two features (hash_pair in common/base/hash.h) */
};
struct mtps_feature {
    const char *name;
    enum mtps_feature_kind kind;
    int is_list;  /* KEYS: any number of keys on a row */
    size_t width; /* NUMBERS: numbers on a row */
    enum mtps_key_kind key;
};
MTPS_API size_t mtps_n_features(const struct mtps_model *model);
/* NULL unless i < mtps_n_features. */
MTPS_API const struct mtps_feature *mtps_feature(const struct mtps_model *model, size_t i);
/* Key of an id's or a level's text, for features of MTPS_KEY_TEXT. */
MTPS_API uint64_t mtps_key(const char *text, size_t bytes);

/* Values of one feature on all rows of a batch. */
struct mtps_column {
    const uint64_t *keys;    /* KEYS and LEVELS */
    const uint32_t *offsets; /* [n_rows + 1] first key of each row; NULL: one a row.
                                A row without a key is missing */
    const float *numbers;    /* NUMBERS: [n_rows, width], finite; NaN = missing */
};
/* columns[n_features]. durations[n_rows, n_tasks] of tasks whose score is a time made of
 * a share and a duration: one that is NaN or not above 0 counts as 0, as a missing one does;
 * NULL: all 0. */
MTPS_API enum mtps_status mtps_score_keys(struct mtps_scorer *scorer,
                                          const struct mtps_column *columns,
                                          const float *durations, size_t n_rows, float *scores,
                                          struct mtps_error *error);

#ifdef __cplusplus
}
#endif

#endif
