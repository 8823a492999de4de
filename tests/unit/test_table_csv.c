/* worker/table_csv: csv of rows, read in any order, refused with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/failing.h"
#include "tests/lib/tmpdir.h"
#include "worker/table_csv.h"

static struct tmpdir dir;
static char path[300];

static enum status reads(const char *text, struct table_csv *out, struct error *err)
{
    tmpdir_write(&dir, "rows.csv", text);
    tmpdir_path(&dir, "rows.csv", path, sizeof path);
    return table_csv_read(path, out, err);
}

static size_t find(const struct table_csv *t, uint64_t key)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->keys[i] == key) return i;
    fail_msg("no key %llu", (unsigned long long)key);
    return 0;
}

/* Ids are hashed as data's ids are; rows come sorted; quotes, blanks and columns of counts
 * are understood. */
static void ids_become_sorted_rows(void **state)
{
    (void)state;
    struct table_csv t;
    struct error err;
    assert_int_equal(reads("id,w0,count,w1,last_step\nu1,0.5,7,-1e-3,9\n\n\"a,b\", 2 ,1,3,0\n\"c\"\"d\",1,2,3,4\n",
                           &t, &err), ST_OK);
    assert_true(t.ids && t.n == 3 && t.dim == 2);
    for (size_t i = 1; i < t.n; i++) assert_true(partition_before(t.keys[i - 1], t.keys[i]));
    size_t i = find(&t, hash_id("u1", 2));
    assert_true(t.weights[2 * i] == 0.5f && t.weights[2 * i + 1] == -1e-3f);
    assert_true(t.count[i] == 7 && t.last_step[i] == 9);
    i = find(&t, hash_id("a,b", 3));
    assert_true(t.weights[2 * i] == 2 && t.weights[2 * i + 1] == 3);
    (void)find(&t, hash_id("c\"d", 3));
    table_csv_close(&t);
}

/* Keys are numbers of 64 bits. */
static void keys_are_numbers(void **state)
{
    (void)state;
    struct table_csv t;
    struct error err;
    assert_int_equal(reads("key,w\n18446744073709551615,1\n0,2\n", &t, &err), ST_OK);
    assert_true(!t.ids && t.n == 2);
    assert_true(t.weights[find(&t, UINT64_MAX)] == 1 && t.weights[find(&t, 0)] == 2);
    table_csv_close(&t);
}

/* A header alone is a table without rows. */
static void no_rows_are_no_error(void **state)
{
    (void)state;
    struct table_csv t;
    struct error err;
    assert_int_equal(reads("id,w\n", &t, &err), ST_OK);
    assert_int_equal(t.n, 0);
    table_csv_close(&t);
}

/* What is wrong is told with its line, and nothing is left. */
static void mistakes_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {{"", ": empty"},
               {"name,w\nx,1\n", ":1: the first column is 'name', not id or key"},
               {"id,count\nx,1\n", ":1: no column of values"},
               {"id,w\nx,1\ny\n", ":3: 1 cells, the header has 2"},
               {"id,w\nx,\n", ":2: column 2: '' is no finite number"},
               {"id,w\nx,1e39\n", ":2: column 2: '1e39' is no finite number"},
               {"id,w\nx,1x\n", ":2: column 2: '1x' is no finite number"},
               {"id,count,w\nx,-1,1\n", ":2: column 2: '-1' is no finite number"},
               {"id,w\n\"x,1\n", ": a quote is not closed"},
               {"id,w\n\"x\"y,1\n", ":2: text behind a closing quote"},
               {"key,w\n1,1\n2,1\n1,1\n", ": rows 1 and 3 have one key"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct table_csv t;
        struct error err;
        uint64_t before = mem_live_bytes();
        assert_int_equal(reads(bad[i].text, &t, &err), ST_DATA);
        if (!strstr(err.text, bad[i].message)) fail_msg("'%s' lacks '%s'", err.text, bad[i].message);
        assert_int_equal(mem_live_bytes(), before);
    }
}

/* Running out of memory anywhere leaves nothing behind. */
static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    struct table_csv t;
    struct error err;
    EACH_ALLOCATION_FAILS(reads("id,w\nb,1\na,2\n", &t, &err));
    table_csv_close(&t);
}

static int set_up(void **state)
{
    (void)state;
    tmpdir_create(&dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tmpdir_remove(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_become_sorted_rows),
        cmocka_unit_test(keys_are_numbers),
        cmocka_unit_test(no_rows_are_no_error),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
