/* One version of a model, open and warm, with the scorers that score it. Counted by its
 * holders: a request that began with it ends with it, whatever is loaded meanwhile. */
#ifndef MTPS_SERVE_HTTP_SERVED_H
#define MTPS_SERVE_HTTP_SERVED_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "serve/http/names.h"

struct served_spec {
    size_t n_scorers;    /* that score at the same time */
    unsigned open_flags; /* enum mtps_open_flags */
    const char *warm_up; /* JSON lines, a row each as in "instances"; or NULL */
};

/* What tells a file from the one that takes its place. */
struct served_stamp {
    struct timespec written;
    ino_t inode;
    off_t bytes;
};

enum { SERVED_MAX_WARM_UP = 16 << 20 };

struct served {
    _Atomic size_t holders;
    struct mtps_model *model;
    struct mtps_info info;
    struct names names;
    uint64_t version;
    struct served_stamp file; /* when it was opened; for models.c */
    pthread_mutex_t lock;
    pthread_cond_t back;
    struct mtps_scorer **idle; /* [n_scorers] */
    size_t n_idle, n_scorers;
};

/* version 0: the one that the bundle names. Every scorer scores the rows of the warm-up
 * once; rows that do not fit and scores that are not finite make the version unusable. */
enum status served_open(const char *path, uint64_t version, const struct served_spec *spec,
                        struct served **out, struct error *err) MUST_USE;
void served_hold(struct served *v);
void served_release(struct served *v); /* NULL is fine */

/* mtps_score with a scorer that is idle. Any thread. */
enum mtps_status served_score(struct served *v, const struct mtps_value *rows, size_t n_rows, float *scores,
                              struct mtps_error *error);

#endif
