/* Reader of golden.txt: lines of KEY NAME COUNT VALUES..., kept in memory. */
#ifndef MTPS_TESTS_GOLDEN_FILE_H
#define MTPS_TESTS_GOLDEN_FILE_H

#include <stddef.h>

struct golden_line {
    const char *key, *name;
    size_t n;
    double *v;        /* [n]; NULL for lines whose value is a word */
    const char *word; /* "case NAME 1 WORD" */
};

struct golden_file {
    char *text;
    struct golden_line *lines;
    size_t n;
};

/* A file that cannot be read is a test failure. */
void golden_open(struct golden_file *f, const char *path);
void golden_close(struct golden_file *f);

/* The first line from `from` on with that key and name (NULL: any); stops before
 * the next case. NULL when there is none. */
const struct golden_line *golden_find(const struct golden_file *f, size_t from,
                                      const char *key, const char *name);

#endif
