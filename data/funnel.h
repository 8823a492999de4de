/* Labels of the tasks of model.funnel. A step counts only where all before it happened:
 * its label is the product of the labels up to it ("and", where they are 0 or 1), and
 * absent (NaN) where one of them is: nothing is made 0 that nobody saw.
 *
 * Prepared files hold labels as their columns say; whoever reads a block takes them
 * from here. labels: [n_tasks] of a row, of its columns. */
#ifndef MTPS_DATA_FUNNEL_H
#define MTPS_DATA_FUNNEL_H

#include <math.h>

#include "common/config/settings.h"

/* Place of a task in the funnel, from 0; SIZE_MAX: it is in none. */
static inline size_t funnel_step(const struct settings *s, size_t task)
{
    const struct sizes_cfg *steps = &s->model.steps;
    for (size_t i = 0; i < steps->n; i++)
        if (steps->v[i] == task) return i;
    return SIZE_MAX;
}

/* Label of steps 0 .. step, NaN when one is absent. */
static inline float funnel_reached(const struct settings *s, const float *labels,
                                   size_t step)
{
    float y = 1;
    for (size_t i = 0; i <= step; i++) y *= labels[s->model.steps.v[i]];
    return y;
}

/* Label of a task as training and metrics take it. */
static inline float funnel_label(const struct settings *s, const float *labels, size_t task)
{
    size_t step = funnel_step(s, task);
    return step == SIZE_MAX ? labels[task] : funnel_reached(s, labels, step);
}

/* Rows of a later step that say something about the data. */
struct funnel_rows {
    uint64_t violations; /* it happened without the step before: counts as 0 */
    uint64_t ended;      /* the step before did not happen */
    uint64_t unlabelled; /* ... and this one has no label */
};

static inline void funnel_count(const struct settings *s, const float *labels, size_t task,
                                struct funnel_rows *out)
{
    size_t step = funnel_step(s, task);
    if (step == SIZE_MAX || step == 0) return;
    if (!(funnel_reached(s, labels, step - 1) == 0)) return;
    out->ended++;
    out->violations += labels[task] > 0;
    out->unlabelled += isnan(labels[task]) != 0;
}

#endif
