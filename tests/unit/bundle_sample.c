#include "tests/unit/bundle_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/config/flow.h"

static const char config[] =
    "name: sample\nseed: 5\n"
    "data: {train: {files: [a.csv]}, joins: [{files: [items.csv], key: item}]}\n"
    "features:\n"
    "  - {name: user}\n"
    "  - {name: tags, split: \" \", pool: mean, max_len: 3, keep: last}\n"
    "  - {name: item}\n"
    "  - {name: color, kind: one_hot}\n"
    "  - {name: price, kind: dense, default: mean, transform: [log1p, standardize]}\n"
    "  - {name: age, bucketize: 4}\n"
    "  - {name: hour, expr: \"floor(hourmin / 100)\"}\n"
    "  - {name: both, cross: [user, item]}\n"
    "tables: {default: {dim: 4, init: {normal: 0.5}}}\n"
    "tasks: {click: {label: click}, watched: {label: play, loss: completion, duration: length}}\n"
    "model: {type: mmoe, experts: {count: 2, layers: [6]}, gates: {layers: []}, towers: {layers: [5]}}\n";

static void must(const struct bundle_sample *s, enum status st)
{
    if (st != ST_OK) fail_msg("%s", s->err.text);
}

static float number(size_t i, uint64_t seed)
{
    return (float)(hash_bytes(&i, sizeof i, seed) >> 40) / 0x1p23f - 1;
}

/* ---- statistics ---- */

static void fill_fit(struct bundle_sample *s)
{
    static const char *const colors[] = {"red", "green", "blue"};
    must(s, fit_create(s->schema, &s->fit, &s->err));
    struct fit *f = s->fit;
    f->columns[0].default_value = 7;
    f->columns[0].stat[1][0] = 1.5;
    f->columns[0].stat[1][1] = 0.75;
    f->levels[0] = arena_take(f->arena, 4, sizeof **f->levels);
    f->n_levels[0] = 3;
    for (size_t i = 0; i < 3; i++) f->levels[0][i] = hash_id(colors[i], strlen(colors[i]));
    for (size_t i = 0; i < s->schema->n_features; i++) {
        if (!s->schema->features[i].cfg->bucketize) continue;
        static const float borders[] = {18, 30, 50};
        f->borders[i] = arena_take(f->arena, 4, sizeof **f->borders);
        memcpy(f->borders[i], borders, sizeof borders);
    }
    for (size_t k = 0; k < s->settings->n_tasks; k++) f->presence[k] = f->base[k] = 0.5;
    must(s, fit_list_arrays(f, &s->err));
}

/* ---- tables ---- */

struct keyed {
    uint64_t mixed, key;
    size_t i;
};

static int by_mixed(const void *a, const void *b)
{
    uint64_t x = ((const struct keyed *)a)->mixed, y = ((const struct keyed *)b)->mixed;
    return (x > y) - (x < y);
}

static void add(const struct bundle_sample *s, struct bundle_writer *w, const char *prefix,
                const char *part, const void *data, size_t bytes)
{
    char name[128];
    snprintf(name, sizeof name, "%s/%s", prefix, part);
    must(s, bundle_writer_add(w, name, data, bytes, (struct error *)&s->err));
}

/* Texts "0" to "n-1" as keys, in order. */
static void sort_keys(size_t n, struct keyed *v)
{
    for (size_t i = 0; i < n; i++) {
        char text[24];
        uint64_t key = hash_id(text, (size_t)sprintf(text, "%zu", i));
        v[i] = (struct keyed){hash_mix(key), key, i};
    }
    qsort(v, n, sizeof *v, by_mixed);
}

static void write_keys(const struct bundle_sample *s, struct bundle_writer *w, const char *prefix,
                       const char *part, size_t n, struct keyed *v)
{
    sort_keys(n, v);
    unsigned bits = lookup_bits(n);
    uint32_t at = 0;
    for (size_t e = 0; e <= (size_t)1 << bits; e++) {
        while (at < n && lookup_entry(v[at].mixed, bits) < e) at++;
        add(s, w, prefix, "directory", &at, sizeof at);
    }
    for (size_t i = 0; i < n; i++) add(s, w, prefix, part, &v[i].key, sizeof v[i].key);
}

static void write_table(const struct bundle_sample *s, struct bundle_writer *w, size_t table,
                        enum section_type type)
{
    char name[64];
    size_t dim = s->table_dim[table];
    struct keyed v[SAMPLE_KEYS];
    snprintf(name, sizeof name, "table/%s", s->schema->table_names[table]);
    write_keys(s, w, name, "keys", SAMPLE_KEYS, v);
    for (size_t i = 0; i < SAMPLE_KEYS; i++) {
        char row[SAMPLE_DIM * sizeof(float)];
        float scale;
        lookup_pack(type, s->rows + v[i].i * SAMPLE_DIM, dim, row, &scale);
        add(s, w, name, "rows", row, dim * section_type_bytes(type));
        if (type == SECTION_I8) add(s, w, name, "scales", &scale, sizeof scale);
    }
}

/* ---- the whole: projected rows, and the side table ---- */

const char *bundle_sample_price(size_t item)
{
    static char text[16];
    snprintf(text, sizeof text, item % 4 ? "%zu.5" : "", item);
    return text;
}

static void plan_whole(struct bundle_sample *s, const struct infer *f, struct bundle_plan *p)
{
    char name[64];
    size_t bytes = 0;
    for (size_t i = 0; i < SAMPLE_ITEMS; i++) bytes += strlen(bundle_sample_price(i));
    must(s, bundle_plan_add(p, "join/0/directory", SECTION_U32, ((size_t)1 << lookup_bits(SAMPLE_ITEMS)) + 1, 0, &s->err));
    must(s, bundle_plan_add(p, "join/0/hashes", SECTION_U64, SAMPLE_ITEMS, 0, &s->err));
    must(s, bundle_plan_add(p, "join/0/offsets", SECTION_U64, SAMPLE_ITEMS + 1, 0, &s->err));
    must(s, bundle_plan_add(p, "join/0/bytes", SECTION_U8, bytes, 0, &s->err));
    for (size_t i = 0; i < s->schema->n_features; i++) {
        if (!infer_projects(f, i)) continue;
        snprintf(name, sizeof name, "projected/%s", s->schema->features[i].name);
        must(s, bundle_plan_add(p, name, SECTION_F32, SAMPLE_KEYS, infer_projected_width(f), &s->err));
    }
}

static void write_whole(struct bundle_sample *s, const struct infer *f, struct bundle_writer *w)
{
    struct keyed v[SAMPLE_KEYS];
    uint64_t at = 0;
    size_t width = infer_projected_width(f);
    float *row = mem_array(width, sizeof *row);
    write_keys(s, w, "join/0", "hashes", SAMPLE_ITEMS, v);
    add(s, w, "join/0", "offsets", &at, sizeof at);
    for (size_t i = 0; i < SAMPLE_ITEMS; i++) {
        const char *price = bundle_sample_price(v[i].i);
        if (*price) add(s, w, "join/0", "bytes", price, strlen(price));
        at += strlen(price);
        add(s, w, "join/0", "offsets", &at, sizeof at);
    }
    sort_keys(SAMPLE_KEYS, v);
    for (size_t i = 0; i < s->schema->n_features; i++)
        for (size_t k = 0; infer_projects(f, i) && k < SAMPLE_KEYS; k++) {
            infer_project(f, i, s->rows + v[k].i * SAMPLE_DIM, row);
            add(s, w, "projected", s->schema->features[i].name, row, width * sizeof *row);
        }
    mem_free(row);
}

/* ---- the file ---- */

static void plan(struct bundle_sample *s, struct bundle_plan *p, enum section_type type)
{
    size_t n;
    char name[256];
    const struct named_array *a = fit_arrays(s->fit, &n);
    static const enum section_type types[] = {SECTION_U8,  SECTION_U32, SECTION_U64,
                                              SECTION_I64, SECTION_F32, SECTION_F64};
    must(s, bundle_plan_init(p, &s->err));
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "state/%s", a[i].name);
        must(s, bundle_plan_add(p, name, types[a[i].type], a[i].rows, a[i].cols, &s->err));
    }
    const struct model_tensor *t = model_tensors(s->model, &n);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "tensor/%s", t[i].name);
        must(s, bundle_plan_add(p, name, SECTION_F32, t[i].rows, t[i].cols, &s->err));
    }
    for (size_t i = 0; i < s->schema->n_tables; i++) {
        const char *table = s->schema->table_names[i];
        const struct {
            const char *part;
            enum section_type type;
            size_t rows, cols;
        } parts[] = {{"directory", SECTION_U32, ((size_t)1 << lookup_bits(SAMPLE_KEYS)) + 1, 0},
                     {"keys", SECTION_U64, SAMPLE_KEYS, 0},
                     {"rows", type, SAMPLE_KEYS, s->table_dim[i]},
                     {"scales", SECTION_F32, SAMPLE_KEYS, 0}};
        for (size_t k = 0; k < (type == SECTION_I8 ? 4 : 3); k++) {
            snprintf(name, sizeof name, "table/%s/%s", table, parts[k].part);
            must(s, bundle_plan_add(p, name, parts[k].type, parts[k].rows, parts[k].cols, &s->err));
        }
    }
}

static void fill(struct bundle_sample *s, struct bundle_writer *w, enum section_type type)
{
    size_t n;
    char name[256];
    const struct named_array *a = fit_arrays(s->fit, &n);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "state/%s", a[i].name);
        size_t bytes = a[i].rows * (a[i].cols ? a[i].cols : 1) * dtype_bytes(a[i].type);
        must(s, bundle_writer_add(w, name, a[i].data, bytes, &s->err));
    }
    const struct model_tensor *t = model_tensors(s->model, &n);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "tensor/%s", t[i].name);
        for (size_t r = 0; r < t[i].rows; r++)
            must(s, bundle_writer_add(w, name, s->params + t[i].offset + r * t[i].stride,
                                      t[i].cols * sizeof(float), &s->err));
    }
    for (size_t i = 0; i < s->schema->n_tables; i++) write_table(s, w, i, type);
}

/* Two texts: the second stands in place of the first. */
struct change {
    const char *old, *new;
};

static char *changed_settings(struct bundle_sample *s, const struct change *change)
{
    char *settings, *text;
    must(s, settings_print_flow(s->settings, &settings, &s->err));
    if (!change) return settings;
    const char *at = strstr(settings, change->old);
    if (!at) fail_msg("the settings have no %s", change->old);
    struct buffer b = {0};
    buffer_printf(&b, "%.*s%s%s", (int)(at - settings), settings, change->new, at + strlen(change->old));
    mem_free(settings);
    must(s, buffer_take(&b, &text, &s->err));
    return text;
}

static char *make_head(struct bundle_sample *s, bool whole, const struct change *change)
{
    struct buffer head = {0};
    char *settings = changed_settings(s, change), *text;
    buffer_puts(&head, "\"created_by\": \"a test\", \"model_version\": 3, \"step\": 12, \"settings\": ");
    flow_put_string(&head, settings);
    if (whole) buffer_puts(&head, ", \"projected\": 1, \"joins\": [[-1, [\"price\"]]]");
    buffer_puts(&head, ", \"columns\": [[user, -1], [tags, -1], [item, -1], [color, -1], [price, 0], "
                       "[age, -1], [hourmin, -1], [length, -1]]");
    mem_free(settings);
    must(s, buffer_take(&head, &text, &s->err));
    return text;
}

static void write_file(struct bundle_sample *s, const char *path, enum section_type type, const struct infer *whole,
                       const struct change *change)
{
    struct bundle_plan p;
    struct bundle_writer *w;
    char *head = make_head(s, whole != NULL, change), id[BUNDLE_ID];
    plan(s, &p, type);
    if (whole) plan_whole(s, whole, &p);
    must(s, bundle_writer_create(path, &p, head, &w, &s->err));
    mem_free(head);
    fill(s, w, type);
    if (whole) write_whole(s, whole, w);
    must(s, bundle_writer_finish(w, id, &s->err));
    bundle_plan_close(&p);
}

void bundle_sample_write(struct bundle_sample *s, const char *path, enum section_type type)
{
    write_file(s, path, type, NULL, NULL);
}

void bundle_sample_write_changed(struct bundle_sample *s, const char *path, const char *old, const char *new)
{
    write_file(s, path, SECTION_F32, NULL, &(struct change){old, new});
}

void bundle_sample_write_whole(struct bundle_sample *s, const char *path)
{
    struct infer *f;
    must(s, infer_create(s->model, s->params, &f, &s->err));
    write_file(s, path, SECTION_F32, f, NULL);
    infer_destroy(f);
}

/* ---- making and removing ---- */

static void make(struct bundle_sample *s)
{
    const char *names[] = {"user",  "tags",    "item",  "color", "price", "age",
                           "hourmin", "length", "click", "play"};
    int owner[10];
    memset(owner, -1, sizeof owner);
    owner[4] = 0; /* price */
    struct raw_columns columns = {names, owner, 10};
    must(s, settings_parse(config, "sample.yaml", NULL, 0, &s->settings, &s->err));
    must(s, schema_build(s->settings, &columns, false, &s->schema, &s->err));
    fill_fit(s);
    struct model_tables *tables;
    must(s, model_tables_make(s->settings, s->schema, &tables, &s->err));
    memcpy(s->table_dim, tables->dim, tables->n * sizeof *s->table_dim);
    struct assembly a = {s->settings, s->schema, s->fit, tables, NULL};
    must(s, assemble_model(&a, &s->model, &s->err));
    model_tables_destroy(tables);
    size_t n;
    const struct model_tensor *t = model_tensors(s->model, &n);
    s->params = mem_zeroed(model_n_params(s->model), sizeof *s->params);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < t[i].rows; r++)
            for (size_t c = 0; c < t[i].cols; c++)
                s->params[t[i].offset + r * t[i].stride + c] = number(r * t[i].cols + c, i + 1);
    s->rows = mem_array(SAMPLE_KEYS * SAMPLE_DIM, sizeof *s->rows);
    for (size_t i = 0; i < SAMPLE_KEYS * SAMPLE_DIM; i++) s->rows[i] = number(i, 1000);
}

int bundle_sample_setup(void **state)
{
    struct bundle_sample *s = calloc(1, sizeof *s);
    *state = s;
    tmpdir_create(&s->dir);
    tmpdir_path(&s->dir, BUNDLE_FILE, s->path, sizeof s->path);
    make(s);
    bundle_sample_write(s, s->path, SECTION_F32);
    return 0;
}

int bundle_sample_teardown(void **state)
{
    struct bundle_sample *s = *state;
    mem_free(s->rows);
    mem_free(s->params);
    model_destroy(s->model);
    fit_destroy(s->fit);
    schema_destroy(s->schema);
    settings_destroy(s->settings);
    tmpdir_remove(&s->dir);
    free(s);
    return 0;
}

unsigned char *bundle_sample_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = mem_alloc(*n);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

void bundle_sample_put(const char *path, const unsigned char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}
