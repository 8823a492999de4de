/* A whole training as one worker sees it: steps, progress, validation, early
 * stopping, checkpoints, requests by signal, final evaluation. Collective over
 * the workers. */
#ifndef MTPS_WORKER_RUN_H
#define MTPS_WORKER_RUN_H

#include <jansson.h>

#include "common/store/file.h"
#include "worker/report.h"
#include "worker/saver.h"
#include "worker/scorer.h"

struct run_spec {
    const struct session *session; /* train, valid and eval opened; model made */
    struct client *client;
    const struct crew *crew;
    struct threads *threads;
    const char *run_dir;
    struct lock *lock;        /* leader */
    struct report *report;    /* leader */
    const char *run_uuid;     /* leader */
    const char *build;        /* id of this program */
    struct train_state start; /* all zero for a fresh run; same on all workers */
    const char *start_path;   /* the checkpoint it came from, or NULL */
    struct ckpt *start_ckpt; /* the same, open, its state read */
};

/* Trains to the end (ST_OK) or to a request to stop (ST_STOPPED, after a
 * committed checkpoint). *result (new reference, leader only): the JSON of
 * `mtps train --json`. */
enum status run_train(const struct run_spec *spec, json_t **result, struct error *err) MUST_USE;

#endif
