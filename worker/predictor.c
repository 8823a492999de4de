#include "worker/predictor.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/store/output.h"

/* Scores of this worker's rows, in input order. */
struct scores {
    size_t width; /* floats of a row */
    uint64_t first; /* row of the selection that values[0] belongs to */
    size_t n;
    uint64_t *rows; /* [n] row of the prepared file */
    float *values;  /* [n, width] what users see */
    float *logits;  /* [width] scratch */
    const struct session *session;
    bool vectors; /* shown as they are */
};

/* Floats of a row: a vector per task, or what users see of every score. */
static size_t width_of(const struct predict_spec *spec)
{
    if (spec->scorer.vectors) return scorer_width(&spec->scorer);
    return spec->scorer.session->spec.settings->n_scores;
}

static enum status keep_block(void *arg, uint64_t block, const struct batch *b, const float *z,
                              struct error *err)
{
    (void)err;
    struct scores *s = arg;
    size_t at = (size_t)(block * SCORE_BLOCK - s->first);
    for (size_t i = 0; i < b->n_rows; i++) {
        s->rows[at + i] = b->row[i];
        if (!s->vectors)
            scorer_scores(s->session, b, i, z + i * b->n_tasks, s->values + (at + i) * s->width,
                          s->logits);
    }
    if (s->vectors)
        memcpy(s->values + at * s->width, z, b->n_rows * s->width * sizeof *z);
    return ST_OK;
}

/* ---- writing ---- */

struct writer {
    const struct predict_spec *spec;
    struct output *output;
    struct score_text text;
    uint64_t rows;
};

static void put_header(struct writer *w)
{
    const struct predict_spec *spec = w->spec;
    const struct settings *settings = spec->scorer.session->spec.settings;
    for (size_t i = 0; i < spec->n_keep; i++) score_text_name(&w->text, spec->keep[i]);
    size_t n = scorer_width(&spec->scorer) / settings->n_tasks;
    for (size_t k = 0; k < settings->n_tasks && spec->scorer.vectors; k++)
        score_text_vector_name(&w->text, settings->tasks[k].name, n);
    for (size_t k = 0; k < settings->n_scores && !spec->scorer.vectors; k++)
        score_text_name(&w->text, settings->scores[k].name);
    score_text_end(&w->text);
}

static enum status put_row(struct writer *w, uint64_t row, const float *values, size_t width,
                           struct error *err)
{
    const struct predict_spec *spec = w->spec;
    const struct settings *settings = spec->scorer.session->spec.settings;
    size_t n = width / settings->n_tasks; /* of a task's vector */
    for (size_t i = 0; i < spec->n_keep; i++) {
        struct text t;
        TRY(dataset_kept(spec->scorer.data, spec->keep[i], row, &t, err));
        score_text_field(&w->text, spec->keep[i], t);
    }
    for (size_t k = 0; k < settings->n_tasks && spec->scorer.vectors; k++)
        score_text_vector(&w->text, settings->tasks[k].name, values + k * n, n);
    for (size_t k = 0; k < settings->n_scores && !spec->scorer.vectors; k++)
        score_text_value(&w->text, settings->scores[k].name, values[k]);
    score_text_end(&w->text);
    w->rows++;
    return ST_OK;
}

/* Message of one worker: rows[n], values[n, width]. */
static enum status write_scores(void *arg, size_t worker, const struct message *m, struct error *err)
{
    struct writer *w = arg;
    size_t width = width_of(w->spec);
    size_t per_row = sizeof(uint64_t) + width * sizeof(float);
    if (m->bytes % per_row)
        return error_set(err, ST_PEER, "scores of worker %zu: %zu bytes", worker, m->bytes);
    size_t n = m->bytes / per_row;
    const uint64_t *rows = (const void *)m->data;
    const float *values = (const void *)(m->data + n * sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        TRY(put_row(w, rows[i], values + i * width, width, err));
        TRY(output_status(w->output, err));
    }
    return ST_OK;
}

static enum status make_scores(const struct predict_spec *spec, struct scores *s, void **block,
                               struct error *err)
{
    const struct crew *crew = spec->scorer.crew;
    uint64_t total = dataset_rows(spec->scorer.data);
    struct range own = scorer_blocks(spec->scorer.data, crew->worker, crew->n_workers);
    uint64_t first = (uint64_t)own.first * SCORE_BLOCK, end = (uint64_t)own.end * SCORE_BLOCK;
    if (first > total) first = total;
    if (end > total) end = total;
    *s = (struct scores){.width = width_of(spec),
                         .first = first,
                         .n = (size_t)(end - first),
                         .session = spec->scorer.session,
                         .vectors = spec->scorer.vectors != NULL};
    size_t per_row = sizeof *s->rows + s->width * sizeof *s->values;
    *block = mem_array(s->n, per_row);
    s->logits = mem_array(s->width, sizeof *s->logits);
    if (!*block || !s->logits) return mem_error(err, "scores", s->n * per_row);
    s->rows = *block;
    s->values = (void *)(s->rows + s->n);
    return ST_OK;
}

static enum status write_file(const struct predict_spec *spec, const void *own, size_t bytes,
                              uint64_t *rows, struct error *err)
{
    struct writer w = {.spec = spec};
    TRY(output_open(spec->path, &w.output, err));
    w.text = (struct score_text){.file = output_stream(w.output), .format = spec->format};
    put_header(&w);
    enum status st =
        crew_gather(spec->scorer.crew, own, bytes, "scores", write_scores, &w, err);
    *rows = w.rows;
    if (w.text.not_utf8)
        log_line(LOG_WARN, "predict",
                 "kept text that is not UTF-8 has U+FFFD in it: jsonl cannot hold it, csv and tsv can");
    return output_close(w.output, st, err);
}

enum status predict(const struct predict_spec *spec, uint64_t *rows, struct error *err)
{
    struct scores s;
    void *block = NULL;
    enum status st = make_scores(spec, &s, &block, err);
    size_t bytes = s.n * (sizeof *s.rows + s.width * sizeof *s.values);
    if (st == ST_OK) st = scorer_run(&spec->scorer, keep_block, &s, err);
    if (st == ST_OK)
        st = spec->scorer.crew->worker == 0
                 ? write_file(spec, block, bytes, rows, err)
                 : crew_gather(spec->scorer.crew, block, bytes, "scores", NULL, NULL, err);
    mem_free(s.logits);
    mem_free(block);
    return st;
}
