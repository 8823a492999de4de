/* A job: the ranks of one training, evaluation or prediction and what each of
 * them holds. Wires servers and workers together: the one place that knows both.
 *
 *   job_open      transport, roles, same build and configuration everywhere
 *   job_data      headers, prepared files, data sets          (leader first)
 *   job_model     statistics, model; servers are made and start serving
 *   ...           work of the workers
 *   job_close     servers leave, all ranks agree on one exit code
 *
 * Every call is collective over all ranks until the servers serve. A failure on
 * any rank before that is agreed on by all; afterwards, and whenever a rank is
 * lost, it ends the job at once with its exit code: see job_aborts. */
#ifndef MTPS_CLI_JOB_H
#define MTPS_CLI_JOB_H

#include "common/net/topology.h"
#include "common/net/transport.h"
#include "ps/server.h"
#include "worker/client.h"
#include "worker/crew.h"
#include "worker/session.h"
#include "common/base/threads.h"

struct job {
    struct settings *settings;  /* borrowed */
    struct transport *net;      /* NULL in one process */
    struct topology topology;
    bool is_server, leader;
    struct crew crew;
    struct threads *threads;
    struct session *session;    /* workers */
    struct server *server;      /* servers, and the worker of one process */
    struct server_port port;    /* one process: the server as the client sees it */
    struct client *client;      /* workers */
    bool serving;
};

/* mine: outcome of what this rank did before (arguments, configuration), agreed
 * on first. n_servers SIZE_MAX: as configured. settings may be NULL when mine is
 * not ST_OK. */
enum status job_open(struct job *j, struct settings *settings, size_t n_servers, enum status mine,
                     struct error *err) MUST_USE;
/* All ranks get the worst status. */
enum status job_agree(struct job *j, enum status mine, const char *what, struct error *err) MUST_USE;
/* The leader's text on every rank (NULL stays NULL); *text is replaced, freed with mem_free. */
enum status job_tell(struct job *j, char **text, struct error *err) MUST_USE;

enum status job_data(struct job *j, const struct session_spec *spec, struct error *err) MUST_USE;
/* ckpt: open on every worker, or NULL to fit on the training rows. On return
 * servers serve until the workers say goodbye (server ranks return from here
 * only then); workers have clients. */
enum status job_model(struct job *j, struct ckpt *ckpt, struct error *err) MUST_USE;
/* Its two halves, for what comes between them. */
enum status job_make_model(struct job *j, struct ckpt *ckpt, struct error *err) MUST_USE;
enum status job_serve(struct job *j, struct error *err) MUST_USE;

/* Does this rank's outcome end the whole job at once? When servers serve, or a rank
 * is lost, the others are in no state to agree on anything. */
bool job_aborts(const struct job *j, enum status st);

/* This rank's outcome, to be asked for before anything is made of it: ST_PEER when
 * another rank has ended the job meanwhile (and this one still lives). */
enum status job_outcome(struct job *j, enum status st, struct error *err);

/* End of the job with this rank's outcome: prints the error, gives the exit code
 * that all ranks agreed on. Frees everything but the settings. */
int job_close(struct job *j, enum status st, struct error *err);

#endif
