#include "cli/scoring.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "worker/saver.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct scoring_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 'k':
        a->ckpt = arg;
        return 0;
    case 's':
        a->servers = cli_servers(state, arg);
        return 0;
    case ARGP_KEY_END:
        if (!a->ckpt && !a->ckpt_optional) argp_error(state, "--ckpt is missing: name a checkpoint or a run directory");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"ckpt", 'k', "PATH", 0, "checkpoint, or run directory (its best checkpoint, else the newest)", 0},
    {"servers", 's', "S", 0, "ranks that are parameter servers (under mpirun)", 0},
    {0}};
static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
const struct argp scoring_argp = {options, parse, NULL, NULL, children, NULL, NULL};

static enum status check_model(const struct settings *then, const struct settings *now,
                               const char *path, struct error *err)
{
    char *diff = NULL;
    size_t n = 0;
    TRY(settings_diff_model(then, now, &diff, &n, err));
    enum status st = ST_OK;
    if (n) st = error_set(err, ST_MISMATCH, "%s does not fit the configuration: %s", path, diff);
    mem_free(diff);
    return st;
}

enum status scoring_settings_from(const struct common_args *c, const char *text, const char *what,
                                  struct settings **out, struct error *err)
{
    struct settings *then = NULL, *now = NULL;
    enum status st = settings_parse(text, what, NULL, 0, &then, err);
    if (st == ST_OK)
        st = c->config ? settings_load(c->config, c->sets, c->n_sets, &now, err)
                       : settings_parse(text, what, c->sets, c->n_sets, &now, err);
    if (st == ST_OK) st = check_model(then, now, what, err);
    settings_destroy(then);
    if (st != ST_OK) {
        settings_destroy(now);
        return st;
    }
    cli_verbosity(c, now);
    *out = now;
    return ST_OK;
}

enum status scoring_settings(const struct scoring_args *a, char **path, struct settings **out,
                             struct error *err)
{
    struct ckpt *ckpt;
    TRY(ckpt_resolve(a->ckpt, cli_warn, NULL, path, err));
    TRY(ckpt_open(*path, false, &ckpt, err));
    enum status st = scoring_settings_from(&a->common, ckpt_meta(ckpt)->config, *path, out, err);
    ckpt_close(ckpt);
    return st;
}

enum status scoring_open(struct job *j, const struct session_spec *data, const char *path,
                         struct error *err)
{
    struct ckpt *ckpt = NULL;
    TRY(job_data(j, data, err));
    enum status st = j->is_server ? ST_OK : ckpt_open(path, j->leader, &ckpt, err);
    st = job_agree(j, st, "opening the checkpoint", err);
    if (st == ST_OK) st = job_model(j, ckpt, err);
    if (st == ST_OK && j->leader) st = saver_load(j->session, j->client, path, ckpt, NULL, err);
    uint8_t ready = 1;
    if (st == ST_OK && !j->is_server)
        st = crew_tell(&j->crew, &ready, sizeof ready, "the tables", err);
    ckpt_close(ckpt);
    return st;
}
