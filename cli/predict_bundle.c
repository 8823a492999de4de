#include "cli/predict_bundle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/scoring.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/math/funnel.h"
#include "common/store/output.h"
#include "data/funnel.h"
#include "worker/evaluator.h"
#include "worker/report.h"

struct predicting {
    const struct predict_bundle_spec *spec;
    struct output *output;
    struct score_text text;
    struct metric *metric;
    bool begun; /* the header is written */
    bool labelled;
    float *scores, *logits, *labels; /* [SCORE_ROWS_BLOCK, n_scores] */
    float *task_labels;              /* [n_tasks] */
};

enum status predict_bundle_open(const char *path, const struct common_args *common,
                                struct mtps_model **model, struct settings **settings,
                                struct error *err)
{
    char *text;
    TRY(loaded_open(path, BUNDLE_CHECK_ALL, model, err));
    enum status st = settings_print((*model)->settings, false, &text, err);
    if (st == ST_OK) {
        st = scoring_settings_from(common, text, (*model)->bundle->path, settings, err);
        mem_free(text);
    }
    if (st == ST_OK) return ST_OK;
    mtps_close(*model);
    *model = NULL;
    return st;
}

/* ---- rows ---- */

static bool has_label(const struct scored_block *b, size_t tasks)
{
    for (size_t i = 0; i < b->n * tasks; i++)
        if (!isnan(b->labels[i])) return true;
    return false;
}

/* The scores of a row, of its tasks and then conditional ones, as `predict --ckpt` has
 * them, and their labels. */
static void make_scores(struct predicting *p, const struct scored_block *b, size_t row)
{
    const struct settings *s = p->spec->rows.settings;
    const struct model *model = p->spec->rows.model->model;
    const float *z = b->logits + row * s->n_tasks, *columns = b->labels + row * s->n_tasks;
    size_t at = row * s->n_scores;
    for (size_t k = 0; k < s->n_tasks; k++) p->task_labels[k] = funnel_label(s, columns, k);
    scorer_labels(s, p->task_labels, p->labels + at);
    for (size_t i = 0; i < s->n_scores; i++) {
        const struct score_cfg *c = &s->scores[i];
        bool own = c->given == SCORE_OF_TASK;
        float logit = own ? z[c->task]
                          : (float)funnel_conditional((double)z[c->given], (double)z[c->task]);
        p->logits[at + i] = logit;
        p->scores[at + i] = own ? b->scores[row * s->n_tasks + c->task]
                                : model_link(model, c->task, logit);
    }
}

/* Once, and not before there are rows to follow it: a run that fails on standard output has
 * written nothing that looks like a result. */
static void begin(struct predicting *p)
{
    if (p->begun) return;
    p->begun = true;
    const struct score_rows_spec *rows = &p->spec->rows;
    for (size_t k = 0; k < rows->n_keep; k++) score_text_name(&p->text, rows->keep[k]);
    for (size_t k = 0; k < rows->settings->n_scores; k++)
        score_text_name(&p->text, rows->settings->scores[k].name);
    score_text_end(&p->text);
}

static enum status write_block(void *arg, const struct scored_block *b, struct error *err)
{
    struct predicting *p = arg;
    const struct score_rows_spec *rows = &p->spec->rows;
    const struct settings *s = rows->settings;
    begin(p);
    for (size_t i = 0; i < b->n; i++) {
        make_scores(p, b, i);
        for (size_t k = 0; k < rows->n_keep; k++)
            score_text_field(&p->text, rows->keep[k], b->kept[i * rows->n_keep + k]);
        for (size_t k = 0; k < s->n_scores; k++)
            score_text_value(&p->text, s->scores[k].name, p->scores[i * s->n_scores + k]);
        score_text_end(&p->text);
        TRY(output_status(p->output, err));
    }
    p->labelled |= has_label(b, s->n_tasks);
    return metric_add(p->metric, b->index, b->n, p->scores, p->logits, p->labels, b->group, err);
}

static void warn(void *unused, const char *text)
{
    (void)unused;
    log_line(LOG_WARN, "data", "%s", text);
}

static enum status write_file(struct predicting *p, struct bad_rows *bad, uint64_t *rows,
                              struct error *err)
{
    struct score_rows_spec spec = p->spec->rows;
    spec.take = write_block;
    spec.arg = p;
    spec.warn = warn;
    TRY(output_open(p->spec->path, &p->output, err));
    p->text = (struct score_text){.file = output_stream(p->output), .format = p->spec->format};
    enum status st = score_rows(&spec, bad, rows, err);
    if (st == ST_OK) begin(p); /* of no rows, too */
    if (p->text.not_utf8)
        log_line(LOG_WARN, "predict",
                 "kept text that is not UTF-8 has U+FFFD in it: jsonl cannot hold it, csv and tsv can");
    return output_close(p->output, st, err);
}

/* ---- the result ---- */

static void warn_bad_rows(const struct bad_rows *b)
{
    if (!b->n_bad) return;
    log_line(LOG_WARN, "data", "%llu bad rows left out of %llu", (unsigned long long)b->n_bad,
             (unsigned long long)(b->n_bad + b->n_good));
    for (size_t i = 0; i < b->n_shown; i++) log_line(LOG_WARN, "data", "%s", b->shown[i]);
}

static void print_json(const struct settings *s, uint64_t rows, const struct metric_result *results)
{
    json_t *doc = json_pack("{s:I}", "rows", (json_int_t)rows), *tasks = json_object();
    for (size_t k = 0; results && k < s->n_scores; k++)
        json_object_set_new(tasks, s->scores[k].name, report_metric_json(&results[k]));
    if (results) json_object_set(doc, "eval", tasks);
    json_decref(tasks);
    json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(doc);
}

static void print_text(const struct predicting *p, uint64_t rows, const struct metric_result *results)
{
    const struct settings *s = p->spec->rows.settings;
    printf("%llu rows scored: %s\n", (unsigned long long)rows, p->spec->path);
    for (size_t k = 0; results && k < s->n_scores; k++) {
        char *line = report_metric_line(s->scores[k].name, &results[k]);
        if (line) puts(line);
        mem_free(line);
    }
}

static enum status print_result(struct predicting *p, uint64_t rows, struct error *err)
{
    const struct settings *s = p->spec->rows.settings;
    if (output_is_stdout(p->spec->path)) return ST_OK;
    struct metric_result *results = mem_zeroed(s->n_scores, sizeof *results);
    if (!results) return mem_error(err, "metrics", s->n_scores * sizeof *results);
    enum status st = p->labelled ? metric_finalize(p->metric, results, err) : ST_OK;
    if (st == ST_OK && p->labelled) evaluator_drop_meaningless(s, results);
    if (st == ST_OK && p->spec->json) print_json(s, rows, p->labelled ? results : NULL);
    if (st == ST_OK && !p->spec->json) print_text(p, rows, p->labelled ? results : NULL);
    mem_free(results);
    return st;
}

static enum status open_predicting(struct predicting *p, struct error *err)
{
    const struct settings *s = p->spec->rows.settings;
    size_t n = SCORE_ROWS_BLOCK * s->n_scores;
    p->scores = mem_array(n, sizeof *p->scores);
    p->logits = mem_array(n, sizeof *p->logits);
    p->labels = mem_array(n, sizeof *p->labels);
    p->task_labels = mem_array(s->n_tasks, sizeof *p->task_labels);
    if (!p->scores || !p->logits || !p->labels || !p->task_labels)
        return mem_error(err, "scores", n * sizeof *p->scores);
    return metric_create(s->n_scores, &p->metric, err);
}

static void close_predicting(struct predicting *p)
{
    metric_destroy(p->metric);
    mem_free(p->scores);
    mem_free(p->logits);
    mem_free(p->labels);
    mem_free(p->task_labels);
}

enum status predict_bundle(const struct predict_bundle_spec *spec, struct error *err)
{
    struct predicting p = {.spec = spec};
    struct bad_rows bad;
    uint64_t rows;
    enum status st = open_predicting(&p, err);
    if (st == ST_OK) st = write_file(&p, &bad, &rows, err);
    if (st == ST_OK) {
        warn_bad_rows(&bad);
        st = print_result(&p, rows, err);
    }
    close_predicting(&p);
    return st;
}
