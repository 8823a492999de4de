/* A PaddleRec configuration as the draft of one of ours. What has a counterpart is
 * taken over: data folders, slots, sizes, optimiser, learning rate, batch, epochs.
 * Every other key becomes a comment line that says why not.
 *
 *   paddlerec.c       the YAML tree: what is used, what is left
 *   paddlerec_data.c  what its readers take the files to be
 *   paddlerec_model.c model, optimiser, training */
#ifndef MTPS_CLI_PADDLEREC_H
#define MTPS_CLI_PADDLEREC_H

#include "common/config/node.h"
#include "data/guess.h"

/* Draft from a PaddleRec YAML. q: data given on the command line, which go before
 * those of the file; may be empty. Data that are there are looked at (guess_read);
 * otherwise the columns are those of PaddleRec's own readers. ST_NOINPUT, ST_USAGE.
 * Caller frees with guess_destroy. */
enum status paddlerec_draft(const char *file, const struct guess_request *q,
                            struct guess **out, struct error *err) MUST_USE;

/* ---- inside cli/paddlerec*.c ---- */

enum { PADDLEREC_KEYS = 1024 };

struct paddlerec_key {
    const char *path; /* "runner.epochs" */
    const struct node *value;
    bool used;
};

struct paddlerec {
    struct arena *arena;
    const char *file;
    struct paddlerec_key keys[PADDLEREC_KEYS];
    size_t n;
};

/* The text of a scalar, or the value; NULL when the key is not written. Marks it used. */
const char *paddlerec_text(struct paddlerec *p, const char *path);
const struct node *paddlerec_value(struct paddlerec *p, const char *path);
/* A whole number; 0 when it is not written or none. */
size_t paddlerec_count(struct paddlerec *p, const char *path);
bool paddlerec_has(const struct paddlerec *p, const char *path);

/* The guess that fits the file and the request. */
enum status paddlerec_data(struct paddlerec *p, const struct guess_request *q,
                           struct guess **out, struct error *err) MUST_USE;
/* g->plan. */
enum status paddlerec_model(struct paddlerec *p, struct guess *g,
                            struct error *err) MUST_USE;

#endif
