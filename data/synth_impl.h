/* Writing generated data, inside data/. */
#ifndef MTPS_DATA_SYNTH_IMPL_H
#define MTPS_DATA_SYNTH_IMPL_H

#include <stdio.h>

#include "common/base/compiler.h"
#include "data/synth.h"

/* A file that appears at once: DIR/NAME, written beside it first. */
struct synth_file {
    FILE *f;
    char path[4096], temp[4096];
};
enum status synth_file_open(const char *dir, const char *name, struct synth_file *out,
                            struct error *err) MUST_USE;
/* st: how the writing went; not ST_OK: the file is thrown away. */
enum status synth_file_close(struct synth_file *f, enum status st,
                             struct error *err) MUST_USE;

/* DIR/config.yaml. */
enum status synth_write_config(const struct synth_options *o, struct error *err) MUST_USE;
/* DIR/train.csv and so on. */
enum status synth_write_rows(const struct synth_options *o, struct error *err) MUST_USE;

/* "train", "eval", "valid" with the ending of the format. */
const char *synth_part_file(const struct synth_options *o, enum synth_part part);
/* Names of a task's label and of the column with its probability. */
void synth_task_names(const struct synth_options *o, size_t task, char label[32],
                      char truth[32]);

#endif
