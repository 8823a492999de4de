#include "data/synth.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/store/file.h"
#include "data/synth_impl.h"

/* A function that is as hard to learn as the one of the published runs, whose numbers
 * are not known: docs/synth.md says how it was found. */
enum { MMOE_FUNCTION = 134086 };

void synth_defaults(enum synth_kind kind, struct synth_options *out)
{
    *out = (struct synth_options){.kind = kind, .rows = 100000, .eval_rows = 20000};
    if (kind == SYNTH_KIND_MMOE) {
        out->rows = 600000;
        out->eval_rows = 2000;
    }
    out->mmoe = (struct synth_mmoe_spec){.features = 100,
                                         .terms = 10,
                                         .correlation = 0.5,
                                         .scale = 1,
                                         .noise = 0.1,
                                         .seed = 1,
                                         .function = MMOE_FUNCTION};
    out->tasks = (struct synth_tasks_spec){.n_tasks = 3,
                                           .correlation = 0.5,
                                           .signal = 2,
                                           .n_ids = 4,
                                           .n_dense = 4,
                                           .vocabulary = 1000,
                                           .zipf = 1.1,
                                           .interaction = 0.5,
                                           .seed = 1};
    for (size_t k = 0; k < SYNTH_MAX_TASKS; k++) {
        out->tasks.rate[k] = 0.2;
        out->tasks.present[k] = 1;
    }
    if (kind != SYNTH_KIND_FUNNEL) return;
    out->tasks.funnel = true;
    out->tasks.n_tasks = 2;
    out->tasks.rate[1] = 0.1;
}

/* ---- checks ---- */

static enum status check_number(const char *name, double v, double low, double high,
                                struct error *err)
{
    if (v >= low && v <= high) return ST_OK;
    return error_set(err, ST_USAGE, "%s: %g is not from %g to %g", name, v, low, high);
}

static enum status check_mmoe(const struct synth_mmoe_spec *s, struct error *err)
{
    TRY(check_number("correlation", s->correlation, 0, 1, err));
    TRY(check_number("features", (double)s->features, 2, 10000, err));
    TRY(check_number("terms", (double)s->terms, 0, SYNTH_MAX_TERMS, err));
    TRY(check_number("scale", s->scale, 1e-3, 100, err));
    return check_number("noise", s->noise, 0, 100, err);
}

static enum status check_tasks(const struct synth_tasks_spec *s, struct error *err)
{
    TRY(check_number("tasks", (double)s->n_tasks, 1, SYNTH_MAX_TASKS, err));
    TRY(check_number("correlation", s->correlation, 0, 1, err));
    TRY(check_number("signal", s->signal, 0, 20, err));
    TRY(check_number("id features", (double)s->n_ids, 0, SYNTH_MAX_FEATURES, err));
    TRY(check_number("numbers", (double)s->n_dense, 0, SYNTH_MAX_FEATURES, err));
    TRY(check_number("features", (double)(s->n_ids + s->n_dense), 1,
                     2 * SYNTH_MAX_FEATURES, err));
    TRY(check_number("ids", (double)s->vocabulary, 1, SYNTH_MAX_IDS, err));
    TRY(check_number("zipf", s->zipf, 0, 10, err));
    TRY(check_number("interaction", s->interaction, 0, 1, err));
    for (size_t k = 0; k < s->n_tasks; k++) {
        TRY(check_number("rate", s->rate[k], 1e-6, 1 - 1e-6, err));
        TRY(check_number("present", s->present[k], 1e-6, 1, err));
    }
    return ST_OK;
}

/* The name goes into the configuration, where these mean something. */
static enum status check_dir(const char *dir, struct error *err)
{
    if (!*dir || strpbrk(dir, "\"\\$*?[]{}\n") || strlen(dir) > 3000) {
        error_set(err, ST_USAGE, "'%s': a configuration cannot name this folder", dir);
        return error_hint(err, ST_USAGE, "choose a name without \" \\ $ * ? [ ] { }");
    }
    return ST_OK;
}

enum status synth_write(const struct synth_options *o, struct error *err)
{
    TRY(check_dir(o->dir, err));
    TRY(check_number("rows", (double)o->rows, 1, 4e9, err));
    TRY(check_number("eval rows", (double)o->eval_rows, 1, 4e9, err));
    TRY(o->kind == SYNTH_KIND_MMOE ? check_mmoe(&o->mmoe, err)
                                   : check_tasks(&o->tasks, err));
    TRY(file_mkdirs(o->dir, err));
    TRY(synth_write_rows(o, err));
    return synth_write_config(o, err);
}

/* ---- files ---- */

static enum status cannot(const struct synth_file *f, enum status st, const char *what,
                          struct error *err)
{
    return error_set(err, st, "%s: %s: %s", f->path, what, strerror(errno));
}

enum status synth_file_open(const char *dir, const char *name, struct synth_file *out,
                            struct error *err)
{
    snprintf(out->path, sizeof out->path, "%s/%s", dir, name);
    snprintf(out->temp, sizeof out->temp, "%s/.%s.tmp-%d", dir, name, (int)getpid());
    out->f = fopen(out->temp, "wb");
    return out->f ? ST_OK : cannot(out, ST_CANTCREATE, "cannot be created", err);
}

enum status synth_file_close(struct synth_file *f, enum status st, struct error *err)
{
    bool failed = fflush(f->f) || fsync(fileno(f->f));
    failed = fclose(f->f) || failed;
    if (st == ST_OK && failed) st = cannot(f, ST_IO, "write failed", err);
    if (st == ST_OK && rename(f->temp, f->path))
        st = cannot(f, ST_CANTCREATE, "cannot be created", err);
    if (st != ST_OK) unlink(f->temp);
    return st;
}

/* ---- names ---- */

const char *synth_part_file(const struct synth_options *o, enum synth_part part)
{
    static const char *const names[2][3] = {{"train.csv", "eval.csv", "valid.csv"},
                                            {"train.tsv", "eval.tsv", "valid.tsv"}};
    return names[o->tsv][part];
}

void synth_task_names(const struct synth_options *o, size_t task, char label[32],
                      char truth[32])
{
    if (o->kind == SYNTH_KIND_FUNNEL) {
        snprintf(label, 32, "%s", task ? "buy" : "click");
        snprintf(truth, 32, "%s", task ? "true_cvr" : "true_ctr");
    } else {
        snprintf(label, 32, "task%zu", task + 1);
        snprintf(truth, 32, "true%zu", task + 1);
    }
}
