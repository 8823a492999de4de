#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "data/synth_impl.h"

enum { FIELD = 40 }; /* bytes of a field at most, with its separator */

/* A line being written. */
struct line {
    char *text;
    size_t n;
    char separator;
};

/* ---- fields ---- */

static void put_text(struct line *l, const char *text)
{
    size_t n = strlen(text);
    if (l->n) l->text[l->n++] = l->separator;
    memcpy(l->text + l->n, text, n);
    l->n += n;
}

/* Digits of v, at least `least` of them, with zeros in front. */
static void put_digits(struct line *l, uint64_t v, size_t least)
{
    char digits[24];
    size_t n = 0;
    for (; v || n < least; v /= 10) digits[n++] = (char)('0' + v % 10);
    while (n) l->text[l->n++] = digits[--n];
}

static void put_integer(struct line *l, uint64_t v)
{
    put_text(l, "");
    put_digits(l, v, 1);
}

/* Rounded to `decimals` digits after the point; nothing when NaN. Written by hand: a
 * file is mostly this. */
static void put_number(struct line *l, double v, size_t decimals)
{
    uint64_t unit = 1;
    put_text(l, "");
    if (isnan(v)) return;
    for (size_t i = 0; i < decimals; i++) unit *= 10;
    uint64_t scaled = (uint64_t)((v < 0 ? -v : v) * (double)unit + 0.5);
    if (v < 0 && scaled) l->text[l->n++] = '-';
    put_digits(l, scaled / unit, 1);
    l->text[l->n++] = '.';
    put_digits(l, scaled % unit, decimals);
}

static void put_names(struct line *l, const char *stem, size_t n, size_t first)
{
    char name[32];
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s%zu", stem, first + i);
        put_text(l, name);
    }
}

static void end_line(struct line *l, FILE *f)
{
    l->text[l->n++] = '\n';
    fwrite(l->text, 1, l->n, f);
    l->n = 0;
}

/* ---- one file ---- */

/* Generators of one data set, and memory for a row. */
struct writer {
    const struct synth_options *o;
    struct synth_mmoe *mmoe;
    struct synth_tasks *tasks;
    double *x; /* mmoe */
    struct synth_tasks_row *row;
    struct line line;
};

static void put_header(struct writer *w)
{
    const struct synth_options *o = w->o;
    char label[32], truth[32];
    if (o->kind == SYNTH_KIND_MMOE) {
        put_names(&w->line, "x", o->mmoe.features, 0);
        put_names(&w->line, "y", 2, 1);
        return;
    }
    put_names(&w->line, "id", o->tasks.n_ids, 0);
    put_names(&w->line, "x", o->tasks.n_dense, 0);
    for (size_t k = 0; k < o->tasks.n_tasks; k++) {
        synth_task_names(o, k, label, truth);
        put_text(&w->line, label);
    }
    for (size_t k = 0; k < o->tasks.n_tasks; k++) {
        synth_task_names(o, k, label, truth);
        put_text(&w->line, truth);
    }
}

static void put_mmoe_row(struct writer *w, enum synth_part part, uint64_t row)
{
    double y[2];
    synth_mmoe_row(w->mmoe, part, row, w->x, y);
    for (size_t j = 0; j < w->o->mmoe.features; j++) put_number(&w->line, w->x[j], 4);
    for (size_t k = 0; k < 2; k++) put_number(&w->line, y[k], 6);
}

static void put_tasks_row(struct writer *w, enum synth_part part, uint64_t row)
{
    const struct synth_tasks_spec *spec = &w->o->tasks;
    struct synth_tasks_row *r = w->row;
    synth_tasks_row(w->tasks, part, row, r);
    for (size_t f = 0; f < spec->n_ids; f++) put_integer(&w->line, r->id[f]);
    for (size_t j = 0; j < spec->n_dense; j++) put_number(&w->line, r->x[j], 4);
    for (size_t k = 0; k < spec->n_tasks; k++) {
        if (isnan(r->label[k]))
            put_text(&w->line, "");
        else
            put_integer(&w->line, (uint64_t)r->label[k]);
    }
    for (size_t k = 0; k < spec->n_tasks; k++) put_number(&w->line, r->probability[k], 6);
}

static enum status write_part(struct writer *w, enum synth_part part, uint64_t rows,
                              struct error *err)
{
    struct synth_file f;
    enum status st = ST_OK;
    TRY(synth_file_open(w->o->dir, synth_part_file(w->o, part), &f, err));
    put_header(w);
    end_line(&w->line, f.f);
    for (uint64_t row = 0; row < rows && st == ST_OK; row++) {
        if (w->mmoe)
            put_mmoe_row(w, part, row);
        else
            put_tasks_row(w, part, row);
        end_line(&w->line, f.f);
        if (ferror(f.f))
            st = error_set(err, ST_IO, "%s: write failed: %s", f.path, strerror(errno));
    }
    return synth_file_close(&f, st, err);
}

static enum status make(struct writer *w, struct error *err)
{
    const struct synth_options *o = w->o;
    bool mmoe = o->kind == SYNTH_KIND_MMOE;
    size_t fields = mmoe ? o->mmoe.features + 2
                         : o->tasks.n_ids + o->tasks.n_dense + 2 * o->tasks.n_tasks;
    w->line.separator = o->tsv ? '\t' : ',';
    w->line.text = mem_array(fields * FIELD, 1);
    w->x = mem_array(o->mmoe.features, sizeof *w->x);
    w->row = mem_zeroed(1, sizeof *w->row);
    if (!w->line.text || !w->x || !w->row) return mem_error(err, "rows", fields * FIELD);
    return mmoe ? synth_mmoe_create(&o->mmoe, &w->mmoe, err)
                : synth_tasks_create(&o->tasks, &w->tasks, err);
}

enum status synth_write_rows(const struct synth_options *o, struct error *err)
{
    struct writer w = {.o = o};
    enum status st = make(&w, err);
    if (st == ST_OK) st = write_part(&w, SYNTH_TRAIN, o->rows, err);
    if (st == ST_OK) st = write_part(&w, SYNTH_EVAL, o->eval_rows, err);
    if (st == ST_OK && w.mmoe) st = write_part(&w, SYNTH_VALID, o->eval_rows, err);
    synth_mmoe_destroy(w.mmoe);
    synth_tasks_destroy(w.tasks);
    mem_free(w.line.text);
    mem_free(w.x);
    mem_free(w.row);
    return st;
}
