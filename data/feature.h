/* From the texts of one raw row to what a model sees: keys of ids, numbers,
 * labels. The same code serves preparation and scoring.
 *
 * A row that does not fit gives ST_DATA: why is in the error's text, the column
 * at fault (SIZE_MAX: unknown) in the scratch. */
#ifndef MTPS_DATA_FEATURE_H
#define MTPS_DATA_FEATURE_H

#include "data/raw.h"
#include "data/schema.h"

/* Keys of one multi-valued feature on one row; memory is kept between rows. */
struct feature_keys {
    uint64_t *v;
    size_t n, max;
};

struct feature_scratch {
    struct expr_scratch *expr;
    struct text *inputs; /* of the expression being evaluated */
    struct text *pieces; /* of a list being cut */
    size_t max_pieces;
    size_t bad_column; /* index into the schema's columns */
};

enum status feature_scratch_create(const struct schema *s, struct feature_scratch **out,
                                   struct error *err) MUST_USE;
void feature_scratch_destroy(struct feature_scratch *x);

/* Key that stands for a missing single id: that of the text `missing`. */
uint64_t feature_missing_key(void);
/* Key of bucket i of a bucketized feature: that of its decimal text. */
uint64_t feature_bucket_key(size_t bucket);

/* fields: in the order of the schema's columns. */
enum status feature_id(const struct schema *s, size_t feature,
                       const struct raw_field *fields, struct feature_scratch *x,
                       uint64_t *key, struct error *err) MUST_USE;
/* The kept values of a multi-valued feature; out->n = 0 when missing. */
enum status feature_ids(const struct schema *s, size_t feature,
                        const struct raw_field *fields, struct feature_scratch *x,
                        struct feature_keys *out, struct error *err) MUST_USE;
/* *present is false when missing. */
enum status feature_level(const struct schema *s, size_t feature,
                          const struct raw_field *fields, struct feature_scratch *x,
                          uint64_t *key, bool *present, struct error *err) MUST_USE;
/* out[width]; NaN = missing. */
enum status feature_numbers(const struct schema *s, size_t feature,
                            const struct raw_field *fields, struct feature_scratch *x,
                            float *out, struct error *err) MUST_USE;
/* The texts of an id or one_hot feature, as they are hashed, to be shown: *n of
 * them (0 = missing), valid until the next call. A cross gives both its parts. buf:
 * FEATURE_TEXT bytes. */
enum { FEATURE_TEXT = 128 };
enum status feature_texts(const struct schema *s, size_t feature,
                          const struct raw_field *fields, struct feature_scratch *x,
                          char *buf, const struct text **out, size_t *n,
                          struct error *err) MUST_USE;
/* NaN when absent; weight is 1 by default, 0 when absent. */
enum status feature_label(const struct schema *s, size_t task,
                          const struct raw_field *fields, struct feature_scratch *x,
                          float *label, float *weight, struct error *err) MUST_USE;
/* Of a task with a duration; 0 when it is missing or not above 0. */
enum status feature_duration(const struct schema *s, size_t task,
                             const struct raw_field *fields, struct feature_scratch *x,
                             float *duration, struct error *err) MUST_USE;

#endif
