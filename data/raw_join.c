#include "data/raw_join.h"

#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "data/expr.h"
#include "data/raw_reader.h"
#include "data/raw_text.h"

enum { FIRST_ROWS = 1024, FIRST_BYTES = 64 * 1024 };
#define MISSING (UINT32_C(1) << 31)

struct slot {
    uint32_t row; /* + 1; 0 = free */
    uint32_t tag; /* high half of the key's hash */
};

struct origin_of_row {
    uint32_t file;
    uint32_t line; /* saturates */
};

struct raw_join {
    struct raw_names files;
    size_t n; /* columns */
    char *texts;
    size_t n_bytes, capacity_bytes;
    uint64_t *base;
    uint32_t *ends; /* [rows][n + 1]: the key's end first */
    struct origin_of_row *origin;
    size_t rows, capacity;
    struct slot *slots;
    size_t n_slots;
    uint64_t taken; /* bytes of the above */
};

void raw_join_destroy(struct raw_join *j)
{
    if (!j) return;
    raw_names_close(&j->files);
    mem_free(j->texts);
    mem_free(j->base);
    mem_free(j->ends);
    mem_free(j->origin);
    mem_free(j->slots);
    mem_free(j);
}

size_t raw_join_rows(const struct raw_join *j)
{
    return j->rows;
}

struct text raw_join_key(const struct raw_join *j, uint32_t row)
{
    return (struct text){j->texts + j->base[row], j->ends[row * (j->n + 1)]};
}

uint32_t raw_join_find(const struct raw_join *j, struct text key)
{
    if (j->rows == 0) return RAW_NO_MATCH;
    key = raw_text_trim(key);
    uint64_t h = hash_bytes(key.s, key.n, 0);
    size_t mask = j->n_slots - 1;
    for (size_t i = (size_t)h & mask; j->slots[i].row; i = (i + 1) & mask) {
        if (j->slots[i].tag != (uint32_t)(h >> 32)) continue;
        uint32_t row = j->slots[i].row - 1;
        if (raw_text_equal(raw_join_key(j, row), key)) return row;
    }
    return RAW_NO_MATCH;
}

static void insert(struct raw_join *j, uint32_t row)
{
    struct text key = raw_join_key(j, row);
    uint64_t h = hash_bytes(key.s, key.n, 0);
    size_t mask = j->n_slots - 1, i = (size_t)h & mask;
    while (j->slots[i].row) i = (i + 1) & mask;
    j->slots[i] = (struct slot){row + 1, (uint32_t)(h >> 32)};
}

void raw_join_get(const struct raw_join *j, uint32_t row, struct text *texts,
                  struct raw_field *fields)
{
    const char *base = j->texts + j->base[row];
    const uint32_t *ends = j->ends + row * (j->n + 1);
    uint32_t begin = ends[0];
    for (size_t i = 0; i < j->n; i++) {
        uint32_t end = ends[i + 1] & ~MISSING;
        texts[i] = (struct text){base + begin, end - begin};
        fields[i].n = ends[i + 1] & MISSING ? 0 : 1;
        begin = end;
    }
}

const char *raw_join_place(const struct raw_join *j, uint32_t row, uint64_t *line)
{
    *line = j->origin[row].line;
    return j->files.v[j->origin[row].file];
}

/* ---- reading ---- */

/* What is read: the key, the wanted columns, then the inputs of `where`. */
struct loader {
    struct raw_join *join;
    const struct raw_join_spec *spec;
    struct bad_rows *bad;
    struct raw_reader *reader;
    const char **names; /* [n] */
    const struct list_cfg **missing;
    size_t n;
    struct expr *where; /* NULL: all rows */
    struct expr_scratch *scratch;
    struct text *inputs;
};

/* Take memory for the table, old block and new one together: that is the peak. */
static enum status grow(struct loader *l, void **block, size_t n, size_t size,
                        size_t old_n, struct error *err)
{
    uint64_t more = (uint64_t)n * size, less = (uint64_t)old_n * size;
    const struct raw_join_spec *spec = l->spec;
    if (*spec->used + more > spec->limit) {
        error_set(
            err, ST_NOMEM,
            "side table %s (key %s): needs more than data.join_memory: %llu bytes with "
            "the other tables after %zu rows, allowed are %llu",
            raw_reader_file(l->reader), spec->cfg->key.text,
            (unsigned long long)(*spec->used + more), l->join->rows,
            (unsigned long long)spec->limit);
        return error_hint(err, ST_NOMEM,
                          "raise data.join_memory, or use fewer columns of the table");
    }
    void *p = mem_resize(*block, n, size);
    if (!p) return mem_error(err, "side table", n * size);
    *block = p;
    *spec->used += more - less;
    l->join->taken += more - less;
    return ST_OK;
}

static enum status grow_rows(struct loader *l, struct error *err)
{
    struct raw_join *j = l->join;
    size_t old = j->capacity, n = old ? 2 * old : FIRST_ROWS;
    if (n >= RAW_NO_MATCH / 2)
        return error_set(err, ST_DATA, "side table %s: has more than %zu rows",
                         raw_reader_file(l->reader), old);
    TRY(grow(l, (void **)&j->base, n, sizeof *j->base, old, err));
    TRY(grow(l, (void **)&j->ends, n, (j->n + 1) * sizeof *j->ends, old, err));
    TRY(grow(l, (void **)&j->origin, n, sizeof *j->origin, old, err));
    TRY(grow(l, (void **)&j->slots, 2 * n, sizeof *j->slots, j->n_slots, err));
    j->capacity = n;
    j->n_slots = 2 * n;
    memset(j->slots, 0, j->n_slots * sizeof *j->slots);
    for (size_t i = 0; i < j->rows; i++) insert(j, (uint32_t)i);
    return ST_OK;
}

static enum status reserve_bytes(struct loader *l, size_t n, struct error *err)
{
    struct raw_join *j = l->join;
    if (j->n_bytes + n <= j->capacity_bytes) return ST_OK;
    size_t capacity = j->capacity_bytes ? j->capacity_bytes : FIRST_BYTES;
    while (capacity < j->n_bytes + n) capacity += capacity / 2;
    TRY(grow(l, (void **)&j->texts, capacity, 1, j->capacity_bytes, err));
    j->capacity_bytes = capacity;
    return ST_OK;
}

static enum status twice(struct loader *l, struct text key, uint32_t row,
                         struct error *err)
{
    uint64_t line;
    const char *file = raw_join_place(l->join, row, &line);
    char shown[160];
    raw_text_print(key, 40, shown, sizeof shown);
    error_set(err, ST_DATA,
              "%s:%llu: key %s '%s' stands twice in the side table: first at %s:%llu",
              raw_reader_file(l->reader), (unsigned long long)raw_reader_line(l->reader),
              l->spec->cfg->key.text, shown, file, (unsigned long long)line);
    return error_hint(err, ST_DATA,
                      "a side table has one row per key: leave out the repeats");
}

/* fields[0] is the key, the rest are the wanted columns. */
static enum status add_row(struct loader *l, const struct raw_field *fields,
                           struct error *err)
{
    struct raw_join *j = l->join;
    struct text key = raw_text_trim(fields[0].v[0]);
    uint32_t there = raw_join_find(j, key);
    if (there != RAW_NO_MATCH) return twice(l, key, there, err);
    if (j->rows == j->capacity) TRY(grow_rows(l, err));
    size_t bytes = key.n;
    for (size_t i = 1; i <= j->n; i++) bytes += fields[i].n ? fields[i].v[0].n : 0;
    TRY(reserve_bytes(l, bytes, err));
    char *base = j->texts + j->n_bytes;
    uint32_t *ends = j->ends + j->rows * (j->n + 1);
    memcpy(base, key.s, key.n);
    uint32_t at = ends[0] = (uint32_t)key.n;
    for (size_t i = 1; i <= j->n; i++) {
        struct text t = fields[i].n ? fields[i].v[0] : (struct text){"", 0};
        memcpy(base + at, t.s, t.n);
        at += (uint32_t)t.n;
        ends[i] = fields[i].n ? at : at | MISSING;
    }
    size_t file;
    TRY(raw_names_add(&j->files, raw_text_of(raw_reader_file(l->reader)), &file, err));
    uint64_t line = raw_reader_line(l->reader);
    j->origin[j->rows] = (struct origin_of_row){
        (uint32_t)file, line < UINT32_MAX ? (uint32_t)line : UINT32_MAX};
    j->base[j->rows] = j->n_bytes;
    j->n_bytes += bytes;
    insert(j, (uint32_t)j->rows++);
    return ST_OK;
}

/* Does `where` hold? A row on which it cannot be worked out is a bad one. */
static enum status is_wanted(struct loader *l, const struct raw_field *fields,
                             bool *wanted, struct error *err)
{
    *wanted = true;
    if (!l->where) return ST_OK;
    size_t first = 1 + l->spec->n;
    for (size_t i = first; i < l->n; i++)
        l->inputs[i - first] = fields[i].n ? fields[i].v[0] : (struct text){NULL, 0};
    struct value v;
    struct error why;
    enum status st = expr_eval(l->where, l->inputs, l->scratch, &v, &why);
    *wanted = st == ST_OK && value_is_true(&v);
    if (st == ST_OK) return ST_OK;
    if (st != ST_DATA) return error_set(err, st, "%s", why.text);
    bad_rows_add(l->bad, raw_reader_file(l->reader), raw_reader_line(l->reader), 0,
                 why.text, (struct text){"", 0});
    return bad_rows_check(l->bad, false, err);
}

static enum status load(struct loader *l, struct error *err)
{
    for (;;) {
        bool got, wanted;
        TRY(raw_reader_next(l->reader, &got, err));
        if (!got) return ST_OK;
        const struct raw_field *fields = raw_reader_fields(l->reader);
        TRY(is_wanted(l, fields, &wanted, err));
        /* A row without a key can never be asked for. */
        if (wanted && fields[0].n) TRY(add_row(l, fields, err));
    }
}

static enum status parse_where(struct loader *l, struct error *err)
{
    const struct source_cfg *source = &l->spec->cfg->source;
    if (!source->where.text) return ST_OK;
    struct raw_wanted want = {.source = source};
    struct raw_names known;
    TRY(raw_names_init(&known, err));
    enum status st = raw_reader_names(&want, &known, err);
    if (st == ST_OK)
        st = expr_parse(&source->where, known.v ? known.v : (const char *[]){NULL},
                        known.n, &l->where, err);
    raw_names_close(&known);
    TRY(st);
    TRY(expr_scratch_create(&l->scratch, err));
    l->inputs = mem_zeroed(expr_n_columns(l->where), sizeof *l->inputs);
    return l->inputs ? ST_OK : mem_error(err, "side table", sizeof *l->inputs);
}

static enum status list_columns(struct loader *l, struct error *err)
{
    const struct raw_join_spec *spec = l->spec;
    size_t n_where = l->where ? expr_n_columns(l->where) : 0, n = 1 + spec->n + n_where;
    l->names = mem_zeroed(n, sizeof *l->names);
    l->missing = mem_zeroed(n, sizeof *l->missing);
    if (!l->names || !l->missing)
        return mem_error(err, "side table", n * sizeof *l->names);
    l->n = n;
    l->names[0] = spec->cfg->key.text;
    for (size_t i = 0; i < spec->n; i++) {
        l->names[1 + i] = spec->names[i];
        l->missing[1 + i] = spec->missing[i];
    }
    for (size_t i = 0; i < n_where; i++)
        l->names[1 + spec->n + i] = expr_column(l->where, i);
    return ST_OK;
}

static enum status read_table(struct loader *l, struct error *err)
{
    TRY(parse_where(l, err));
    TRY(list_columns(l, err));
    struct raw_wanted want = {.source = &l->spec->cfg->source,
                              .names = l->names,
                              .missing = l->missing,
                              .n = l->n};
    TRY(raw_reader_open(&want, l->bad, &l->reader, err));
    return load(l, err);
}

static void close_loader(struct loader *l)
{
    raw_reader_close(l->reader);
    expr_destroy(l->where);
    expr_scratch_destroy(l->scratch);
    mem_free(l->inputs);
    mem_free(l->names);
    mem_free(l->missing);
}

enum status raw_join_create(const struct raw_join_spec *spec, struct bad_rows *bad,
                            struct raw_join **out, struct error *err)
{
    struct raw_join *j = mem_zeroed(1, sizeof *j);
    if (!j) return mem_error(err, "side table", sizeof *j);
    j->n = spec->n;
    enum status st = raw_names_init(&j->files, err);
    struct loader l = {.join = j, .spec = spec, .bad = bad};
    if (st == ST_OK) st = read_table(&l, err);
    close_loader(&l);
    if (st != ST_OK) {
        raw_join_destroy(j);
        return st;
    }
    *out = j;
    return ST_OK;
}
