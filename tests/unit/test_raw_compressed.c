/* data/raw: compressed files are told by their content; damage costs one row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "data/gzip_check.h"
#include "tests/unit/raw_sample.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, raw_sample_setup, raw_sample_teardown)

static const struct {
    const char *name;
    int (*add)(struct archive *);
} filters[] = {
    {"gz", archive_write_add_filter_gzip},   {"zst", archive_write_add_filter_zstd},
    {"lz4", archive_write_add_filter_lz4},   {"xz", archive_write_add_filter_xz},
    {"bz2", archive_write_add_filter_bzip2},
};
enum { N_FILTERS = sizeof filters / sizeof *filters, ROOM = 8 << 20 };

/* Compressed text in out[ROOM]; gives its bytes. */
static size_t squeeze(size_t filter, const char *text, size_t n, char *out)
{
    size_t used = 0;
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
    assert_int_equal(filters[filter].add(a), ARCHIVE_OK);
    assert_int_equal(archive_write_set_bytes_in_last_block(a, 1), ARCHIVE_OK);
    assert_int_equal(archive_write_open_memory(a, out, ROOM, &used), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, text, n), n);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    archive_entry_free(entry);
    return used;
}

/* Rows that do not compress well: the stream has many blocks. */
static char *table(size_t rows, size_t *n)
{
    char *text = malloc(64 * rows + 8), *at = stpcpy(text, "a,b\n");
    for (size_t i = 0; i < rows; i++)
        at += sprintf(at, "%zu,%llx\n", i, (unsigned long long)hash_mix(i + 1));
    *n = (size_t)(at - text);
    return text;
}

/* Read a file's rows 0, 1, 2, ...: how many. */
static size_t count_rows(struct raw_sample *s)
{
    struct raw *r;
    const struct raw_row *row;
    size_t n = 0;
    bad_rows_init(&s->bad, &s->data);
    s->status = raw_open(&s->data, s->source, (const char *[]){"a", "b"}, NULL, 2,
                         &s->bad, &r, &s->err);
    if (s->status != ST_OK) return 0;
    for (;; n++) {
        s->status = raw_next(r, &row, &s->err);
        if (s->status != ST_OK || !row) break;
        char want[64];
        size_t k = (size_t)sprintf(want, "%llx", (unsigned long long)hash_mix(n + 1));
        struct text a = row->fields[0].v[0], b = row->fields[1].v[0];
        if (strtoull(a.s, NULL, 10) != n || b.n != k || memcmp(b.s, want, k) != 0)
            fail_msg("row %zu is not what was written", n);
    }
    raw_close(r);
    return n;
}

/* Every compression is found by content under any name, and read as the plain
 * text; an empty text too. */
static void test_every_compression(void **state)
{
    struct raw_sample *s = *state;
    enum { ROWS = 60000 };
    size_t n;
    char *text = table(ROWS, &n), *out = malloc(ROOM);
    for (size_t i = 0; i < N_FILTERS; i++) {
        raw_sample_bytes(s, "a.in", out, squeeze(i, text, n, out));
        assert_int_equal(count_rows(s), ROWS);
        assert_int_equal(s->bad.n_bad, 0);
        static const char small[] = "\xef\xbb\xbf"
                                    "a,b\n0,5692161d100b05e5";
        raw_sample_bytes(s, "a.in", out, squeeze(i, small, sizeof small - 1, out));
        assert_int_equal(count_rows(s), 1);
        if (i == 2) continue; /* libarchive cannot write an empty lz4 stream */
        raw_sample_bytes(s, "a.in", out, squeeze(i, "", 0, out));
        count_rows(s);
        assert_int_equal(s->status, ST_NOINPUT);
        assert_non_null(strstr(s->err.text, "a header line is expected: it is empty"));
    }
    free(text);
    free(out);
}

/* Streams one behind another are one text, as tools that append leave them. */
static void test_joined_streams(void **state)
{
    struct raw_sample *s = *state;
    enum { ROWS = 1000 };
    size_t n;
    char *text = table(ROWS, &n), *out = malloc(ROOM);
    static const size_t joinable[] = {0, 1, 2, 3, 4};
    for (size_t i = 0; i < sizeof joinable / sizeof *joinable; i++) {
        size_t half = n / 2, first = squeeze(joinable[i], text, half, out);
        char *rest = malloc(ROOM);
        size_t second = squeeze(joinable[i], text + half, n - half, rest);
        memcpy(out + first, rest, second);
        raw_sample_bytes(s, "a.in", out, first + second);
        assert_int_equal(count_rows(s), ROWS);
        assert_int_equal(s->bad.n_bad, 0);
        free(rest);
    }
    free(text);
    free(out);
}

/* A stream cut off anywhere: complete lines before the cut are read, the rest of
 * the file is one bad row, and the next file is read as ever. */
static void test_truncated(void **state)
{
    struct raw_sample *s = *state;
    enum { ROWS = 60000 };
    size_t n;
    char *text = table(ROWS, &n), *out = malloc(ROOM);
    raw_sample_file(s, "b.in", "a,b\n");
    for (size_t i = 0; i < N_FILTERS; i++) {
        size_t bytes = squeeze(i, text, n, out), last = 0;
        for (size_t part = 1; part <= 4; part++) {
            raw_sample_bytes(s, "a.in", out, part < 4 ? bytes * part / 4 : bytes - 3);
            size_t rows = count_rows(s);
            assert_int_equal(s->status, ST_OK);
            assert_true(rows >= last && rows < ROWS + (part == 4));
            assert_int_equal(s->bad.n_bad, 1);
            assert_non_null(
                strstr(s->bad.shown[0], "the rest of the file cannot be read: "));
            last = rows;
        }
        assert_true(last > ROWS / 2);
    }
    free(text);
    free(out);
}

/* Bytes changed inside: the stream ends there with a bad row, and nothing crashes. */
static void test_corrupt(void **state)
{
    struct raw_sample *s = *state;
    enum { ROWS = 60000 };
    size_t n;
    char *text = table(ROWS, &n), *out = malloc(ROOM);
    for (size_t i = 0; i < N_FILTERS; i++) {
        size_t bytes = squeeze(i, text, n, out);
        memset(out + bytes / 4 * 3, 0xa5, 64); /* bz2: behind its first block */
        raw_sample_bytes(s, "a.in", out, bytes);
        struct raw *r;
        const struct raw_row *row;
        bad_rows_init(&s->bad, &s->data);
        assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a"}, NULL, 1,
                                  &s->bad, &r, &s->err),
                         ST_OK);
        do assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
        while (row);
        raw_close(r);
        assert_true(s->bad.n_bad > 0);
        assert_true(s->bad.n_good < ROWS);
    }
    free(text);
    free(out);
}

/* Every bit of a gzip file counts: a changed one breaks the stream, or the checksum or the
 * length at its end tells. Only what says when and by what it was written may be anything,
 * and what fills up the last byte of the stream. */
static void test_each_bit_of_gzip_counts(void **state)
{
    struct raw_sample *s = *state;
    enum { ROWS = 12, HEADER = 10, TRAILER = 8 };
    size_t n;
    char *text = table(ROWS, &n), *out = malloc(ROOM);
    size_t bytes = squeeze(0, text, n, out);
    raw_sample_columns(s, "a,b");
    for (size_t bit = 8 * HEADER; bit < 8 * bytes; bit++) {
        struct raw *r;
        const struct raw_row *row;
        if (bit / 8 == bytes - TRAILER - 1) continue;
        out[bit / 8] = (char)(out[bit / 8] ^ 1 << bit % 8);
        raw_sample_bytes(s, "a.in", out, bytes);
        out[bit / 8] = (char)(out[bit / 8] ^ 1 << bit % 8);
        bad_rows_init(&s->bad, &s->data);
        assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"a"}, NULL, 1, &s->bad,
                                  &r, &s->err), ST_OK);
        do assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
        while (row);
        raw_close(r);
        if (!s->bad.n_bad) fail_msg("bit %zu of %zu changed without notice", bit, 8 * bytes);
    }
    free(text);
    free(out);
}

/* The check value of CRC-32, and the same for any cut of the bytes. */
static void test_checksum_of_gzip(void **state)
{
    (void)state;
    static const char digits[] = "123456789";
    struct gzip_check whole, cut;
    gzip_check_begin(&whole, -1);
    gzip_check_add(&whole, digits, 9);
    assert_int_equal(whole.crc, 0xcbf43926);
    for (size_t first = 0; first <= 9; first++) {
        gzip_check_begin(&cut, -1);
        gzip_check_add(&cut, digits, first);
        gzip_check_add(&cut, digits + first, 9 - first);
        assert_int_equal(cut.crc, whole.crc);
        assert_int_equal(cut.n, 9);
    }
}

/* A stream that breaks inside quotes is still one bad row. */
static void test_truncated_in_quotes(void **state)
{
    struct raw_sample *s = *state;
    enum { ROWS = 30000 };
    char *text = malloc(32 * ROWS), *at = stpcpy(text, "a,b\n0,5692161d100b05e5\n1,\"\n"),
         *out = malloc(ROOM);
    for (size_t i = 0; i < ROWS; i++)
        at += sprintf(at, "%llx\n", (unsigned long long)hash_mix(i + 1));
    size_t bytes = squeeze(0, text, (size_t)(at - text), out);
    raw_sample_bytes(s, "a.in", out, bytes / 2);
    assert_int_equal(count_rows(s), 1);
    assert_int_equal(s->bad.n_bad, 1);
    free(text);
    free(out);
}

/* A file whose head says gzip and whose rest is nonsense, or ends there. */
static void test_only_a_head(void **state)
{
    struct raw_sample *s = *state;
    static const char *const heads[] = {"\x1f\x8b", "\x28\xb5\x2f\xfd",
                                        "\x04\x22\x4d\x18",
                                        "\xfd"
                                        "7zXZ",
                                        "BZh9"};
    for (size_t i = 0; i < 5; i++) {
        char text[64];
        size_t n = (size_t)snprintf(text, sizeof text, "%s", heads[i]) + (i == 3);
        raw_sample_bytes(s, "a.in", text, n);
        raw_sample_columns(s, "a,b");
        count_rows(s);
        assert_int_equal(s->status, ST_OK);
        assert_int_equal(s->bad.n_bad, 1);
        memset(text + n, 'y', sizeof text - n);
        raw_sample_bytes(s, "a.in", text, sizeof text);
        count_rows(s);
        assert_int_equal(s->status, ST_OK);
        assert_int_equal(s->bad.n_bad, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_compression),   TEST(test_joined_streams),
        TEST(test_truncated),           TEST(test_corrupt),
        TEST(test_each_bit_of_gzip_counts), cmocka_unit_test(test_checksum_of_gzip),
        TEST(test_truncated_in_quotes), TEST(test_only_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
