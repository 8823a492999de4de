/* Side tables inside the bundle, so that a request need not carry their columns. */
#include "serve/export_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/config/flow.h"
#include "data/raw_join.h"
#include "serve/lookup.h"

/* A row's key and its place in the table. */
struct side_row {
    uint64_t mixed, hash;
    uint32_t row;
};

struct export_join {
    const char **names; /* [n] columns that scoring reads */
    const struct list_cfg **missing;
    size_t n;
    struct raw_join *table; /* NULL: none of its columns is read */
    struct side_row *order; /* [rows] */
    size_t n_rows;
    struct text *texts; /* [n] of one row */
    struct raw_field *fields;
};

/* Cells as they stand in the file: the library decides what is missing. */
static const struct list_cfg nothing;

static void add_name(struct export_join *j, const char *name)
{
    for (size_t i = 0; i < j->n; i++)
        if (!strcmp(j->names[i], name)) return;
    j->missing[j->n] = &nothing;
    j->names[j->n++] = name;
}

static int owner_of(const struct export *e, const char *name)
{
    for (size_t i = 0; i < e->columns.n; i++)
        if (!strcmp(e->columns.names[i], name)) return e->columns.owner[i];
    return -1;
}

static enum status make_joins(struct export *e, struct error *err)
{
    const struct schema_plan *p = e->schema->plan;
    size_t n = e->settings->data.n_joins, most = p->n_columns + n + 1;
    e->joins = mem_zeroed(n + 1, sizeof *e->joins);
    if (!e->joins) return mem_error(err, "side tables", n * sizeof *e->joins);
    for (size_t j = 0; j < n; j++) {
        struct export_join *x = &e->joins[j];
        x->names = mem_zeroed(most, sizeof *x->names);
        x->missing = mem_zeroed(most, sizeof *x->missing);
        x->texts = mem_zeroed(most, sizeof *x->texts);
        x->fields = mem_zeroed(most, sizeof *x->fields);
        if (!x->names || !x->missing || !x->texts || !x->fields) return mem_error(err, "side tables", most);
    }
    for (size_t c = 0; c < p->n_columns; c++)
        if (e->used[c] && p->columns[c].owner >= 0) add_name(&e->joins[p->columns[c].owner], p->columns[c].name);
    /* Last tables first: a key may be a column of an earlier one. */
    for (size_t j = n; j-- > 0;) {
        const char *key = e->settings->data.joins[j].key.text;
        int owner = owner_of(e, key);
        if (e->joins[j].n && owner >= 0) add_name(&e->joins[owner], key);
    }
    return ST_OK;
}

static int by_mixed(const void *a, const void *b)
{
    uint64_t x = ((const struct side_row *)a)->mixed, y = ((const struct side_row *)b)->mixed;
    return (x > y) - (x < y);
}

static enum status sort_rows(struct export_join *x, const char *key, struct error *err)
{
    x->n_rows = raw_join_rows(x->table);
    x->order = mem_array(x->n_rows, sizeof *x->order);
    if (!x->order) return mem_error(err, "side table", x->n_rows * sizeof *x->order);
    for (size_t r = 0; r < x->n_rows; r++) {
        struct text t = raw_join_key(x->table, (uint32_t)r);
        uint64_t hash = hash_id(t.s, t.n);
        x->order[r] = (struct side_row){hash_mix(hash), hash, (uint32_t)r};
    }
    if (x->n_rows) qsort(x->order, x->n_rows, sizeof *x->order, by_mixed);
    for (size_t r = 1; r < x->n_rows; r++)
        if (x->order[r].hash == x->order[r - 1].hash)
            return error_set(err, ST_DATA, "side table by %s: two keys have one hash, %016llx", key,
                             (unsigned long long)x->order[r].hash);
    return ST_OK;
}

enum status export_read_joins(struct export *e, struct error *err)
{
    const struct data_cfg *d = &e->settings->data;
    struct bad_rows bad;
    uint64_t used = 0;
    if (!e->spec->with_joins) return ST_OK;
    TRY(make_joins(e, err));
    bad_rows_init(&bad, d);
    for (size_t j = 0; j < d->n_joins; j++) {
        struct export_join *x = &e->joins[j];
        if (!x->n) continue;
        struct raw_join_spec spec = {&d->joins[j], x->names, x->missing, x->n, d->join_memory, &used};
        TRY(raw_join_create(&spec, &bad, &x->table, err));
        TRY(bad_rows_check(&bad, true, err));
        TRY(sort_rows(x, d->joins[j].key.text, err));
    }
    return ST_OK;
}

void export_close_joins(struct export *e)
{
    for (size_t j = 0; e->joins && j < e->settings->data.n_joins; j++) {
        struct export_join *x = &e->joins[j];
        raw_join_destroy(x->table);
        mem_free(x->names);
        mem_free(x->missing);
        mem_free(x->order);
        mem_free(x->texts);
        mem_free(x->fields);
    }
    mem_free(e->joins);
}

/* ---- sections ---- */

static const char *part(char *out, size_t size, size_t join, const char *name)
{
    snprintf(out, size, "join/%zu/%s", join, name);
    return out;
}

/* Of the row that get_row got. */
static struct text cell(const struct export_join *x, size_t column)
{
    return x->fields[column].n ? x->texts[column] : (struct text){"", 0};
}

static void get_row(const struct export_join *x, size_t r)
{
    raw_join_get(x->table, x->order[r].row, x->texts, x->fields);
}

/* Rows lie in the order of keys, a row's cells together. */
static enum status plan_join(const struct export *e, size_t join, struct bundle_plan *p, struct error *err)
{
    char name[64];
    const struct export_join *x = &e->joins[join];
    size_t entries = ((size_t)1 << lookup_bits(x->n_rows)) + 1, bytes = 0;
    for (size_t r = 0; r < x->n_rows; r++) {
        get_row(x, r);
        for (size_t c = 0; c < x->n; c++) bytes += cell(x, c).n;
    }
    TRY(bundle_plan_add(p, part(name, sizeof name, join, "directory"), SECTION_U32, entries, 0, err));
    TRY(bundle_plan_add(p, part(name, sizeof name, join, "hashes"), SECTION_U64, x->n_rows, 0, err));
    TRY(bundle_plan_add(p, part(name, sizeof name, join, "offsets"), SECTION_U64, x->n_rows * x->n + 1, 0, err));
    return bundle_plan_add(p, part(name, sizeof name, join, "bytes"), SECTION_U8, bytes, 0, err);
}

enum status export_plan_joins(const struct export *e, struct bundle_plan *p, struct error *err)
{
    for (size_t j = 0; e->joins && j < e->settings->data.n_joins; j++)
        if (e->joins[j].table) TRY(plan_join(e, j, p, err));
    return ST_OK;
}

static enum status write_keys(const struct export_join *x, size_t join, struct bundle_writer *w, struct error *err)
{
    char directory[64], hashes[64];
    unsigned bits = lookup_bits(x->n_rows);
    size_t entry = 0;
    part(directory, sizeof directory, join, "directory");
    part(hashes, sizeof hashes, join, "hashes");
    for (size_t r = 0; r <= x->n_rows; r++) {
        size_t end = r < x->n_rows ? lookup_entry(x->order[r].mixed, bits) : (size_t)1 << bits;
        uint32_t at = (uint32_t)r;
        for (; entry <= end; entry++) TRY(bundle_writer_add(w, directory, &at, sizeof at, err));
        if (r < x->n_rows) TRY(bundle_writer_add(w, hashes, &x->order[r].hash, sizeof x->order[r].hash, err));
    }
    return ST_OK;
}

static enum status write_cells(const struct export_join *x, size_t join, struct bundle_writer *w, struct error *err)
{
    char offsets[64], bytes[64];
    uint64_t at = 0;
    part(offsets, sizeof offsets, join, "offsets");
    part(bytes, sizeof bytes, join, "bytes");
    TRY(bundle_writer_add(w, offsets, &at, sizeof at, err));
    for (size_t r = 0; r < x->n_rows; r++) {
        get_row(x, r);
        for (size_t c = 0; c < x->n; c++) {
            struct text t = cell(x, c);
            if (t.n) TRY(bundle_writer_add(w, bytes, t.s, t.n, err));
            at += t.n;
            TRY(bundle_writer_add(w, offsets, &at, sizeof at, err));
        }
    }
    return ST_OK;
}

enum status export_write_joins(const struct export *e, struct bundle_writer *w, struct error *err)
{
    for (size_t j = 0; e->joins && j < e->settings->data.n_joins; j++) {
        const struct export_join *x = &e->joins[j];
        if (!x->table) continue;
        TRY(write_keys(x, j, w, err));
        TRY(write_cells(x, j, w, err));
    }
    return ST_OK;
}

/* Whose column each side table's key is (-1 the main rows), and the columns inside. */
void export_put_joins(const struct export *e, struct buffer *b)
{
    if (!e->joins) return;
    buffer_puts(b, "\"joins\": [");
    for (size_t j = 0; j < e->settings->data.n_joins; j++) {
        const struct export_join *x = &e->joins[j];
        buffer_printf(b, "%s[%d, [", j ? ", " : "", owner_of(e, e->settings->data.joins[j].key.text));
        for (size_t c = 0; c < x->n; c++) {
            buffer_puts(b, c ? ", " : "");
            flow_put_string(b, x->names[c]);
        }
        buffer_puts(b, "]]");
    }
    buffer_puts(b, "],\n");
}

bool export_has_join(const struct export *e, size_t join)
{
    return e->joins && e->joins[join].table;
}
