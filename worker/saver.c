#include "worker/saver.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "worker/dense.h"
#include "worker/rates.h"

enum status saver_init(const struct session *session, struct client *client, struct error *err)
{
    const struct train_state fresh = {0};
    struct dense d;
    TRY(dense_make(session, &d, err));
    model_init_params(session->model, session->spec.settings->seed, d.params);
    enum status st = dense_put(session, client, &d, 0, &fresh, err);
    dense_close(&d);
    return st;
}

/* ---- writing ---- */

static enum status write_dense(const struct saver_spec *s, const char *temp, struct ckpt_file_info *info,
                               struct error *err)
{
    struct dense d;
    size_t n;
    model_tensors(s->session->model, &n);
    TRY(dense_make(s->session, &d, err));
    struct named_array *views = mem_array(n * (1 + OPTIM_MAX_SLOTS), sizeof *views);
    uint64_t step, updates;
    enum status st = views ? ST_OK : mem_error(err, "tensor list", n * sizeof *views);
    if (st == ST_OK) st = client_dense_get(s->client, d.params, d.slots, &step, &updates, err);
    if (st == ST_OK) {
        struct ckpt_slot slots[2 * OPTIM_MAX_SLOTS];
        dense_views(s->session->model, d.params, views);
        size_t n_slots = dense_slots(s->session->model, &d, views + n, slots);
        st = ckpt_dense_write(temp, views, n, slots, n_slots, info, err);
    }
    mem_free(views);
    dense_close(&d);
    return st;
}

static enum status write_state(const struct saver_spec *s, const struct train_state *state,
                               const char *temp, struct ckpt_file_info *info, struct error *err)
{
    const struct session *session = s->session;
    const struct settings *settings = session->spec.settings;
    struct train_state_arrays memory;
    uint64_t shape[2] = {settings->train.lanes, settings->train.batch_size}, rows = dataset_rows(session->train);
    size_t n;
    const struct named_array *fit = fit_arrays(session->fit, &n);
    const struct rates *rates = session->rates;
    size_t n_rates = rates ? rates->n_arrays : 0;
    /* An export needs the names of the columns, and may run where the data is not. */
    const struct raw_columns columns = schema_columns(session->schema);
    char *names;
    size_t n_names;
    TRY(raw_columns_pack(&columns, &names, &n_names, err));
    struct named_array *all = mem_array(n + TRAIN_STATE_ARRAYS + 5 + n_rates, sizeof *all);
    if (!all) {
        mem_free(names);
        return mem_error(err, "state", n * sizeof *all);
    }
    memcpy(all, fit, n * sizeof *all);
    n += train_state_list(state, &memory, all + n);
    all[n++] = (struct named_array){"lanes_batch_size", DTYPE_U64, 2, 0, 0, shape};
    all[n++] = (struct named_array){"layer1_project", DTYPE_U8, session->schema->n_features, 0, 0,
                                    session->project};
    all[n++] = (struct named_array){"columns", DTYPE_U8, n_names, 0, 0, names};
    all[n++] = (struct named_array){"data_rows", DTYPE_U64, 1, 0, 0, &rows};
    if (n_rates) memcpy(all + n, rates->arrays, n_rates * sizeof *all);
    n += n_rates;
    if (s->balance) all[n++] = *s->balance;
    enum status st = ckpt_state_write(temp, all, n, info, err);
    mem_free(names);
    mem_free(all);
    return st;
}

static bool still_ours(void *lock)
{
    return lock_is_ours(lock);
}

/* Tables in order, then the ids that wait for a row of one, as the servers write them. */
static enum status describe_tables(const struct session *s, struct arena *a, struct ckpt_table **out,
                                   size_t *n_out, struct error *err)
{
    size_t n = s->tables->n;
    struct ckpt_table *tables = arena_take(a, 2 * n + 1, sizeof *tables);
    if (!tables) return mem_error(err, "table list", 2 * n * sizeof *tables);
    *n_out = n;
    for (size_t t = 0; t < n; t++) {
        struct table_cfg cfg = model_tables_cfg(s->spec.settings, s->tables->name[t]);
        struct optim_layout layout = optim_layout(cfg.optimizer.kind, s->tables->dim[t]);
        tables[t] = (struct ckpt_table){.name = s->tables->name[t],
                                        .dim = s->tables->dim[t],
                                        .n_slots = layout.n_slots};
        for (size_t i = 0; i < layout.n_slots; i++) {
            tables[t].slot_name[i] = layout.name[i];
            tables[t].slot_width[i] = layout.width[i];
        }
        if (cfg.admit.min_count <= 1) continue;
        const char *name = arena_printf(a, "%s" CKPT_WAITING, s->tables->name[t]);
        if (!name) return mem_error(err, "table list", 0);
        tables[(*n_out)++] = (struct ckpt_table){.name = name};
    }
    *out = tables;
    return ST_OK;
}

static enum status commit(const struct saver_spec *s, const struct train_state *state,
                          struct ckpt_save *save, const struct ckpt_file_info *files, size_t n_files,
                          char **path, struct error *err)
{
    const struct settings *settings = s->session->spec.settings;
    struct ckpt_table *tables = NULL;
    size_t n_tables = 0;
    char *config = NULL;
    struct arena *arena;
    TRY(arena_create(&arena, err));
    enum status st = describe_tables(s->session, arena, &tables, &n_tables, err);
    if (st == ST_OK) st = settings_print(settings, false, &config, err);
    if (st == ST_OK) {
        struct ckpt_meta meta = {.step = state->step,
                                 .updates = state->updates,
                                 .seed = settings->seed,
                                 .lanes = settings->train.lanes,
                                 .batch_size = settings->train.batch_size,
                                 .attempt = lock_attempt(s->lock),
                                 .epoch = state->epoch,
                                 .config = config,
                                 .run_uuid = s->run_uuid,
                                 .data_digest = s->session->data_digest,
                                 .build = s->build};
        st = ckpt_commit(save, &meta, tables, n_tables, files, n_files, still_ours, s->lock, path,
                         err);
    }
    mem_free(config);
    arena_destroy(arena);
    return st;
}

static void checkpoints_dir(const struct saver_spec *s, char *out, size_t size)
{
    snprintf(out, size, "%s/checkpoints", s->run_dir);
}

static enum status expect_bytes(const struct saver_spec *s, uint64_t *out, struct error *err)
{
    struct wire_stats stats;
    TRY(client_stats(s->client, &stats, err));
    *out = stats.bytes + 3 * sizeof(float) * model_n_params(s->session->model);
    return ST_OK;
}

static enum status write_files(const struct saver_spec *s, const struct train_state *state,
                               struct ckpt_save *save, struct ckpt_file_info *files, char **path,
                               struct error *err)
{
    size_t n = client_n_servers(s->client);
    const char *temp = ckpt_save_path(save);
    TRY(client_save(s->client, temp, files, err));
    TRY(write_dense(s, temp, &files[n], err));
    TRY(write_state(s, state, temp, &files[n + 1], err));
    return commit(s, state, save, files, n + 2, path, err);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum status saver_commit(const struct saver_spec *s, const struct train_state *state, char **path,
                         struct error *err)
{
    char dir[4096];
    checkpoints_dir(s, dir, sizeof dir);
    double start = now_s();
    uint64_t bytes;
    struct ckpt_save *save;
    TRY(file_mkdirs(dir, err));
    TRY(expect_bytes(s, &bytes, err));
    TRY(ckpt_begin(dir, state->step, lock_attempt(s->lock), bytes, &save, err));
    struct ckpt_file_info *files = mem_zeroed(client_n_servers(s->client) + 2, sizeof *files);
    enum status st = files ? write_files(s, state, save, files, path, err)
                           : mem_error(err, "file list", sizeof *files);
    if (st != ST_OK) {
        mem_free(files);
        ckpt_abandon(save);
        return st;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < client_n_servers(s->client) + 2; i++) total += files[i].bytes;
    mem_free(files);
    log_line(LOG_INFO, "ckpt", "committed step=%llu bytes=%llu secs=%.2f %s",
             (unsigned long long)state->step, (unsigned long long)total, now_s() - start, *path);
    return ST_OK;
}

enum status saver_mark_best(const struct saver_spec *s, const struct train_state *state,
                            struct error *err)
{
    char dir[4096], path[4200], text[256];
    checkpoints_dir(s, dir, sizeof dir);
    snprintf(path, sizeof path, "%s/best.json", dir);
    snprintf(text, sizeof text, "{\"checkpoint\": \"step-%012llu\", \"value\": %.17g}\n",
             (unsigned long long)state->best_step, state->best);
    return file_write_atomic(path, text, strlen(text), err);
}

/* ---- reading ---- */

/* Copy a stored tensor into its place in the flat vector. */
static enum status place_tensor(const struct model_tensor *t, const struct named_array *a,
                                const char *what, float *flat, struct error *err)
{
    if (!a) return error_set(err, ST_MISMATCH, "checkpoint: %s%s is missing", what, t->name);
    if (a->type != DTYPE_F32 || a->rows != t->rows || a->cols != t->cols)
        return error_set(err, ST_MISMATCH, "checkpoint: %s%s has shape [%zu, %zu], the model [%zu, %zu]",
                         what, t->name, a->rows, a->cols, t->rows, t->cols);
    const float *from = a->data;
    size_t stride = a->stride ? a->stride : a->cols;
    for (size_t r = 0; r < t->rows; r++)
        memcpy(flat + t->offset + r * t->stride, from + r * stride, t->cols * sizeof *flat);
    return ST_OK;
}

static enum status place_all(const struct session *s, struct ckpt *ckpt, struct dense *d,
                             struct error *err)
{
    size_t n, n_stored;
    const struct named_array *stored;
    const struct model_tensor *tensors = model_tensors(s->model, &n);
    TRY(ckpt_read_dense(ckpt, &stored, &n_stored, err));
    for (size_t i = 0; i < n; i++) {
        TRY(place_tensor(&tensors[i], ckpt_find_tensor(ckpt, tensors[i].name), "", d->params, err));
        const struct optim_layout *layout = dense_layout(d, &tensors[i]);
        for (size_t k = 0; k < layout->n_slots; k++)
            TRY(place_tensor(&tensors[i], ckpt_find_slot(ckpt, layout->name[k], tensors[i].name),
                             "optimiser state of ", d->slots[k], err));
    }
    return ST_OK;
}

static enum status check_tables(const struct session *s, struct ckpt *ckpt, struct error *err)
{
    for (size_t t = 0; t < s->tables->n; t++) {
        const char *name = s->tables->name[t];
        size_t i = 0;
        while (i < ckpt_n_tables(ckpt) && strcmp(ckpt_table(ckpt, i)->name, name)) i++;
        if (i == ckpt_n_tables(ckpt))
            return error_set(err, ST_MISMATCH, "checkpoint: table %s is missing", name);
        if (ckpt_table(ckpt, i)->dim != s->tables->dim[t])
            return error_set(err, ST_MISMATCH, "checkpoint: table %s has dim %zu, the model %zu", name,
                             ckpt_table(ckpt, i)->dim, s->tables->dim[t]);
    }
    return ST_OK;
}

enum status saver_load(const struct session *session, struct client *client, const char *path,
                       struct ckpt *ckpt, struct train_state *state, struct error *err)
{
    struct train_state read;
    struct dense d;
    TRY(check_tables(session, ckpt, err));
    TRY(train_state_read(ckpt, &read, err));
    TRY(dense_make(session, &d, err));
    enum status st = place_all(session, ckpt, &d, err);
    if (st == ST_OK) st = client_load(client, path, err);
    if (st == ST_OK)
        st = dense_put(session, client, &d, d.n_slots, &read, err);
    if (st == ST_OK && session->rates) st = rates_put(session->rates, client, err);
    dense_close(&d);
    if (st == ST_OK && state) *state = read;
    return st;
}
