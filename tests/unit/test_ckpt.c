/* Checkpoints: what was saved is read back, for any number of servers, and only
 * committed, whole ones are ever chosen. */
#include "common/store/ckpt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/ckpt_sample.h"

struct fixture {
    struct tmpdir tmp;
    char dir[512]; /* RUN/checkpoints */
    struct error err;
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    tmpdir_create(&f.tmp);
    tmpdir_path(&f.tmp, "checkpoints", f.dir, sizeof f.dir);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(&f->tmp);
    return 0;
}

#define OK(f, call)                                                                      \
    do {                                                                                 \
        enum status ok_ = (call);                                                        \
        if (ok_ != ST_OK) fail_msg("%d: %s", ok_, (f)->err.text);                        \
    } while (0)

static char *save(struct fixture *f, uint64_t step, size_t n_servers)
{
    char *path = NULL;
    struct sample s = {
        .dir = f->dir, .step = step, .n_servers = n_servers, .n_rows = 500};
    OK(f, sample_save(&s, &path, &f->err));
    return path;
}

static void save_and_forget(struct fixture *f, uint64_t step)
{
    mem_free(save(f, step, 1));
}

static bool have(struct fixture *f, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    return file_exists(path);
}

/* Manifest fields, tables, tensors, slots and state come back as saved. */
static void test_everything_comes_back(void **state)
{
    struct fixture *f = *state;
    char *path = save(f, 12000, 3);
    struct ckpt *c;
    assert_string_equal(strrchr(path, '/'), "/step-000000012000");
    OK(f, ckpt_open(path, true, &c, &f->err));
    const struct ckpt_meta *m = ckpt_meta(c);
    assert_true(m->step == 12000 && m->updates == 12000 && m->seed == UINT64_MAX - 1);
    assert_true(m->lanes == 4 && m->batch_size == 1024 && m->attempt == 3 &&
                m->epoch == 0.1);
    assert_string_equal(m->config, "name: caf\xc3\xa9\nseed: 1\n");
    assert_string_equal(m->run_uuid, "uuid");
    assert_string_equal(m->data_digest, "digest");
    assert_string_equal(m->build, "test");
    assert_int_equal(ckpt_n_tables(c), SAMPLE_TABLES);
    assert_int_equal(ckpt_n_files(c), 5);
    assert_int_equal(ckpt_table_rows(c, 0), 500);
    assert_int_equal(ckpt_table_rows(c, 2), 0);
    assert_string_equal(ckpt_table(c, 1)->slot_name[1], "v");
    const struct named_array *tensors;
    size_t n;
    OK(f, ckpt_read_dense(c, &tensors, &n, &f->err));
    OK(f, ckpt_read_state(c, &f->err));
    assert_int_equal(n, 2);
    const struct named_array *w = ckpt_find_tensor(c, "tower/a/w");
    assert_true(w && w->rows == 5 && w->cols == 6);
    for (size_t i = 0; i < 30; i++) assert_true(((float *)w->data)[i] != -999);
    assert_non_null(ckpt_find_slot(c, "v", "tower/a/b"));
    assert_null(ckpt_find_slot(c, "x", "tower/a/b"));
    const struct named_array *counts = ckpt_find_state(c, "counts");
    assert_true(counts && counts->type == DTYPE_U64 &&
                ((uint64_t *)counts->data)[0] == 12000);
    assert_non_null(ckpt_find_state(c, "layer1/forms"));
    ckpt_close(c);
    OK(f, ckpt_verify(path, &f->err));
    mem_free(path);
}

struct visitor {
    size_t table, n, most;
    uint64_t *keys; /* expected */
};

static enum status check_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    (void)err;
    struct visitor *v = arg;
    const struct ckpt_table *t = &sample_tables[v->table];
    for (size_t r = 0; r < rows->n; r++, v->n++) {
        float w[4], s0[4], s1[4], *const slots[2] = {s0, s1};
        const float *const expected[2] = {s0, s1};
        uint64_t last_step, count;
        assert_int_equal(rows->keys[r], v->keys[v->n]);
        sample_row(v->table, rows->keys[r], &last_step, &count, w, slots);
        assert_true(rows->last_step[r] == last_step && rows->count[r] == count);
        assert_memory_equal(rows->weights + r * t->dim, w, t->dim * sizeof *w);
        for (size_t s = 0; s < t->n_slots; s++)
            assert_memory_equal(rows->slots[s] + r * t->slot_width[s], expected[s],
                                t->slot_width[s] * 4);
    }
    if (rows->n > v->most) v->most = rows->n;
    return ST_OK;
}

/* Any part of the buckets is read whole and in order, from any number of files. */
static void test_rows_of_any_bucket_range(void **state)
{
    struct fixture *f = *state;
    static const size_t servers[] = {1, 2, 3, 7};
    static const struct range ranges[] = {{0, 1024},  {0, 512},   {512, 1024},
                                          {341, 342}, {100, 900}, {5, 5}};
    uint64_t *keys = sample_keys(500);
    for (size_t i = 0; i < 4; i++) {
        struct ckpt *c;
        char *path = save(f, 1 + i, servers[i]);
        OK(f, ckpt_open(path, false, &c, &f->err));
        for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++)
            for (size_t t = 0; t < 2; t++) {
                size_t first = 0, end;
                while (first < 500 && partition_bucket(keys[first]) < ranges[k].first)
                    first++;
                for (end = first;
                     end < 500 && partition_bucket(keys[end]) < ranges[k].end;)
                    end++;
                struct visitor v = {.table = t, .keys = keys + first};
                OK(f, ckpt_read_rows(c, t, ranges[k], check_rows, &v, &f->err));
                assert_int_equal(v.n, end - first);
            }
        struct visitor none = {.table = 2, .keys = keys};
        OK(f, ckpt_read_rows(c, 2, ranges[0], check_rows, &none, &f->err));
        assert_int_equal(none.n, 0);
        ckpt_close(c);
        mem_free(path);
    }
    mem_free(keys);
}

static enum status stop(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    (void)arg;
    (void)rows;
    return error_set(err, ST_MISMATCH, "stop");
}

/* A visitor's failure comes through. */
static void test_visitor_can_stop(void **state)
{
    struct fixture *f = *state;
    struct ckpt *c;
    char *path = save(f, 1, 2);
    OK(f, ckpt_open(path, false, &c, &f->err));
    assert_int_equal(ckpt_read_rows(c, 0, (struct range){0, 1024}, stop, NULL, &f->err),
                     ST_MISMATCH);
    assert_string_equal(f->err.text, "stop");
    ckpt_close(c);
    mem_free(path);
}

/* Tables larger than one chunk are streamed in bounded parts. */
static void test_large_table_is_read_in_chunks(void **state)
{
    struct fixture *f = *state;
    enum { ROWS = 150000 };
    char *path;
    struct sample s = {
        .dir = f->dir, .step = 1, .n_servers = 2, .n_rows = ROWS, .batch = 7777};
    OK(f, sample_save(&s, &path, &f->err));
    struct ckpt *c;
    OK(f, ckpt_open(path, false, &c, &f->err));
    uint64_t *keys = sample_keys(ROWS);
    struct visitor v = {.table = 1, .keys = keys};
    OK(f, ckpt_read_rows(c, 1, (struct range){0, 1024}, check_rows, &v, &f->err));
    assert_int_equal(v.n, ROWS);
    assert_true(v.most <= 65536);
    ckpt_close(c);
    OK(f, ckpt_verify(path, &f->err));
    mem_free(keys);
    mem_free(path);
}

static struct digest digest_of(struct fixture *f, size_t n_servers,
                               enum sample_change change)
{
    char *path;
    struct ckpt *c;
    struct digest d;
    struct sample s = {.dir = f->dir,
                       .step = 5,
                       .n_servers = n_servers,
                       .n_rows = 400,
                       .change = change};
    OK(f, sample_save(&s, &path, &f->err));
    OK(f, ckpt_open(path, false, &c, &f->err));
    ckpt_digest(c, &d);
    ckpt_close(c);
    OK(f, ckpt_verify(path, &f->err));
    OK(f, file_remove_tree(path, &f->err));
    mem_free(path);
    return d;
}

/* The digest is the same for 1, 2, 3 and 7 servers. */
static void test_digest_ignores_the_number_of_servers(void **state)
{
    struct digest one = digest_of(*state, 1, SAMPLE_AS_IS);
    static const size_t servers[] = {2, 3, 7};
    for (size_t i = 0; i < 3; i++) {
        struct digest d = digest_of(*state, servers[i], SAMPLE_AS_IS);
        assert_true(digest_equal(&d, &one));
    }
}

/* The digest notices a change of any field of one row, tensor or counter. */
static void test_digest_notices_every_field(void **state)
{
    struct digest d[SAMPLE_CHANGES];
    for (enum sample_change c = 0; c < SAMPLE_CHANGES; c++) {
        d[c] = digest_of(*state, 2, c);
        for (enum sample_change before = 0; before < c; before++)
            assert_false(digest_equal(&d[c], &d[before]));
    }
}

/* Rows out of order, twice, of another server, or not finite are never written. */
static void test_broken_contents_are_not_committed(void **state)
{
    struct fixture *f = *state;
    static const enum sample_change broken[] = {SAMPLE_TWICE, SAMPLE_UNSORTED,
                                                SAMPLE_FOREIGN, SAMPLE_NAN_WEIGHT,
                                                SAMPLE_NAN_TENSOR};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char *path;
        struct sample s = {
            .dir = f->dir, .step = 9, .n_servers = 2, .n_rows = 400, .change = broken[i]};
        assert_int_equal(sample_save(&s, &path, &f->err), ST_INTERNAL);
        const char **names;
        size_t n;
        OK(f, file_list(f->dir, &names, &n, &f->err));
        mem_free(names);
        assert_int_equal(n, 0);
    }
}

static bool not_ours(void *arg)
{
    (void)arg;
    return false;
}

/* An attempt that lost the run directory does not commit and leaves nothing. */
static void test_lost_lock_abandons_the_commit(void **state)
{
    struct fixture *f = *state;
    char *path;
    struct sample s = {
        .dir = f->dir, .step = 9, .n_servers = 1, .n_rows = 4, .still_ours = not_ours};
    assert_int_equal(sample_save(&s, &path, &f->err), ST_BUSY);
    const char **names;
    size_t n;
    OK(f, file_list(f->dir, &names, &n, &f->err));
    mem_free(names);
    assert_int_equal(n, 0);
}

/* Saving the same step with the same contents again is fine; other contents are
 * refused, and the old ones stay. */
static void test_existing_step_is_never_replaced(void **state)
{
    struct fixture *f = *state;
    save_and_forget(f, 9);
    save_and_forget(f, 9);
    char *path;
    struct sample s = {.dir = f->dir, .step = 9, .n_servers = 1, .n_rows = 4};
    assert_int_equal(sample_save(&s, &path, &f->err), ST_CANTCREATE);
    OK(f, ckpt_newest(f->dir, NULL, NULL, &path, &f->err));
    OK(f, ckpt_verify(path, &f->err));
    mem_free(path);
}

/* A damaged checkpoint of the same step makes way for a good one. */
static void test_damaged_step_is_saved_anew(void **state)
{
    struct fixture *f = *state;
    char *path = save(f, 9, 1), file[700];
    snprintf(file, sizeof file, "%s/dense.h5", path);
    assert_int_equal(truncate(file, 100), 0);
    assert_true(ckpt_verify(path, &f->err) != ST_OK);
    save_and_forget(f, 9);
    OK(f, ckpt_verify(path, &f->err));
    mem_free(path);
}

static void count_warning(void *arg, const char *text)
{
    assert_non_null(strstr(text, "skipped"));
    ++*(size_t *)arg;
}

/* The newest whole one wins; damaged ones, temporary folders and LATEST do not. */
static void test_newest_is_the_newest_valid(void **state)
{
    struct fixture *f = *state;
    char *path, file[700];
    size_t warnings = 0;
    OK(f, ckpt_newest(f->dir, NULL, NULL, &path, &f->err));
    assert_null(path);
    save_and_forget(f, 7);
    save_and_forget(f, 100);
    mem_free(save(f, 2000, 2));
    snprintf(file, sizeof file, "%s/step-000000002000/sparse-00001-of-00002.h5", f->dir);
    assert_int_equal(unlink(file), 0);
    snprintf(file, sizeof file, "%s/step-000000009999", f->dir);
    assert_int_equal(mkdir(file, 0777), 0);
    snprintf(file, sizeof file, "%s/.tmp-step-000000090000-a0001-00000000", f->dir);
    assert_int_equal(mkdir(file, 0777), 0);
    snprintf(file, sizeof file, "%s/LATEST", f->dir);
    OK(f, file_write_atomic(file, "step-000000000007\n", 18, &f->err));
    OK(f, ckpt_newest(f->dir, count_warning, &warnings, &path, &f->err));
    assert_string_equal(strrchr(path, '/'), "/step-000000000100");
    assert_int_equal(warnings, 2);
    mem_free(path);
}

/* A folder, a run directory, and a run directory with a named best one. */
static void test_resolve(void **state)
{
    struct fixture *f = *state;
    char *path, file[700];
    assert_int_equal(ckpt_resolve(f->tmp.path, NULL, NULL, &path, &f->err), ST_NOINPUT);
    char *five = save(f, 5, 1);
    save_and_forget(f, 6);
    OK(f, ckpt_resolve(five, NULL, NULL, &path, &f->err));
    assert_string_equal(path, five);
    mem_free(path);
    OK(f, ckpt_resolve(f->tmp.path, NULL, NULL, &path, &f->err));
    assert_string_equal(strrchr(path, '/'), "/step-000000000006");
    mem_free(path);
    OK(f, ckpt_resolve(f->dir, NULL, NULL, &path, &f->err));
    assert_string_equal(strrchr(path, '/'), "/step-000000000006");
    mem_free(path);
    snprintf(file, sizeof file, "%s/best.json", f->dir);
    const char best[] = "{\"checkpoint\": \"step-000000000005\", \"value\": 0.5}\n";
    OK(f, file_write_atomic(file, best, sizeof best - 1, &f->err));
    OK(f, ckpt_resolve(f->tmp.path, NULL, NULL, &path, &f->err));
    assert_string_equal(strrchr(path, '/'), "/step-000000000005");
    mem_free(path);
    const char outside[] = "{\"checkpoint\": \"../../etc\"}\n";
    OK(f, file_write_atomic(file, outside, sizeof outside - 1, &f->err));
    assert_int_equal(ckpt_resolve(f->tmp.path, NULL, NULL, &path, &f->err), ST_NOINPUT);
    mem_free(five);
}

/* The newest n stay, and the best; never fewer than two valid ones. */
static void test_retention(void **state)
{
    struct fixture *f = *state;
    for (uint64_t step = 1; step <= 6; step++) save_and_forget(f, step);
    char file[700];
    OK(f, ckpt_retire(f->dir, 4, "step-000000000001", &f->err));
    assert_true(have(f, "step-000000000001") && !have(f, "step-000000000002"));
    assert_true(have(f, "step-000000000003") && have(f, "step-000000000006"));
    snprintf(file, sizeof file, "%s/step-000000000001", f->dir);
    OK(f, ckpt_retire(f->dir, 3, file, &f->err)); /* by its path too */
    assert_true(have(f, "step-000000000001") && !have(f, "step-000000000003"));
    snprintf(file, sizeof file, "%s/step-000000000005/MANIFEST.json", f->dir);
    assert_int_equal(truncate(file, 10), 0);
    OK(f, ckpt_retire(f->dir, 1, NULL, &f->err));
    assert_true(have(f, "step-000000000006") && have(f, "step-000000000004"));
    assert_true(!have(f, "step-000000000003") && !have(f, "step-000000000001"));
}

/* Sweeping removes temporary and trash folders, and nothing else. */
static void test_sweep(void **state)
{
    struct fixture *f = *state;
    save_and_forget(f, 1);
    static const char *const junk[] = {".tmp-step-000000000002-a0001-aa",
                                       ".trash-step-000000000001-9"};
    char path[700];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s/deeper", f->dir, junk[i]);
        OK(f, file_mkdirs(path, &f->err));
        snprintf(path, sizeof path, "%s/%s/file.h5", f->dir, junk[i]);
        OK(f, file_write_atomic(path, "x", 1, &f->err));
    }
    snprintf(path, sizeof path, "%s/notes.txt", f->dir);
    OK(f, file_write_atomic(path, "x", 1, &f->err));
    OK(f, ckpt_sweep(f->dir, &f->err));
    assert_true(!have(f, junk[0]) && !have(f, junk[1]));
    assert_true(have(f, "notes.txt") && have(f, "step-000000000001"));
    OK(f, ckpt_sweep("/nonexistent", &f->err));
}

/* Equal state gives files of equal bytes. */
static void test_equal_state_is_equal_bytes(void **state)
{
    struct fixture *f = *state;
    char *one = save(f, 5, 1);
    struct ckpt *c;
    char hashes[3][SHA256_HEX];
    OK(f, ckpt_open(one, false, &c, &f->err));
    for (size_t i = 0; i < 3; i++) memcpy(hashes[i], ckpt_file(c, i)->sha256, SHA256_HEX);
    ckpt_close(c);
    OK(f, file_remove_tree(one, &f->err));
    mem_free(one);
    one = save(f, 5, 1);
    OK(f, ckpt_open(one, false, &c, &f->err));
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(hashes[i], ckpt_file(c, i)->sha256);
    ckpt_close(c);
    mem_free(one);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_everything_comes_back),
        T(test_rows_of_any_bucket_range),
        T(test_visitor_can_stop),
        T(test_large_table_is_read_in_chunks),
        T(test_digest_ignores_the_number_of_servers),
        T(test_digest_notices_every_field),
        T(test_broken_contents_are_not_committed),
        T(test_lost_lock_abandons_the_commit),
        T(test_existing_step_is_never_replaced),
        T(test_damaged_step_is_saved_anew),
        T(test_newest_is_the_newest_valid),
        T(test_resolve),
        T(test_retention),
        T(test_sweep),
        T(test_equal_state_is_equal_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
