/* Main rows and side tables put together. */
#include "data/raw.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/nearest.h"
#include "data/raw_join.h"
#include "data/raw_reader.h"
#include "data/raw_text.h"

/* One join of an open raw. */
struct joined {
    struct raw_join *table; /* NULL: nobody needs it */
    int key_owner;          /* -1: the main row, else an earlier join ... */
    size_t key;             /* ... and which of its wanted columns */
    const char **names;     /* [n] wanted of it */
    const struct list_cfg **missing;
    size_t n;
    struct text *texts; /* [n] of the current row */
    struct raw_field *fields;
};

/* Where column i is: wanted column `place` of its owner. */
struct column {
    int owner;
    size_t place;
};

struct raw {
    const struct data_cfg *data;
    struct raw_reader *main;
    const char **names; /* [n_main] wanted of the main rows */
    const struct list_cfg **missing;
    size_t n_main;
    struct joined *joins; /* [data->n_joins] */
    struct column *columns;
    size_t n;
    struct bad_rows *bad;
    struct raw_field *fields; /* [n] */
    uint32_t *side;           /* [n_joins] */
    struct raw_row row;
    uint64_t join_bytes;
    bool rejected; /* the last row, after the limit was last checked */
};

static void close_joined(struct joined *j)
{
    raw_join_destroy(j->table);
    mem_free(j->names);
    mem_free(j->missing);
    mem_free(j->texts);
    mem_free(j->fields);
}

void raw_close(struct raw *r)
{
    if (!r) return;
    raw_reader_close(r->main);
    for (size_t j = 0; r->joins && j < r->data->n_joins; j++) close_joined(&r->joins[j]);
    mem_free(r->names);
    mem_free(r->missing);
    mem_free(r->joins);
    mem_free(r->columns);
    mem_free(r->fields);
    mem_free(r->side);
    mem_free(r);
}

/* Every owner may be wanted for each column and each join's key. */
static enum status allocate(struct raw *r, struct error *err)
{
    size_t n_joins = r->data->n_joins, most = r->n + n_joins;
    r->names = mem_zeroed(most, sizeof *r->names);
    r->missing = mem_zeroed(most, sizeof *r->missing);
    r->joins = mem_zeroed(n_joins, sizeof *r->joins);
    r->columns = mem_zeroed(r->n, sizeof *r->columns);
    r->fields = mem_zeroed(r->n, sizeof *r->fields);
    r->side = mem_zeroed(n_joins, sizeof *r->side);
    if (!r->names || !r->missing || !r->joins || !r->columns || !r->fields || !r->side)
        return mem_error(err, "raw columns", most * sizeof *r->fields);
    for (size_t j = 0; j < n_joins; j++) {
        struct joined *join = &r->joins[j];
        r->side[j] = RAW_NO_MATCH;
        join->names = mem_zeroed(most, sizeof *join->names);
        join->missing = mem_zeroed(most, sizeof *join->missing);
        join->texts = mem_zeroed(most, sizeof *join->texts);
        join->fields = mem_zeroed(most, sizeof *join->fields);
        if (!join->names || !join->missing || !join->texts || !join->fields)
            return mem_error(err, "joined columns", most * sizeof *join->texts);
    }
    return ST_OK;
}

/* Want a column of its owner; gives its place there. */
static size_t want(struct raw *r, int owner, const char *name,
                   const struct list_cfg *missing)
{
    const char **names = owner < 0 ? r->names : r->joins[owner].names;
    const struct list_cfg **lists = owner < 0 ? r->missing : r->joins[owner].missing;
    size_t *n = owner < 0 ? &r->n_main : &r->joins[owner].n;
    for (size_t i = 0; i < *n; i++)
        if (strcmp(names[i], name) == 0 && lists[i] == missing) return i;
    names[*n] = name;
    lists[*n] = missing;
    return (*n)++;
}

static enum status no_column(const struct raw_columns *known, const char *name,
                             struct error *err)
{
    error_set(err, ST_USAGE, "no column '%s' in the data", name);
    const char *near = nearest_word(name, known->names, known->n);
    if (near) return error_hint(err, ST_USAGE, "the nearest column is '%s'", near);
    return ST_USAGE;
}

/* Who has a column: -1 main, a join, or -2 nobody. Slot text may have any. */
static int owner_of(const struct raw_columns *known, bool slot, const char *name)
{
    for (size_t i = 0; i < known->n; i++)
        if (strcmp(known->names[i], name) == 0) return known->owner[i];
    return slot ? -1 : -2;
}

/* The key of join j comes from the main row or from an earlier join. */
static enum status plan_key(struct raw *r, const struct raw_columns *known, bool slot,
                            size_t j, struct error *err)
{
    const struct join_cfg *cfg = &r->data->joins[j];
    int owner = owner_of(known, slot, cfg->key.text);
    if (owner >= (int)j || owner == -2) {
        config_fail(err, cfg->key.at,
                    "join key '%s' is no column of the main rows or of an earlier join",
                    cfg->key.text);
        if (owner >= (int)j)
            return error_hint(err, ST_USAGE, "write the join that brings it before this one");
        const char *near = nearest_word(cfg->key.text, known->names, known->n);
        if (near) error_hint(err, ST_USAGE, "the nearest column is '%s'", near);
        return ST_USAGE;
    }
    r->joins[j].key_owner = owner;
    r->joins[j].key = want(r, owner, cfg->key.text, NULL);
    return ST_OK;
}

static enum status plan(struct raw *r, const struct raw_columns *known, bool slot,
                        const char *const *names, const struct list_cfg *const *missing,
                        struct error *err)
{
    for (size_t i = 0; i < r->n; i++) {
        int owner = owner_of(known, slot, names[i]);
        if (owner == -2) return no_column(known, names[i], err);
        r->columns[i] =
            (struct column){owner, want(r, owner, names[i], missing ? missing[i] : NULL)};
    }
    /* From the last join on: a key may make an earlier join needed. */
    for (size_t j = r->data->n_joins; j-- > 0;)
        if (r->joins[j].n) TRY(plan_key(r, known, slot, j, err));
    return ST_OK;
}

static enum status read_sides(struct raw *r, struct error *err)
{
    for (size_t j = 0; j < r->data->n_joins; j++) {
        struct joined *join = &r->joins[j];
        if (!join->n) continue;
        struct raw_join_spec spec = {.cfg = &r->data->joins[j],
                                     .names = join->names,
                                     .missing = join->missing,
                                     .n = join->n,
                                     .limit = r->data->join_memory,
                                     .used = &r->join_bytes};
        TRY(raw_join_create(&spec, r->bad, &join->table, err));
        for (size_t i = 0; i < join->n; i++) join->fields[i].v = &join->texts[i];
    }
    return ST_OK;
}

static enum status set_up(struct raw *r, const struct source_cfg *source,
                          const char *const *columns,
                          const struct list_cfg *const *missing, struct error *err)
{
    bool slot = source->format == SOURCE_SLOT;
    TRY(allocate(r, err));
    struct raw_columns known;
    TRY(raw_columns_read(r->data, source, &known, err));
    enum status st = plan(r, &known, slot, columns, missing, err);
    raw_columns_close(&known);
    TRY(st);
    TRY(read_sides(r, err));
    struct raw_wanted wanted = {.source = source,
                                .slot = &r->data->slot,
                                .names = r->names,
                                .missing = r->missing,
                                .n = r->n_main};
    return raw_reader_open(&wanted, r->bad, &r->main, err);
}

enum status raw_open(const struct data_cfg *data, const struct source_cfg *source,
                     const char *const *columns, const struct list_cfg *const *missing,
                     size_t n, struct bad_rows *bad, struct raw **out, struct error *err)
{
    struct raw *r = mem_zeroed(1, sizeof *r);
    if (!r) return mem_error(err, "raw rows", sizeof *r);
    r->data = data;
    r->bad = bad;
    r->n = n;
    enum status st = set_up(r, source, columns, missing, err);
    if (st != ST_OK) {
        raw_close(r);
        return st;
    }
    r->row.fields = r->fields;
    r->row.side = r->side;
    *out = r;
    return ST_OK;
}

/* Find the side rows of the main row just read and their cells. */
static void join_row(struct raw *r, const struct raw_field *main)
{
    for (size_t j = 0; j < r->data->n_joins; j++) {
        struct joined *join = &r->joins[j];
        if (!join->table) continue;
        const struct raw_field *key = join->key_owner < 0
                                          ? &main[join->key]
                                          : &r->joins[join->key_owner].fields[join->key];
        r->side[j] = key->n ? raw_join_find(join->table, key->v[0]) : RAW_NO_MATCH;
        if (r->side[j] != RAW_NO_MATCH)
            raw_join_get(join->table, r->side[j], join->texts, join->fields);
        else
            for (size_t i = 0; i < join->n; i++) join->fields[i].n = 0;
    }
}

enum status raw_next(struct raw *r, const struct raw_row **row, struct error *err)
{
    bool got;
    *row = NULL;
    if (r->rejected) TRY(bad_rows_check(r->bad, false, err));
    r->rejected = false;
    TRY(raw_reader_next(r->main, &got, err));
    if (!got) return ST_OK;
    const struct raw_field *main = raw_reader_fields(r->main);
    if (r->data->n_joins) join_row(r, main);
    for (size_t i = 0; i < r->n; i++) {
        struct column c = r->columns[i];
        r->fields[i] = c.owner < 0 ? main[c.place] : r->joins[c.owner].fields[c.place];
    }
    r->row.file = raw_reader_file(r->main);
    r->row.line = raw_reader_line(r->main);
    r->bad->n_good++;
    *row = &r->row;
    return ST_OK;
}

void raw_reject(struct raw *r, size_t column, const char *why)
{
    r->bad->n_good--;
    r->rejected = true;
    if (column == SIZE_MAX) {
        bad_rows_add(r->bad, r->row.file, r->row.line, 0, why, (struct text){"", 0});
        return;
    }
    const struct raw_field *field = &r->fields[column];
    struct text value = field->n ? field->v[0] : (struct text){"", 0};
    struct column c = r->columns[column];
    uint64_t line = r->row.line, at = 0;
    char text[512];
    if (c.owner < 0) {
        raw_reader_place(r->main, c.place, &line, &at);
    } else if (r->side[c.owner] != RAW_NO_MATCH) {
        uint64_t side_line;
        const char *file =
            raw_join_place(r->joins[c.owner].table, r->side[c.owner], &side_line);
        snprintf(text, sizeof text, "%s (joined from %s:%llu)", why, file,
                 (unsigned long long)side_line);
        why = text;
    }
    bad_rows_add(r->bad, r->row.file, line, at, why, value);
}

int raw_column_owner(const struct raw *r, size_t column)
{
    return r->columns[column].owner;
}

size_t raw_side_rows(const struct raw *r, size_t join)
{
    return r->joins[join].table ? raw_join_rows(r->joins[join].table) : 0;
}

void raw_progress(const struct raw *r, uint64_t *done, uint64_t *total)
{
    raw_reader_progress(r->main, done, total);
}

uint64_t raw_ignored_values(const struct raw *r)
{
    const struct raw_slot *slot = raw_reader_slot(r->main);
    return slot ? raw_slot_ignored_values(slot) : 0;
}

size_t raw_ignored_names(const struct raw *r)
{
    const struct raw_slot *slot = raw_reader_slot(r->main);
    return slot ? raw_slot_ignored_names(slot) : 0;
}
