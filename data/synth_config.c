#include <inttypes.h>

#include "data/synth_impl.h"

static void put_data(const struct synth_options *o, const char *kind, FILE *f)
{
    fprintf(f, "version: 1\nname: synth-%s\nvars: {dir: \"%s\"}\n\ndata:\n", kind,
            o->dir);
    fprintf(f, "  format: %s\n", o->tsv ? "tsv" : "csv");
    fprintf(f, "  train: {files: [\"${dir}/%s\"]}\n", synth_part_file(o, SYNTH_TRAIN));
    if (o->kind == SYNTH_KIND_MMOE)
        fprintf(f, "  valid: {files: [\"${dir}/%s\"]}\n",
                synth_part_file(o, SYNTH_VALID));
    fprintf(f, "  eval: {files: [\"${dir}/%s\"]}\n\n", synth_part_file(o, SYNTH_EVAL));
}

static void put_names(FILE *f, const char *stem, size_t n, const char *rest)
{
    if (n == 1) fprintf(f, "  - {name: %s0%s}\n", stem, rest);
    if (n > 1) fprintf(f, "  - {names: [%s0..%zu]%s}\n", stem, n - 1, rest);
}

/* ---- mmoe ---- */

/* Width of a shared bottom with as many parameters as 8 experts of 16 units, towers of
 * 8 units on both sides. */
static size_t bottom_width(size_t features)
{
    return (features * 128 + 256 + (features + 16) / 2) / (features + 16);
}

static void put_mmoe(const struct synth_options *o, FILE *f)
{
    const struct synth_mmoe_spec *s = &o->mmoe;
    fprintf(
        f,
        "# Made by `mtps data synth mmoe`: two regression tasks whose weight vectors\n"
        "# have cosine %g; %zu normal features, %zu sines of function %" PRIu64 ",\n"
        "# scale %g, noise %g, seed %" PRIu64 ". Divide the mean squared error by the\n"
        "# labels' variance before comparing.\n",
        s->correlation, s->features, s->terms, s->function, s->scale, s->noise, s->seed);
    put_data(o, "mmoe", f);
    fputs("features:\n", f);
    put_names(f, "x", s->features, ", kind: dense");
    fputs("\ntasks:\n  y1: {label: y1, loss: mse}\n  y2: {label: y2, loss: mse}\n\n", f);
    fprintf(f,
            "# Sizes with which all types have about the same number of parameters.\n"
            "model:\n"
            "  type: mmoe\n"
            "  experts: {count: 8, own: 3, shared: 2, levels: 1, layers: [16]}\n"
            "  gates: {layers: []}\n"
            "  towers: {layers: [8]}\n"
            "  bottom: {layers: [%zu]}\n\n",
            bottom_width(s->features));
    fputs("train:\n"
          "  batch_size: 100\n"
          "  lanes: 4\n"
          "  epochs: 1                       # every row is seen once\n"
          "  optimizer: {adam: {lr: 0.001}}\n"
          "  eval_every: 500 steps\n",
          f);
}

/* ---- tasks, funnel ---- */

static void put_tasks_head(const struct synth_options *o, FILE *f)
{
    const struct synth_tasks_spec *s = &o->tasks;
    if (o->kind == SYNTH_KIND_FUNNEL)
        fprintf(
            f,
            "# Made by `mtps data synth funnel`: clicks at rate %g, of which %g buy.\n"
            "# The columns true_ctr and true_cvr hold the probabilities that click,\n"
            "# and buy after a click, were drawn with; buy|click predicts the second:\n"
            "#\n"
            "#   mtps predict --ckpt runs/synth-funnel --keep true_ctr,true_cvr -o "
            "p.csv\n"
            "#\n",
            s->rate[0], s->rate[1]);
    else
        fprintf(
            f,
            "# Made by `mtps data synth tasks`: the columns true1 .. true%zu hold the\n"
            "# probabilities that the labels were drawn with.\n",
            s->n_tasks);
    fprintf(
        f,
        "# Correlation of the logits %g, their standard deviation %g; ids of %zu with\n"
        "# Zipf exponent %g; seed %" PRIu64 ".\n",
        s->correlation, s->signal, s->vocabulary, s->zipf, s->seed);
}

static void put_task(const struct synth_options *o, size_t k, FILE *f)
{
    char label[32], truth[32];
    synth_task_names(o, k, label, truth);
    fprintf(f, "  %s: {label: %s}\n", label, label);
}

static void put_tasks(const struct synth_options *o, FILE *f)
{
    const struct synth_tasks_spec *s = &o->tasks;
    put_tasks_head(o, f);
    put_data(o, o->kind == SYNTH_KIND_FUNNEL ? "funnel" : "tasks", f);
    fputs("features:\n", f);
    put_names(f, "id", s->n_ids, "");
    put_names(f, "x", s->n_dense, ", kind: dense");
    fputs("\ntables:\n"
          "  default: {dim: 8, init: {normal: 0.01}, optimizer: {adagrad: {lr: 0.05, "
          "initial_accumulator: 1e-6}}}\n\ntasks:\n",
          f);
    for (size_t k = 0; k < s->n_tasks; k++) put_task(o, k, f);
    bool funnel = o->kind == SYNTH_KIND_FUNNEL;
    fprintf(f, "\nmodel:\n  type: %s\n%s", funnel ? "esmm" : "mmoe",
            funnel ? "  funnel: [click, buy]            # buy follows a click\n" : "");
    fprintf(f,
            "  experts: {count: %zu, own: 1, shared: 2, levels: 1, layers: [64]}\n"
            "  gates: {layers: []}\n"
            "  towers: {layers: [32]}\n"
            "  bottom: {layers: [128]}\n\n"
            "train:\n"
            "  batch_size: 256\n"
            "  lanes: 4\n"
            "  epochs: 1\n"
            "  optimizer: {adam: {lr: 0.001}}\n",
            2 * s->n_tasks < 16 ? 2 * s->n_tasks : 16);
}

enum status synth_write_config(const struct synth_options *o, struct error *err)
{
    struct synth_file f;
    TRY(synth_file_open(o->dir, "config.yaml", &f, err));
    if (o->kind == SYNTH_KIND_MMOE)
        put_mmoe(o, f.f);
    else
        put_tasks(o, f.f);
    enum status st =
        ferror(f.f) ? error_set(err, ST_IO, "%s: write failed", f.path) : ST_OK;
    return synth_file_close(&f, st, err);
}
