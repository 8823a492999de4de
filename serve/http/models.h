/* The models that are served: each a name, a place on disk and the versions that are open.
 *
 * A place is a bundle, or a folder of versions (folders whose names are numbers). The place
 * may be named through symbolic links; nothing inside of it is followed. Of a
 * folder the newest versions are open, as many as the specification says; a look at the
 * folder opens new ones, warm, before anything changes, and lets go of old ones, and of
 * those that were removed from disk. A version that cannot be opened is left out until its
 * file changes: what was served before stays. A file warm_up.jsonl beside the versions
 * holds rows that every version must be able to score. */
#ifndef MTPS_SERVE_HTTP_MODELS_H
#define MTPS_SERVE_HTTP_MODELS_H

#include <stdbool.h>

#include "serve/http/served.h"

#define MODELS_WARM_UP "warm_up.jsonl"

enum { MODELS_MAX_VERSIONS = 64 };

struct models_spec {
    size_t n_versions; /* of each model, 1 to MODELS_MAX_VERSIONS */
    size_t n_scorers;
    unsigned open_flags;
    /* A line for people; any thread. failed: somebody should look. */
    void (*say)(void *arg, bool failed, const char *text);
    void *arg;
};

struct models_item {
    const char *name; /* NULL until a bundle says it */
    const char *path;
    _Atomic uint64_t rows, requests;  /* scored */
    _Atomic uint64_t opened, refused; /* versions */
    /* inside */
    pthread_mutex_t lock;
    struct served *versions[MODELS_MAX_VERSIONS]; /* newest first; each held */
    size_t n_versions;
    struct models_broken *broken;
    size_t n_broken;
};

struct models {
    struct models_spec spec;
    struct models_item *items;
    size_t n_items;
};

enum status models_create(const struct models_spec *spec, struct models **out, struct error *err) MUST_USE;
void models_destroy(struct models *m);
/* Before the first request. name: [A-Za-z0-9._-]{1,255}, not "." or ".."; NULL is the one
 * in the bundle.
 * Opens at least one version: fails when there is none that can be used. */
enum status models_add(struct models *m, const char *name, const char *path, struct error *err) MUST_USE;

/* Look at the folders. One thread at a time. again: also at what was broken. */
void models_look(struct models *m, bool again);

/* NULL when there is none. */
struct models_item *models_find(struct models *m, const char *name, size_t n);
/* version 0: the newest. Held for the caller; NULL when it is not open. */
struct served *models_hold(struct models_item *item, uint64_t version);
/* All open versions, newest first, held; gives their number. */
size_t models_hold_all(struct models_item *item, struct served *out[MODELS_MAX_VERSIONS]);

#endif
