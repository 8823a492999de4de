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
    uint64_t admit;
    char *waiting; /* name of the ids that wait for a row; NULL: none do */
    uint8_t rate;      /* place in the server's rates */
};

/* What a rate is in the step at work. */
struct rate_now {
    enum { RATE_PLAIN, RATE_FROZEN, RATE_SCALED, RATE_SET } kind;
    float x; /* factor; value */
};

/* A bucket sub-range and a dense sub-range, with one owning thread. */
struct shard {
    struct range buckets;
    struct range dense;    /* floats of this server's part */
    struct table **tables; /* [n_tables] */
    struct table **waiting; /* [n_tables] of dim 0: ids without a row; NULL: none wait */
    struct memo *memo;
    struct join_work work;
    struct join_rows rows;
    float *grad; /* [widest row] with l2 added */
    float *before; /* [largest dim] a row as it was */
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
    float *slots[OPTIM_MAX_SLOTS]; /* [n_dense] or NULL; both optimisers' */
    size_t n_slots;
    struct range part; /* of this server's floats: spec.dense_part's */
    float *decay;                  /* [n_dense] of 0 and 1, or NULL */
    struct wire_rate *rates;       /* [n_rates], or NULL: all learn plainly */
    struct rate_now *rates_now;    /* [n_rates] */
    uint8_t *rate_of;              /* [n_dense] */
    size_t n_rates;
    float *joined;                 /* [n_dense], only with clip_norm */
    double *squares;               /* [n_blocks], only with clip_norm */
    float clip_scale;

    struct shard *shards;
    struct worker_slot *workers;
    struct join_plan plan;
    struct optim dense_step, part_step;

    uint64_t step, updates; /* steps done; of these applied */
    struct wire_past past;  /* before this run */
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

/* What the rates are in this step; dense floats that do not learn plainly are put right after
 * the optimiser (rates.c). */
void rates_step(struct server *s);
/* A block before and after the optimiser's work on it. */
struct rates_block {
    float params[DENSE_BLOCK], slots[OPTIM_MAX_SLOTS][DENSE_BLOCK];
    bool used;
};
void rates_before(const struct server *s, size_t first, size_t n, struct rates_block *b);
void rates_after(struct server *s, size_t first, size_t n, const struct rates_block *b);
struct rate_now rates_of_table(const struct server *s, size_t table);
enum status rates_set(struct server *s, const struct wire_rates *r, struct error *err) MUST_USE;

/* Tables start empty, dense slots fresh. */
void server_clear(struct server *s);
/* Dense slots as they are before the first update. */
void server_fresh_slots(struct server *s);

/* Rows of this server's buckets from and to a checkpoint (snapshot.c). */
/* loads: [n_tables], or NULL: every table is there, and fits, under its own name. */
enum status server_load(struct server *s, const char *path, const struct wire_load *loads,
                        struct error *err) MUST_USE;
enum status server_save(struct server *s, const char *temp, struct wire_file *out,
                        struct error *err) MUST_USE;
void server_digest(const struct server *s, uint64_t *low, uint64_t *high);

/* Rows of n keys side by side from the right shards, nothing inserted. */
void server_pull(const struct server *s, size_t table, size_t n, const uint64_t *keys,
                 float *out);

#endif
