/* Raw rows of small files, in writing: for tests. A fixture is a temporary folder
 * and a configuration of one source in it (csv with a header line, all files
 * "*.in"), which a test changes before it reads. */
#ifndef MTPS_TESTS_RAW_SAMPLE_H
#define MTPS_TESTS_RAW_SAMPLE_H

#include <stddef.h>

#include "data/raw.h"
#include "tests/lib/tmpdir.h"

enum { SAMPLE_JOINS = 4, SAMPLE_COLUMNS = 16 };

struct raw_sample {
    struct tmpdir dir;
    struct data_cfg data;
    struct source_cfg *source; /* data.train */
    struct join_cfg joins[SAMPLE_JOINS];
    char patterns[1 + SAMPLE_JOINS][512];
    const char *files[1 + SAMPLE_JOINS];
    const char *names[SAMPLE_COLUMNS]; /* for `columns:` */
    const char *fixed[SAMPLE_COLUMNS]; /* of slot text */
    struct bad_rows bad;
    struct error err;
    enum status status;
    char out[1 << 16];
};

int raw_sample_setup(void **state);
int raw_sample_teardown(void **state);

/* Write a file of n bytes; a plain one ends at its 0. */
void raw_sample_file(struct raw_sample *s, const char *name, const char *text);
void raw_sample_bytes(struct raw_sample *s, const char *name, const void *bytes,
                      size_t n);
/* The source has these columns ("a,b,c") instead of a header line. */
void raw_sample_columns(struct raw_sample *s, const char *names);
/* One more join, csv with a header line: file pattern and key. */
struct join_cfg *raw_sample_join(struct raw_sample *s, const char *pattern,
                                 const char *key);

/* Rows reduced to columns "a,b,c": values joined by "|", a missing one as "~",
 * several values of one name joined by "+", rows ended by a line end. On an error
 * what was read so far, then "! " and its text. */
const char *raw_sample_read(struct raw_sample *s, const char *columns);

#endif
