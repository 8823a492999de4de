/* Names of tables and tensors taken apart, and patterns over them (docs/hot-start.md):
 * table/NAME, tower/TASK/layer0/w, expert/level0/{shared|TASK}/2/layer0/w/FEATURE.
 * Names alone say what a tensor is of; no type of model is known here. */
#ifndef MTPS_WORKER_HOT_NAMES_H
#define MTPS_WORKER_HOT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"
#include "common/config/settings.h"

enum { HOT_NAME = 1024 }; /* bytes of a name at most, with its end */

/* A stretch of a name; n = 0: there is none. */
struct hot_part {
    const char *at;
    size_t n;
};

/* The component in a task's place: the second, or the third behind level0; "shared",
 * layer0 and the like when the tensor is no task's. */
struct hot_part hot_task(const char *name);
/* The features whose inputs or outputs the weights belong to, behind /w/, /v/, /u/ or /b/:
 * none, one, or two (cross/layer0/w/FROM/TO). */
enum { HOT_FEATURES = 2 };
size_t hot_features(const char *name, struct hot_part out[HOT_FEATURES]);
bool hot_part_is(struct hot_part p, const char *text);
/* The task of s that the name belongs to, or SIZE_MAX. */
size_t hot_task_of(const struct settings *s, const char *name);
/* Length of the unit's name: all before /layer0/... */
size_t hot_unit(const char *name);

/* A pattern with * and ? (which also stand for /) fits a name, or the components that
 * the name begins with; task/P fits what belongs to a task of s that P fits; feature/P
 * fits first-layer weights of features. */
bool hot_fits(const char *pattern, const char *name, const struct settings *s);

/* The name in the checkpoint of what is called `name` now. *by: the rename's place among
 * pairs, SIZE_MAX when none fits; *by2: another one that says otherwise, or SIZE_MAX.
 * NULL: out of memory. */
const char *hot_renamed(struct arena *a, const struct pairs_cfg *renames, const char *name,
                        size_t *by, size_t *by2);
/* One side of a rename (NEW, or OLD) has to do with the name. */
bool hot_concerns(const char *side, const char *name);

#endif
