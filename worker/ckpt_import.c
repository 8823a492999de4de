#include "worker/ckpt_import.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/settings.h"
#include "common/math/optim.h"
#include "worker/train_state.h"

enum { BUCKETS_AT_ONCE = 16 }; /* of a table's rows in memory */

/* Rows of some buckets, the base's and the new ones. */
struct merged {
    uint64_t *keys, *last_step, *count;
    float *weights, *slots[2];
    size_t n, capacity;
};

struct importing {
    const struct ckpt_import *spec;
    struct ckpt_table *tables;
    size_t n_tables, target; /* place of the table that rows come into */
    float initial;           /* of its state */
    /* the rows being handed over */
    size_t table, bucket, next_new;
    struct merged rows;
};

static enum status no_memory(struct error *err)
{
    return mem_error(err, "rows to import", 0);
}

static size_t width(const struct ckpt_table *t, size_t slot)
{
    return slot < t->n_slots ? t->slot_width[slot] : 0;
}

static bool grow(struct merged *m, const struct ckpt_table *t)
{
    if (m->n < m->capacity) return true;
    size_t n = 2 * m->capacity + 4096;
    uint64_t **numbers[] = {&m->keys, &m->last_step, &m->count};
    for (size_t i = 0; i < 3; i++) {
        uint64_t *more = mem_resize(*numbers[i], n, sizeof *more);
        if (!more) return false;
        *numbers[i] = more;
    }
    float **floats[] = {&m->weights, &m->slots[0], &m->slots[1]};
    for (size_t i = 0; i < 3; i++) {
        size_t each = i ? width(t, i - 1) : t->dim;
        float *more = mem_resize(*floats[i], n, (each + 1) * sizeof *more);
        if (!more) return false;
        *floats[i] = more;
    }
    m->capacity = n;
    return true;
}

static void close_rows(struct merged *m)
{
    void *all[] = {m->keys, m->last_step, m->count, m->weights, m->slots[0], m->slots[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    *m = (struct merged){0};
}

static enum status add_new(struct importing *g, struct error *err)
{
    const struct table_csv *new = g->spec->rows;
    const struct ckpt_table *t = &g->tables[g->table];
    struct merged *m = &g->rows;
    size_t from = g->next_new++, at = m->n;
    if (!grow(m, t)) return no_memory(err);
    m->keys[at] = new->keys[from];
    m->last_step[at] = new->last_step[from];
    m->count[at] = new->count[from];
    memcpy(m->weights + at * t->dim, new->weights + from * t->dim, t->dim * sizeof(float));
    for (size_t k = 0; k < t->n_slots; k++)
        for (size_t j = 0; j < width(t, k); j++) m->slots[k][at * width(t, k) + j] = g->initial;
    m->n++;
    return ST_OK;
}

static enum status add_old(struct importing *g, const struct ckpt_rows *rows, size_t i,
                           struct error *err)
{
    const struct ckpt_table *t = &g->tables[g->table];
    struct merged *m = &g->rows;
    size_t at = m->n;
    if (!grow(m, t)) return no_memory(err);
    m->keys[at] = rows->keys[i];
    m->last_step[at] = rows->last_step[i];
    m->count[at] = rows->count[i];
    if (t->dim) memcpy(m->weights + at * t->dim, rows->weights + i * t->dim, t->dim * sizeof(float));
    for (size_t k = 0; k < t->n_slots; k++)
        memcpy(m->slots[k] + at * width(t, k), rows->slots[k] + i * width(t, k),
               width(t, k) * sizeof(float));
    m->n++;
    return ST_OK;
}

/* New rows that come before `key`, or all of these buckets; equal ones take its place. */
static bool new_comes(const struct importing *g, const uint64_t *key)
{
    const struct table_csv *new = g->spec->rows;
    if (g->table != g->target || g->next_new == new->n) return false;
    uint64_t mine = new->keys[g->next_new];
    if (partition_bucket(mine) >= g->bucket + BUCKETS_AT_ONCE) return false;
    return !key || mine == *key || partition_before(mine, *key);
}

static enum status take_old(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    struct importing *g = arg;
    for (size_t i = 0; i < rows->n; i++) {
        bool replaced = false;
        while (new_comes(g, &rows->keys[i])) {
            replaced = g->spec->rows->keys[g->next_new] == rows->keys[i];
            TRY(add_new(g, err));
        }
        if (!replaced) TRY(add_old(g, rows, i, err));
    }
    return ST_OK;
}

static enum status next(void *arg, size_t table, struct ckpt_rows *out, struct error *err)
{
    struct importing *g = arg;
    struct merged *m = &g->rows;
    size_t n_base = g->spec->base ? ckpt_n_tables(g->spec->base) : 0;
    if (table != g->table) {
        close_rows(m);
        g->table = table;
        g->bucket = 0;
    }
    for (m->n = 0; !m->n && g->bucket < N_BUCKETS; g->bucket += BUCKETS_AT_ONCE) {
        const struct range some = {g->bucket, g->bucket + BUCKETS_AT_ONCE};
        if (table < n_base) TRY(ckpt_read_rows(g->spec->base, table, some, take_old, g, err));
        while (new_comes(g, NULL)) TRY(add_new(g, err));
    }
    *out = (struct ckpt_rows){.n = m->n,
                              .keys = m->keys,
                              .last_step = m->last_step,
                              .count = m->count,
                              .weights = m->weights,
                              .slots = {m->slots[0], m->slots[1]}};
    return ST_OK;
}

/* ---- tables ---- */

static const struct optimizer_cfg *optimizer_of(const struct settings *s, const char *table)
{
    for (size_t i = 1; i < s->n_tables; i++)
        if (!strcmp(s->tables[i].name, table)) return &s->tables[i].optimizer;
    return &s->tables[0].optimizer;
}

static enum status find_initial(struct importing *g, struct error *err)
{
    struct settings *s;
    if (!g->spec->base || !g->tables[g->target].n_slots) return ST_OK;
    TRY(settings_parse(ckpt_meta(g->spec->base)->config, "the base's configuration", NULL, 0, &s, err));
    g->initial = optim_initial_state(optimizer_of(s, g->spec->table));
    settings_destroy(s);
    return ST_OK;
}

static enum status list_tables(struct importing *g, struct error *err)
{
    const struct ckpt_import *spec = g->spec;
    size_t n = spec->base ? ckpt_n_tables(spec->base) : 0;
    g->tables = mem_zeroed(n + 1, sizeof *g->tables);
    if (!g->tables) return no_memory(err);
    for (size_t i = 0; i < n; i++) g->tables[i] = *ckpt_table(spec->base, i);
    g->target = 0;
    while (g->target < n && strcmp(g->tables[g->target].name, spec->table) != 0) g->target++;
    struct ckpt_table *t = &g->tables[g->target];
    g->n_tables = g->target == n ? n + 1 : n;
    if (g->target == n) *t = (struct ckpt_table){.name = spec->table, .dim = spec->rows->dim};
    if (t->dim != spec->rows->dim)
        return error_set(err, ST_MISMATCH, "table %s: dim is %zu in the checkpoint, %zu in the csv",
                         spec->table, t->dim, spec->rows->dim);
    return find_initial(g, err);
}

/* ---- the other files ---- */

/* Optimisers may differ between tensors: a slot has arrays of some of them. */
static size_t find_slots(struct ckpt *base, const struct named_array *tensors, size_t n,
                         struct named_array *arrays, struct ckpt_slot *slots)
{
    size_t n_slots = ckpt_n_slots(base);
    for (size_t k = 0; k < n_slots; k++) {
        slots[k] = (struct ckpt_slot){.name = ckpt_slot(base, k), .arrays = arrays};
        for (size_t i = 0; i < n; i++) {
            const struct named_array *a = ckpt_find_slot(base, slots[k].name, tensors[i].name);
            if (!a) continue;
            *arrays = *a;
            arrays++->name = tensors[i].name; /* without the slot's */
            slots[k].n++;
        }
    }
    return n_slots;
}

static enum status write_dense(struct ckpt *base, const char *temp, struct ckpt_file_info *info,
                               struct error *err)
{
    const struct named_array *tensors = NULL;
    size_t n = 0;
    if (!base) return ckpt_dense_write(temp, NULL, 0, NULL, 0, info, err);
    TRY(ckpt_read_dense(base, &tensors, &n, err));
    struct named_array *arrays = mem_array(n * ckpt_n_slots(base) + 1, sizeof *arrays);
    struct ckpt_slot *slots = mem_array(ckpt_n_slots(base) + 1, sizeof *slots);
    enum status st = arrays && slots ? ST_OK : no_memory(err);
    if (st == ST_OK)
        st = ckpt_dense_write(temp, tensors, n, slots, find_slots(base, tensors, n, arrays, slots),
                              info, err);
    mem_free(arrays);
    mem_free(slots);
    return st;
}

static enum status write_state(struct ckpt *base, const char *temp, struct ckpt_file_info *info,
                               struct error *err)
{
    size_t n;
    const struct train_state fresh = {0};
    struct train_state_arrays memory;
    struct named_array arrays[TRAIN_STATE_ARRAYS];
    if (base) {
        TRY(ckpt_read_state(base, err));
        const struct named_array *all = ckpt_state(base, &n);
        return ckpt_state_write(temp, all, n, info, err);
    }
    size_t n_arrays = train_state_list(&fresh, &memory, arrays);
    return ckpt_state_write(temp, arrays, n_arrays, info, err);
}

/* What a hot start must know of a table that came alone: its dim, and for ids how they
 * became keys. Other keys are the user's business. */
static enum status own_config(const struct ckpt_import *spec, char **out, struct error *err)
{
    char name[600], text[2048];
    size_t n = 0;
    for (const char *c = spec->table; *c && n + 3 < sizeof name; c++) {
        name[n++] = *c;
        if (*c == '\'') name[n++] = *c;
    }
    name[n] = '\0';
    snprintf(text, sizeof text,
             "version: 1\nname: import\ndata: {train: {files: [import.csv]}}\n"
             "features: [{name: number, kind: dense}%s%s%s]\n"
             "tables: {'%s': {dim: %zu, optimizer: sgd}}\n"
             "tasks: {none: {label: none}}\nmodel: {type: dnn, bottom: {layers: []}}\n",
             spec->rows->ids ? ", {name: id, table: '" : "", spec->rows->ids ? name : "",
             spec->rows->ids ? "'}" : "", name, spec->rows->dim);
    struct settings *s;
    TRY(settings_parse(text, "import", NULL, 0, &s, err));
    enum status st = settings_print(s, false, out, err);
    settings_destroy(s);
    return st;
}

static enum status commit(struct importing *g, struct ckpt_save *save,
                          const struct ckpt_file_info *files, char **path, struct error *err)
{
    char *config = NULL;
    const struct ckpt_import *spec = g->spec;
    struct ckpt_meta meta = {.lanes = 1, .batch_size = 1, .run_uuid = "import", .data_digest = ""};
    if (spec->base) meta = *ckpt_meta(spec->base);
    if (!spec->base) TRY(own_config(spec, &config, err));
    if (config) meta.config = config;
    meta.build = spec->build;
    enum status st = ckpt_commit(save, &meta, g->tables, g->n_tables, files, 3, NULL, NULL, path, err);
    mem_free(config);
    return st;
}

static enum status write_all(struct importing *g, struct ckpt_save *save, char **path,
                             struct error *err)
{
    struct ckpt_file_info files[3] = {0};
    const char *temp = ckpt_save_path(save);
    const struct ckpt_row_source rows = {g, next};
    TRY(ckpt_sparse_write(temp, 0, 1, g->tables, g->n_tables, &rows, NULL, NULL, &files[0], err));
    TRY(write_dense(g->spec->base, temp, &files[1], err));
    TRY(write_state(g->spec->base, temp, &files[2], err));
    return commit(g, save, files, path, err);
}

static enum status write_checkpoint(struct importing *g, char **path, struct error *err)
{
    char dir[4096];
    struct ckpt_save *save;
    const struct ckpt_import *spec = g->spec;
    snprintf(dir, sizeof dir, "%s/checkpoints", spec->run_dir);
    if (file_is_dir(dir)) {
        error_set(err, ST_CANTCREATE, "%s: holds checkpoints already", spec->run_dir);
        return error_hint(err, ST_CANTCREATE, "name another folder with -o");
    }
    TRY(file_mkdirs(dir, err));
    uint64_t bytes = spec->rows->n * (spec->rows->dim * sizeof(float) + 24);
    for (size_t i = 0; spec->base && i < ckpt_n_files(spec->base); i++)
        bytes += ckpt_file(spec->base, i)->bytes;
    TRY(ckpt_begin(dir, spec->base ? ckpt_meta(spec->base)->step : 0, 1, bytes, &save, err));
    enum status st = write_all(g, save, path, err);
    if (st != ST_OK) ckpt_abandon(save);
    return st;
}

enum status ckpt_import(const struct ckpt_import *spec, char **path, struct error *err)
{
    struct importing g = {.spec = spec, .table = SIZE_MAX};
    enum status st = list_tables(&g, err);
    if (st == ST_OK) st = write_checkpoint(&g, path, err);
    close_rows(&g.rows);
    mem_free(g.tables);
    return st;
}
