#include "worker/saver.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/math/optim.h"

/* The dense part in one piece: parameters and optimiser slots, whole vectors. */
struct dense {
    size_t n;
    float *params;
    float *slots[OPTIM_MAX_SLOTS];
    struct optim_layout layout;
};

static void dense_close(struct dense *d)
{
    mem_free(d->params);
    for (size_t i = 0; i < OPTIM_MAX_SLOTS; i++) mem_free(d->slots[i]);
}

static enum status dense_make(const struct session *s, struct dense *d, struct error *err)
{
    *d = (struct dense){.n = model_n_params(s->model),
                        .layout = optim_layout(s->spec.settings->train.optimizer.kind, 1)};
    d->params = mem_zeroed(d->n, sizeof *d->params);
    bool ok = d->params;
    for (size_t i = 0; i < d->layout.n_slots; i++)
        ok = (d->slots[i] = mem_zeroed(d->n, sizeof **d->slots)) && ok;
    if (ok) return ST_OK;
    dense_close(d);
    return mem_error(err, "dense parameters", d->n * sizeof(float));
}

static enum status decay_mask(const struct session *s, uint8_t **out, struct error *err)
{
    *out = mem_zeroed(model_n_params(s->model), 1);
    if (!*out) return mem_error(err, "weight decay mask", model_n_params(s->model));
    model_decay_mask(s->model, *out);
    return ST_OK;
}

static enum status dense_put(const struct session *s, struct client *client, const struct dense *d,
                             size_t n_slots, uint64_t step, uint64_t updates, struct error *err)
{
    uint8_t *decay;
    TRY(decay_mask(s, &decay, err));
    struct wire_dense put = {.step = step,
                             .updates = updates,
                             .n = d->n,
                             .n_slots = n_slots,
                             .params = d->params,
                             .slots = {d->slots[0], d->slots[1]},
                             .decay = decay};
    enum status st = client_dense_put(client, &put, err);
    mem_free(decay);
    return st;
}

enum status saver_init(const struct session *session, struct client *client, struct error *err)
{
    struct dense d;
    TRY(dense_make(session, &d, err));
    model_init_params(session->model, session->spec.settings->seed, d.params);
    enum status st = dense_put(session, client, &d, 0, 0, 0, err);
    dense_close(&d);
    return st;
}

/* ---- writing ---- */

/* The model's tensors as views into a flat vector. */
static void tensor_views(const struct session *s, float *flat, struct named_array *out)
{
    size_t n;
    const struct model_tensor *tensors = model_tensors(s->model, &n);
    for (size_t i = 0; i < n; i++)
        out[i] = (struct named_array){.name = tensors[i].name,
                                      .type = DTYPE_F32,
                                      .rows = tensors[i].rows,
                                      .cols = tensors[i].cols,
                                      .stride = tensors[i].stride,
                                      .data = flat + tensors[i].offset};
}

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
        const struct named_array *slots[OPTIM_MAX_SLOTS];
        tensor_views(s->session, d.params, views);
        for (size_t i = 0; i < d.layout.n_slots; i++) {
            tensor_views(s->session, d.slots[i], views + (i + 1) * n);
            slots[i] = views + (i + 1) * n;
        }
        st = ckpt_dense_write(temp, views, n, d.layout.name, slots, d.layout.n_slots, info, err);
    }
    mem_free(views);
    dense_close(&d);
    return st;
}

/* Counters and early stopping in two arrays, so that a reader needs no schema. */
enum { COUNTS = 6, REALS = 2 };

static enum status write_state(const struct saver_spec *s, const struct train_state *state,
                               const char *temp, struct ckpt_file_info *info, struct error *err)
{
    const struct session *session = s->session;
    const struct settings *settings = session->spec.settings;
    uint64_t counts[COUNTS] = {state->step,  state->updates, state->skipped,
                               state->stale, state->best_step,
                               (uint64_t)state->has_best | (uint64_t)state->stopped_early << 1};
    double reals[REALS] = {state->epoch, state->best};
    uint64_t shape[2] = {settings->train.lanes, settings->train.batch_size};
    size_t n_fit;
    const struct named_array *fit = fit_arrays(session->fit, &n_fit);
    struct named_array *all = mem_array(n_fit + 4, sizeof *all);
    if (!all) return mem_error(err, "state", n_fit * sizeof *all);
    memcpy(all, fit, n_fit * sizeof *all);
    all[n_fit] = (struct named_array){"counts", DTYPE_U64, COUNTS, 0, 0, counts};
    all[n_fit + 1] = (struct named_array){"reals", DTYPE_F64, REALS, 0, 0, reals};
    all[n_fit + 2] = (struct named_array){"lanes_batch_size", DTYPE_U64, 2, 0, 0, shape};
    all[n_fit + 3] = (struct named_array){"layer1_project", DTYPE_U8, session->schema->n_features, 0,
                                          0, session->project};
    enum status st = ckpt_state_write(temp, all, n_fit + 4, info, err);
    mem_free(all);
    return st;
}

static bool still_ours(void *lock)
{
    return lock_is_ours(lock);
}

static enum status describe_tables(const struct session *s, struct ckpt_table **out, struct error *err)
{
    size_t n = s->schema->n_tables;
    struct ckpt_table *tables = mem_zeroed(n, sizeof *tables);
    if (!tables) return mem_error(err, "table list", n * sizeof *tables);
    for (size_t t = 0; t < n; t++) {
        struct optim_layout layout =
            optim_layout(s->schema->tables[t]->optimizer.kind, s->table_dim[t]);
        tables[t] = (struct ckpt_table){.name = s->schema->table_names[t],
                                        .dim = s->table_dim[t],
                                        .n_slots = layout.n_slots};
        for (size_t i = 0; i < layout.n_slots; i++) {
            tables[t].slot_name[i] = layout.name[i];
            tables[t].slot_width[i] = layout.width[i];
        }
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
    char *config = NULL;
    TRY(describe_tables(s->session, &tables, err));
    enum status st = settings_print(settings, false, &config, err);
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
        st = ckpt_commit(save, &meta, tables, s->session->schema->n_tables, files, n_files, still_ours,
                         s->lock, path, err);
    }
    mem_free(config);
    mem_free(tables);
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
        for (size_t k = 0; k < d->layout.n_slots; k++)
            TRY(place_tensor(&tensors[i], ckpt_find_slot(ckpt, d->layout.name[k], tensors[i].name),
                             "optimiser state of ", d->slots[k], err));
    }
    return ST_OK;
}

static enum status check_tables(const struct session *s, struct ckpt *ckpt, struct error *err)
{
    for (size_t t = 0; t < s->schema->n_tables; t++) {
        const char *name = s->schema->table_names[t];
        size_t i = 0;
        while (i < ckpt_n_tables(ckpt) && strcmp(ckpt_table(ckpt, i)->name, name)) i++;
        if (i == ckpt_n_tables(ckpt))
            return error_set(err, ST_MISMATCH, "checkpoint: table %s is missing", name);
        if (ckpt_table(ckpt, i)->dim != s->table_dim[t])
            return error_set(err, ST_MISMATCH, "checkpoint: table %s has dim %zu, the model %zu", name,
                             ckpt_table(ckpt, i)->dim, s->table_dim[t]);
    }
    return ST_OK;
}

enum status saver_read_state(struct ckpt *ckpt, struct train_state *state, struct error *err)
{
    TRY(ckpt_read_state(ckpt, err));
    const struct named_array *c = ckpt_find_state(ckpt, "counts"), *r = ckpt_find_state(ckpt, "reals");
    if (!c || c->type != DTYPE_U64 || c->rows != COUNTS || !r || r->type != DTYPE_F64 || r->rows != REALS)
        return error_set(err, ST_NOINPUT, "train_state.h5: counts and reals are missing or of another shape");
    const uint64_t *counts = c->data;
    const double *reals = r->data;
    *state = (struct train_state){.step = counts[0],
                                  .updates = counts[1],
                                  .skipped = counts[2],
                                  .stale = counts[3],
                                  .best_step = counts[4],
                                  .has_best = counts[5] & 1,
                                  .stopped_early = counts[5] >> 1 & 1,
                                  .epoch = reals[0],
                                  .best = reals[1]};
    return ST_OK;
}

enum status saver_load(const struct session *session, struct client *client, const char *path,
                       struct ckpt *ckpt, struct train_state *state, struct error *err)
{
    struct train_state read;
    struct dense d;
    TRY(check_tables(session, ckpt, err));
    TRY(saver_read_state(ckpt, &read, err));
    TRY(dense_make(session, &d, err));
    enum status st = place_all(session, ckpt, &d, err);
    if (st == ST_OK) st = client_load(client, path, err);
    if (st == ST_OK)
        st = dense_put(session, client, &d, d.layout.n_slots, read.step, read.updates, err);
    dense_close(&d);
    if (st == ST_OK && state) *state = read;
    return st;
}
