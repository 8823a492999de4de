/* data/prepare: the cache, bad rows, dictionaries, what happens on failures. */
#include <sys/stat.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/partition.h"
#include "common/store/file.h"
#include "data/prepare_file.h"
#include "tests/unit/data_sample.h"

#define TEST(f)                                                                          \
    cmocka_unit_test_setup_teardown(f, data_sample_setup, data_sample_teardown)

#define FEATURES                                                                         \
    "features: [{names: [user, item]}, {name: tags, split: ' ', pool: mean}, "           \
    "{name: item2, column: item, table: item}, "                                         \
    "{name: price, kind: dense, transform: [log1p, standardize]}, "                      \
    "{name: level, column: item, kind: one_hot}, "                                       \
    "{name: bucket, column: price, bucketize: 4, table: user}]\n"
#define TASKS "tasks: {click: {label: click}}\n"
#define BODY "data: {train: {files: [\"${dir}/a.csv\"]}, group: user}\n" FEATURES TASKS

enum { ROWS = 10000 };

static size_t files_in_cache(const struct data_sample *s)
{
    char dir[512];
    const char **names;
    size_t n;
    snprintf(dir, sizeof dir, "%s/cache", s->dir.path);
    if (!file_is_dir(dir)) return 0;
    assert_int_equal(file_list(dir, &names, &n, NULL), ST_OK);
    mem_free(names);
    return n;
}

static void expect_ok(const struct data_sample *s, enum status st)
{
    if (st != ST_OK) fail_msg("%s", s->err.text);
}

static void prepare_with(struct data_sample *s, const char *const *sets)
{
    expect_ok(s, data_sample_config(s, BODY, sets));
    expect_ok(s, data_sample_schema(s, USE_TRAIN));
    expect_ok(s, data_sample_prepare(s, USE_TRAIN));
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Keys of a table stand in (bucket, key) order, each once, those of buckets too. */
static void test_dictionaries(void **state)
{
    struct data_sample *s = *state;
    struct prepared *p;
    data_sample_rows(s, "a.csv", 0, ROWS);
    prepare_with(s, NULL);
    expect_ok(s, prepared_open(s->path, s->schema, &p, &s->err));
    assert_int_equal(p->rows, ROWS);
    /* tables by name: item, tags, user */
    assert_int_equal(p->n_keys[0], 31 + 1);
    assert_int_equal(p->n_keys[1], 11);
    assert_int_equal(p->n_keys[2], 53 + 4 + 1);
    for (size_t t = 0; t < 3; t++)
        for (size_t i = 1; i < p->n_keys[t]; i++)
            assert_true(partition_before(p->keys[t][i - 1], p->keys[t][i]));
    assert_true(keys_find(p->keys[2], p->n_keys[2], hash_id("u7", 2)) != SIZE_MAX);
    assert_true(keys_find(p->keys[2], p->n_keys[2], hash_id("3", 1)) != SIZE_MAX);
    assert_int_equal(p->n_levels[0], 31); /* missing is no level */
    assert_int_equal(p->max_length[0], 3);
    prepared_close(p);
}

/* Another seed, other transforms, another `where` on columns that are there: the
 * same file. */
static void test_cache_is_found(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 100);
    prepare_with(s, NULL);
    char *path = mem_strdup(s->path);
    const char *const changes[] = {
        "seed=9",
        "features.price.transform=[minmax]",
        "data.train.where=item == \"i3\"",
        "data.train.where=click == 1 and price > 2",
        "data.valid={fraction: 0.2, by: user}",
        "train.batch_size=32",
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        prepare_with(s, SETS(changes[i]));
        assert_string_equal(s->path, path);
        assert_int_equal(s->bad.n_good, 100);
    }
    assert_int_equal(files_in_cache(s), 1);
    mem_free(path);
}

/* Changed contents, another feature, a column that was not kept: another file. */
static void test_cache_is_not_found(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 100);
    prepare_with(s, NULL);
    prepare_with(s, SETS("data.train.where=row < 50"));
    assert_int_equal(files_in_cache(s), 2);
    prepare_with(s, SETS("features.tags.max_len=2"));
    assert_int_equal(files_in_cache(s), 3);
    data_sample_rows(s, "a.csv", 1, 100); /* as long as before */
    prepare_with(s, NULL);
    assert_int_equal(files_in_cache(s), 4);
}

/* A cut or a changed file is noticed, and made again, byte for byte. */
static void test_damaged_file(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 300);
    prepare_with(s, NULL);
    char *data;
    size_t n;
    assert_int_equal(file_read_all(s->path, &data, &n, 1 << 26, NULL), ST_OK);
    for (size_t length = 0; length < n; length += 1 + n / 40) {
        assert_int_equal(file_write_atomic(s->path, data, length, NULL), ST_OK);
        prepare_with(s, NULL);
        char *again;
        size_t n_again;
        assert_int_equal(file_read_all(s->path, &again, &n_again, 1 << 26, NULL), ST_OK);
        assert_int_equal(n_again, n);
        assert_memory_equal(again, data, n);
        mem_free(again);
    }
    mem_free(data);
    expect_ok(s, data_sample_open(s, USE_TRAIN));
    assert_int_equal(dataset_rows(s->data), 300);
}

/* So is one with a wrong byte: it is found when it is opened, or when the rows are read,
 * which removes it. */
static void test_flipped_byte(void **state)
{
    struct data_sample *s = *state;
    size_t n, n_read = 0;
    char *data;
    data_sample_rows(s, "a.csv", 0, 3000);
    prepare_with(s, NULL);
    assert_int_equal(file_read_all(s->path, &data, &n, 1 << 26, NULL), ST_OK);
    for (size_t at = 100; at < n; at += 1 + n / 60) {
        data[at] ^= 0x40;
        assert_int_equal(file_write_atomic(s->path, data, n, NULL), ST_OK);
        data[at] ^= 0x40;
        prepare_with(s, NULL);
        enum status st = data_sample_open(s, USE_TRAIN);
        if (st == ST_OK) st = data_sample_fit(s, 64);
        if (st == ST_OK) continue; /* a byte that holds nothing, or made again */
        assert_int_equal(st, ST_NOINPUT);
        assert_non_null(strstr(s->err.hint, "run the same command again"));
        assert_int_equal(files_in_cache(s), 0);
        n_read++;
        prepare_with(s, NULL);
        expect_ok(s, data_sample_open(s, USE_TRAIN));
        expect_ok(s, data_sample_fit(s, 64));
    }
    assert_true(n_read > 5);
    mem_free(data);
}

static ino_t inode(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

/* `force` makes the file again. */
static void test_force(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 100);
    prepare_with(s, NULL);
    ino_t before = inode(s->path);
    prepare_with(s, NULL);
    assert_true(inode(s->path) == before);
    s->opt.force = true;
    prepare_with(s, NULL);
    assert_true(inode(s->path) != before);
}

static const char *const bad_lines[] = {
    "7,u1,i1,x,,1\n",    "8,u1,i1,1,,2\n",        "9,u1\n",
    "10,\"u1,i1,1,,1\n", "11,u1,i1,1e999,t1,0\n",
};
enum { N_BAD = sizeof bad_lines / sizeof *bad_lines };

/* rows of a.csv with bad lines at some places. */
static void write_dirty(struct data_sample *s, const char *name)
{
    char path[512], *data, *out, *at;
    size_t n;
    tmpdir_path(&s->dir, "a.csv", path, sizeof path);
    assert_int_equal(file_read_all(path, &data, &n, 1 << 26, NULL), ST_OK);
    at = out = malloc(n + 1024);
    size_t line = 0, bad = 0;
    for (size_t i = 0; i < n; i++) {
        *at++ = data[i];
        if (data[i] == '\n' && ++line % 29 == 1 && bad < N_BAD) {
            size_t length = strlen(bad_lines[bad]);
            memcpy(at, bad_lines[bad++], length);
            at += length;
        }
    }
    *at = '\0';
    tmpdir_write(&s->dir, name, out);
    free(out);
    mem_free(data);
}

/* Bad rows are counted, shown with their place, and leave no trace in batches;
 * the cache tells of them again. */
static void test_bad_rows(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 200);
    data_sample_train(s, BODY, NULL);
    uint64_t clean = data_sample_hash(s, 16);
    write_dirty(s, "dirty.csv");
    const char *const *sets =
        SETS("data.train={files: [\"${dir}/dirty.csv\"]}", "data.bad_rows.max=10");
    for (int again = 0; again < 2; again++) {
        data_sample_train(s, BODY, sets);
        assert_int_equal(s->bad.n_bad, N_BAD);
        assert_int_equal(s->bad.n_good, 200);
        assert_int_equal(s->bad.n_shown, N_BAD);
        assert_non_null(strstr(s->bad.shown[0], "dirty.csv:2:"));
        assert_non_null(strstr(s->bad.shown[0], "price: not a number"));
        assert_non_null(strstr(s->bad.shown[1], "label outside of [0, 1]"));
        assert_int_equal(dataset_rows(s->data), 200);
        assert_int_equal(data_sample_hash(s, 16), clean);
    }
}

/* Beyond the limit no file is made, and a file that is there does not hide it. */
static void test_bad_rows_limit(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 200);
    write_dirty(s, "dirty.csv");
    const char *file = "data.train={files: [\"${dir}/dirty.csv\"]}";
    for (int cached = 0; cached < 2; cached++) {
        expect_ok(s, data_sample_config(s, BODY, SETS(file, "data.bad_rows.max=4")));
        expect_ok(s, data_sample_schema(s, USE_TRAIN));
        assert_int_equal(data_sample_prepare(s, USE_TRAIN), ST_DATA);
        assert_null(s->path);
        if (!cached) assert_int_equal(files_in_cache(s), 0);
        prepare_with(s, SETS(file, "data.bad_rows.max=5"));
    }
}

/* A column that a selection reads as number must be one: its other rows are bad. */
static void test_where_checks_numbers(void **state)
{
    struct data_sample *s = *state;
    data_sample_file(
        s, "a.csv",
        "row,user,item,price,tags,click\n1,5,i,1,t,0\n2,x,i,1,t,1\n3,7,i,1,t,1\n");
    prepare_with(s, NULL);
    assert_int_equal(s->bad.n_bad, 0);
    const char *const *sets = SETS("data.train.where=user > 5", "data.bad_rows.max=1");
    for (int again = 0; again < 2; again++) {
        prepare_with(s, sets);
        assert_int_equal(s->bad.n_bad, 1);
        assert_non_null(strstr(s->bad.shown[0], "a.csv:3:"));
    }
    expect_ok(s, data_sample_open(s, USE_TRAIN));
    assert_int_equal(dataset_rows(s->data), 1);
}

/* A table with more keys than dictionary_limit keeps keys instead of codes, and
 * batches are the same. */
static void test_without_dictionary(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 5000);
    data_sample_train(s, BODY, NULL);
    uint64_t want = data_sample_hash(s, 32);
    static const char *const limits[] = {"data.dictionary_limit=40",
                                         "data.dictionary_limit=12",
                                         "data.dictionary_limit=1"};
    for (size_t i = 0; i < 3; i++) {
        data_sample_train(s, BODY, SETS(limits[i]));
        struct prepared *p;
        expect_ok(s, prepared_open(s->path, s->schema, &p, &s->err));
        assert_true(p->keyed[2]);
        assert_int_equal(p->keyed[0], i >= 1);
        assert_int_equal(p->keyed[1], i >= 2);
        prepared_close(p);
        assert_int_equal(data_sample_hash(s, 32), want);
    }
}

/* A join's row gives its columns; a row without a match has them missing. */
static void test_joins(void **state)
{
    struct data_sample *s = *state;
    data_sample_file(s, "a.csv", "user,click\nu1,1\nu2,0\nu9,1\nu1,0\n");
    data_sample_file(s, "users.csv", "user,city,age,seen\nu1,x,30,a b\nu2,y,,c\n");
    data_sample_train(s,
                      "data: {train: {files: [\"${dir}/a.csv\"]}, "
                      "joins: [{files: [\"${dir}/users.csv\"], key: user}]}\n"
                      "features: [{names: [user, city]}, {name: seen, split: ' '}, "
                      "{name: age, kind: dense, default: -1}, "
                      "{name: both, cross: [user, city]}]\n" TASKS,
                      NULL);
    struct scan *scan;
    const struct batch *b;
    expect_ok(s, scan_open(s->data, s->fit, 0, 4, 4, &scan, &s->err));
    expect_ok(s, scan_next(scan, &b, &s->err));
    batch_check(b);
    uint64_t x = hash_id("x", 1), missing = hash_id("missing", 7), u9 = hash_id("u9", 2);
    assert_int_equal(batch_key(s, b, "city", 0, 0), x);
    assert_int_equal(batch_key(s, b, "city", 2, 0), missing);
    assert_int_equal(batch_key(s, b, "city", 3, 0), x);
    assert_int_equal(batch_values(s, b, "seen", 0), 2);
    assert_int_equal(batch_values(s, b, "seen", 2), 0);
    assert_int_equal(batch_key(s, b, "seen", 3, 1), hash_id("b", 1));
    assert_int_equal(batch_key(s, b, "both", 2, 0), hash_pair(u9, missing));
    assert_true(b->dense[0] == 30 && b->dense[1] == -1 && b->dense[2] == -1 &&
                b->dense[3] == 30);
    scan_close(scan);
}

/* A bad value of a side row makes every row that joins it bad, and no other. */
static void test_bad_side_row(void **state)
{
    struct data_sample *s = *state;
    data_sample_file(s, "a.csv", "user,click\nu1,1\nu2,0\nu1,0\nu2,1\n");
    data_sample_file(s, "users.csv", "user,age\nu1,old\nu2,5\n");
    data_sample_train(s,
                      "data: {train: {files: [\"${dir}/a.csv\"]}, bad_rows: {max: 2}, "
                      "joins: [{files: [\"${dir}/users.csv\"], key: user}]}\n"
                      "features: [{name: user}, {name: age, kind: dense}]\n" TASKS,
                      NULL);
    assert_int_equal(s->bad.n_bad, 2);
    assert_int_equal(dataset_rows(s->data), 2);
    assert_non_null(strstr(s->bad.shown[1], "a.csv:4:"));
    assert_non_null(strstr(s->bad.shown[1], "not a number"));
}

/* A file without rows is prepared data without rows. */
static void test_no_rows(void **state)
{
    struct data_sample *s = *state;
    data_sample_file(s, "a.csv", "row,user,item,price,tags,click\n");
    prepare_with(s, NULL);
    expect_ok(s, data_sample_open(s, USE_TRAIN));
    assert_int_equal(dataset_rows(s->data), 0);
    assert_int_equal(data_sample_fit(s, 16), ST_DATA);
}

static void count_calls(void *arg, uint64_t done, uint64_t total, uint64_t rows,
                        const char *phase)
{
    assert_true((done <= total || !total) && rows <= 200 && *phase);
    ++*(size_t *)arg;
}

/* Progress is told at the end at least. */
static void test_progress(void **state)
{
    struct data_sample *s = *state;
    size_t calls = 0;
    data_sample_rows(s, "a.csv", 0, 200);
    s->opt.progress = count_calls;
    s->opt.arg = &calls;
    prepare_with(s, NULL);
    assert_true(calls > 0);
}

static bool stop_at(void *arg)
{
    size_t *left = arg;
    return !*left || !--*left;
}

/* A request to stop ends preparing wherever it comes; nothing is left in the cache, and the
 * next time all is made. */
static void test_stopping(void **state)
{
    struct data_sample *s = *state;
    size_t n = 0;
    data_sample_rows(s, "a.csv", 0, 10000);
    expect_ok(s, data_sample_config(s, BODY, NULL));
    expect_ok(s, data_sample_schema(s, USE_TRAIN));
    s->opt.stop = stop_at;
    for (enum status st = ST_STOPPED; st != ST_OK;) {
        size_t left = ++n;
        s->opt.arg = &left;
        mem_free(s->path);
        s->path = NULL;
        st = data_sample_prepare(s, USE_TRAIN);
        assert_true(st == ST_OK || st == ST_STOPPED);
        assert_int_equal(files_in_cache(s), st == ST_OK);
    }
    assert_true(n > 6); /* hashing, three blocks read, three written, one not asked for */
    assert_int_equal(files_in_cache(s), 1);
}

/* Whichever allocation fails, nothing is left in the cache and nothing leaks. */
static void test_failing_allocations(void **state)
{
    struct data_sample *s = *state;
    data_sample_rows(s, "a.csv", 0, 40);
    expect_ok(s, data_sample_config(s, BODY, NULL));
    expect_ok(s, data_sample_schema(s, USE_TRAIN));
    mem_free(s->path);
    s->path = NULL;
    uint64_t live = mem_live_bytes(), k = 1;
    for (;; k++) {
        mem_fail_at(k);
        enum status st = data_sample_prepare(s, USE_TRAIN);
        mem_fail_at(0);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
        assert_int_equal(files_in_cache(s), 0);
        assert_int_equal(mem_live_bytes(), live);
    }
    assert_true(k > 100);
    assert_int_equal(files_in_cache(s), 1);
}

int main(void)
{
    log_setup("", 0, LOG_ERROR); /* damaged files are warned of */
    const struct CMUnitTest tests[] = {
        TEST(test_dictionaries),
        TEST(test_cache_is_found),
        TEST(test_cache_is_not_found),
        TEST(test_damaged_file),
        TEST(test_flipped_byte),
        TEST(test_force),
        TEST(test_bad_rows),
        TEST(test_bad_rows_limit),
        TEST(test_where_checks_numbers),
        TEST(test_without_dictionary),
        TEST(test_joins),
        TEST(test_bad_side_row),
        TEST(test_no_rows),
        TEST(test_progress),
        TEST(test_stopping),
        TEST(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
