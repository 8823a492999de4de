/* What a worker holds besides the servers: the data it reads, the statistics
 * that are part of the model, and the model. Built the same way for train, eval,
 * predict and bench. The leader prepares data; other workers find it in the cache. */
#ifndef MTPS_WORKER_SESSION_H
#define MTPS_WORKER_SESSION_H

#include "common/net/topology.h"
#include "common/net/transport.h"
#include "data/dataset.h"
#include "model/tables.h"

enum session_use { SESSION_TRAIN = 1, SESSION_VALID = 2, SESSION_EVAL = 4, SESSION_INPUT = 8 };

struct session_spec {
    const struct settings *settings; /* borrowed, as everything here */
    struct transport *net;           /* NULL in one process */
    unsigned uses;
    const struct source_cfg *input;  /* SESSION_INPUT: rows to score */
    const char *const *keep;         /* columns whose text is kept */
    size_t n_keep;
    const char *keep_option;         /* who asks for them: "--keep" */
};

struct session {
    struct session_spec spec;
    struct schema *schema;
    struct dataset *train, *valid, *eval; /* those in use; eval also holds SESSION_INPUT */
    struct bad_rows bad;                  /* of the training (or only) source */
    struct fit *fit;
    struct model *model;
    uint8_t *project;  /* [n_features] form of layer 1, kept in checkpoints */
    struct model_tables *tables;
    char *data_digest; /* of what training reads; its session alone has one */
    struct rates *rates; /* of a hot start, or NULL: everything learns plainly */
    struct ckpt *hot;  /* borrowed: a hot start that keeps this checkpoint's statistics, or NULL */
};

/* Read headers, prepare (or find) the files in use, open and select. */
enum status session_open(const struct session_spec *spec, struct session **out, struct error *err) MUST_USE;
void session_close(struct session *s);

/* Statistics and model: from a checkpoint (its statistics and forms), or with
 * ckpt NULL fitted on the training rows. */
enum status session_model(struct session *s, struct ckpt *ckpt, struct error *err) MUST_USE;

/* After session_model: the rates that a checkpoint of this run holds, or those of a plan. */
struct hot_plan;
enum status session_rates(struct session *s, struct ckpt *ckpt, const struct hot_plan *plan,
                          struct error *err) MUST_USE;

/* ST_MISMATCH unless the session's training data (and validation data in files of
 * its own) is what the checkpoint was trained on. */
enum status session_same_data(const struct session *s, const struct ckpt *ckpt,
                              struct error *err) MUST_USE;

/* Rows of a full lane batch, and steps that training will take. */
size_t session_lane_rows(const struct settings *s);
uint64_t session_total_steps(const struct session *s);

/* Dense parameters (what checkpoints hold, no padding) of the model that these
 * settings make of the session's features and statistics. They may differ from
 * the session's own in `model`, `train` and the tasks' parts. After session_model. */
enum status session_count_params(const struct session *s, const struct settings *settings,
                                 size_t *params, struct error *err) MUST_USE;

/* Capacities for model_work_create and infer for batches of `rows`; arrays live
 * in the session's caps, freed with it. */
struct session_caps {
    struct model_caps caps;
    size_t *max_keys; /* [tables->n] distinct keys at most */
};
enum status session_caps_make(const struct session *s, const struct dataset *d, size_t rows,
                              struct session_caps *out, struct error *err) MUST_USE;
void session_caps_close(struct session_caps *c);

#endif
