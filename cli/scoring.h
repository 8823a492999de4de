/* What `eval` and `predict` share: a job whose model comes from a checkpoint. */
#ifndef MTPS_CLI_SCORING_H
#define MTPS_CLI_SCORING_H

#include "cli/cli.h"
#include "cli/job.h"

struct scoring_args {
    struct common_args common;
    const char *ckpt; /* checkpoint or run directory */
    bool ckpt_optional;
    size_t servers;   /* SIZE_MAX: as configured */
};

/* Child parser for --ckpt and --servers (and the common ones); input: struct
 * scoring_args. */
extern const struct argp scoring_argp;

/* Configuration of the checkpoint with -c and --set applied: ST_MISMATCH when
 * they change the model. *path (mem_free): the checkpoint folder. */
enum status scoring_settings(const struct scoring_args *a, char **path, struct settings **out,
                             struct error *err) MUST_USE;

/* The same for a configuration that came with a model as text; what: for messages. */
enum status scoring_settings_from(const struct common_args *c, const char *text, const char *what,
                                  struct settings **out, struct error *err) MUST_USE;

/* Data, model and tables of the checkpoint at `path`, up to ready clients. On
 * server ranks returns when the job is over. */
enum status scoring_open(struct job *j, const struct session_spec *data, const char *path,
                         struct error *err) MUST_USE;

#endif
