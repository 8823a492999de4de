#include "tests/unit/hot_sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "worker/dense.h"
#include "worker/rates.h"

static const char config[] =
    "version: 1\n"
    "name: hot\n"
    "seed: 7\n"
    "data:\n"
    "  train: {files: [%s/rows.csv]}\n"
    "  cache: %s/cache\n"
    "features:\n"
    "  - {names: [user, item]}\n"
    "  - {name: seen, split: \" \", pool: mean, table: item}\n"
    "  - {name: age, kind: dense, transform: [standardize]}\n"
    "  - {name: phone, kind: one_hot}\n"
    "tables: {default: {dim: 4, init: {constant: 0.5}}}\n"
    "tasks: {click: {label: click}, like: {label: like}}\n"
    "model: {type: cgc, bottom: {layers: [8]}, gates: {layers: []}, towers: {layers: [4]},\n"
    "        experts: {count: 3, own: 1, shared: 2, layers: [8]}}\n"
    "train: {batch_size: 64, lanes: 4}\n";

void hot_sample_check(enum status st, const struct error *err)
{
    if (st != ST_OK) fail_msg("%s", err->text);
}

void hot_sample_data(struct tmpdir *dir)
{
    char text[16384];
    size_t n = 0;
    tmpdir_create(dir);
    n += (size_t)snprintf(text, sizeof text, "user,item,seen,age,phone,click,like,buy\n");
    for (unsigned i = 0; i < HOT_DATA_ROWS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "u%u,i%u,i%u i%u,%u,p%u,%d,%d,%d\n",
                              i % HOT_DATA_USERS, i % HOT_DATA_ITEMS, i % 5, i % 11, 18 + i % 40, i % 3, i % 3 == 0,
                              i % 7 == 0, i % 5 == 0);
    tmpdir_write(dir, "rows.csv", text);
}

void hot_sample_open(const struct tmpdir *dir, const char *const *sets, struct ckpt *hot,
                     struct hot_side_sample *out)
{
    struct error err;
    char text[4096];
    size_t n = 0;
    while (sets && sets[n]) n++;
    snprintf(text, sizeof text, config, dir->path, dir->path);
    hot_sample_check(settings_parse(text, "hot.yaml", sets, n, &out->settings, &err), &err);
    struct session_spec spec = {.settings = out->settings, .uses = SESSION_TRAIN};
    hot_sample_check(session_open(&spec, &out->session, &err), &err);
    out->session->hot = hot;
    hot_sample_check(session_model(out->session, NULL, &err), &err);
}

void hot_sample_close(struct hot_side_sample *s)
{
    session_close(s->session);
    settings_destroy(s->settings);
}

/* ---- a checkpoint ---- */

static int in_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return partition_before(x, y) ? -1 : x != y;
}

uint64_t hot_sample_key(size_t i)
{
    uint64_t keys[HOT_ROWS];
    char id[16];
    for (size_t k = 0; k < HOT_ROWS; k++)
        keys[k] = hash_id(id, (size_t)snprintf(id, sizeof id, "u%zu", k + HOT_FIRST_USER));
    qsort(keys, HOT_ROWS, sizeof *keys, in_order);
    return keys[i];
}

float hot_sample_row(size_t i, size_t place)
{
    return (float)(1 + i) + 0.125f * (float)place;
}

struct source {
    const struct ckpt_table *tables;
    uint64_t keys[HOT_ROWS], last_step[HOT_ROWS], count[HOT_ROWS];
    float weights[HOT_ROWS * 64], slots[2][HOT_ROWS * 64];
    size_t table;
    bool done;
};

static enum status next(void *arg, size_t table, struct ckpt_rows *rows, struct error *err)
{
    struct source *s = arg;
    (void)err;
    bool again = s->done && s->table == table;
    s->table = table;
    s->done = true;
    *rows = (struct ckpt_rows){.n = again ? 0 : HOT_ROWS,
                               .keys = s->keys,
                               .last_step = s->last_step,
                               .count = s->count,
                               .weights = s->weights,
                               .slots = {s->slots[0], s->slots[1]}};
    const struct ckpt_table *t = &s->tables[table];
    for (size_t i = 0; i < HOT_ROWS; i++) {
        s->keys[i] = hot_sample_key(i);
        s->last_step[i] = i;
        s->count[i] = i + 1;
        for (size_t j = 0; j < t->dim; j++)
            s->weights[i * t->dim + j] = hot_sample_row(i, j);
        for (size_t k = 0; k < t->n_slots; k++)
            for (size_t j = 0; j < t->slot_width[k]; j++)
                s->slots[k][i * t->slot_width[k] + j] = 10 * hot_sample_row(i, j);
    }
    return ST_OK;
}

static void describe(const struct session *s, struct ckpt_table *out)
{
    for (size_t t = 0; t < s->tables->n; t++) {
        struct table_cfg cfg = model_tables_cfg(s->spec.settings, s->tables->name[t]);
        struct optim_layout l = optim_layout(cfg.optimizer.kind, s->tables->dim[t]);
        out[t] = (struct ckpt_table){.name = s->tables->name[t],
                                     .dim = s->tables->dim[t],
                                     .n_slots = l.n_slots,
                                     .slot_name = {l.name[0], l.name[1]},
                                     .slot_width = {l.width[0], l.width[1]}};
    }
}

static void write_dense(const struct session *s, const char *temp, struct ckpt_file_info *info)
{
    struct error err;
    struct dense d;
    size_t n;
    model_tensors(s->model, &n);
    hot_sample_check(dense_make(s, &d, &err), &err);
    model_init_params(s->model, 99, d.params);
    struct named_array *views = mem_array(3 * n, sizeof *views);
    struct ckpt_slot slots[2 * OPTIM_MAX_SLOTS];
    dense_views(s->model, d.params, views);
    for (size_t k = 0; k < d.n_slots; k++)
        for (size_t i = 0; i < d.n; i++) d.slots[k][i] = (float)(2 + k) * fabsf(d.params[i]);
    size_t n_slots = dense_slots(s->model, &d, views + n, slots);
    hot_sample_check(ckpt_dense_write(temp, views, n, slots, n_slots, info, &err), &err);
    mem_free(views);
    dense_close(&d);
}

static void write_state(const struct session *s, const char *temp, struct ckpt_file_info *info)
{
    struct error err;
    struct train_state state = {.step = HOT_STEP, .updates = HOT_UPDATES, .past = {100, 90, 80},
                                .n_days = 2, .days = {20, 30}};
    struct train_state_arrays memory;
    size_t n;
    const struct named_array *fit = fit_arrays(s->fit, &n);
    size_t n_rates = s->rates ? s->rates->n_arrays : 0;
    struct named_array *all = mem_array(n + TRAIN_STATE_ARRAYS + n_rates, sizeof *all);
    memcpy(all, fit, n * sizeof *all);
    n += train_state_list(&state, &memory, all + n);
    if (n_rates) memcpy(all + n, s->rates->arrays, n_rates * sizeof *all);
    hot_sample_check(ckpt_state_write(temp, all, n + n_rates, info, &err), &err);
    mem_free(all);
}

void hot_sample_save(const struct tmpdir *dir, const char *name, const struct hot_side_sample *s,
                     char **path)
{
    struct error err;
    struct ckpt_save *save;
    struct ckpt_table tables[8];
    struct ckpt_file_info files[3] = {0};
    char folder[512], *text;
    snprintf(folder, sizeof folder, "%s/%s", dir->path, name);
    hot_sample_check(file_mkdirs(folder, &err), &err);
    hot_sample_check(ckpt_begin(folder, HOT_STEP, 1, 0, &save, &err), &err);
    describe(s->session, tables);
    struct source *source = mem_zeroed(1, sizeof *source);
    source->tables = tables;
    const struct ckpt_row_source rows = {source, next};
    size_t n_tables = s->session->tables->n;
    const char *temp = ckpt_save_path(save);
    hot_sample_check(ckpt_sparse_write(temp, 0, 1, tables, n_tables, &rows, NULL, NULL, &files[0], &err), &err);
    write_dense(s->session, temp, &files[1]);
    write_state(s->session, temp, &files[2]);
    hot_sample_check(settings_print(s->settings, false, &text, &err), &err);
    struct ckpt_meta meta = {.step = HOT_STEP,
                             .updates = HOT_UPDATES,
                             .seed = s->settings->seed,
                             .lanes = 4,
                             .batch_size = 64,
                             .config = text,
                             .run_uuid = "test",
                             .data_digest = "",
                             .build = "test"};
    hot_sample_check(ckpt_commit(save, &meta, tables, n_tables, files, 3, NULL, NULL, path, &err), &err);
    mem_free(source);
    mem_free(text);
}
