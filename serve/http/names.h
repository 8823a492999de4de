/* Names of a model's inputs and tasks, found in constant time: a request may name each of
 * thousands of inputs on each of thousands of rows. Read-only after opening. */
#ifndef MTPS_SERVE_HTTP_NAMES_H
#define MTPS_SERVE_HTTP_NAMES_H

#include <stdint.h>

#include "common/base/status.h"
#include "data/text.h"
#include "serve/include/mtps.h"

struct names {
    const struct mtps_model *model;
    size_t n_inputs, n_tasks;
    size_t *n_bytes;  /* [n_inputs] of each input's name */
    uint32_t *places; /* [mask + 1] input + 1; 0: free */
    size_t mask;
};

enum status names_open(struct names *n, const struct mtps_model *model, struct error *err) MUST_USE;
void names_close(struct names *n);

/* SIZE_MAX when there is none. after: the input that was found before this one, or
 * SIZE_MAX; requests that keep the model's order are not hashed. */
size_t names_input(const struct names *n, struct text name, size_t after);
size_t names_task(const struct names *n, struct text name);

/* "NAME: the model has no such input", with the nearest name as a hint; ST_DATA. */
enum status names_unknown_input(const struct names *n, struct text name, struct error *err);

#endif
