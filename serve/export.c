#include "serve/export_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config/flow.h"
#include "common/store/ckpt.h"
#include "model/tables.h"

/* ---- the checkpoint ---- */

static void close_export(struct export *e)
{
    export_close_joins(e);
    raw_columns_close(&e->columns);
    loaded_release(e->base);
    mem_free(e->used);
    mem_free(e->kept);
    mem_free(e->table);
    model_tables_destroy(e->kinds);
    schema_destroy(e->schema);
    settings_destroy(e->settings);
    ckpt_close(e->ckpt);
}

enum status export_columns(struct export *e, struct error *err)
{
    const struct named_array *a = ckpt_find_state(e->ckpt, "columns");
    if (a && a->type == DTYPE_U8) return raw_columns_unpack(a->data, a->rows, &e->columns, err);
    const struct data_cfg *d = &e->settings->data;
    enum status st = raw_columns_read(d, &d->train, &e->columns, err);
    if (st == ST_OK) return ST_OK;
    error_wrap(err, st, "the checkpoint does not name the columns of its data");
    return error_hint(err, st, "export where the files of data.train are, or save a checkpoint with this version");
}

static void use_expr(bool *used, const struct schema_expr *e)
{
    for (size_t i = 0; i < e->n; i++) used[e->inputs[i]] = true;
}

static enum status find_used(struct export *e, struct error *err)
{
    const struct schema_plan *p = e->schema->plan;
    e->used = mem_zeroed(p->n_columns + 1, sizeof *e->used);
    if (!e->used) return mem_error(err, "columns", p->n_columns);
    for (size_t i = 0; i < e->schema->n_features; i++) {
        if (p->features[i].from == FROM_COLUMN) e->used[p->features[i].column] = true;
        if (p->features[i].from == FROM_EXPR) use_expr(e->used, &p->features[i].expr);
    }
    for (size_t k = 0; k < e->settings->n_tasks; k++) use_expr(e->used, &p->tasks[k].duration);
    return ST_OK;
}

static enum status find_tables(struct export *e, struct error *err)
{
    e->table = mem_zeroed(e->kinds->n + 1, sizeof *e->table);
    e->kept = mem_zeroed(e->kinds->n + 1, sizeof *e->kept);
    if (!e->table || !e->kept) return mem_error(err, "tables", e->kinds->n);
    for (size_t t = 0; t < e->kinds->n; t++) {
        size_t i = 0;
        while (i < ckpt_n_tables(e->ckpt) && strcmp(ckpt_table(e->ckpt, i)->name, e->kinds->name[t]) != 0) i++;
        if (i == ckpt_n_tables(e->ckpt))
            return error_set(err, ST_MISMATCH, "checkpoint: table %s is missing", e->kinds->name[t]);
        e->table[t] = i;
    }
    return ST_OK;
}

/* Rows count the steps of the runs that a hot start went on from, too. */
static uint64_t all_steps(struct ckpt *c)
{
    const struct named_array *past = ckpt_find_state(c, "past");
    bool known = past && past->type == DTYPE_U64 && past->rows > 0;
    return ckpt_meta(c)->step + (known ? ((const uint64_t *)past->data)[0] : 0);
}

static enum status open_export(struct export *e, struct error *err)
{
    TRY(ckpt_open_resolved(e->spec->ckpt, e->spec->warn, NULL, &e->ckpt, err));
    TRY(settings_parse(ckpt_meta(e->ckpt)->config, ckpt_path(e->ckpt), NULL, 0, &e->settings, err));
    TRY(ckpt_read_state(e->ckpt, err));
    TRY(export_columns(e, err));
    TRY(schema_build(e->settings, &e->columns, true, &e->schema, err));
    TRY(model_tables_make(e->settings, e->schema, &e->kinds, err));
    TRY(find_used(e, err));
    TRY(find_tables(e, err));
    TRY(export_read_joins(e, err));
    TRY(export_open_base(e, err));
    const uint64_t step = ckpt_meta(e->ckpt)->step;
    e->version = e->spec->version ? e->spec->version : step ? step : 1; /* versions are from 1 on */
    e->steps = all_steps(e->ckpt);
    return export_count_rows(e, err);
}

/* ---- the file ---- */

/* Every column that scoring reads, once, with its owner: -1 or a join. */
static void put_columns(const struct export *e, struct buffer *b)
{
    const struct schema_plan *p = e->schema->plan;
    bool any = false;
    buffer_puts(b, "\"columns\": [");
    for (size_t k = 0; k < p->n_known; k++) {
        size_t c = 0;
        while (c < p->n_columns && !(e->used[c] && !strcmp(p->columns[c].name, p->known[k]))) c++;
        if (c == p->n_columns) continue;
        buffer_puts(b, any ? ", [" : "[");
        flow_put_string(b, p->known[k]);
        buffer_printf(b, ", %d]", p->known_owner[k]);
        any = true;
    }
    /* Slot text has names beyond those seen at the start of the file. */
    for (size_t c = 0; c < p->n_columns; c++) {
        size_t k = 0;
        while (k < p->n_known && strcmp(p->columns[c].name, p->known[k]) != 0) k++;
        bool again = false;
        for (size_t d = 0; d < c; d++) again |= e->used[d] && !strcmp(p->columns[d].name, p->columns[c].name);
        if (k < p->n_known || !e->used[c] || again) continue;
        buffer_puts(b, any ? ", [" : "[");
        flow_put_string(b, p->columns[c].name);
        buffer_puts(b, ", -1]");
        any = true;
    }
    buffer_puts(b, "]");
}

static void put_member(struct buffer *b, const char *key, const char *text)
{
    buffer_printf(b, "\"%s\": ", key);
    flow_put_string(b, text);
    buffer_puts(b, ", ");
}

static enum status make_head(const struct export *e, bool projected, char **out, struct error *err)
{
    const struct ckpt_meta *meta = ckpt_meta(e->ckpt);
    struct digest digest;
    char hex[33], *settings;
    struct buffer b = {0};
    ckpt_digest(e->ckpt, &digest);
    digest_hex(&digest, hex);
    TRY(settings_print_flow(e->settings, &settings, err));
    put_member(&b, "name", e->settings->name);
    buffer_printf(&b, "\"model_version\": %llu, \"step\": %llu, ", (unsigned long long)e->version,
                  (unsigned long long)meta->step);
    put_member(&b, "created_by", e->spec->build);
    put_member(&b, "trained_by", meta->build);
    put_member(&b, "checkpoint", hex);
    put_member(&b, "rows", section_type_name(e->spec->rows));
    buffer_printf(&b, "\"projected\": %d, ", projected);
    buffer_printf(&b, "\"min_count\": %llu, \"max_age\": %llu,\n", (unsigned long long)e->spec->min_count,
                  (unsigned long long)e->spec->max_age);
    if (e->base) {
        put_member(&b, "base", e->base->info.id);
        buffer_printf(&b, "\"base_version\": %llu, ", (unsigned long long)e->base->info.version);
    }
    export_put_joins(e, &b);
    put_member(&b, "settings", settings);
    buffer_puts(&b, "\n");
    put_columns(e, &b);
    mem_free(settings);
    return buffer_take(&b, out, err);
}

static bool is_statistic(const char *name)
{
    return !strncmp(name, "fit/", 4);
}

/* Arrays of the checkpoint's state, of which statistics go into the bundle. */
static size_t statistics(struct export *e, const struct named_array **out)
{
    size_t n;
    *out = ckpt_state(e->ckpt, &n);
    return n;
}

static enum section_type type_of(enum dtype t)
{
    static const enum section_type types[DTYPE_COUNT] = {SECTION_U8,  SECTION_U32, SECTION_U64,
                                                         SECTION_I64, SECTION_F32, SECTION_F64};
    return types[t];
}

static enum status plan_arrays(struct export *e, struct bundle_plan *p, struct error *err)
{
    const struct named_array *state, *tensors;
    size_t n = statistics(e, &state), n_tensors;
    char name[2 * BUNDLE_MAX_NAME];
    for (size_t i = 0; i < n; i++) {
        if (!is_statistic(state[i].name)) continue;
        snprintf(name, sizeof name, "state/%s", state[i].name);
        TRY(bundle_plan_add(p, name, type_of(state[i].type), state[i].rows, state[i].cols, err));
    }
    TRY(ckpt_read_dense(e->ckpt, &tensors, &n_tensors, err));
    for (size_t i = 0; i < n_tensors; i++) {
        snprintf(name, sizeof name, "tensor/%s", tensors[i].name);
        TRY(bundle_plan_add(p, name, type_of(tensors[i].type), tensors[i].rows, tensors[i].cols, err));
    }
    return ST_OK;
}

static enum status write_array(struct bundle_writer *w, const char *kind, const struct named_array *a,
                               struct error *err)
{
    char name[2 * BUNDLE_MAX_NAME];
    size_t cols = a->cols ? a->cols : 1, size = dtype_bytes(a->type);
    size_t stride = a->stride ? a->stride : cols;
    snprintf(name, sizeof name, "%s/%s", kind, a->name);
    for (size_t r = 0; r < a->rows; r++)
        TRY(bundle_writer_add(w, name, (const char *)a->data + r * stride * size, cols * size, err));
    return ST_OK;
}

static enum status write_arrays(struct export *e, struct bundle_writer *w, struct error *err)
{
    const struct named_array *state, *tensors;
    size_t n = statistics(e, &state), n_tensors;
    for (size_t i = 0; i < n; i++)
        if (is_statistic(state[i].name)) TRY(write_array(w, "state", &state[i], err));
    TRY(ckpt_read_dense(e->ckpt, &tensors, &n_tensors, err));
    for (size_t i = 0; i < n_tensors; i++) TRY(write_array(w, "tensor", &tensors[i], err));
    TRY(export_write_joins(e, w, err));
    return export_write_tables(e, w, err);
}

static enum status write_planned(struct export *e, const char *path, struct bundle_plan *plan,
                                 struct export_result *out, struct error *err)
{
    char *head;
    struct bundle_writer *w = NULL;
    TRY(plan_arrays(e, plan, err));
    TRY(export_plan_tables(e, plan, err));
    TRY(export_plan_joins(e, plan, err));
    TRY(make_head(e, false, &head, err));
    enum status st = bundle_writer_create(path, plan, head, &w, err);
    mem_free(head);
    TRY(st);
    out->bytes = bundle_writer_bytes(w);
    st = write_arrays(e, w, err);
    if (st == ST_OK) return bundle_writer_finish(w, out->id, err);
    bundle_writer_destroy(w);
    return st;
}

static enum status write_file(struct export *e, const char *path, struct export_result *out,
                              struct error *err)
{
    struct bundle_plan plan;
    TRY(bundle_plan_init(&plan, err));
    enum status st = write_planned(e, path, &plan, out, err);
    bundle_plan_close(&plan);
    return st;
}

static enum status project_file(const struct export *e, const char *plain, const char *path,
                                struct export_result *out, struct error *err)
{
    char *head;
    TRY(make_head(e, true, &head, err));
    enum status st = export_project(plain, path, head, out, err);
    mem_free(head);
    return st;
}

/* ---- the folder ---- */

static enum status join_path(char out[PATH_MAX], const char *dir, const char *name, struct error *err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    if (n > 0 && n < PATH_MAX) return ST_OK;
    return error_set(err, ST_CANTCREATE, "%s: the path is too long", dir);
}

static enum status write_sums(const char *temp, struct error *err)
{
    char path[PATH_MAX], hex[SHA256_HEX], *text;
    const char **names;
    size_t n;
    struct buffer b = {0};
    TRY(file_list(temp, &names, &n, err));
    enum status st = ST_OK;
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        st = join_path(path, temp, names[i], err);
        if (st == ST_OK) st = file_sha256(path, hex, NULL, NULL, err);
        if (st == ST_OK) buffer_printf(&b, "%s  %s\n", hex, names[i]);
    }
    mem_free(names);
    if (st != ST_OK) {
        buffer_close(&b);
        return st;
    }
    TRY(buffer_take(&b, &text, err));
    st = join_path(path, temp, "SHA256SUMS", err);
    if (st == ST_OK) st = file_write_atomic(path, text, strlen(text), err);
    mem_free(text);
    return st;
}

/* bundle: the file to describe, which is not the one that is left when that is a graph. */
static enum status write_card(const struct export *e, const char *temp, const char *bundle,
                              const struct export_result *out, struct error *err)
{
    char path[PATH_MAX], *card = NULL;
    struct mtps_model *m;
    TRY(join_path(path, temp, "MODEL_CARD.md", err));
    TRY(loaded_open(bundle, BUNDLE_CHECK_SMALL, &m, err));
    enum status st = export_card(e, m, out, &card, err);
    loaded_release(m);
    if (st == ST_OK) st = file_write_atomic(path, card, strlen(card), err);
    mem_free(card);
    return st;
}

static enum status fill_folder(struct export *e, const char *temp, struct export_result *out,
                               struct error *err)
{
    char path[PATH_MAX], plain[PATH_MAX];
    TRY(join_path(path, temp, BUNDLE_FILE, err));
    TRY(join_path(plain, temp, "plain.mtps", err));
    bool further = e->spec->project || e->spec->onnx;
    TRY(write_file(e, further ? plain : path, out, err));
    if (e->spec->project) TRY(project_file(e, plain, path, out, err));
    if (e->spec->onnx) {
        TRY(export_onnx(e, plain, temp, out, err));
        out->id[0] = '\0'; /* that of the bundle in between */
    }
    TRY(write_card(e, temp, further ? plain : path, out, err));
    if (further && unlink(plain)) return error_set(err, ST_IO, "%s: cannot remove it: %s", plain, strerror(errno));
    if (e->spec->n_item_files) TRY(export_vectors(e, path, temp, err));
    TRY(write_sums(temp, err));
    return file_fsync(temp, err);
}

static enum status exists(const char *path, struct error *err)
{
    error_set(err, ST_CANTCREATE, "%s: the version is there already", path);
    return error_hint(err, ST_CANTCREATE, "choose another one with --version N");
}

static enum status publish(const char *dir, const char *temp, const char *final, struct error *err)
{
    /* A folder that is there is never replaced, not even an empty one. */
    if (renameat2(AT_FDCWD, temp, AT_FDCWD, final, RENAME_NOREPLACE)) {
        if (errno == EEXIST) return exists(final, err);
        if (errno != EINVAL && errno != ENOSYS)
            return error_set(err, ST_IO, "%s: cannot rename to it: %s", final, strerror(errno));
        if (file_exists(final)) return exists(final, err);
        if (rename(temp, final))
            return error_set(err, ST_IO, "%s: cannot rename to it: %s", final, strerror(errno));
    }
    return file_fsync(dir, err);
}

static enum status write_folder(struct export *e, struct export_result *out, struct error *err)
{
    const char *dir = e->spec->dir;
    char final[PATH_MAX], temp[PATH_MAX], name[64];
    snprintf(name, sizeof name, "%llu", (unsigned long long)e->version);
    TRY(join_path(final, dir, name, err));
    if (file_exists(final)) return exists(final, err);
    snprintf(name, sizeof name, ".tmp-%llu-XXXXXX", (unsigned long long)e->version);
    TRY(join_path(temp, dir, name, err));
    enum status made = file_mkdirs(dir, err);
    if (made != ST_OK) return error_hint(err, made, "-o names the folder of versions, which is made; each gets a folder in it");
    if (!mkdtemp(temp)) return error_set(err, ST_CANTCREATE, "%s: cannot make a folder: %s", dir, strerror(errno));
    enum status st = chmod(temp, 0755) ? error_set(err, ST_CANTCREATE, "%s: %s", temp, strerror(errno)) : ST_OK;
    if (st == ST_OK) st = fill_folder(e, temp, out, err);
    if (st == ST_OK) st = publish(dir, temp, final, err);
    if (st != ST_OK) {
        enum status removed = file_remove_tree(temp, NULL);
        (void)removed; /* what went wrong first is said */
        return st;
    }
    out->path = mem_strdup(final);
    return out->path ? ST_OK : mem_error(err, final, strlen(final));
}

/* What does not go together. */
static enum status check_spec(const struct export_spec *s, struct error *err)
{
    const enum status wrong = ST_USAGE;
    if (s->project && s->delta_from) {
        error_set(err, wrong, "--project: projected rows change with every step, a delta cannot have them");
        return error_hint(err, wrong, "leave one of --project and --delta-from out");
    }
    if (s->project && s->rows != SECTION_F32) {
        error_set(err, wrong, "--project: projected rows are f32, not %s", section_type_name(s->rows));
        return error_hint(err, wrong, "leave one of --project and --rows out");
    }
    if (s->onnx && s->rows != SECTION_F32) {
        error_set(err, wrong, "--to onnx: rows are f32, not %s", section_type_name(s->rows));
        return error_hint(err, wrong, "leave --rows out");
    }
    if (s->onnx && (s->project || s->delta_from || s->with_joins)) {
        error_set(err, wrong, "--to onnx: --project, --delta-from and --with-joins are for bundles");
        return error_hint(err, wrong, "leave them out, or --to");
    }
    if (s->onnx && s->n_item_files) {
        error_set(err, wrong, "--to onnx: --item-vectors goes with bundles");
        return error_hint(err, wrong, "leave it out, or --to");
    }
    if (!s->n_item_files != !s->item_key) {
        error_set(err, wrong, "--item-vectors and --item-key go together: files, and the column that names an item");
        return error_hint(err, wrong, s->item_key ? "add --item-vectors FILE..." : "add --item-key COLUMN");
    }
    return ST_OK;
}

static enum status check_vectors(const struct export *e, struct error *err)
{
    if (!e->spec->n_item_files || e->settings->model.type == MODEL_TWO_TOWER) return ST_OK;
    error_set(err, ST_USAGE, "--item-vectors: the model has none");
    return error_hint(err, ST_USAGE, "only model type two_tower has vectors");
}

enum status export_bundle(const struct export_spec *spec, struct export_result *out,
                          struct error *err)
{
    struct export e = {.spec = spec};
    *out = (struct export_result){0};
    TRY(check_spec(spec, err));
    enum status st = open_export(&e, err);
    if (st == ST_OK) st = check_vectors(&e, err);
    if (st == ST_OK) {
        out->version = e.version;
        out->step = ckpt_meta(e.ckpt)->step;
        for (size_t t = 0; t < e.kinds->n; t++) {
            out->rows += e.kept[t];
            out->rows_all += ckpt_table_rows(e.ckpt, e.table[t]);
        }
        st = write_folder(&e, out, err);
    }
    close_export(&e);
    return st;
}
