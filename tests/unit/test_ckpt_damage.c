/* No damage to a checkpoint passes unnoticed, and each is named: flipped bits,
 * lost ends, exchanged and missing files, and contents that a faulty writer
 * signed correctly. */
#include "common/store/ckpt.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/store/h5.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/ckpt_sample.h"

struct fixture {
    struct tmpdir tmp;
    char dir[300];
    char path[400]; /* the checkpoint */
    struct error err;
};

static const char *const files[] = {"MANIFEST.json", "dense.h5", "train_state.h5",
                                    "sparse-00000-of-00002.h5",
                                    "sparse-00001-of-00002.h5"};
enum { N_FILES = sizeof files / sizeof *files };

#define OK(f, call)                                                                      \
    do {                                                                                 \
        enum status ok_ = (call);                                                        \
        if (ok_ != ST_OK) fail_msg("%d: %s", ok_, (f)->err.text);                        \
    } while (0)

static int setup(void **state)
{
    static struct fixture f;
    char *path;
    memset(&f, 0, sizeof f);
    tmpdir_create(&f.tmp);
    snprintf(f.dir, sizeof f.dir, "%s/checkpoints", f.tmp.path);
    struct sample s = {.dir = f.dir, .step = 5, .n_servers = 2, .n_rows = 40};
    OK(&f, sample_save(&s, &path, &f.err));
    snprintf(f.path, sizeof f.path, "%s", path);
    mem_free(path);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tmpdir_remove(&f->tmp);
    return 0;
}

static const char *name_of(struct fixture *f, const char *file)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", f->path, file);
    return path;
}

static char *load(struct fixture *f, const char *file, size_t *n)
{
    char *data;
    OK(f, file_read_all(name_of(f, file), &data, n, 1 << 26, &f->err));
    return data;
}

static void store(struct fixture *f, const char *file, const char *data, size_t n)
{
    FILE *out = fopen(name_of(f, file), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

/* Verifying and opening with hashes both refuse it and say where; nothing
 * chooses it. */
static void expect_refused(struct fixture *f, const char *named)
{
    struct ckpt *c;
    char *path;
    assert_int_equal(ckpt_verify(f->path, &f->err), ST_NOINPUT);
    if (!strstr(f->err.text, named)) fail_msg("\"%s\" not in \"%s\"", named, f->err.text);
    assert_int_equal(ckpt_open(f->path, true, &c, &f->err), ST_NOINPUT);
    OK(f, ckpt_newest(f->dir, NULL, NULL, &path, &f->err));
    assert_null(path);
}

/* One flipped bit, in any byte of the manifest and at 150 places of each other file. */
static void test_flipped_bits(void **state)
{
    struct fixture *f = *state;
    struct rng rng = rng_make(1, RNG_TEST, 0);
    for (size_t i = 0; i < N_FILES; i++) {
        size_t n, trials;
        char *data = load(f, files[i], &n);
        trials = i == 0 ? n : 150;
        for (size_t t = 0; t < trials; t++) {
            size_t at = i == 0 ? t : rng_u64(&rng, i * 1000 + t, 0) % n;
            char bit = (char)(1 << rng_u64(&rng, i * 1000 + t, 1) % 8);
            data[at] = (char)(data[at] ^ bit);
            store(f, files[i], data, n);
            expect_refused(f, files[i]);
            data[at] = (char)(data[at] ^ bit);
        }
        store(f, files[i], data, n);
        mem_free(data);
    }
    OK(f, ckpt_verify(f->path, &f->err));
}

/* Every length of the manifest, and 40 of each other file. */
static void test_truncated_files(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < N_FILES; i++) {
        size_t n;
        char *data = load(f, files[i], &n);
        size_t step = i == 0 ? 1 : n / 40;
        for (size_t size = 0; size < n; size += step) {
            store(f, files[i], data, size);
            expect_refused(f, files[i]);
        }
        store(f, files[i], data, n);
        assert_int_equal(truncate(name_of(f, files[i]), (off_t)n + 1),
                         0); /* also longer */
        expect_refused(f, files[i]);
        store(f, files[i], data, n);
        mem_free(data);
    }
    OK(f, ckpt_verify(f->path, &f->err));
}

/* A page of zeros where there was something else. */
static void test_zeroed_pages(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < N_FILES; i++) {
        size_t n;
        char *data = load(f, files[i], &n), *copy = load(f, files[i], &n);
        for (size_t at = 0; at < n; at += 512) {
            size_t size = n - at < 512 ? n - at : 512;
            memset(copy + at, 0, size);
            if (memcmp(copy, data, n)) {
                store(f, files[i], copy, n);
                expect_refused(f, files[i]);
            }
            memcpy(copy + at, data + at, size);
        }
        store(f, files[i], data, n);
        mem_free(data);
        mem_free(copy);
    }
}

/* Two servers' files with exchanged names. */
static void test_swapped_files(void **state)
{
    struct fixture *f = *state;
    size_t n, m;
    char *a = load(f, files[3], &n), *b = load(f, files[4], &m);
    store(f, files[3], b, m);
    store(f, files[4], a, n);
    expect_refused(f, "sparse-0000");
    mem_free(a);
    mem_free(b);
}

/* Each file is needed. */
static void test_missing_files(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < N_FILES; i++) {
        size_t n;
        char *data = load(f, files[i], &n);
        assert_int_equal(unlink(name_of(f, files[i])), 0);
        expect_refused(f, files[i]);
        store(f, files[i], data, n);
        mem_free(data);
    }
}

/* Files that the manifest does not name are ignored. */
static void test_extra_files_are_ignored(void **state)
{
    struct fixture *f = *state;
    store(f, "sparse-00002-of-00003.h5", "junk", 4);
    store(f, "notes.txt", "junk", 4);
    OK(f, ckpt_verify(f->path, &f->err));
}

/* A file of another checkpoint, valid in itself, is foreign here. */
static void test_foreign_file(void **state)
{
    struct fixture *f = *state;
    char *other;
    struct sample s = {.dir = f->tmp.path,
                       .step = 6,
                       .n_servers = 2,
                       .n_rows = 40,
                       .change = SAMPLE_TENSOR};
    OK(f, sample_save(&s, &other, &f->err));
    char from[600];
    snprintf(from, sizeof from, "%s/dense.h5", other);
    char *data;
    size_t n;
    OK(f, file_read_all(from, &data, &n, 1 << 26, &f->err));
    store(f, "dense.h5", data, n);
    expect_refused(f, "dense.h5");
    mem_free(data);
    mem_free(other);
}

/* A whole checkpoint under the name of another step. */
static void test_folder_of_another_step(void **state)
{
    struct fixture *f = *state;
    char to[600];
    snprintf(to, sizeof to, "%s/step-000000000077", f->dir);
    assert_int_equal(rename(f->path, to), 0);
    snprintf(f->path, sizeof f->path, "%.390s", to);
    expect_refused(f, "the manifest is of step 5");
}

/* ---- manifests that somebody edited and signed again ---- */

static json_t *read_manifest(struct fixture *f)
{
    size_t n;
    char *data = load(f, "MANIFEST.json", &n);
    json_t *root = json_loadb(data, n, 0, NULL);
    assert_non_null(root);
    mem_free(data);
    json_object_del(root, "sha256");
    return root;
}

static void sign_manifest(struct fixture *f, json_t *root)
{
    char *body = json_dumps(root, JSON_INDENT(2)), hex[SHA256_HEX];
    size_t n = strlen(body) - 2, size = n + 200;
    bytes_sha256(body, n, hex);
    char *all = mem_alloc(size);
    int total =
        snprintf(all, size, "%.*s,\n  \"sha256\": \"%s\"\n}\n", (int)n, body, hex);
    store(f, "MANIFEST.json", all, (size_t)total);
    mem_free(all);
    free(body);
    json_decref(root);
}

static json_t *file_entry(json_t *root, size_t i)
{
    return json_array_get(json_object_get(root, "files"), i);
}

/* A format of another version is named as such, with what to do. */
static void test_other_versions(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"version", "hash_version", "partition_version",
                                       "buckets"};
    for (size_t i = 0; i < 4; i++) {
        json_t *root = read_manifest(f);
        json_t *before = json_incref(json_object_get(root, keys[i]));
        json_object_set_new(root, keys[i], json_integer(99));
        sign_manifest(f, root);
        expect_refused(f, "is 99, this program reads");
        root = read_manifest(f);
        json_object_set_new(root, keys[i], before);
        sign_manifest(f, root);
    }
    OK(f, ckpt_verify(f->path, &f->err));
}

/* Each field of the manifest is needed, and of its own kind. */
static void test_missing_fields(void **state)
{
    struct fixture *f = *state;
    size_t n;
    char *good = load(f, "MANIFEST.json", &n);
    json_t *all = read_manifest(f);
    const char *key;
    json_t *value;
    json_object_foreach(all, key, value)
    {
        json_t *root = read_manifest(f);
        json_object_del(root, key);
        sign_manifest(f, root);
        expect_refused(f, "MANIFEST.json");
        store(f, "MANIFEST.json", good, n);
        root = read_manifest(f);
        json_object_set_new(root, key, json_true());
        sign_manifest(f, root);
        expect_refused(f, "MANIFEST.json");
        store(f, "MANIFEST.json", good, n);
    }
    json_decref(all);
    mem_free(good);
}

/* Names that lead out of the folder, sums that do not add up. */
static void test_edited_entries(void **state)
{
    struct fixture *f = *state;
    size_t n;
    char *good = load(f, "MANIFEST.json", &n);
    static const struct {
        const char *key, *text;
        long long number;
    } edits[] = {{"name", "../../etc/passwd", 0},
                 {"name", "sparse-../x.h5", 0},
                 {"name", "sparse-00001-of-00002.h5", 0},
                 {"role", "dense", 0},
                 {"sha256", "00", 0},
                 {"digest", "00", 0},
                 {"digest", "00000000000000000000000000000001", 0},
                 {"bytes", NULL, -1},
                 {"bytes", NULL, 12},
                 {"rows", NULL, 41}};
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        json_t *root = read_manifest(f);
        json_object_set_new(file_entry(root, 0), edits[i].key,
                            edits[i].text ? json_string(edits[i].text)
                                          : json_integer(edits[i].number));
        sign_manifest(f, root);
        expect_refused(f, f->path);
        store(f, "MANIFEST.json", good, n);
    }
    mem_free(good);
}

/* Only ids that wait have no weights, and then no slots either. */
static void test_tables_without_weights(void **state)
{
    struct fixture *f = *state;
    size_t n;
    char *good = load(f, "MANIFEST.json", &n);
    static const struct {
        const char *name;
        bool slots;
    } edits[] = {{"user", true},          {"user", false},     {"user/waiting", true},
                 {"/waiting", false},     {"waiting", false},  {"user/waiting/x", false}};
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        json_t *root = read_manifest(f), *table = json_array_get(json_object_get(root, "tables"), 0);
        json_object_set_new(table, "dim", json_integer(0));
        json_object_set_new(table, "name", json_string(edits[i].name));
        if (!edits[i].slots) json_object_set_new(table, "slots", json_array());
        sign_manifest(f, root);
        expect_refused(f, "a table's dim is out of range");
        store(f, "MANIFEST.json", good, n);
    }
    mem_free(good);
}

/* Text that is no JSON, or not ours, though correctly signed. */
static void test_signed_nonsense(void **state)
{
    struct fixture *f = *state;
    static const char *const bodies[] = {"{", "{\"a\": 1", "[1", "{\"format\": \"other\"",
                                         ""};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char hex[SHA256_HEX], all[300];
        bytes_sha256(bodies[i], strlen(bodies[i]), hex);
        int n =
            snprintf(all, sizeof all, "%s,\n  \"sha256\": \"%s\"\n}\n", bodies[i], hex);
        store(f, "MANIFEST.json", all, (size_t)n);
        expect_refused(f, "MANIFEST.json");
    }
}

/* ---- contents that a faulty writer signed ---- */

enum fault {
    SWAP_ROWS,
    SAME_KEY_TWICE,
    FOREIGN_KEY,
    NOT_A_NUMBER,
    ONE_BIT,
    WRONG_SERVER,
    WRONG_DIM,
    EXTRA
};

struct copier {
    struct h5 *from, *to;
    enum fault fault;
    struct error *err;
};

static void corrupt(enum fault fault, const char *name, char *values, size_t row)
{
    uint64_t *keys = (uint64_t *)values;
    float *weights = (float *)values;
    if (!strcmp(name, "table/user/keys")) {
        if (fault == SAME_KEY_TWICE) keys[1] = keys[0];
        if (fault == FOREIGN_KEY) keys[0] = 2; /* replaced until it is foreign */
        while (fault == FOREIGN_KEY && partition_bucket(keys[0]) < 512) keys[0]++;
        if (fault == SWAP_ROWS) {
            uint64_t key = keys[0];
            keys[0] = keys[1];
            keys[1] = key;
        }
    }
    if (!strcmp(name, "table/user/weights") && row) {
        if (fault == NOT_A_NUMBER) weights[1] = NAN;
        if (fault == ONE_BIT) values[0] = (char)(values[0] ^ 1);
    }
}

static enum status copy_array(void *arg, const char *name, struct error *err)
{
    struct copier *c = arg;
    enum dtype type;
    size_t rows, cols;
    void *values;
    TRY(h5_describe(c->from, name, &type, &rows, &cols, err));
    TRY(h5_read(c->from, name, type, &rows, &cols, &values, err));
    corrupt(c->fault, name, values, dtype_bytes(type) * (cols ? cols : 1));
    bool wrong_dim = c->fault == WRONG_DIM && !strcmp(name, "table/user/weights");
    enum status st = h5_write(c->to, name, type, wrong_dim ? rows * cols / 2 : rows,
                              wrong_dim ? 2 : cols, values, err);
    mem_free(values);
    return st;
}

static void copy_attributes(struct fixture *f, struct copier *c)
{
    static const char *const numbers[] = {
        "version",   "hash_version", "partition_version", "server",
        "n_servers", "bucket_first", "bucket_end"};
    char *format;
    OK(f, h5_get_text(c->from, "", "format", &format, &f->err));
    OK(f, h5_set_text(c->to, "", "format", format, &f->err));
    mem_free(format);
    for (size_t i = 0; i < 7; i++) {
        uint64_t v;
        OK(f, h5_get_u64(c->from, "", numbers[i], &v, &f->err));
        if (c->fault == WRONG_SERVER && i == 3) v = 1;
        OK(f, h5_set_u64(c->to, "", numbers[i], v, &f->err));
    }
}

/* The first server's file with one fault, its size and hash in the manifest. */
static void write_fault(struct fixture *f, enum fault fault)
{
    struct copier c = {.fault = fault};
    char from[700], hex[SHA256_HEX];
    uint64_t bytes;
    snprintf(from, sizeof from, "%s.old", name_of(f, files[3]));
    assert_int_equal(rename(name_of(f, files[3]), from), 0);
    OK(f, h5_open(from, &c.from, &f->err));
    OK(f, h5_create(name_of(f, files[3]), &c.to, &f->err));
    copy_attributes(f, &c);
    OK(f, h5_visit(c.from, "", copy_array, &c, &f->err));
    if (fault == EXTRA)
        OK(f, h5_write(c.to, "table/extra", DTYPE_U8, 1, 0, "x", &f->err));
    OK(f, h5_close(c.from, &f->err));
    OK(f, h5_close(c.to, &f->err));
    OK(f, file_size(name_of(f, files[3]), &bytes, &f->err));
    OK(f, file_sha256(name_of(f, files[3]), hex, NULL, NULL, &f->err));
    json_t *root = read_manifest(f);
    json_object_set_new(file_entry(root, 0), "bytes", json_integer((json_int_t)bytes));
    json_object_set_new(file_entry(root, 0), "sha256", json_string(hex));
    sign_manifest(f, root);
}

/* Hashes hold, yet verify finds the fault and names it. */
static void test_faults_of_the_writer(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum fault fault;
        const char *text;
    } faults[] = {{SWAP_ROWS, "table user: row 1"},
                  {SAME_KEY_TWICE, "table user: row 1"},
                  {FOREIGN_KEY, "table user: row 0"},
                  {NOT_A_NUMBER, "weights of row 0"},
                  {ONE_BIT, "digest"},
                  {WRONG_SERVER, "attribute server is 1"},
                  {WRONG_DIM, "dataset table/user/weights"},
                  {EXTRA, "datasets"}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        write_fault(f, faults[i].fault);
        assert_int_equal(ckpt_verify(f->path, &f->err), ST_NOINPUT);
        if (!strstr(f->err.text, faults[i].text) || !strstr(f->err.text, files[3]))
            fail_msg("\"%s\" not in \"%s\"", faults[i].text, f->err.text);
        char old[700];
        snprintf(old, sizeof old, "%s.old", name_of(f, files[3]));
        assert_int_equal(rename(old, name_of(f, files[3])), 0);
    }
}

static enum status ignore_rows(void *arg, const struct ckpt_rows *rows, struct error *err)
{
    (void)err;
    *(size_t *)arg += rows->n;
    return ST_OK;
}

/* Opened without hashing the big files, the rows of a changed file are still not
 * read: its hash is compared before. */
static void test_changed_rows_are_not_read(void **state)
{
    struct fixture *f = *state;
    size_t n, seen = 0;
    struct ckpt *c;
    char *data = load(f, files[4], &n);
    data[n / 2] = (char)(data[n / 2] ^ 4);
    store(f, files[4], data, n);
    mem_free(data);
    OK(f, ckpt_open(f->path, false, &c, &f->err));
    OK(f, ckpt_read_rows(c, 0, (struct range){0, 512}, ignore_rows, &seen, &f->err));
    assert_true(seen > 0);
    assert_int_equal(
        ckpt_read_rows(c, 0, (struct range){0, 1024}, ignore_rows, &seen, &f->err),
        ST_NOINPUT);
    assert_non_null(strstr(f->err.text, files[4]));
    ckpt_close(c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_flipped_bits),         T(test_truncated_files),
        T(test_zeroed_pages),         T(test_swapped_files),
        T(test_missing_files),        T(test_extra_files_are_ignored),
        T(test_foreign_file),         T(test_folder_of_another_step),
        T(test_other_versions),       T(test_missing_fields),
        T(test_edited_entries),       T(test_tables_without_weights),
        T(test_signed_nonsense),
        T(test_faults_of_the_writer), T(test_changed_rows_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
