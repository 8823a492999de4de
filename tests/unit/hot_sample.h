/* Models and checkpoints for tests of hot starts: two ids with tables, a list, a number, a
 * one_hot; tasks click and like; cgc with one own and two shared experts on one level,
 * unless sets say otherwise. */
#ifndef MTPS_TESTS_HOT_SAMPLE_H
#define MTPS_TESTS_HOT_SAMPLE_H

#include "tests/lib/tmpdir.h"
#include "worker/hot_start.h"

#define SETS(...) (const char *const[]){__VA_ARGS__, NULL}

struct hot_side_sample {
    struct settings *settings;
    struct session *session; /* with its model */
};

/* Fails the test with err's text unless st is ST_OK. */
void hot_sample_check(enum status st, const struct error *err);

/* Rows for sessions, once per test program. */
void hot_sample_data(struct tmpdir *dir);
void hot_sample_open(const struct tmpdir *dir, const char *const *sets, struct ckpt *hot,
                     struct hot_side_sample *out);
void hot_sample_close(struct hot_side_sample *s);

enum { HOT_ROWS = 40 }; /* rows of every table: row i was seen i + 1 times, last in step i */
/* The ids are u20 ... u59 in every table; the data has users u0 to u29, items i0 to i16. */
enum { HOT_FIRST_USER = 20, HOT_DATA_ROWS = 300, HOT_DATA_USERS = 30, HOT_DATA_ITEMS = 17 };
/* Its run began at step 100 of all, the two before at 20 and 30. */
enum { HOT_STEP = 50, HOT_UPDATES = 48 };
/* A checkpoint of that model under dir/name: tensors as initialised with seed 99, slots 0
 * and 1 of them 2 and 3 times their amounts, rows from hot_sample_row, the session's rates. *path:
 * mem_free. */
void hot_sample_save(const struct tmpdir *dir, const char *name, const struct hot_side_sample *s,
                     char **path);
uint64_t hot_sample_key(size_t i);
float hot_sample_row(size_t i, size_t place);  /* of the weights; state is 10 times that */

#endif
