#include "worker/table_csv.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "data/raw_split.h"
#include "data/source_lines.h"

/* ---- out ---- */

struct writing {
    FILE *out;
    size_t dim;
};

static enum status write_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    const struct writing *w = arg;
    for (size_t i = 0; i < rows->n; i++) {
        fprintf(w->out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64, rows->keys[i], rows->count[i],
                rows->last_step[i]);
        for (size_t j = 0; j < w->dim; j++)
            fprintf(w->out, ",%.9g", (double)rows->weights[i * w->dim + j]);
        putc('\n', w->out);
    }
    return ferror(w->out) ? error_set(err, ST_IO, "rows cannot be written: %s", strerror(errno))
                          : ST_OK;
}

enum status table_csv_write(struct ckpt *c, size_t table, FILE *out, struct error *err)
{
    struct writing w = {out, ckpt_table(c, table)->dim};
    const struct range all = {0, N_BUCKETS};
    fputs("key,count,last_step", out);
    for (size_t j = 0; j < w.dim; j++) fprintf(out, ",w%zu", j);
    putc('\n', out);
    return ckpt_read_rows(c, table, all, write_rows, &w, err);
}

/* ---- in ---- */

enum { COLUMN_VALUE, COLUMN_COUNT, COLUMN_LAST_STEP };

struct reading {
    const char *path;
    struct source_lines *lines;
    struct raw_split split;
    uint8_t *kind; /* [n_columns] of those behind the first */
    size_t n_columns, capacity;
    struct table_csv *out;
    struct error *err;
};

static enum status no_memory(struct reading *r)
{
    return mem_error(r->err, r->path, r->capacity * (r->out->dim + 3) * sizeof(float));
}

#define BAD(r, ...) bad_line(r, error_set((r)->err, ST_DATA, __VA_ARGS__))
static enum status bad_line(struct reading *r, enum status st)
{
    return error_wrap(r->err, st, "%s:%llu", r->path,
                      (unsigned long long)source_lines_number(r->lines));
}

/* The next record that is not empty, split; *end at the end of the file. */
static enum status next_record(struct reading *r, struct text *record, bool *end)
{
    enum source_line kind;
    do {
        TRY(source_lines_next(r->lines, &kind, record, r->err));
        *end = kind == LINE_END;
        if (*end) return ST_OK;
        if (kind != LINE_OK) return BAD(r, "a line is too long, or the file is damaged");
    } while (!record->n);
    enum raw_split_end how = raw_split(&r->split, *record);
    while (how == SPLIT_OPEN) {
        TRY(source_lines_extend(r->lines, &kind, record, r->err));
        if (kind != LINE_OK) return BAD(r, "a quote is not closed");
        how = raw_split_more(&r->split, *record);
    }
    return how == SPLIT_DONE ? ST_OK : BAD(r, "text behind a closing quote");
}

/* A cell as text that ends with 0; the record is the reader's to write to. */
static struct text cell(struct reading *r, struct text record, size_t i)
{
    return raw_split_text(&r->split, &r->split.cells[i], (char *)record.s);
}

static bool is(struct text t, const char *word)
{
    return t.n == strlen(word) && !memcmp(t.s, word, t.n);
}

static enum status read_header(struct reading *r)
{
    struct text record;
    bool end;
    TRY(next_record(r, &record, &end));
    if (end) return error_set(r->err, ST_DATA, "%s: empty", r->path);
    r->n_columns = r->split.n;
    if (r->n_columns > r->split.capacity) return BAD(r, "more than %zu columns", r->split.capacity);
    struct text first = cell(r, record, 0);
    r->out->ids = is(first, "id");
    if (!r->out->ids && !is(first, "key")) {
        (void)BAD(r, "the first column is '%.*s', not id or key", (int)(first.n < 60 ? first.n : 60),
                  first.s);
        return error_hint(r->err, ST_DATA, "begin with a header line like id,w0,w1 or key,w0,w1");
    }
    for (size_t i = 1; i < r->n_columns; i++) {
        struct text name = cell(r, record, i);
        r->kind[i] = is(name, "count")       ? COLUMN_COUNT
                     : is(name, "last_step") ? COLUMN_LAST_STEP
                                             : COLUMN_VALUE;
        r->out->dim += r->kind[i] == COLUMN_VALUE;
    }
    return r->out->dim ? ST_OK : BAD(r, "no column of values");
}

static bool number_of(struct text t, uint64_t *out)
{
    char copy[32], *end;
    if (!t.n || t.n >= sizeof copy || t.s[0] < '0' || t.s[0] > '9') return false;
    memcpy(copy, t.s, t.n);
    copy[t.n] = '\0';
    errno = 0;
    *out = strtoull(copy, &end, 10);
    return !*end && !errno;
}

static bool value_of(struct text t, float *out)
{
    char copy[64], *end;
    if (!t.n || t.n >= sizeof copy) return false;
    memcpy(copy, t.s, t.n);
    copy[t.n] = '\0';
    *out = strtof(copy, &end);
    return !*end && isfinite(*out);
}

static enum status grow(struct reading *r)
{
    struct table_csv *t = r->out;
    if (t->n < r->capacity) return ST_OK;
    size_t n = 2 * r->capacity + 1024;
    r->capacity = n;
    uint64_t **numbers[] = {&t->keys, &t->count, &t->last_step};
    for (size_t i = 0; i < 3; i++) {
        uint64_t *more = mem_resize(*numbers[i], n, sizeof *more);
        if (!more) return no_memory(r);
        *numbers[i] = more;
    }
    float *more = mem_resize(t->weights, n, t->dim * sizeof *more);
    if (!more) return no_memory(r);
    t->weights = more;
    return ST_OK;
}

static enum status read_cell(struct reading *r, size_t i, struct text text, size_t *value)
{
    struct table_csv *t = r->out;
    bool good = false;
    if (r->kind[i] == COLUMN_COUNT) good = number_of(text, &t->count[t->n]);
    if (r->kind[i] == COLUMN_LAST_STEP) good = number_of(text, &t->last_step[t->n]);
    if (r->kind[i] == COLUMN_VALUE) good = value_of(text, &t->weights[t->n * t->dim + (*value)++]);
    return good ? ST_OK
                : BAD(r, "column %zu: '%.*s' is no finite number", i + 1,
                      (int)(text.n < 60 ? text.n : 60), text.s);
}

static enum status read_row(struct reading *r, struct text record)
{
    struct table_csv *t = r->out;
    size_t value = 0;
    TRY(grow(r));
    if (r->split.n != r->n_columns)
        return BAD(r, "%zu cells, the header has %zu", r->split.n, r->n_columns);
    struct text first = cell(r, record, 0);
    t->count[t->n] = t->last_step[t->n] = 0;
    if (t->ids)
        t->keys[t->n] = hash_id(first.s, first.n);
    else if (!number_of(first, &t->keys[t->n]))
        return BAD(r, "'%.*s' is no key (a whole number below 2^64)",
                   (int)(first.n < 60 ? first.n : 60), first.s);
    for (size_t i = 1; i < r->n_columns; i++) TRY(read_cell(r, i, cell(r, record, i), &value));
    t->n++;
    return ST_OK;
}

static enum status read_rows(struct reading *r)
{
    TRY(read_header(r));
    for (;;) {
        struct text record;
        bool end;
        TRY(next_record(r, &record, &end));
        if (end) return ST_OK;
        TRY(read_row(r, record));
    }
}

/* ---- order ---- */

struct place {
    uint64_t key;
    size_t row;
};

static int in_order(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->key == y->key) return (x->row > y->row) - (x->row < y->row);
    return partition_before(x->key, y->key) ? -1 : 1;
}

static enum status permute(struct reading *r, const struct place *places)
{
    struct table_csv *t = r->out, sorted = {.n = t->n, .dim = t->dim, .ids = t->ids};
    sorted.keys = mem_array(t->n, sizeof *sorted.keys);
    sorted.count = mem_array(t->n, sizeof *sorted.count);
    sorted.last_step = mem_array(t->n, sizeof *sorted.last_step);
    sorted.weights = mem_array(t->n, t->dim * sizeof *sorted.weights);
    if (!sorted.keys || !sorted.count || !sorted.last_step || !sorted.weights) {
        table_csv_close(&sorted);
        return no_memory(r);
    }
    for (size_t i = 0; i < t->n; i++) {
        size_t row = places[i].row;
        sorted.keys[i] = t->keys[row];
        sorted.count[i] = t->count[row];
        sorted.last_step[i] = t->last_step[row];
        memcpy(sorted.weights + i * t->dim, t->weights + row * t->dim, t->dim * sizeof(float));
    }
    table_csv_close(t);
    *t = sorted;
    return ST_OK;
}

static enum status sort_rows(struct reading *r)
{
    struct table_csv *t = r->out;
    struct place *places = mem_array(t->n, sizeof *places);
    if (!places) return no_memory(r);
    for (size_t i = 0; i < t->n; i++) places[i] = (struct place){t->keys[i], i};
    qsort(places, t->n, sizeof *places, in_order);
    enum status st = ST_OK;
    for (size_t i = 1; i < t->n && st == ST_OK; i++)
        if (places[i].key == places[i - 1].key)
            st = error_set(r->err, ST_DATA, "%s: rows %zu and %zu have one %s", r->path,
                           places[i - 1].row + 1, places[i].row + 1, t->ids ? "id" : "key");
    if (st == ST_OK) st = permute(r, places);
    mem_free(places);
    return st;
}

/* ---- the whole ---- */

enum { MAX_COLUMNS = 4096 + 3 };

enum status table_csv_read(const char *path, struct table_csv *out, struct error *err)
{
    *out = (struct table_csv){0};
    struct reading r = {.path = path, .out = out, .err = err};
    r.split = (struct raw_split){.delimiter = ",", .n_delimiter = 1, .trim = true,
                                 .cells = mem_array(MAX_COLUMNS, sizeof *r.split.cells),
                                 .capacity = MAX_COLUMNS};
    r.kind = mem_zeroed(MAX_COLUMNS, sizeof *r.kind);
    enum status st = r.split.cells && r.kind ? ST_OK : no_memory(&r);
    if (st == ST_OK) st = source_lines_open(path, false, &r.lines, err);
    if (st == ST_OK) st = read_rows(&r);
    if (st == ST_OK) st = sort_rows(&r);
    source_lines_close(r.lines);
    mem_free(r.split.cells);
    mem_free(r.kind);
    if (st != ST_OK) table_csv_close(out);
    return st;
}

void table_csv_close(struct table_csv *t)
{
    mem_free(t->keys);
    mem_free(t->count);
    mem_free(t->last_step);
    mem_free(t->weights);
    *t = (struct table_csv){0};
}
