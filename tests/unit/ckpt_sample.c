#include "tests/unit/ckpt_sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

const struct ckpt_table sample_tables[SAMPLE_TABLES] = {
    {"user", 4, 1, {"accumulator"}, {4}},
    {"item", 3, 2, {"m", "v"}, {3, 3}},
    {"none", 2, 0, {NULL}, {0}},
};

static int by_place(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return partition_before(x, y) ? -1 : x == y ? 0 : 1;
}

uint64_t *sample_keys(size_t n)
{
    uint64_t *keys = mem_array(n, sizeof *keys);
    if (!keys) return NULL;
    for (size_t i = 0; i < n; i++) keys[i] = hash_mix(i + 1);
    if (n) qsort(keys, n, sizeof *keys, by_place);
    return keys;
}

static float value(uint64_t key, size_t i)
{
    return (float)(hash_mix(key + i) >> 40) * 0x1p-24f - 0.5f;
}

void sample_row(size_t table, uint64_t key, uint64_t *last_step, uint64_t *count,
                float *weights, float *const slots[2])
{
    const struct ckpt_table *t = &sample_tables[table];
    *last_step = key % 1000;
    *count = 1 + key % 7;
    for (size_t i = 0; i < t->dim; i++) weights[i] = value(key + table, i);
    for (size_t s = 0; s < t->n_slots; s++)
        for (size_t i = 0; i < t->slot_width[s]; i++)
            slots[s][i] = value(key, 100 * (s + 1) + i);
}

/* Rows of one server, handed over in batches. */
struct source {
    const struct sample *s;
    uint64_t *all; /* keys of the table */
    size_t first, end, at, table;
    uint64_t *keys, *last_step, *count;
    float *weights, *slots[2];
};

static void source_close(struct source *f)
{
    mem_free(f->all);
    mem_free(f->keys);
    mem_free(f->last_step);
    mem_free(f->count);
    mem_free(f->weights);
    mem_free(f->slots[0]);
    mem_free(f->slots[1]);
}

static enum status source_open(struct source *f, const struct sample *s, size_t server,
                               struct error *err)
{
    size_t batch = s->batch ? s->batch : 100;
    struct range b = partition_buckets(server, s->n_servers);
    *f = (struct source){.s = s,
                         .all = sample_keys(s->n_rows),
                         .keys = mem_array(batch, 8),
                         .last_step = mem_array(batch, 8),
                         .count = mem_array(batch, 8),
                         .weights = mem_array(batch * 4, sizeof(float)),
                         .slots = {mem_array(batch * 4, sizeof(float)),
                                   mem_array(batch * 4, sizeof(float))}};
    if (!f->all || !f->keys || !f->last_step || !f->count || !f->weights ||
        !f->slots[0] || !f->slots[1])
        return mem_error(err, "sample", batch);
    while (f->first < s->n_rows && partition_bucket(f->all[f->first]) < b.first)
        f->first++;
    f->end = f->first;
    while (f->end < s->n_rows && partition_bucket(f->all[f->end]) < b.end) f->end++;
    if (s->change == SAMPLE_ONE_ROW_LESS && f->end == s->n_rows) f->end--;
    f->at = f->first;
    return ST_OK;
}

/* The change hits the first row of the first server's batch in table user. */
static void change_row(struct source *f, size_t i)
{
    enum sample_change c = f->s->change;
    if (c == SAMPLE_KEY) {
        uint64_t key = f->keys[i];
        while (partition_bucket(++key) != partition_bucket(f->keys[i]) ||
               !partition_before(key, f->all[f->first + 1]))
            ;
        f->keys[i] = key;
    }
    if (c == SAMPLE_LAST_STEP) f->last_step[i]++;
    if (c == SAMPLE_COUNT) f->count[i]++;
    if (c == SAMPLE_WEIGHT) f->weights[i * 4 + 1] = nextafterf(f->weights[i * 4 + 1], 1);
    if (c == SAMPLE_SLOT) f->slots[0][i * 4] = nextafterf(f->slots[0][i * 4], 1);
    if (c == SAMPLE_TWICE) f->keys[i + 1] = f->keys[i];
    if (c == SAMPLE_FOREIGN) f->keys[i] = f->all[f->s->n_rows - 1];
    if (c == SAMPLE_NAN_WEIGHT) f->weights[i] = NAN;
    if (c == SAMPLE_UNSORTED) {
        uint64_t key = f->keys[i];
        f->keys[i] = f->keys[i + 1];
        f->keys[i + 1] = key;
    }
}

static enum status source_next(void *arg, size_t table, struct ckpt_rows *rows,
                               struct error *err)
{
    (void)err;
    struct source *f = arg;
    const struct ckpt_table *t = &sample_tables[table];
    if (table != f->table) f->at = f->first;
    f->table = table;
    size_t batch = f->s->batch ? f->s->batch : 100, end = table == 2 ? f->first : f->end;
    size_t n = end - f->at < batch ? end - f->at : batch;
    for (size_t i = 0; i < n; i++) {
        float *slots[2] = {f->slots[0] + i * t->slot_width[0],
                           f->slots[1] + i * t->slot_width[1]};
        f->keys[i] = f->all[f->at + i];
        sample_row(table, f->keys[i], &f->last_step[i], &f->count[i],
                   f->weights + i * t->dim, slots);
    }
    if (table == 0 && f->at == 0 && n > 1) change_row(f, 0);
    f->at += n;
    *rows = (struct ckpt_rows){n,        f->keys,    f->last_step,
                               f->count, f->weights, {f->slots[0], f->slots[1]}};
    return ST_OK;
}

static enum status write_server(const struct sample *s, const char *temp, size_t server,
                                struct ckpt_file_info *info, struct error *err)
{
    struct source f;
    enum status st = source_open(&f, s, server, err);
    struct ckpt_row_source source = {&f, source_next};
    if (st == ST_OK)
        st = ckpt_sparse_write(temp, server, s->n_servers, sample_tables, SAMPLE_TABLES,
                               &source, NULL, NULL, info, err);
    source_close(&f);
    return st;
}

/* tower/a/w is a view with padding after each row. */
static enum status write_dense(const struct sample *s, const char *temp,
                               struct ckpt_file_info *info, struct error *err)
{
    float w[5 * 8], b[6], wm[5 * 6], wv[5 * 6], bm[6], bv[6];
    for (size_t i = 0; i < 40; i++) w[i] = i % 8 < 6 ? value(i / 8, i % 8) : -999;
    for (size_t i = 0; i < 30; i++) wm[i] = value(i, 2), wv[i] = value(i, 3);
    for (size_t i = 0; i < 6; i++)
        b[i] = value(i, 4), bm[i] = value(i, 5), bv[i] = value(i, 6);
    if (s->change == SAMPLE_TENSOR) b[5] = 7;
    if (s->change == SAMPLE_TENSOR_SLOT) wv[29] = 7;
    if (s->change == SAMPLE_NAN_TENSOR) w[9] = INFINITY;
    const struct named_array tensors[] = {{"tower/a/w", DTYPE_F32, 5, 6, 8, w},
                                          {"tower/a/b", DTYPE_F32, 1, 6, 0, b}};
    const struct named_array m[] = {{"tower/a/w", DTYPE_F32, 5, 6, 0, wm},
                                    {"tower/a/b", DTYPE_F32, 1, 6, 0, bm}};
    const struct named_array v[] = {{"tower/a/w", DTYPE_F32, 5, 6, 0, wv},
                                    {"tower/a/b", DTYPE_F32, 1, 6, 0, bv}};
    const struct ckpt_slot slots[] = {{"m", m, 2}, {"v", v, 2}};
    return ckpt_dense_write(temp, tensors, 2, slots, 2, info, err);
}

static enum status write_state(const struct sample *s, const char *temp,
                               struct ckpt_file_info *info, struct error *err)
{
    uint64_t counts[] = {s->step, 2, 3};
    double epoch = 0.25;
    uint8_t forms[] = {1, 0};
    const struct named_array state[] = {{"counts", DTYPE_U64, 3, 0, 0, counts},
                                        {"epoch", DTYPE_F64, 1, 0, 0, &epoch},
                                        {"layer1/forms", DTYPE_U8, 2, 0, 0, forms}};
    return ckpt_state_write(temp, state, 3, info, err);
}

static enum status write_all(const struct sample *s, struct ckpt_save *save, char **path,
                             struct error *err)
{
    struct ckpt_file_info files[16] = {0};
    size_t n = s->n_servers;
    const char *temp = ckpt_save_path(save);
    for (size_t i = 0; i < n; i++) TRY(write_server(s, temp, i, &files[i], err));
    TRY(write_dense(s, temp, &files[n], err));
    TRY(write_state(s, temp, &files[n + 1], err));
    struct ckpt_meta meta = {.step = s->step,
                             .updates = s->step - (s->change == SAMPLE_UPDATES),
                             .seed = UINT64_MAX - 1,
                             .lanes = 4,
                             .batch_size = 1024,
                             .attempt = 3,
                             .epoch = 0.1,
                             .config = "name: caf\xc3\xa9\nseed: 1\n",
                             .run_uuid = "uuid",
                             .data_digest = "digest",
                             .build = "test"};
    return ckpt_commit(save, &meta, sample_tables, SAMPLE_TABLES, files, n + 2,
                       s->still_ours, NULL, path, err);
}

enum status sample_save(const struct sample *s, char **path, struct error *err)
{
    struct ckpt_save *save;
    TRY(ckpt_begin(s->dir, s->step, 3, 0, &save, err));
    enum status st = write_all(s, save, path, err);
    if (st != ST_OK) ckpt_abandon(save);
    return st;
}
