/* A small bundle with every kind of feature, for tests: made of a configuration in the
 * code and of random parameters, so that it needs no training. */
#ifndef MTPS_TESTS_BUNDLE_SAMPLE_H
#define MTPS_TESTS_BUNDLE_SAMPLE_H

#include "data/fit_impl.h"
#include "model/assemble.h"
#include "serve/bundle_write.h"
#include "serve/lookup.h"
#include "tests/lib/tmpdir.h"

enum { SAMPLE_KEYS = 50, SAMPLE_DIM = 4, SAMPLE_ITEMS = 20 };

struct bundle_sample {
    struct tmpdir dir;
    char path[512]; /* of the bundle */
    struct settings *settings;
    struct schema *schema;
    struct fit *fit;
    struct model *model;
    size_t table_dim[8];
    float *params;
    float *rows; /* [SAMPLE_KEYS, SAMPLE_DIM] of every table: ids "0" to "49" */
    struct error err;
};

/* Columns: user, item, tags (list), price (number with gaps, a column of the side table of
 * items), color (one_hot), age
 * (buckets), hourmin (an expression). Tasks: click, and watched, a share of `length`. */
int bundle_sample_setup(void **state); /* writes the file with f32 rows */
int bundle_sample_teardown(void **state);
/* Another file of the same model. */
void bundle_sample_write(struct bundle_sample *s, const char *path, enum section_type rows);
/* The same file with f32 rows, whose settings say `new` in place of `old`. */
void bundle_sample_write_changed(struct bundle_sample *s, const char *path, const char *old, const char *new);
/* The same with projected rows, and with the side table inside: items "0" to "19" have the
 * prices of bundle_sample_price. */
void bundle_sample_write_whole(struct bundle_sample *s, const char *path);
const char *bundle_sample_price(size_t item);
/* All bytes of a file, mem_free. */
unsigned char *bundle_sample_read(const char *path, size_t *n);
void bundle_sample_put(const char *path, const unsigned char *bytes, size_t n);

#endif
