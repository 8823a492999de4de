/* data/guess: what a look at the head of files makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "data/guess_impl.h"
#include "tests/lib/tmpdir.h"

enum { MAX_WORDS = 16, TEXT = 1 << 20 };

struct fixture {
    struct tmpdir dir;
    char path[512], eval_path[512];
    char *text; /* of a file being made */
    size_t n;
    const char *file, *eval_file;
    const char *labels[MAX_WORDS], *columns[MAX_WORDS];
    struct guess_request q;
    struct guess *g;
    struct error err;
    char *yaml;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->text = calloc(TEXT, 1);
    assert_non_null(f->text);
    tmpdir_create(&f->dir);
    f->file = tmpdir_path(&f->dir, "data.txt", f->path, sizeof f->path);
    f->eval_file = tmpdir_path(&f->dir, "eval.txt", f->eval_path, sizeof f->eval_path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    guess_destroy(f->g);
    mem_free(f->yaml);
    tmpdir_remove(&f->dir);
    free(f->text);
    free(f);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* One more line of the file being made. */
static void line(struct fixture *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void line(struct fixture *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    f->n += (size_t)vsnprintf(f->text + f->n, TEXT - f->n, fmt, args);
    va_end(args);
    assert_true(f->n < TEXT - 2);
    f->text[f->n++] = '\n';
    f->text[f->n] = '\0';
}

/* A label that no small cycle of i decides: one row in three has it. */
static int click(int i)
{
    return (int)((unsigned)(i + 1) * 2654435761u >> 16) % 3 == 0;
}

/* Guess what was made; labels "a;b". */
static enum status guess_made(struct fixture *f, const char *labels)
{
    static char words[MAX_WORDS][64];
    tmpdir_write(&f->dir, "data.txt", f->text);
    f->q.files = (struct list_cfg){&f->file, 1, {0}};
    f->q.labels = (struct list_cfg){f->labels, 0, {0}};
    for (const char *at = labels; *at;) {
        size_t n = strcspn(at, ";");
        char *word = words[f->q.labels.n];
        snprintf(word, sizeof words[0], "%.*s", (int)n, at);
        f->labels[f->q.labels.n++] = word;
        at += n + (at[n] == ';');
    }
    guess_destroy(f->g);
    f->g = NULL;
    f->n = 0;
    return guess_read(&f->q, &f->g, &f->err);
}

static void guessed(struct fixture *f, const char *labels)
{
    enum status st = guess_made(f, labels);
    if (st != ST_OK) print_error("%s (%s)\n", f->err.text, f->err.hint);
    assert_int_equal(st, ST_OK);
}

/* "user id, tags list, price number, ..." in the order of the file. */
static const char *kinds(const struct fixture *f)
{
    static const char *const names[] = {"id", "list", "number", "time", "label", "out"};
    static char text[4096];
    size_t at = 0;
    for (size_t i = 0; i < f->g->n_columns; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s %s", i ? ", " : "",
                               f->g->columns[i].name, names[f->g->columns[i].kind]);
    return text;
}

static const struct guess_column *column(const struct fixture *f, const char *name)
{
    const struct guess_column *c = guess_find(f->g, name);
    assert_non_null(c);
    return c;
}

/* ---- names ---- */

/* Words of a name, in any spelling, say what the column is; the last one decides. */
static void test_hints_of_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned has, lacks;
    } cases[] = {{"user_id", HINT_USER | HINT_ID, HINT_NUMBER},
                 {"userId", HINT_USER, 0},
                 {"UID", HINT_USER, 0},
                 {"video_id", HINT_ITEM, HINT_USER},
                 {"item", HINT_ITEM, 0},
                 {"is_click", HINT_OUTCOME, HINT_AMOUNT},
                 {"label", HINT_OUTCOME, 0},
                 {"label1", HINT_OUTCOME, 0},
                 {"click_label", HINT_OUTCOME, 0},
                 {"like_cnt", HINT_NUMBER, HINT_OUTCOME},
                 {"play_time_ms", HINT_AMOUNT, 0},
                 {"rating", HINT_AMOUNT, HINT_OUTCOME},
                 {"price", HINT_NUMBER, HINT_ID},
                 {"price_bucket", HINT_ID, HINT_NUMBER},
                 {"category_count", HINT_NUMBER, HINT_ID},
                 {"num_persons_worked_for_employer", HINT_NUMBER, HINT_ID},
                 {"detailed_industry_recode", HINT_ID, HINT_NUMBER},
                 {"follow_user_num", HINT_NUMBER, HINT_USER},
                 {"I7", HINT_NUMBER, 0},
                 {"C26", HINT_ID, 0},
                 {"timestamp", HINT_TIME, HINT_NUMBER},
                 {"date", HINT_DAY, HINT_TIME},
                 {"duration_ms", HINT_NUMBER, HINT_TIME | HINT_AMOUNT},
                 {"search_id", HINT_ROW, HINT_USER},
                 {"", 0, ~0u},
                 {"___", 0, ~0u},
                 {"col12", 0, ~0u}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned hints = guess_hints(cases[i].name);
        if ((hints & cases[i].has) != cases[i].has || hints & cases[i].lacks)
            fail_msg("'%s' hints at %#x", cases[i].name, hints);
    }
}

/* A name longer than any buffer is cut, not overrun. */
static void test_hint_of_a_long_name(void **state)
{
    (void)state;
    char name[5000];
    for (size_t i = 0; i < sizeof name - 1; i++) name[i] = i % 7 ? 'a' : '_';
    name[sizeof name - 1] = '\0';
    assert_int_equal(guess_hints(name), 0);
    memset(name, 'A', sizeof name - 1);
    assert_int_equal(guess_hints(name), 0);
}

/* ---- tallies ---- */

/* Values are counted exactly up to the limit; what is beyond is counted together. */
static void test_tally(void **state)
{
    (void)state;
    struct tally t;
    size_t place;
    tally_init(&t, 100, 2);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(tally_add(&t, i % 150, (double)(i % 150), &place, NULL), ST_OK);
        assert_int_equal(place, i % 150 < 100 ? i % 150 : SIZE_MAX);
        if (place != SIZE_MAX) t.sums[2 * place + 1] += 1;
    }
    assert_int_equal(t.n, 100);
    uint64_t n = t.n_more;
    for (size_t i = 0; i < t.n; i++) {
        assert_int_equal(t.v[i].n, i < 100 ? 7 : 6);
        assert_true(t.v[i].number == (double)i);
        assert_true(t.sums[2 * i] == 0 && t.sums[2 * i + 1] == (double)t.v[i].n);
        n += t.v[i].n;
    }
    assert_int_equal(n, 1000);
    tally_close(&t);
    tally_init(&t, 0, 0);
    assert_int_equal(tally_add(&t, 7, 0, &place, NULL), ST_OK);
    assert_int_equal(place, SIZE_MAX);
    assert_int_equal(t.n_more, 1);
    tally_close(&t);
}

/* ---- layout ---- */

/* Each separator is found, with its header line and its names. */
static void test_separators(void **state)
{
    struct fixture *f = *state;
    static const char *const all[] = {",", "\t", "|", ";", "::", "\001", " "};
    for (size_t s = 0; s < sizeof all / sizeof *all; s++) {
        const char *d = all[s];
        line(f, "user%sprice%sclick", d, d);
        for (int i = 0; i < 60; i++)
            line(f, "u%d%s%d.5%s%d", i % 9, d, i % 7, d, click(i));
        guessed(f, "click");
        assert_string_equal(f->g->data.train.delimiter, d);
        assert_int_equal(f->g->data.train.format, s == 1 ? SOURCE_TSV : SOURCE_CSV);
        assert_true(f->g->data.train.header);
        assert_string_equal(kinds(f), "user id, price number, click label");
    }
}

/* Separators inside quotes and the signs of lists in cells do not count. */
static void test_separator_beside_others(void **state)
{
    struct fixture *f = *state;
    line(f, "id;tags;text;click");
    for (int i = 0; i < 60; i++) line(f, "%d;a,b|c;\"x;y, \nz\";%d", i % 20, click(i));
    guessed(f, "click");
    assert_string_equal(f->g->data.train.delimiter, ";");
    assert_int_equal(f->g->rows_seen, 60);
    line(f, "id\ttags\tclick");
    for (int i = 0; i < 60; i++) line(f, "%d\ta,b,c\t%d", i % 20, click(i));
    guessed(f, "click");
    assert_string_equal(f->g->data.train.delimiter, "\t");
}

/* A first line is a header when it is no number over a column of numbers, also if
 * other names are numbers; not when it repeats below, or has the same name twice. */
static void test_header(void **state)
{
    struct fixture *f = *state;
    line(f, "click,101,205");
    for (int i = 0; i < 60; i++) line(f, "%d,%d,%d", click(i), i % 9, i % 17);
    guessed(f, "");
    assert_true(f->g->data.train.header);
    assert_string_equal(kinds(f), "click label, 101 id, 205 id");

    for (int i = 0; i < 60; i++) line(f, "%d,%d,%d", click(i), i % 9, i % 17);
    guessed(f, "col1");
    assert_false(f->g->data.train.header);
    assert_true(f->g->names_listed);
    assert_string_equal(kinds(f), "col1 label, col2 id, col3 id");

    /* A word for missing in the first row of numbers is no name. */
    line(f, "a,NULL,1");
    for (int i = 0; i < 60; i++) line(f, "%c,%d,%d", "ab"[i % 2], i % 9, click(i));
    guessed(f, "col3");
    assert_false(f->g->data.train.header);

    for (int i = 0; i < 60; i++) line(f, "%s,%c", i ? "x" : "who", "yn"[i % 2]);
    guessed(f, "col2");
    assert_false(f->g->data.train.header);
}

/* A name that is empty or met twice becomes one of ours; the line is skipped. */
static void test_awkward_header(void **state)
{
    struct fixture *f = *state;
    line(f, ",a,b,b,click");
    for (int i = 0; i < 80; i++)
        line(f, "%d,%d,%d,%d,%d", i, i % 5, i % 7, i % 8, click(i));
    assert_int_equal(guess_made(f, "click"), ST_OK);
    assert_string_equal(kinds(f), "col1 out, a id, b id, col4 id, click label");
    assert_true(f->g->data.train.header && f->g->names_listed);
    assert_int_equal(f->g->rows_seen, 80);
}

/* RecBole's types behind the names are left away. */
static void test_typed_header(void **state)
{
    struct fixture *f = *state;
    line(f, "user_id:token\titem_id:token\trating:float");
    for (int i = 0; i < 80; i++) line(f, "%d\t%d\t%d", i % 11, i % 13, 1 + i % 5);
    guessed(f, "");
    assert_string_equal(kinds(f), "user_id id, item_id id, rating label");
    assert_string_equal(f->g->data.train.columns.v[2], "rating");
    assert_int_equal(f->g->tasks[0].loss, LOSS_MSE);
}

/* --columns names a file without a header line; the count must fit. */
static void test_given_columns(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"uid", "price", "finish"};
    f->q.columns = (struct list_cfg){(const char **)names, 3, {0}};
    for (int i = 0; i < 60; i++) line(f, "%d\t%d\t%d", i % 9, i % 17, click(i));
    guessed(f, "");
    assert_string_equal(kinds(f), "uid id, price number, finish label");
    assert_false(f->g->data.train.header);
    f->q.columns.n = 2;
    for (int i = 0; i < 60; i++) line(f, "%d\t%d\t%d", i % 9, i % 17, click(i));
    assert_int_equal(guess_made(f, "price"), ST_USAGE);
    assert_non_null(strstr(f->err.text, "3 columns"));
}

/* Blanks behind commas are trimmed; latin1 is told from UTF-8. */
static void test_trim_and_encoding(void **state)
{
    struct fixture *f = *state;
    line(f, "city, age, click");
    for (int i = 0; i < 60; i++)
        line(f, "%s, %d, %d", i % 2 ? "K\xf6ln" : "Bonn", i % 50, click(i));
    guessed(f, "click");
    assert_true(f->g->data.train.trim);
    assert_int_equal(f->g->data.train.encoding, ENCODING_LATIN1);
    assert_string_equal(kinds(f), "city id, age number, click label");
}

/* The evaluation file may have a header line when the training file has none, and
 * the other way round: the names are listed once. */
static void test_eval_without_header(void **state)
{
    struct fixture *f = *state;
    f->q.eval = (struct list_cfg){&f->eval_file, 1, {0}};
    tmpdir_write(&f->dir, "eval.txt", "0,3,7\n1,4,8\n0,3,9\n");
    line(f, "click,user,item");
    for (int i = 0; i < 60; i++) line(f, "%d,%d,%d", click(i), i % 9, i % 17);
    guessed(f, "");
    assert_true(f->g->data.train.header);
    assert_false(f->g->data.eval.header);
    assert_int_equal(f->g->data.eval.columns.n, 3);
    tmpdir_write(&f->dir, "eval.txt", "click,user,thing\n1,4,8\n0,3,9\n");
    line(f, "click,user,item");
    for (int i = 0; i < 60; i++) line(f, "%d,%d,%d", click(i), i % 9, i % 17);
    assert_int_equal(guess_made(f, ""), ST_DATA);
    assert_non_null(strstr(f->err.text, "no column 'item'"));
}

/* Slot text in both orders, with plain values in front. */
static void test_slot_text(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 90; i++)
        line(f, "%d:1 %d:29 1%d543128959394097760:29 %d:64", click(i), 1000 + i, i % 7,
             2000 + i);
    guessed(f, "1");
    assert_int_equal(f->g->data.train.format, SOURCE_SLOT);
    assert_int_equal(f->g->data.slot.order, SLOT_VALUE_FIRST);
    assert_string_equal(kinds(f), "1 label, 29 list, 64 list");
    assert_true(column(f, "29")->whole_keys);
    static const char *const names[] = {"id", "click"};
    f->q.columns = (struct list_cfg){(const char **)names, 2, {0}};
    for (int i = 0; i < 90; i++)
        line(f, "%d,%d,cat:c%d,w:0.%d,w:1.5", i, click(i), i % 7, i % 9);
    guessed(f, "");
    assert_int_equal(f->g->data.slot.order, SLOT_NAME_FIRST);
    assert_string_equal(f->g->data.slot.separator, ",");
    assert_string_equal(kinds(f), "id out, click label, cat list, w number");
    assert_false(column(f, "cat")->whole_keys);
    assert_int_equal(column(f, "w")->width, 2);
}

/* Files that are no rows: empty, binary, one value a line, ragged. */
static void test_no_rows(void **state)
{
    struct fixture *f = *state;
    f->text[0] = '\0';
    assert_int_equal(guess_made(f, "x"), ST_NOINPUT);
    for (int i = 0; i < 9; i++) line(f, "word%d", i);
    assert_int_equal(guess_made(f, "x"), ST_DATA);
    for (int i = 0; i < 90; i++) line(f, "%s", i % 3 ? "a,b" : i % 2 ? "a" : "a,b,c,d");
    assert_int_equal(guess_made(f, "x"), ST_DATA);
    line(f, "a,b,click");
    assert_int_equal(guess_made(f, "click"), ST_DATA);
    f->file = "/nowhere/at/all";
    line(f, "a,b,click");
    assert_int_equal(guess_made(f, "click"), ST_NOINPUT);
}

/* ---- kinds ---- */

/* Whole numbers are ids unless name or sign say otherwise; fractions are numbers. */
static void test_ids_and_numbers(void **state)
{
    struct fixture *f = *state;
    line(f, "thing,zip,price,age,temp,rate_x,big,flt,click");
    for (int i = 0; i < 300; i++)
        line(f, "%d,0%d,%d,%d,%d,0.%d,%d,%d.0,%d", i % 23, 100 + i % 40, i * i % 997,
             20 + i % 50, i % 11 - 5, i % 97, i % 150 ? i % 7 : 100000, i % 4, click(i));
    guessed(f, "click");
    assert_string_equal(kinds(f),
                        "thing id, zip id, price number, age number, temp number, "
                        "rate_x number, big id, flt id, click label");
    assert_false(column(f, "age")->log);
}

/* A wide range that is never negative is taken by its logarithm. */
static void test_skewed_numbers(void **state)
{
    struct fixture *f = *state;
    line(f, "price,n_days,click");
    for (int i = 0; i < 300; i++)
        line(f, "%d,%d,%d", i % 50 ? i % 9 : 90000, i % 30, click(i));
    guessed(f, "click");
    assert_true(column(f, "price")->log);
    assert_false(column(f, "n_days")->log);
}

/* Words among numbers mean missing; among texts they are values. */
static void test_words_for_missing(void **state)
{
    struct fixture *f = *state;
    line(f, "price,city,click");
    for (int i = 0; i < 300; i++)
        line(f, "%s,%s,%d", i % 5 ? i % 2 ? "2.5" : "7.25" : "NULL", i % 4 ? "Bonn" : "?",
             click(i));
    guessed(f, "click");
    assert_string_equal(kinds(f), "price number, city id, click label");
    assert_true(column(f, "price")->has_missing);
    assert_int_equal(f->g->data.train.missing.n, 2);
    assert_string_equal(f->g->data.train.missing.v[1], "NULL");
}

/* Cells are lists when cutting makes few values of many, or when they are numbers
 * of varying count; phrases, ranges and titles are not. */
static void test_lists(void **state)
{
    struct fixture *f = *state;
    static const char *const genres[] = {"Drama", "Comedy", "Children's", "War",
                                         "Film-Noir"};
    static const char *const phrases[] = {"Never married", "Married but away",
                                          "Divorced"};
    static const char *const ranges[] = {"(0,10]", "(10,50]", "0", "50+"};
    line(f, "genres;history;phrase;range;pair;click");
    for (int i = 0; i < 400; i++) {
        char list[128] = "", seen[128] = "";
        for (int k = 0; k < 1 + i % 4; k++) {
            size_t at = strlen(list), n = strlen(seen);
            snprintf(list + at, sizeof list - at, "%s%s", k ? "|" : "",
                     genres[(i * 7 + i / 4 + k * 2) % 5]);
            snprintf(seen + n, sizeof seen - n, "%s%d", k ? " " : "",
                     (i * 31 + k * 17) % 900);
        }
        line(f, "%s;%s;%s;%s;%d-%d;%d", list, seen, phrases[i % 3], ranges[i % 4], i % 9,
             i % 5, click(i));
    }
    guessed(f, "click");
    assert_string_equal(
        kinds(f), "genres list, history list, phrase id, range id, pair id, click label");
    assert_string_equal(column(f, "genres")->split, "|");
    assert_int_equal(column(f, "genres")->distinct, 5);
    assert_string_equal(column(f, "history")->split, " ");
    assert_int_equal(column(f, "history")->most, 4);
}

/* Constants, rows' own ids and free text are left out, each with its reason; a
 * user's id stays, also when no user is met twice. */
static void test_left_out(void **state)
{
    struct fixture *f = *state;
    line(f, "user_id,same,row,text,gap,request_id,click");
    for (int i = 0; i < 120; i++)
        line(f,
             "%d,x,k%d,\"%d is a long sentence, of many words, that nobody "
             "repeats\",,%d,%d",
             9000 + i, i * 7919, i, i / 4, click(i));
    guessed(f, "click");
    assert_string_equal(
        kinds(f), "user_id id, same out, row out, text out, gap out, request_id out, "
                  "click label");
    assert_string_equal(column(f, "same")->why, "always 'x'");
    assert_string_equal(column(f, "gap")->why, "no value on any row");
    assert_null(f->g->group);
}

/* Times in each form; the finest one is the time of the row. */
static void test_times(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        enum guess_time time;
    } cases[] = {{"ts", TIME_SECONDS},
                 {"time_ms", TIME_MILLIS},
                 {"date", TIME_DATE},
                 {"at", TIME_TEXT},
                 {"dt", TIME_DATE}};
    for (size_t k = 0; k < 5; k++) {
        line(f, "user,%s,click", cases[k].name);
        for (int i = 0; i < 300; i++) {
            char when[64];
            int day = 1 + i / 12;
            if (k == 0) snprintf(when, sizeof when, "%d", 1650000000 + i * 7000);
            if (k == 1)
                snprintf(when, sizeof when, "%lld", 1650000000000LL + i * 7000000LL);
            if (k == 2) snprintf(when, sizeof when, "202204%02d", day);
            if (k == 3) snprintf(when, sizeof when, "2022-04-%02d 10:%02d", day, i % 60);
            if (k == 4) snprintf(when, sizeof when, "2022-04-%02d", day);
            line(f, "u%d,%s,%d", i % 9, when, click(i));
        }
        guessed(f, "click");
        assert_int_equal(f->g->columns[1].kind, GUESS_TIME);
        assert_int_equal(f->g->columns[1].time, cases[k].time);
        assert_string_equal(f->g->when, cases[k].name);
    }
    line(f, "user,date,time_ms,click");
    for (int i = 0; i < 300; i++)
        line(f, "u%d,20220425,%lld,%d", i % 9, 1650850000000LL + i * 7000LL, click(i));
    guessed(f, "click");
    assert_string_equal(f->g->when, "time_ms");
    assert_int_equal(column(f, "date")->kind, GUESS_OUT);
}

/* Ids of nine or ten digits are no times. */
static void test_ids_are_no_times(void **state)
{
    struct fixture *f = *state;
    line(f, "user_id,music,click");
    for (int i = 0; i < 300; i++)
        line(f, "%d,%d,%d", 1500000000 + i % 50, 700000000 + i % 40 * 31, click(i));
    guessed(f, "click");
    assert_string_equal(kinds(f), "user_id id, music id, click label");
}

/* ---- labels ---- */

/* Numbers in 0..1 are taken as they are; two texts by the one that says yes; two
 * numbers by the larger; others are regressions, of their logarithm when skewed. */
static void test_forms_of_labels(void **state)
{
    struct fixture *f = *state;
    line(f, "user,x,a,b,c,d,e,g");
    for (int i = 0; i < 300; i++)
        line(f, "%d,%d,%d,%s,%d,0.%d,%d,%d", i % 31, i % 9, i % 3 == 1,
             i % 3 ? "Yes" : "No", i % 4 ? -1 : 1, i % 9, 1 + i % 5,
             i % 60 ? i % 7 : 5000);
    guessed(f, "a;b;c;d;e;g;half=x > 4");
    const struct guess_task *t = f->g->tasks;
    assert_string_equal(t[0].label, "a");
    assert_int_equal(t[0].positives, 100);
    assert_string_equal(t[1].label, "b == \"Yes\"");
    assert_int_equal(t[1].positives, 200);
    assert_string_equal(t[2].label, "c == 1");
    assert_int_equal(t[2].positives, 75);
    assert_string_equal(t[3].label, "d");
    assert_int_equal(t[3].loss, LOSS_BCE);
    assert_int_equal(t[4].loss, LOSS_MSE);
    assert_int_equal(t[5].loss, LOSS_LOG_MSE);
    assert_string_equal(t[6].name, "half");
    assert_string_equal(t[6].label, "x > 4");
    assert_int_equal(column(f, "x")->kind, GUESS_OUT);
}

/* An expression without a name gets one; a text column is a question back. */
static void test_odd_labels(void **state)
{
    struct fixture *f = *state;
    enum { N = 5 };
    static const struct {
        const char *label, *has;
        enum status status;
    } cases[N] = {{"rating >= 4", "rating_ge_4", ST_OK},
                  {"city", "which of them", ST_USAGE},
                  {"nowhere", "no column", ST_USAGE},
                  {"rating >", "expression", ST_USAGE},
                  {"never", "0 on every row", ST_DATA}};
    for (size_t k = 0; k < N; k++) {
        line(f, "user,city,rating,never");
        for (int i = 0; i < 300; i++)
            line(f, "%d,%s,%d,0", i % 9, i % 3 ? i % 2 ? "A" : "B" : "C", i % 6);
        assert_int_equal(guess_made(f, cases[k].label), cases[k].status);
        const char *text = cases[k].status == ST_OK ? f->g->tasks[0].name : f->err.text;
        if (!strstr(text, cases[k].has)) fail_msg("'%s': %s", cases[k].label, text);
    }
}

/* Without a label: what is called like an outcome, else the only column of two
 * values, else a list of what it could be. Rare or constant ones are not taken. */
static void test_picked_labels(void **state)
{
    struct fixture *f = *state;
    line(f, "user,is_click,like,hate,follow,flag");
    for (int i = 0; i < 3000; i++)
        line(f, "%d,%d,%d,0,%d,%d", i % 9, click(i), (i * 7) % 61 == 3, i % 1000 == 7,
             i % 2);
    guessed(f, "");
    assert_int_equal(f->g->n_tasks, 2);
    assert_string_equal(
        kinds(f), "user id, is_click label, like label, hate out, follow out, flag id");
    line(f, "user,flag");
    for (int i = 0; i < 300; i++) line(f, "%d,%d", i % 9, i % 2);
    guessed(f, "");
    assert_string_equal(kinds(f), "user id, flag label");
    line(f, "user,one,two");
    for (int i = 0; i < 300; i++) line(f, "%d,%d,%d", i % 9, i % 2, click(i));
    assert_int_equal(guess_made(f, ""), ST_USAGE);
    assert_non_null(strstr(f->err.text, "one, two"));
}

/* ---- leaks ---- */

/* Copies, opposites, renamed copies and scores of the label are leaks; an id of
 * which each user has one, and a good input, are not. */
static void test_leaks(void **state)
{
    struct fixture *f = *state;
    line(f, "user,copy,not,code,score,good,rare,click");
    for (int i = 0; i < 600; i++) {
        int c = i * 7919 % 100 < 30, hint = i % 9 ? c : !c;
        line(f, "u%d,%d,%d,%s,%d.5,%d.25,%d,%d", i % 150, c, !c,
             c ? i % 2 ? "A" : "B" : "C", c * 100 + i % 60, hint * 3 + i % 4,
             i % 300 == 0, c);
    }
    guessed(f, "click");
    assert_string_equal(kinds(f),
                        "user id, copy out, not out, code out, score out, good number, "
                        "rare id, click label");
    static const struct {
        const char *name, *why;
    } cases[] = {{"copy", "equal to click"},
                 {"not", "opposite of click"},
                 {"code", "each of its 3 values"},
                 {"score", "AUC 1.0000"}};
    for (size_t i = 0; i < 4; i++)
        assert_non_null(strstr(column(f, cases[i].name)->why, cases[i].why));
}

/* Few rows prove nothing: only what is equal to the label is left out. */
static void test_leaks_in_few_rows(void **state)
{
    struct fixture *f = *state;
    line(f, "user,copy,score,click");
    for (int i = 0; i < 60; i++)
        line(f, "%d,%d,%d.5,%d", i % 31, i < 3, i < 3 ? 90 - i : i % 50, i < 3);
    guessed(f, "click");
    assert_string_equal(kinds(f), "user id, copy out, score number, click label");
}

/* ---- evaluation rows ---- */

/* With a time the newest tenth is for the end and the tenth before for the epoch. */
static void test_split_by_time(void **state)
{
    struct fixture *f = *state;
    line(f, "user,ts,click");
    for (int i = 0; i < 2000; i++)
        line(f, "%d,%d,%d", i % 31, 1650000000 + i * 100, click(i));
    guessed(f, "click");
    assert_string_equal(f->g->data.train.where.text, "ts < 1650180000");
    assert_string_equal(f->g->data.eval.where.text, "ts >= 1650180000");
    assert_string_equal(f->g->valid_where, "ts >= 1650162000");
    assert_string_equal(f->g->group, "user");
}

/* Days are not cut in two. */
static void test_split_by_day(void **state)
{
    struct fixture *f = *state;
    line(f, "user,date,click");
    for (int i = 0; i < 2000; i++)
        line(f, "%d,2022-04-%02d,%d", i % 31, 1 + i / 250, click(i));
    guessed(f, "click");
    assert_string_equal(f->g->data.eval.where.text, "date(concat(date)) >= 20220408");
}

/* Without a time a hash of what tells rows apart; too few rows are not parted. */
static void test_split_by_hash(void **state)
{
    struct fixture *f = *state;
    line(f, "user,item,note,click");
    for (int i = 0; i < 2000; i++)
        line(f, "%d,%d,%s,%d", i % 131, i % 97, i % 2 ? "a" : "b", click(i));
    guessed(f, "click");
    assert_string_equal(f->g->data.eval.where.text,
                        "hash(concat(user, \"/\", item, \"/\", note)) % 10 == 0");
    assert_true(f->g->valid_fraction > 0);
    line(f, "user,item,click");
    for (int i = 0; i < 200; i++) line(f, "%d,%d,%d", i % 131, i % 97, i % 30 == 0);
    guessed(f, "click");
    assert_int_equal(f->g->data.eval.files.n, 0);
    assert_true(f->g->valid_fraction == 0);
    assert_string_equal(f->g->split_note, "too few rows to set some apart");
}

/* ---- the text ---- */

/* Names of any characters come back from the YAML; nothing escapes a comment. */
static void test_yaml_of_odd_names(void **state)
{
    struct fixture *f = *state;
    line(f, "\"a: b\",#x,a*b,q/m,f1..3,same,${v},yes,'q',click");
    for (int i = 0; i < 300; i++)
        line(f, "%d,%d,%d,%d,%d,a\\b: #x,%d,%d,%d,%d", i % 5, i % 6, i % 7, i % 8, i % 9,
             i % 10, i % 11, i % 12, click(i));
    guessed(f, "click");
    assert_int_equal(guess_yaml(f->g, &f->yaml, &f->err), ST_OK);
    struct settings *s;
    assert_int_equal(settings_parse(f->yaml, "draft", NULL, 0, &s, &f->err), ST_OK);
    static const char *const names[] = {"a: b", "#x", "${v}", "yes", "'q'"};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(s->features[0].names.v[i], names[i]);
    assert_string_equal(s->features[1].column, "a*b");
    assert_string_equal(s->features[2].column, "q/m");
    assert_string_equal(s->features[3].column, "f1..3");
    assert_int_equal(s->n_features, 4);
    settings_destroy(s);
}

/* Runs of numbered names are ranges; each stands for just those columns. */
static void test_yaml_ranges(void **state)
{
    struct fixture *f = *state;
    line(f, "c1,c2,c3,c5,c6,d08,d09,d10,click");
    for (int i = 0; i < 300; i++)
        line(f, "%d,%d,%d,%d,%d,%d,%d,%d,%d", i % 5, i % 6, i % 7, i % 8, i % 9, i % 10,
             i % 11, i % 12, click(i));
    guessed(f, "click");
    assert_int_equal(guess_yaml(f->g, &f->yaml, &f->err), ST_OK);
    assert_non_null(strstr(f->yaml, "names: [c1..3, c5, c6, d08, d09, d10]"));
}

/* Whichever allocation fails, it is said and nothing leaks. */
static void test_memory(void **state)
{
    struct fixture *f = *state;
    line(f, "user_id,tags,price,ts,copy,click,like");
    for (int i = 0; i < 60; i++)
        line(f, "%d,a%d|b%d,%d.5,%d,%d,%d,%s", i % 9, i % 3, i % 5, i % 17,
             1650000000 + i * 90000, click(i), click(i), i % 2 ? "yes" : "no");
    assert_int_equal(guess_made(f, "click;like;x=price > 3"), ST_OK);
    guess_destroy(f->g);
    f->g = NULL;
    uint64_t before = mem_live_bytes();
    enum status st = ST_NOMEM;
    for (uint64_t k = 1; st == ST_NOMEM; k++) {
        mem_fail_at(k);
        st = guess_read(&f->q, &f->g, &f->err);
        if (st == ST_OK) st = guess_yaml(f->g, &f->yaml, &f->err);
        mem_fail_at(0);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
        guess_destroy(f->g);
        f->g = NULL;
        assert_int_equal(mem_live_bytes(), before);
        assert_true(k < 20000);
    }
    assert_int_equal(st, ST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_hints_of_names),
                                       TEST(test_hint_of_a_long_name),
                                       TEST(test_tally),
                                       TEST(test_separators),
                                       TEST(test_separator_beside_others),
                                       TEST(test_header),
                                       TEST(test_awkward_header),
                                       TEST(test_typed_header),
                                       TEST(test_given_columns),
                                       TEST(test_trim_and_encoding),
                                       TEST(test_eval_without_header),
                                       TEST(test_slot_text),
                                       TEST(test_no_rows),
                                       TEST(test_ids_and_numbers),
                                       TEST(test_skewed_numbers),
                                       TEST(test_words_for_missing),
                                       TEST(test_lists),
                                       TEST(test_left_out),
                                       TEST(test_times),
                                       TEST(test_ids_are_no_times),
                                       TEST(test_forms_of_labels),
                                       TEST(test_odd_labels),
                                       TEST(test_picked_labels),
                                       TEST(test_leaks),
                                       TEST(test_leaks_in_few_rows),
                                       TEST(test_split_by_time),
                                       TEST(test_split_by_day),
                                       TEST(test_split_by_hash),
                                       TEST(test_yaml_of_odd_names),
                                       TEST(test_yaml_ranges),
                                       TEST(test_memory)};
    return cmocka_run_group_tests_name("guess", tests, NULL, NULL);
}
