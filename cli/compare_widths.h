/* --equal-params: layer widths, scaled by one factor, that bring a model's number
 * of dense parameters as near as possible to a given one. */
#ifndef MTPS_CLI_COMPARE_WIDTHS_H
#define MTPS_CLI_COMPARE_WIDTHS_H

#include <stddef.h>

#include "common/config/settings.h"

/* The hidden widths of one part of the model. */
enum { WIDTHS_MAX_PARTS = 4, WIDTHS_MAX_LAYERS = 16, WIDTHS_MAX = 65536 };
struct widths {
    size_t n; /* parts */
    struct {
        const char *key; /* "model.experts.layers" */
        size_t v[WIDTHS_MAX_LAYERS], n;
    } part[WIDTHS_MAX_PARTS];
};

/* The parts that these settings' model type uses and that may be scaled: experts,
 * bottom, the two towers of user and item; the tasks' towers (model.towers) where there
 * is nothing else. ST_USAGE with too many layers. */
enum status widths_of(const struct settings *s, struct widths *out,
                      struct error *err) MUST_USE;

/* Every width times the factor, rounded, 1 to WIDTHS_MAX. */
struct widths widths_scaled(const struct widths *base, double factor);

/* Parameters of a model with these widths. */
typedef enum status (*widths_count_fn)(void *arg, const struct widths *w, size_t *params,
                                       struct error *err);

/* The scaled widths whose number of parameters is nearest to target (of two
 * equally near, the smaller). The number must not fall when widths grow. *params:
 * the number reached. */
enum status widths_solve(const struct widths *base, size_t target, widths_count_fn count,
                         void *arg, struct widths *out, size_t *params,
                         struct error *err) MUST_USE;

#endif
