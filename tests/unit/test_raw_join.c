/* data/raw: side tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "tests/unit/raw_sample.h"

#define TEST(f) cmocka_unit_test_setup_teardown(f, raw_sample_setup, raw_sample_teardown)

/* Columns of the row with the same key; a miss has them missing. */
static void test_join(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u*.csv", "user");
    raw_sample_file(s, "u1.csv", "age,user,city\n30,7,Bonn\n,8,\n");
    raw_sample_file(s, "u2.csv", "user,city,age\n9,\"K\"\"n\",50\n");
    raw_sample_file(s, "a.in", "user,click\n7,1\n9,0\n6,1\n8,0\n,1\n7,0\n");
    assert_string_equal(
        raw_sample_read(s, "click,age,user,city"),
        "1|30|7|Bonn\n0|50|9|K\"n\n1|~|6|~\n0|~|8|~\n1|~|~|~\n0|30|7|Bonn\n");
    assert_int_equal(s->bad.n_bad, 0);
    assert_int_equal(s->bad.n_good, 6);
}

/* A key may come from an earlier join; one nobody needs is not read. */
static void test_join_through_join(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "video.csv", "video");
    raw_sample_join(s, "author.csv", "author");
    raw_sample_join(s, "gone.csv", "video");
    raw_sample_file(s, "video.csv", "video,author\n1,x\n2,y\n3,\n4,w\n");
    raw_sample_file(s, "author.csv", "author,fans\nx,100\ny,200\n");
    raw_sample_file(s, "gone.csv", "video,unused\n1,1\n1,2\n");
    raw_sample_file(s, "a.in", "video\n2\n1\n3\n4\n5\n");
    assert_string_equal(raw_sample_read(s, "fans,video"),
                        "200|2\n100|1\n~|3\n~|4\n~|5\n");
}

/* A name that an earlier source has belongs to that one. */
static void test_first_owner_wins(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "x.csv", "k");
    raw_sample_join(s, "y.csv", "k");
    raw_sample_file(s, "x.csv", "k,a,b\n1,xa,xb\n");
    raw_sample_file(s, "y.csv", "k,b,c\n1,yb,yc\n");
    raw_sample_file(s, "a.in", "k,a\n1,main\n");
    assert_string_equal(raw_sample_read(s, "a,b,c"), "main|xb|yc\n");
    struct raw_columns c;
    assert_int_equal(raw_columns_read(&s->data, s->source, &c, &s->err), ST_OK);
    static const char *const names[] = {"k", "a", "b", "c"};
    static const int owners[] = {-1, -1, 0, 1};
    assert_int_equal(c.n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(c.names[i], names[i]);
        assert_int_equal(c.owner[i], owners[i]);
    }
    raw_columns_close(&c);
}

/* Blanks around a key do not count, on either side; its text does: 1 is not 01. */
static void test_keys_are_trimmed_texts(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u.csv", "k");
    raw_sample_file(s, "u.csv", "k,v\n 1 ,a\n2\t,b\n01,c\n");
    raw_sample_file(s, "a.in", "k\n1\n  2\n01\n1.0\n");
    assert_string_equal(raw_sample_read(s, "v"), "a\nb\nc\n~\n");
}

/* A key that stands twice is an error with both places, also over files. */
static void test_duplicate_key(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u*.csv", "k");
    raw_sample_file(s, "u1.csv", "k,v\n1,\"a\nb\"\n2,b\n");
    raw_sample_file(s, "u2.csv", "k,v\n3,a\n 1,c\n");
    raw_sample_file(s, "a.in", "k\n1\n");
    raw_sample_read(s, "v");
    assert_int_equal(s->status, ST_DATA);
    assert_non_null(strstr(
        s->err.text, "u2.csv:3: key k '1' stands twice in the side table: first at "));
    assert_non_null(strstr(s->err.text, "u1.csv:2"));
}

/* Rows without a key are left out, and are no duplicates. */
static void test_missing_keys(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u.csv", "k");
    raw_sample_file(s, "u.csv", "k,v\n,a\n,b\n1,c\n");
    raw_sample_file(s, "a.in", "k,z\n,0\n1,0\n");
    assert_string_equal(raw_sample_read(s, "v"), "~\nc\n");
}

/* Bad rows of a side table are in the ledger. */
static void test_bad_side_rows(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u.csv", "k");
    raw_sample_file(s, "u.csv", "k,v\n1,a\n2\n3,c\n");
    raw_sample_file(s, "a.in", "k\n1\n2\n3\n");
    assert_string_equal(raw_sample_read(s, "v"), "a\n~\nc\n");
    assert_int_equal(s->bad.n_bad, 1);
    assert_int_equal(s->bad.n_good, 3);
    assert_non_null(strstr(s->bad.shown[0], "u.csv:3:2: 1 columns, 2 expected: '2'"));
}

/* A side table has its own format, names, missing texts and filter. */
static void test_side_table_settings(void **state)
{
    struct raw_sample *s = *state;
    static const char *names[] = {"k", "v", "w"}, *missing[] = {"-"};
    struct join_cfg *join = raw_sample_join(s, "u.tsv", "k");
    join->source.format = SOURCE_TSV;
    join->source.delimiter = "\t";
    join->source.header = false;
    join->source.columns = (struct list_cfg){names, 3, {0}};
    join->source.missing = (struct list_cfg){missing, 1, {0}};
    join->source.where = (struct text_cfg){"w > 1", {"f.yaml", 9, 1}};
    raw_sample_file(s, "u.tsv",
                    "1\ta\t5\n2\t-\t5\n3\t\t2\n1\tagain\t1\n4\tx\t-\n5\ty\tbad\n");
    raw_sample_file(s, "a.in", "k\n1\n2\n3\n4\n5\n");
    assert_string_equal(raw_sample_read(s, "v"), "a\n~\n\n~\n~\n");
    assert_int_equal(s->bad.n_bad, 1);
    assert_non_null(strstr(s->bad.shown[0], "u.tsv:6: column w: 'bad' is not a number"));
    join->source.where.text = "ww > 1";
    raw_sample_read(s, "v");
    assert_int_equal(s->status, ST_USAGE);
    assert_non_null(
        strstr(s->err.text, "f.yaml:9:1: in expression 'ww > 1' at column 1"));
}

/* A key that nobody has, or only a later join, is a configuration error. */
static void test_unknown_key(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u.csv", "user");
    raw_sample_file(s, "u.csv", "user,v\n1,a\n");
    raw_sample_file(s, "a.in", "userr\n1\n");
    raw_sample_read(s, "v");
    assert_int_equal(s->status, ST_USAGE);
    assert_non_null(
        strstr(s->err.text, "f.yaml:5:9: join key 'user' is no column of the main rows"));
    raw_sample_file(s, "a.in", "user\n1\n");
    raw_sample_file(s, "u.csv", "usr,v\n1,a\n");
    raw_sample_read(s, "v");
    assert_int_equal(s->status, ST_DATA);
    assert_non_null(strstr(s->err.text, "u.csv: has no column 'user'"));
}

/* Slot text is no side table. */
static void test_slot_side_table(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u.csv", "k")->source.format = SOURCE_SLOT;
    raw_sample_file(s, "u.csv", "k:1\n");
    raw_sample_file(s, "a.in", "k\n1\n");
    raw_sample_read(s, "k");
    assert_int_equal(s->status, ST_USAGE);
}

/* Row numbers of side tables let a caller work once per side row; owners tell
 * which columns depend on which table. */
static void test_side_rows(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u.csv", "k");
    raw_sample_join(s, "v.csv", "k");
    raw_sample_file(s, "u.csv", "k,a\nx,1\ny,2\n");
    raw_sample_file(s, "v.csv", "k,b\nx,1\n");
    raw_sample_file(s, "a.in", "k\ny\nz\nx\n");
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"k", "a"}, NULL, 2,
                              &s->bad, &r, &s->err),
                     ST_OK);
    assert_int_equal(raw_column_owner(r, 0), -1);
    assert_int_equal(raw_column_owner(r, 1), 0);
    assert_int_equal(raw_side_rows(r, 0), 2);
    assert_int_equal(raw_side_rows(r, 1), 0);
    static const uint32_t want[] = {1, RAW_NO_MATCH, 0};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
        assert_int_equal(row->side[0], want[i]);
        assert_int_equal(row->side[1], RAW_NO_MATCH);
    }
    raw_reject(r, 1, "not wanted");
    assert_non_null(strstr(s->bad.shown[0], "a.in:4: not wanted (joined from "));
    assert_non_null(strstr(s->bad.shown[0], "u.csv:2): '1'"));
    raw_close(r);
}

static void write_table(struct raw_sample *s, size_t rows)
{
    char *text = malloc(64 * rows + 64), *at = stpcpy(text, "k,v,w\n");
    for (size_t i = 0; i < rows; i++)
        at += sprintf(at, "key%zu,value%zu,0123456789\n", i, i * 7);
    raw_sample_file(s, "u.csv", text);
    free(text);
}

/* Every one of many keys is found. */
static void test_large_table(void **state)
{
    struct raw_sample *s = *state;
    enum { ROWS = 20000 };
    raw_sample_join(s, "u.csv", "k");
    write_table(s, ROWS);
    char *text = malloc(16 * ROWS), *at = stpcpy(text, "k\n");
    for (size_t i = ROWS; i-- > 0;) at += sprintf(at, "key%zu\n", i);
    raw_sample_file(s, "a.in", text);
    free(text);
    struct raw *r;
    const struct raw_row *row;
    bad_rows_init(&s->bad, &s->data);
    assert_int_equal(raw_open(&s->data, s->source, (const char *[]){"v"}, NULL, 1,
                              &s->bad, &r, &s->err),
                     ST_OK);
    for (size_t i = ROWS; i-- > 0;) {
        char want[32];
        assert_int_equal(raw_next(r, &row, &s->err), ST_OK);
        int n = sprintf(want, "value%zu", i * 7);
        assert_int_equal(row->fields[0].v[0].n, n);
        assert_memory_equal(row->fields[0].v[0].s, want, (size_t)n);
    }
    raw_close(r);
}

/* data.join_memory is a limit for what is wanted of all tables, with a message
 * that names table, key and bytes. */
static void test_join_memory(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u.csv", "k");
    write_table(s, 20000);
    raw_sample_file(s, "a.in", "k\nkey1\n");
    s->data.join_memory = 4000000;
    assert_string_equal(raw_sample_read(s, "v,w"), "value7|0123456789\n");
    s->data.join_memory = 500000;
    raw_sample_read(s, "v,w");
    assert_int_equal(s->status, ST_NOMEM);
    assert_non_null(
        strstr(s->err.text, "u.csv (key k): needs more than data.join_memory: "));
    assert_non_null(strstr(s->err.text, "allowed are 500000"));
}

/* Every allocation of opening and reading may fail: out of memory, no leak. */
static void test_out_of_memory(void **state)
{
    struct raw_sample *s = *state;
    raw_sample_join(s, "u.csv", "k")->source.where = (struct text_cfg){"v != 'x'", {0}};
    raw_sample_join(s, "w.csv", "v");
    raw_sample_file(s, "u.csv", "k,v\n1,a\n2,b\n");
    raw_sample_file(s, "w.csv", "v,z\na,1\n");
    raw_sample_file(s, "a.in", "k,y\n1,\"q\nq\"\n2,s\n");
    uint64_t before = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        mem_fail_at(k);
        raw_sample_read(s, "y,z,v");
        mem_fail_at(0);
        assert_int_equal(mem_live_bytes(), before);
        if (s->status == ST_OK) break;
        assert_int_equal(s->status, ST_NOMEM);
    }
    assert_string_equal(s->out, "q\nq|1|a\ns|~|b\n");
}

/* The same for slot text. */
static void test_out_of_memory_slot(void **state)
{
    struct raw_sample *s = *state;
    s->source->format = SOURCE_SLOT;
    raw_sample_file(s, "a.in", "a:1 b:2 c:3\nd:4\n");
    uint64_t before = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        mem_fail_at(k);
        raw_sample_read(s, "a,c");
        mem_fail_at(0);
        assert_int_equal(mem_live_bytes(), before);
        if (s->status == ST_OK) break;
        assert_int_equal(s->status, ST_NOMEM);
    }
    assert_string_equal(s->out, "1|3\n~|~\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_join),
        TEST(test_join_through_join),
        TEST(test_first_owner_wins),
        TEST(test_keys_are_trimmed_texts),
        TEST(test_duplicate_key),
        TEST(test_missing_keys),
        TEST(test_bad_side_rows),
        TEST(test_side_table_settings),
        TEST(test_unknown_key),
        TEST(test_slot_side_table),
        TEST(test_side_rows),
        TEST(test_large_table),
        TEST(test_join_memory),
        TEST(test_out_of_memory),
        TEST(test_out_of_memory_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
