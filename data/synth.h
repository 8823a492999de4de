/* Learnable data as files: rows as csv or tsv and a configuration beside them that
 * trains as it stands (`mtps data synth`). The bytes follow from the options alone.
 *
 *   mmoe    x0 .. , y1, y2                                   (data/synth_mmoe.h)
 *   tasks   id0 .. , x0 .. , task1 .. , true1 ..             (data/synth_tasks.h)
 *   funnel  id0 .. , x0 .. , click, buy, true_ctr, true_cvr
 *
 * true columns hold the probability that a label was drawn with: that of buy given a
 * click. No feature of the configuration reads them. */
#ifndef MTPS_DATA_SYNTH_H
#define MTPS_DATA_SYNTH_H

#include "data/synth_tasks.h"

enum synth_kind { SYNTH_KIND_MMOE, SYNTH_KIND_TASKS, SYNTH_KIND_FUNNEL };

struct synth_options {
    enum synth_kind kind;
    const char *dir; /* made when it is not there; files are replaced */
    bool tsv;
    uint64_t rows, eval_rows; /* mmoe also has eval_rows rows of validation */
    struct synth_mmoe_spec mmoe;
    struct synth_tasks_spec tasks;
};

/* What was asked for when nothing was: the MMoE paper's data in the regime in which
 * it tells models apart; three tasks; a funnel. dir is not set. */
void synth_defaults(enum synth_kind kind, struct synth_options *out);

/* Writes train, eval (valid) and config.yaml in dir, each at once by a rename.
 * ST_USAGE for options that make no sense, or a folder whose name a configuration
 * cannot hold; ST_CANTCREATE, ST_IO. */
enum status synth_write(const struct synth_options *o, struct error *err) MUST_USE;

#endif
