/* Prepared data of small files, for tests: a temporary folder, a configuration
 * over files in it ("${dir}/a.csv"; the cache is "${dir}/cache"), and what is
 * opened from them. */
#ifndef MTPS_TESTS_DATA_SAMPLE_H
#define MTPS_TESTS_DATA_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/dataset.h"
#include "tests/lib/tmpdir.h"

struct data_sample {
    struct tmpdir dir;
    struct settings *settings;
    struct schema *schema;
    struct prepare_options opt;
    struct bad_rows bad;
    char *path;
    struct dataset *data;
    struct fit *fit;
    struct error err;
};

int data_sample_setup(void **state);
int data_sample_teardown(void **state);
/* Close what is open; files and the cache stay. */
void data_sample_close(struct data_sample *s);

void data_sample_file(const struct data_sample *s, const char *name, const char *text);
/* n rows "row,user,item,price,tags,click": row counts from first; a learnable mix
 * with missing values. */
void data_sample_rows(const struct data_sample *s, const char *name, size_t first,
                      size_t n);

/* Read this configuration: head ("version", "name", "vars", model, cache) is put
 * in front, so `body` holds data (without cache), features and tasks; sets are
 * more --set values ("a=b"), ended by NULL; may be NULL. */
enum status data_sample_config(struct data_sample *s, const char *body,
                               const char *const *sets);
/* Columns of data.train (data.eval when `use` is USE_EVAL) and the schema. */
enum status data_sample_schema(struct data_sample *s, enum use use);
enum status data_sample_prepare(struct data_sample *s, enum use use);
enum status data_sample_open(struct data_sample *s, enum use use); /* all of the above */
enum status data_sample_fit(struct data_sample *s, size_t lane_rows);
/* config, open for training, fit: each must succeed. */
void data_sample_train(struct data_sample *s, const char *body, const char *const *sets);

/* Key that feature `name` sees as its j-th value on row r of a batch. */
uint64_t batch_key(const struct data_sample *s, const struct batch *b, const char *name,
                   size_t r, size_t j);
size_t batch_values(const struct data_sample *s, const struct batch *b, const char *name,
                    size_t r);
/* Everything that batch.h promises of a batch holds. */
void batch_check(const struct batch *b);
/* A hash of what a model sees (not of codes, which depend on the dictionary). */
uint64_t batch_hash(const struct batch *b, uint64_t seed);
/* All selected rows in input order as one batch_hash. */
uint64_t data_sample_hash(struct data_sample *s, size_t batch_rows);

#endif
