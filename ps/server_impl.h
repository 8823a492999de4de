/* Inside of a server: shared by the files of ps/ alone. */
#ifndef MTPS_PS_SERVER_IMPL_H
#define MTPS_PS_SERVER_IMPL_H

#include "common/math/optim.h"
#include "ps/join.h"
#include "ps/memo.h"
#include "ps/server.h"
#include "ps/table.h"

enum { STEP_FLAGS = WIRE_NONFINITE | WIRE_REQUESTS };

struct server_table {
    char *name;
    size_t dim;
    struct optimizer_cfg optimizer;
    struct optim_layout layout;
    struct optim step; /* numbers of the step at work */
    float l2;
};

/* A bucket sub-range and a dense sub-range, with one owning thread. */
struct shard {
    struct range buckets;
    struct range dense;    /* floats of this server's part */
    struct table **tables; /* [n_tables] */
    struct memo *memo;
    struct join_work work;
    struct join_rows rows;
    float *grad; /* [widest row] with l2 added */
    uint64_t keys_pushed, keys_pulled;
    enum status status; /* of this step */
    struct error err;
};

/* What one worker sent and gets back in the step at work. */
struct worker_slot {
    bool here;
    struct wire_step view;
    float *rows; /* answers of all tables, packed, each table rounded up to 8 bytes */
    size_t capacity;
    const float **answer; /* [n_tables] into rows */
    size_t *n_rows;       /* [n_tables] */
};

struct server {
    struct server_spec spec; /* tables, dense optimiser and schedule copied */
    struct server_table *tables;
    struct range buckets, dense; /* of the whole; dense in floats */
    size_t n_dense, n_blocks;

    float *params;                 /* [n_dense] */
    float *slots[OPTIM_MAX_SLOTS]; /* [n_dense] or NULL */
    float *decay;                  /* [n_dense] of 0 and 1, or NULL */
    float *joined;                 /* [n_dense], only with clip_norm */
    double *squares;               /* [n_blocks], only with clip_norm */
    float clip_scale;

    struct shard *shards;
    struct worker_slot *workers;
    struct join_plan plan;
    struct optim dense_step;

    uint64_t step, updates; /* steps done; of these applied */
    bool step_known;
    size_t n_here;
    uint32_t flags; /* ORed over the workers of the step at work */
    bool pushing;   /* the step at work applies gradients */
    bool finished;  /* counters moved on already */
    struct wire_stats stats;

    /* Called while saving and loading; NULL in one process. */
    void (*progress)(void *arg, uint64_t counter);
    void *progress_arg;
};

/* Tables start empty, dense slots fresh. */
void server_clear(struct server *s);

/* Rows of this server's buckets from and to a checkpoint (snapshot.c). */
enum status server_load(struct server *s, const char *path, struct error *err) MUST_USE;
enum status server_save(struct server *s, const char *temp, struct wire_file *out,
                        struct error *err) MUST_USE;
void server_digest(const struct server *s, uint64_t *low, uint64_t *high);

/* Rows of n keys side by side from the right shards, nothing inserted. */
void server_pull(const struct server *s, size_t table, size_t n, const uint64_t *keys,
                 float *out);

#endif
