#include "tests/unit/data_sample.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/partition.h"

static const char head[] = "version: 1\nname: sample\nseed: 5\n"
                           "model: {type: lr}\ntrain: {batch_size: 64, lanes: 4}\n";

int data_sample_setup(void **state)
{
    struct data_sample *s = calloc(1, sizeof *s);
    assert_non_null(s);
    tmpdir_create(&s->dir);
    *state = s;
    return 0;
}

void data_sample_close(struct data_sample *s)
{
    fit_destroy(s->fit);
    dataset_close(s->data);
    mem_free(s->path);
    schema_destroy(s->schema);
    settings_destroy(s->settings);
    s->fit = NULL;
    s->data = NULL;
    s->path = NULL;
    s->schema = NULL;
    s->settings = NULL;
}

int data_sample_teardown(void **state)
{
    struct data_sample *s = *state;
    data_sample_close(s);
    tmpdir_remove(&s->dir);
    free(s);
    return 0;
}

void data_sample_file(const struct data_sample *s, const char *name, const char *text)
{
    tmpdir_write(&s->dir, name, text);
}

void data_sample_rows(const struct data_sample *s, const char *name, size_t first,
                      size_t n)
{
    char *text = malloc(64 + n * 96), *at = text;
    assert_non_null(text);
    at += sprintf(at, "row,user,item,price,tags,click\n");
    for (size_t i = first; i < first + n; i++) {
        size_t user = i * 7919 % 53, item = (i * 104729 + i / 17) % 31;
        at += sprintf(at, "%zu,u%zu,", i, user);
        if (i % 9) at += sprintf(at, "i%zu", item);
        *at++ = ',';
        if (i % 7) at += sprintf(at, "%g", (double)(item * 3 % 20) / 4);
        *at++ = ',';
        for (size_t k = 0; k < i % 4; k++)
            at += sprintf(at, "%st%zu", k ? " " : "", (item + 5 * k) % 11);
        at += sprintf(at, ",%d\n", (user % 5 + item % 7) > 5);
    }
    tmpdir_write(&s->dir, name, text);
    free(text);
}

/* ---- opening ---- */

enum status data_sample_config(struct data_sample *s, const char *body,
                               const char *const *sets)
{
    char text[16384], cache[512], dir[512];
    const char *all[16] = {cache, dir};
    size_t n = 2;
    data_sample_close(s);
    assert_true(strlen(body) + sizeof head < sizeof text);
    snprintf(text, sizeof text, "%svars: {dir: none}\n%s", head, body);
    snprintf(cache, sizeof cache, "data.cache=%s/cache", s->dir.path);
    snprintf(dir, sizeof dir, "vars.dir=%s", s->dir.path);
    for (; sets && *sets; sets++) {
        assert_true(n < 16);
        all[n++] = *sets;
    }
    return settings_parse(text, "test.yaml", all, n, &s->settings, &s->err);
}

static const struct source_cfg *source_of(const struct data_sample *s, enum use use)
{
    const struct data_cfg *d = &s->settings->data;
    if (use == USE_EVAL || use == USE_INPUT) return &d->eval;
    return use == USE_VALID && d->valid.source.files.n ? &d->valid.source : &d->train;
}

enum status data_sample_schema(struct data_sample *s, enum use use)
{
    const struct data_cfg *d = &s->settings->data;
    const struct source_cfg *header = use == USE_INPUT ? &d->eval : &d->train;
    struct raw_columns columns;
    schema_destroy(s->schema);
    s->schema = NULL;
    TRY(raw_columns_read(d, header, &columns, &s->err));
    enum status st =
        schema_build(s->settings, &columns, use == USE_INPUT, &s->schema, &s->err);
    raw_columns_close(&columns);
    return st;
}

enum status data_sample_prepare(struct data_sample *s, enum use use)
{
    mem_free(s->path);
    s->path = NULL;
    bad_rows_init(&s->bad, &s->settings->data);
    s->opt.labels_optional = use == USE_INPUT;
    return prepare(s->schema, source_of(s, use), &s->opt, &s->path, &s->bad, &s->err);
}

enum status data_sample_open(struct data_sample *s, enum use use)
{
    dataset_close(s->data);
    s->data = NULL;
    TRY(data_sample_schema(s, use));
    TRY(data_sample_prepare(s, use));
    return dataset_open(s->path, s->schema, source_of(s, use), use, &s->data, &s->err);
}

enum status data_sample_fit(struct data_sample *s, size_t lane_rows)
{
    fit_destroy(s->fit);
    s->fit = NULL;
    return fit_compute(s->data, lane_rows, &s->fit, &s->err);
}

static void expect_ok(const struct data_sample *s, enum status st)
{
    if (st != ST_OK) fail_msg("%s", s->err.text);
}

void data_sample_train(struct data_sample *s, const char *body, const char *const *sets)
{
    expect_ok(s, data_sample_config(s, body, sets));
    expect_ok(s, data_sample_open(s, USE_TRAIN));
    expect_ok(s, data_sample_fit(s, 16));
}

/* ---- batches ---- */

static const struct schema_feature *feature_named(const struct data_sample *s,
                                                  const char *name)
{
    for (size_t i = 0; i < s->schema->n_features; i++)
        if (!strcmp(s->schema->features[i].name, name)) return &s->schema->features[i];
    fail_msg("no feature %s", name);
    return NULL;
}

size_t batch_values(const struct data_sample *s, const struct batch *b, const char *name,
                    size_t r)
{
    const struct batch_id *id = &b->ids[feature_named(s, name)->place];
    return id->off ? id->off[r + 1] - id->off[r] : 1;
}

uint64_t batch_key(const struct data_sample *s, const struct batch *b, const char *name,
                   size_t r, size_t j)
{
    const struct schema_feature *f = feature_named(s, name);
    const struct batch_id *id = &b->ids[f->place];
    size_t at = id->off ? id->off[r] + j : r;
    return b->tables[f->table].keys[id->row[id->idx[at]]];
}

static void check_id(const struct batch *b, const struct batch_id *id, uint32_t *count)
{
    assert_true(id->off ? id->off[0] == 0 && id->off[b->n_rows] == id->n
                        : id->n == b->n_rows);
    for (size_t u = 1; u < id->n_distinct; u++) assert_true(id->row[u - 1] < id->row[u]);
    assert_int_equal(id->t_off[0], 0);
    assert_int_equal(id->t_off[id->n_distinct], id->n);
    /* Walking rows in order meets each distinct id's rows in the transposed order. */
    uint32_t *next = calloc(id->n_distinct + 1, sizeof *next);
    for (size_t r = 0, at = 0; r < b->n_rows; r++)
        for (size_t end = id->off ? id->off[r + 1] : r + 1; at < end; at++) {
            uint32_t u = id->idx[at];
            assert_true(u < id->n_distinct);
            assert_int_equal(id->t_row[id->t_off[u] + next[u]++], r);
            count[id->row[u]]++;
        }
    for (size_t u = 0; u < id->n_distinct; u++) {
        assert_true(next[u] > 0);
        assert_int_equal(next[u], id->t_off[u + 1] - id->t_off[u]);
    }
    free(next);
}

void batch_check(const struct batch *b)
{
    size_t occurrences = 0, counted = 0;
    for (size_t t = 0; t < b->n_tables; t++) {
        const struct batch_table *table = &b->tables[t];
        for (size_t u = 0; u < table->n; u++) {
            assert_true(table->count[u] > 0);
            counted += table->count[u];
            if (!u) continue;
            assert_true(partition_before(table->keys[u - 1], table->keys[u]));
            assert_true(table->codes[u - 1] < table->codes[u]);
        }
    }
    uint32_t *count = calloc(1 << 20, sizeof *count);
    for (size_t i = 0; i < b->n_ids; i++) {
        check_id(b, &b->ids[i], count);
        occurrences += b->ids[i].n;
    }
    free(count);
    assert_int_equal(occurrences, counted);
}

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    return hash_bytes(n ? data : "", n, h);
}

uint64_t batch_hash(const struct batch *b, uint64_t h)
{
    for (size_t t = 0; t < b->n_tables; t++) {
        h = mix(h, b->tables[t].keys, b->tables[t].n * sizeof(uint64_t));
        h = mix(h, b->tables[t].count, b->tables[t].n * sizeof(uint32_t));
    }
    for (size_t i = 0; i < b->n_ids; i++) {
        const struct batch_id *id = &b->ids[i];
        h = mix(h, id->row, id->n_distinct * sizeof(uint32_t));
        h = mix(h, id->idx, id->n * sizeof(uint32_t));
        h = mix(h, id->t_off, (id->n_distinct + 1) * sizeof(uint32_t));
        h = mix(h, id->t_row, id->n * sizeof(uint32_t));
        if (id->off) h = mix(h, id->off, (b->n_rows + 1) * sizeof(uint32_t));
    }
    for (size_t i = 0; i < b->n_one_hot; i++)
        h = mix(h, b->one_hot[i], b->n_rows * sizeof(uint32_t));
    h = mix(h, b->dense, b->n_rows * b->n_dense * sizeof(float));
    h = mix(h, b->labels, b->n_rows * b->n_tasks * sizeof(float));
    h = mix(h, b->weights, b->n_rows * b->n_tasks * sizeof(float));
    if (b->group) h = mix(h, b->group, b->n_rows * sizeof(uint64_t));
    return mix(h, b->row, b->n_rows * sizeof(uint64_t));
}

uint64_t data_sample_hash(struct data_sample *s, size_t batch_rows)
{
    struct scan *scan;
    const struct batch *b;
    uint64_t h = 0;
    expect_ok(s, scan_open(s->data, s->fit, 0, dataset_rows(s->data), batch_rows, &scan,
                           &s->err));
    for (;;) {
        expect_ok(s, scan_next(scan, &b, &s->err));
        if (!b) break;
        batch_check(b);
        h = batch_hash(b, h);
    }
    scan_close(scan);
    return h;
}
