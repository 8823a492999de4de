/* How the files are written: slot text or csv, what parts the values, whether the
 * first line holds names. Judged by the first lines of one file. */
#include <stdio.h>
#include <string.h>

#include "data/guess_impl.h"
#include "data/raw_names.h"
#include "data/raw_split.h"
#include "data/raw_text.h"
#include "data/source_lines.h"

enum { MAX_LINES = 200, MAX_BYTES = 4 << 20, MAX_FIELDS = 65536, MAX_FIXED = 64 };

/* The first lines of a file, ended by line ends, in one block. */
struct lines {
    char *text;
    size_t n_bytes;
    struct text v[MAX_LINES]; /* without line ends */
    size_t n;
};

static enum status add_line(struct lines *l, struct text line, struct error *err)
{
    char *text = mem_resize(l->text, l->n_bytes + line.n + 1, 1);
    if (!text) return mem_error(err, "first lines", l->n_bytes + line.n);
    l->text = text;
    memcpy(text + l->n_bytes, line.s, line.n);
    text[l->n_bytes + line.n] = '\n';
    l->n_bytes += line.n + 1;
    l->v[l->n++].n = line.n;
    return ST_OK;
}

static enum status read_lines(const char *path, bool latin1, struct lines *l,
                              struct error *err)
{
    struct source_lines *source;
    l->n = l->n_bytes = 0;
    TRY(source_lines_open(path, latin1, &source, err));
    enum status st = ST_OK;
    while (st == ST_OK && l->n < MAX_LINES && l->n_bytes < MAX_BYTES) {
        enum source_line kind;
        struct text line;
        st = source_lines_next(source, &kind, &line, err);
        if (st != ST_OK || kind == LINE_END || kind == LINE_DAMAGED) break;
        if (kind == LINE_OK && memchr(line.s, '\0', line.n))
            st = error_set(err, ST_DATA,
                           "%s: binary data: csv, tsv or slot text is expected", path);
        else if (kind == LINE_OK && line.n)
            st = add_line(l, line, err);
    }
    source_lines_close(source);
    if (st == ST_OK && !l->n) st = error_set(err, ST_NOINPUT, "%s: has no lines", path);
    char *at = l->text;
    for (size_t i = 0; i < l->n; at += l->v[i++].n + 1) l->v[i].s = at;
    return st;
}

/* Lines as UTF-8, whatever they were. */
static enum status read_text(const char *path, struct source_cfg *source, struct lines *l,
                             struct error *err)
{
    TRY(read_lines(path, false, l, err));
    bool utf8 = true;
    for (size_t i = 0; i < l->n; i++) utf8 &= raw_text_is_utf8(l->v[i]);
    source->encoding = utf8 ? ENCODING_UTF8 : ENCODING_LATIN1;
    return utf8 ? ST_OK : read_lines(path, true, l, err);
}

/* ---- slot text ---- */

struct slot_look {
    const char *separator;
    size_t fixed;           /* leading plain values of each line */
    size_t items;           /* with a colon */
    size_t n_left, n_right; /* distinct texts on the two sides of it */
};

/* Plain values, then items with a colon only. */
static bool is_slot_line(struct text line, char separator, size_t *fixed, size_t *items)
{
    *fixed = *items = 0;
    const char *at = line.s, *end = line.s + line.n;
    while (at <= end) {
        const char *stop = memchr(at, separator, (size_t)(end - at));
        if (!stop) stop = end;
        size_t n = (size_t)(stop - at);
        const char *colon = n ? memchr(at, ':', n) : NULL;
        if (colon && colon > at && colon + 1 < stop)
            ++*items;
        else if (n && *items)
            return false;
        else if (n)
            ++*fixed;
        at = stop + 1;
    }
    return *items > 0 && *fixed <= MAX_FIXED;
}

/* Texts on both sides of the items' colons. */
static enum status count_sides(const struct lines *l, struct slot_look *look,
                               struct error *err)
{
    struct raw_names left, right;
    TRY(raw_names_init(&left, err));
    enum status st = raw_names_init(&right, err);
    for (size_t i = 0; st == ST_OK && i < l->n; i++) {
        const char *at = l->v[i].s, *end = at + l->v[i].n;
        while (st == ST_OK && at <= end) {
            const char *stop = memchr(at, look->separator[0], (size_t)(end - at));
            if (!stop) stop = end;
            const char *first = memchr(at, ':', (size_t)(stop - at));
            const char *last = memrchr(at, ':', (size_t)(stop - at));
            size_t place;
            if (first)
                st = raw_names_add(&left, (struct text){at, (size_t)(first - at)}, &place,
                                   err);
            if (first && st == ST_OK)
                st = raw_names_add(&right,
                                   (struct text){last + 1, (size_t)(stop - last - 1)},
                                   &place, err);
            at = stop + 1;
        }
    }
    look->n_left = left.n;
    look->n_right = right.n;
    raw_names_close(&left);
    raw_names_close(&right);
    return st;
}

static enum status look_for_slots(const struct lines *l, struct slot_look *look,
                                  struct error *err)
{
    static const char *const separators[] = {" ", "\t", ",", ";"};
    *look = (struct slot_look){0};
    for (size_t s = 0; s < 4; s++) {
        size_t first_fixed = 0, good = 0, total = 0;
        for (size_t i = 0; i < l->n; i++) {
            size_t fixed, items;
            if (!is_slot_line(l->v[i], separators[s][0], &fixed, &items)) continue;
            if (!good) first_fixed = fixed;
            if (fixed != first_fixed) continue;
            good++;
            total += items;
        }
        if (20 * good < 19 * l->n || 2 * total < 3 * good || total <= look->items)
            continue;
        *look = (struct slot_look){separators[s], first_fixed, total, 0, 0};
    }
    return look->separator ? count_sides(l, look, err) : ST_OK;
}

/* Names repeat from line to line, values less so. */
static enum status take_slots(struct guess *g, struct source_cfg *source,
                              const struct slot_look *look, const struct guess_request *q,
                              const char *path, struct error *err)
{
    source->format = SOURCE_SLOT;
    source->header = false;
    struct slot_cfg *slot = &g->data.slot;
    slot->separator = look->separator;
    slot->order = look->n_left <= look->n_right ? SLOT_NAME_FIRST : SLOT_VALUE_FIRST;
    if (q->columns.n && q->columns.n != look->fixed)
        return error_set(err, ST_USAGE,
                         "--columns has %zu names, the lines of %s begin with "
                         "%zu plain values",
                         q->columns.n, path, look->fixed);
    slot->fixed.v = arena_take(g->arena, look->fixed + 1, sizeof *slot->fixed.v);
    if (!slot->fixed.v) return guess_no_memory(err);
    for (size_t i = 0; i < look->fixed; i++) {
        slot->fixed.v[i] =
            q->columns.n ? q->columns.v[i] : guess_print(g, "fixed%zu", i + 1);
        if (!slot->fixed.v[i]) return guess_no_memory(err);
    }
    slot->fixed.n = look->fixed;
    return ST_OK;
}

/* ---- csv and tsv ---- */

/* Cells of the first lines under one delimiter. */
struct grid {
    struct raw_split split;
    struct text *cells; /* [n, fields] */
    size_t fields, n;   /* of a record; records that have so many */
};

/* The next record from line *i on, which moves behind it; its text is in one piece. */
static bool cut_record(struct raw_split *s, const struct lines *l, size_t *i,
                       struct text *record)
{
    *record = l->v[*i];
    enum raw_split_end end = raw_split(s, *record);
    while (end == SPLIT_OPEN && *i + 1 < l->n) {
        ++*i;
        record->n = (size_t)(l->v[*i].s + l->v[*i].n - record->s);
        end = raw_split_more(s, *record);
    }
    ++*i;
    return end == SPLIT_DONE;
}

/* How many records have as many fields as most. *share: of them all. */
static size_t usual_fields(const struct lines *l, struct raw_split *s, double *share,
                           bool *first_fits)
{
    size_t counts[MAX_LINES], n = 0, best = 0, most = 0;
    for (size_t i = 0; i < l->n;) {
        struct text record;
        bool good = cut_record(s, l, &i, &record);
        counts[n++] = good ? s->n : 0;
    }
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;
        for (size_t k = 0; k < n; k++) same += counts[k] == counts[i];
        if (counts[i] && same > most) {
            most = same;
            best = counts[i];
        }
    }
    *share = (double)most / (double)n;
    *first_fits = counts[0] == best;
    return best;
}

static const char *find_delimiter(const struct lines *l, struct raw_split *s,
                                  size_t *fields)
{
    static const char *const delimiters[] = {"\t", "\001", "::", ",", "|", ";", " "};
    for (size_t d = 0; d < sizeof delimiters / sizeof *delimiters; d++) {
        s->delimiter = delimiters[d];
        s->n_delimiter = strlen(delimiters[d]);
        double share;
        bool first_fits;
        *fields = usual_fields(l, s, &share, &first_fits);
        if (*fields > 1 && *fields <= MAX_FIELDS && first_fits && share >= 0.9)
            return delimiters[d];
    }
    return NULL;
}

static void close_grid(struct grid *grid)
{
    mem_free(grid->split.cells);
    mem_free(grid->cells);
}

/* Most values behind the first of their line begin with a blank. */
static bool needs_trim(const struct grid *grid)
{
    size_t blanks = 0, all = 0;
    for (size_t i = 0; i < grid->n; i++)
        for (size_t k = 1; k < grid->fields; k++) {
            struct text cell = grid->cells[i * grid->fields + k];
            all++;
            blanks += cell.n > 0 && cell.s[0] == ' ';
        }
    return 2 * blanks > all;
}

static enum status fill_grid(struct lines *l, struct grid *grid, const char *path,
                             struct error *err)
{
    grid->split.cells = mem_array(MAX_FIELDS, sizeof *grid->split.cells);
    if (!grid->split.cells) return mem_error(err, "cells", MAX_FIELDS);
    grid->split.capacity = MAX_FIELDS;
    if (!find_delimiter(l, &grid->split, &grid->fields)) {
        error_set(err, ST_DATA,
                  "%s: neither csv, tsv nor slot text: no separator parts "
                  "its first %zu lines into equally many values",
                  path, l->n);
        return error_hint(err, ST_DATA,
                          "tabs, commas, '|', ';', '::' and blanks were tried; "
                          "lines above the header line must go");
    }
    grid->cells = mem_array(l->n * grid->fields, sizeof *grid->cells);
    if (!grid->cells) return mem_error(err, "cells", l->n * grid->fields);
    for (size_t i = 0; i < l->n;) {
        struct text record;
        bool good = cut_record(&grid->split, l, &i, &record);
        if (!good || grid->split.n != grid->fields) continue;
        for (size_t k = 0; k < grid->fields; k++)
            grid->cells[grid->n * grid->fields + k] =
                raw_split_text(&grid->split, &grid->split.cells[k], (char *)record.s);
        grid->n++;
    }
    return ST_OK;
}

/* ---- the header line ---- */

static struct text name_cell(const struct grid *grid, size_t k)
{
    return raw_text_trim(grid->cells[k]);
}

/* Does a label that was asked for read a column of this name? */
static bool label_reads(const struct guess_request *q, struct text name)
{
    for (size_t i = 0; i < q->labels.n; i++)
        if (name.n > 1 && strlen(q->labels.v[i]) == name.n &&
            !memcmp(q->labels.v[i], name.s, name.n))
            return true;
    return false;
}

/* Does cell k of the first line stand out from the cells below it? 1: it is no number
 * and they are; -1: it is met again; 0: cannot tell. */
static int stands_out(const struct grid *grid, size_t k)
{
    struct text name = name_cell(grid, k);
    struct value number;
    size_t numbers = 0, others = 0;
    for (size_t i = 1; i < grid->n; i++) {
        struct text cell = raw_text_trim(grid->cells[i * grid->fields + k]);
        if (cell.n == 0 || guess_token(cell) != SIZE_MAX) continue;
        bool is_number = text_number(cell, &number);
        numbers += is_number;
        others += !is_number;
        if (!is_number && raw_text_equal(cell, name)) return -1;
    }
    bool named = name.n && guess_token(name) == SIZE_MAX && !text_number(name, &number);
    return named && numbers && !others;
}

/* Names are there, differ, and are no numbers where all below are. Without any
 * column of numbers the first line is a header if it looks like names. */
static bool has_header(const struct grid *grid, const struct guess_request *q)
{
    size_t strong = 0, against = 0, empty = 0, numbers = 0, wordy = 0;
    for (size_t k = 0; k < grid->fields; k++) {
        struct text name = name_cell(grid, k);
        struct value number;
        if (label_reads(q, name)) return true;
        int verdict = stands_out(grid, k);
        strong += verdict > 0;
        against += verdict < 0;
        empty += name.n == 0;
        bool is_number = text_number(name, &number);
        numbers += is_number;
        wordy += !is_number && name.n <= 64 && !memchr(name.s, ' ', name.n);
    }
    if (against || empty > 1) return false;
    if (strong) return true;
    return !numbers && grid->n > 1 && wordy == grid->fields && !empty;
}

/* RecBole's atomic files say the type behind the name: user_id:token. */
static size_t typed_name(struct text name)
{
    static const char *const types[] = {":token", ":token_seq", ":float", ":float_seq"};
    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(types[i]);
        if (name.n > n && !memcmp(name.s + name.n - n, types[i], n)) return name.n - n;
    }
    return 0;
}

/* The names of the header line as they are to be called. *clean: they are the
 * line's own. */
static enum status read_header(struct guess *g, const struct grid *grid,
                               struct list_cfg *names, bool *clean, struct error *err)
{
    struct raw_names seen;
    TRY(raw_names_init(&seen, err));
    bool typed = true;
    for (size_t k = 0; k < grid->fields; k++) typed &= typed_name(name_cell(grid, k)) > 0;
    *clean = !typed;
    enum status st = ST_OK;
    for (size_t k = 0; st == ST_OK && k < grid->fields; k++) {
        struct text name = name_cell(grid, k);
        if (typed) name.n = typed_name(name);
        size_t before = seen.n, place = 0;
        if (name.n && raw_text_is_utf8(name))
            st = raw_names_add(&seen, name, &place, err);
        if (st != ST_OK) break;
        bool fresh = seen.n > before;
        if (!fresh) *clean = false;
        const char *own = fresh ? arena_strndup(g->arena, name.s, name.n)
                                : guess_print(g, "col%zu", k + 1);
        if (!own) st = guess_no_memory(err);
        names->v[k] = own;
    }
    raw_names_close(&seen);
    return st;
}

static enum status take_names(struct guess *g, struct source_cfg *source,
                              const struct grid *grid, const struct guess_request *q,
                              const char *path, bool *clean, struct error *err)
{
    struct list_cfg names = {.n = grid->fields};
    names.v = arena_take(g->arena, grid->fields, sizeof *names.v);
    if (!names.v) return guess_no_memory(err);
    source->header = has_header(grid, q);
    *clean = false;
    if (q->columns.n && q->columns.n != grid->fields)
        return error_set(err, ST_USAGE, "--columns has %zu names, %s has %zu columns",
                         q->columns.n, path, grid->fields);
    if (q->columns.n) {
        memcpy(names.v, q->columns.v, names.n * sizeof *names.v);
        for (size_t k = 0; k < names.n && !source->header; k++)
            source->header = raw_text_equal(name_cell(grid, k), raw_text_of(names.v[k]));
    } else if (source->header) {
        TRY(read_header(g, grid, &names, clean, err));
    } else {
        for (size_t k = 0; k < names.n; k++)
            if (!(names.v[k] = guess_print(g, "col%zu", k + 1)))
                return guess_no_memory(err);
    }
    source->columns = names;
    return ST_OK;
}

static enum status take_csv(struct guess *g, struct source_cfg *source, struct lines *l,
                            const struct guess_request *q, const char *path, bool *clean,
                            struct error *err)
{
    struct grid grid = {0};
    enum status st = fill_grid(l, &grid, path, err);
    if (st == ST_OK) {
        source->format = !strcmp(grid.split.delimiter, "\t") ? SOURCE_TSV : SOURCE_CSV;
        source->delimiter = grid.split.delimiter;
        source->trim = needs_trim(&grid);
        st = take_names(g, source, &grid, q, path, clean, err);
    }
    close_grid(&grid);
    return st;
}

/* ---- both ---- */

/* Look at the first file of the source. Its columns hold the names, listed or not. */
static enum status look(struct guess *g, struct source_cfg *source,
                        const struct guess_request *q, bool *clean, struct error *err)
{
    const char **files;
    size_t n_files;
    TRY(raw_expand(source, &files, &n_files, err));
    struct lines *l = mem_zeroed(1, sizeof *l);
    enum status st =
        l ? read_text(files[0], source, l, err) : mem_error(err, "lines", sizeof *l);
    struct slot_look slots = {0};
    if (st == ST_OK) st = look_for_slots(l, &slots, err);
    *clean = true;
    if (st == ST_OK && slots.separator)
        st = take_slots(g, source, &slots, q, files[0], err);
    if (st == ST_OK && !slots.separator)
        st = take_csv(g, source, l, q, files[0], clean, err);
    if (l) mem_free(l->text);
    mem_free(l);
    mem_free(files);
    return st;
}

static bool same_names(const struct list_cfg *a, const struct list_cfg *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i], b->v[i]) != 0) return false;
    return true;
}

/* Training and evaluation files may differ in whether they have a header line;
 * the names are then listed once. */
static enum status join_layouts(struct guess *g, bool clean, bool eval_clean,
                                struct error *err)
{
    struct source_cfg *train = &g->data.train, *eval = &g->data.eval;
    if (train->format != eval->format || strcmp(train->delimiter, eval->delimiter) != 0)
        return error_set(err, ST_DATA, "%s and %s are not written alike",
                         train->files.v[0], eval->files.v[0]);
    if (train->format == SOURCE_SLOT) return ST_OK;
    bool by_name = clean && eval_clean;
    if (!by_name && train->columns.n != eval->columns.n)
        return error_set(err, ST_DATA, "%s has %zu columns, %s has %zu",
                         train->files.v[0], train->columns.n, eval->files.v[0],
                         eval->columns.n);
    if (!by_name && train->header && eval->header &&
        !same_names(&train->columns, &eval->columns))
        return error_set(err, ST_DATA, "%s and %s have different columns",
                         train->files.v[0], eval->files.v[0]);
    g->names_listed = !by_name;
    if (!train->header) train->columns = eval->columns;
    eval->trim = train->trim;
    return ST_OK;
}

/* Copies: they outlive the request. */
static enum status copy_files(struct guess *g, const struct list_cfg *files,
                              struct list_cfg *out, struct error *err)
{
    const char **v = arena_take(g->arena, files->n + 1, sizeof *v);
    if (!v) return guess_no_memory(err);
    for (size_t i = 0; i < files->n; i++)
        if (!(v[i] = arena_strdup(g->arena, files->v[i]))) return guess_no_memory(err);
    *out = (struct list_cfg){v, files->n, {0}};
    return ST_OK;
}

enum status guess_layout(struct guess *g, const struct guess_request *q,
                         struct error *err)
{
    static const char *const nothing[] = {""};
    struct source_cfg *train = &g->data.train, *eval = &g->data.eval;
    *train =
        (struct source_cfg){.delimiter = "", .missing = {(const char **)nothing, 1, {0}}};
    *eval = *train;
    TRY(copy_files(g, &q->files, &train->files, err));
    TRY(copy_files(g, &q->eval, &eval->files, err));
    bool clean, eval_clean = true;
    TRY(look(g, train, q, &clean, err));
    g->names_listed = !clean;
    if (q->eval.n) {
        TRY(look(g, eval, q, &eval_clean, err));
        TRY(join_layouts(g, clean, eval_clean, err));
    }
    if (train->format == SOURCE_SLOT) return ST_OK;
    if (!g->names_listed)
        train->columns = eval->columns = (struct list_cfg){0};
    else
        eval->columns = train->columns;
    return ST_OK;
}
