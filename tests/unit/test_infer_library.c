/* serve/include/mtps.h: values and keys give the same scores, a row's scores depend on
 * the row alone, and what does not fit is said. */
#include "serve/include/mtps.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/math/half.h"
#include "tests/unit/bundle_sample.h"

enum { ROWS = 300, INPUTS = 8, TASKS = 2, FEATURES = 8 };

struct fixture {
    struct bundle_sample *s;
    struct mtps_model *model;
    struct mtps_scorer *scorer;
    struct mtps_error err;
    struct mtps_value *rows; /* [ROWS, INPUTS] */
    char texts[ROWS][INPUTS][32];
    float scores[ROWS * TASKS];
};

static size_t input(const struct fixture *f, const char *name)
{
    ptrdiff_t i = mtps_find_input(f->model, name);
    if (i < 0) fail_msg("no input %s", name);
    return (size_t)i;
}

static void put(struct fixture *f, size_t row, const char *name, const char *format, ...) PRINTF_LIKE(4, 5);
static void put(struct fixture *f, size_t row, const char *name, const char *format, ...)
{
    size_t i = input(f, name);
    va_list args;
    va_start(args, format);
    vsnprintf(f->texts[row][i], sizeof f->texts[row][i], format, args);
    va_end(args);
    f->rows[row * INPUTS + i] = mtps_text(f->texts[row][i]);
}

/* Rows with known and unknown ids, empty and long lists, gaps. */
static void fill(struct fixture *f)
{
    static const char *const colors[] = {"red", "green", "blue", "grey"};
    for (size_t r = 0; r < ROWS; r++) {
        put(f, r, "user", "%zu", r % 61);
        put(f, r, "item", "%zu", r * 7 % 53);
        put(f, r, "tags", "%s", r % 5 == 0 ? "" : r % 5 == 1 ? "3" : r % 5 == 2 ? "4 77" : "1 2 3 4 9");
        put(f, r, "color", "%s", colors[r % 4]);
        if (r % 3) put(f, r, "price", "%.2f", (double)r * 0.37);
        if (r % 4) put(f, r, "age", "%zu", r % 90);
        put(f, r, "hourmin", "%zu", r * 13 % 2400);
        put(f, r, "length", "%zu", 10 + r % 30);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    void *sample;
    *state = f;
    bundle_sample_setup(&sample);
    f->s = sample;
    if (mtps_open(f->s->dir.path, 0, &f->model, &f->err) != MTPS_OK) fail_msg("%s", f->err.text);
    assert_int_equal(mtps_scorer_create(f->model, &f->scorer, &f->err), MTPS_OK);
    assert_int_equal(mtps_n_inputs(f->model), INPUTS);
    f->rows = calloc(ROWS * INPUTS, sizeof *f->rows);
    fill(f);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *sample = f->s;
    mtps_scorer_destroy(f->scorer);
    mtps_close(f->model);
    free(f->rows);
    bundle_sample_teardown(&sample);
    free(f);
    return 0;
}

static void score(struct fixture *f)
{
    if (mtps_score(f->scorer, f->rows, ROWS, f->scores, &f->err) != MTPS_OK) fail_msg("%s", f->err.text);
}

/* ---- what is described ---- */

/* Inputs are raw columns; kinds of features and tasks are what the configuration says. */
static void describes_the_model(void **state)
{
    struct fixture *f = *state;
    struct mtps_info info;
    mtps_describe(f->model, &info);
    assert_string_equal(info.name, "sample");
    assert_string_equal(info.rows, "f32");
    assert_int_equal(info.version, 3);
    assert_int_equal(info.step, 12);
    assert_int_equal(info.n_rows, 6 * SAMPLE_KEYS);
    assert_true(mtps_input(f->model, input(f, "tags"))->is_list);
    assert_false(mtps_input(f->model, input(f, "user"))->is_list);
    assert_true(mtps_input(f->model, input(f, "price"))->is_number);
    assert_true(mtps_input(f->model, input(f, "length"))->is_number);
    assert_true(mtps_input(f->model, input(f, "hourmin"))->is_number);
    assert_int_equal(mtps_find_input(f->model, "hour"), -1);
    assert_int_equal(mtps_find_input(f->model, "click"), -1);
    assert_null(mtps_input(f->model, INPUTS));
    assert_int_equal(mtps_n_tasks(f->model), TASKS);
    assert_string_equal(mtps_task(f->model, 0)->name, "click");
    assert_int_equal(mtps_task(f->model, 0)->kind, MTPS_PROBABILITY);
    assert_int_equal(mtps_task(f->model, 1)->kind, MTPS_NUMBER);
    assert_int_equal(mtps_n_features(f->model), FEATURES);
    assert_int_equal(mtps_feature(f->model, 1)->is_list, 1);
    assert_int_equal(mtps_feature(f->model, 3)->kind, MTPS_FEATURE_LEVELS);
    assert_int_equal(mtps_feature(f->model, 5)->kind, MTPS_FEATURE_NUMBERS);
    assert_int_equal(mtps_feature(f->model, 1)->key, MTPS_KEY_TEXT);
    assert_int_equal(mtps_feature(f->model, 7)->key, MTPS_KEY_CROSS);
    assert_null(mtps_task(f->model, TASKS));
    assert_null(mtps_feature(f->model, FEATURES));
}

/* ---- the same bits ---- */

/* Alone, in any batch, and once more: a row has the same bits. */
static void a_row_has_its_own_bits(void **state)
{
    struct fixture *f = *state;
    float some[ROWS * TASKS];
    score(f);
    static const size_t sizes[] = {1, 2, 127, 128, 129, 300};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t first = 0; first < ROWS; first += sizes[i]) {
            size_t n = ROWS - first < sizes[i] ? ROWS - first : sizes[i];
            assert_int_equal(mtps_score(f->scorer, f->rows + first * INPUTS, n, some + first * TASKS, &f->err),
                             MTPS_OK);
        }
        assert_memory_equal(some, f->scores, sizeof some);
    }
    for (size_t i = 0; i < ROWS * TASKS; i++) assert_true(isfinite(f->scores[i]));
}

/* The scores are those of the reference forward pass over what the data side makes of
 * the same texts, up to the order of sums. */
static void scores_are_those_of_the_reference(void **state)
{
    struct fixture *f = *state;
    const struct bundle_sample *s = f->s;
    score(f);
    for (size_t r = 0; r < 40; r++) {
        uint64_t user = mtps_key(f->texts[r][input(f, "user")], strlen(f->texts[r][input(f, "user")]));
        uint64_t item = mtps_key(f->texts[r][input(f, "item")], strlen(f->texts[r][input(f, "item")]));
        char text[16];
        int hourmin = atoi(f->texts[r][input(f, "hourmin")]);
        const char *age = f->texts[r][input(f, "age")];
        float years = (float)atof(age);
        size_t bucket = (size_t)(years >= 18) + (years >= 30) + (years >= 50);
        uint64_t keys[6]; /* user, item, hour, both, age, then tags */
        keys[0] = user;
        keys[1] = item;
        keys[2] = mtps_key(text, (size_t)sprintf(text, "%d", hourmin / 100));
        keys[3] = hash_pair(user, item);
        keys[4] = r % 4 ? mtps_key(text, (size_t)sprintf(text, "%zu", bucket)) : mtps_key("missing", 7);
        static const char *const names[] = {"user", "item", "hour", "both", "age"};
        uint64_t tags[3];
        size_t n_tags = 0;
        const char *list = r % 5 == 0 ? "" : r % 5 == 1 ? "3" : r % 5 == 2 ? "4 77" : "3 4 9"; /* the last three */
        for (const char *c = list; *c; c += strspn(c, " ")) {
            size_t n = strcspn(c, " ");
            tags[n_tags++] = mtps_key(c, n);
            c += n;
        }
        /* One row of a batch, each occurrence its own row of memory. */
        float memory[8][8 * SAMPLE_DIM];
        const float *rows[8];
        const uint32_t *place[8] = {0};
        struct batch_id ids[6];
        uint32_t idx[8], off[2] = {0, (uint32_t)n_tags};
        for (size_t i = 0; i < 8; i++) idx[i] = (uint32_t)i;
        for (size_t i = 0; i < s->schema->n_features; i++) {
            const struct schema_feature *g = &s->schema->features[i];
            if (g->kind != FEATURE_ID) continue;
            size_t n = g->multi ? n_tags : 1;
            ids[g->place] = (struct batch_id){n, idx, n, g->multi ? off : NULL, idx, NULL, NULL};
            rows[g->table] = memory[g->table];
            for (size_t j = 0; j < n; j++) {
                uint64_t key = 0;
                for (size_t k = 0; k < 5; k++)
                    if (!strcmp(names[k], g->name)) key = keys[k];
                if (g->multi) key = tags[j];
                float *to = memory[g->table] + j * SAMPLE_DIM;
                const struct rng rng = row_init_rng(5, s->schema->table_names[g->table]);
                row_init(&s->schema->tables[g->table]->init, &rng, key, SAMPLE_DIM, to);
                for (size_t known = 0; known < SAMPLE_KEYS; known++)
                    if (mtps_key(text, (size_t)sprintf(text, "%zu", known)) == key)
                        memcpy(to, s->rows + known * SAMPLE_DIM, SAMPLE_DIM * sizeof *to);
            }
        }
        const uint32_t color = r % 4 == 3 ? ONE_HOT_NONE : (uint32_t)(r % 4);
        const uint32_t *one_hot[] = {&color};
        double price = r % 3 ? atof(f->texts[r][input(f, "price")]) : 7;
        float dense = (float)((log1p(r % 3 ? (double)(float)price : 7) - 1.5) / 0.75), z[TASKS];
        struct batch b = {.n_rows = 1, .n_tables = s->schema->n_tables, .n_ids = s->schema->n_ids, .n_one_hot = 1,
                          .n_dense = 1, .n_tasks = TASKS, .ids = ids, .one_hot = one_hot, .dense = &dense};
        struct model_rows at = {.rows = rows, .place = place};
        model_forward_reference(s->model, s->params, &b, &at, z);
        double click = 1 / (1 + exp(-(double)z[0]));
        double watched = model_link(s->model, 1, z[1]) * atof(f->texts[r][input(f, "length")]);
        /* A few hundred roundings of numbers around 1. */
        if (fabs(f->scores[r * TASKS] - click) > 1e-5) fail_msg("row %zu: %g, not %g", r, f->scores[r * TASKS], click);
        if (fabs(f->scores[r * TASKS + 1] - watched) > 1e-4 * fabs(watched) + 1e-5)
            fail_msg("row %zu: %g, not %g", r, f->scores[r * TASKS + 1], watched);
    }
}

/* ---- forms of a value ---- */

/* Replace one input of row 7 and give the score of the row. */
static float with(struct fixture *f, const char *name, struct mtps_value v)
{
    float out[TASKS];
    struct mtps_value row[INPUTS];
    memcpy(row, f->rows + 7 * INPUTS, sizeof row);
    row[input(f, name)] = v;
    if (mtps_score(f->scorer, row, 1, out, &f->err) != MTPS_OK) fail_msg("%s", f->err.text);
    return out[0];
}

/* 21, 21.0 and "21" are one id; 21.5 is "21.5"; a list is the text that a file holds. */
static void forms_of_a_value_agree(void **state)
{
    struct fixture *f = *state;
    assert_true(with(f, "user", mtps_integer(21)) == with(f, "user", mtps_text("21")));
    assert_true(with(f, "user", mtps_real(21.0)) == with(f, "user", mtps_text("21")));
    assert_true(with(f, "user", mtps_real(21.5)) == with(f, "user", mtps_text("21.5")));
    assert_true(with(f, "user", mtps_integer(-3)) == with(f, "user", mtps_text("-3")));
    assert_true(with(f, "user", mtps_text("22")) != with(f, "user", mtps_text("21")));
    assert_true(with(f, "price", mtps_real(12.25)) == with(f, "price", mtps_text("12.25")));
    assert_true(with(f, "hourmin", mtps_integer(1530)) == with(f, "hourmin", mtps_text("1530")));
    struct mtps_value list[] = {mtps_integer(1), mtps_text("2"), mtps_real(3)};
    assert_true(with(f, "tags", mtps_list(list, 3)) == with(f, "tags", mtps_text("1 2 3")));
    assert_true(with(f, "tags", mtps_list(list, 0)) == with(f, "tags", mtps_text("")));
    assert_true(with(f, "tags", mtps_list(list, 2)) != with(f, "tags", mtps_list(list, 3)));
    struct mtps_value cut = {.kind = MTPS_TEXT, .n = 2, .u.text = "213"};
    assert_true(with(f, "user", cut) == with(f, "user", mtps_text("21")));
}

/* A missing value is one that is not given, or a text that means missing. */
static void absent_values_are_missing(void **state)
{
    struct fixture *f = *state;
    struct mtps_value none = {0};
    assert_true(with(f, "user", none) == with(f, "user", mtps_text("missing")));
    assert_true(with(f, "user", mtps_text("")) == with(f, "user", none));
    assert_true(with(f, "user", mtps_text(NULL)) == with(f, "user", none));
    assert_true(with(f, "price", none) == with(f, "price", mtps_integer(7))); /* the default */
    assert_true(with(f, "color", none) == with(f, "color", mtps_text("grey")));
    struct mtps_value empty[INPUTS] = {{0}};
    float out[TASKS];
    assert_int_equal(mtps_score(f->scorer, empty, 1, out, &f->err), MTPS_OK);
    assert_true(isfinite(out[0]) && out[1] == 0); /* without a length there is no time */
}

/* ---- keys ---- */

struct prepared {
    uint64_t keys[FEATURES][ROWS * 3];
    uint32_t off[ROWS + 1];
    float price[ROWS], age[ROWS], durations[ROWS * TASKS];
    struct mtps_column columns[FEATURES];
};

static void make_keys(struct fixture *f, struct prepared *p)
{
    memset(p, 0, sizeof *p);
    for (size_t r = 0; r < ROWS; r++) {
        char text[16];
        const char *user = f->texts[r][input(f, "user")], *item = f->texts[r][input(f, "item")];
        const char *color = f->texts[r][input(f, "color")];
        p->keys[0][r] = mtps_key(user, strlen(user));
        p->keys[2][r] = mtps_key(item, strlen(item));
        p->keys[3][r] = mtps_key(color, strlen(color));
        p->keys[6][r] = mtps_key(text, (size_t)sprintf(text, "%d", atoi(f->texts[r][input(f, "hourmin")]) / 100));
        p->keys[7][r] = hash_pair(p->keys[0][r], p->keys[2][r]);
        p->price[r] = r % 3 ? strtof(f->texts[r][input(f, "price")], NULL) : NAN;
        p->age[r] = r % 4 ? strtof(f->texts[r][input(f, "age")], NULL) : NAN;
        p->durations[r * TASKS + 1] = strtof(f->texts[r][input(f, "length")], NULL);
        const char *list = r % 5 == 0 ? "" : r % 5 == 1 ? "3" : r % 5 == 2 ? "4 77" : "3 4 9";
        p->off[r + 1] = p->off[r];
        for (const char *c = list; *c; c += strspn(c, " ")) {
            size_t n = strcspn(c, " ");
            p->keys[1][p->off[r + 1]++] = mtps_key(c, n);
            c += n;
        }
    }
    for (size_t i = 0; i < FEATURES; i++) p->columns[i].keys = p->keys[i];
    p->columns[1].offsets = p->off;
    p->columns[4] = (struct mtps_column){.numbers = p->price};
    p->columns[5] = (struct mtps_column){.numbers = p->age};
}

/* Prepared keys give the bits that raw values give. */
static void keys_give_the_same_bits(void **state)
{
    struct fixture *f = *state;
    static struct prepared p;
    float out[ROWS * TASKS];
    score(f);
    make_keys(f, &p);
    if (mtps_score_keys(f->scorer, p.columns, p.durations, ROWS, out, &f->err) != MTPS_OK) fail_msg("%s", f->err.text);
    assert_memory_equal(out, f->scores, sizeof out);
}

/* A feature of `key: uint64` says that its key is the number itself, and takes it: also what
 * is crossed with it. The key of the number's text is another id. */
static void a_number_is_its_own_key(void **state)
{
    struct fixture *f = *state;
    static struct prepared p;
    char path[600];
    float want[ROWS * TASKS], out[ROWS * TASKS];
    struct mtps_model *model;
    struct mtps_scorer *scorer;
    tmpdir_path(&f->s->dir, "numbers.mtps", path, sizeof path);
    bundle_sample_write_changed(f->s, path, "{name: user, ", "{name: user, key: uint64, ");
    assert_int_equal(mtps_open(path, 0, &model, &f->err), MTPS_OK);
    assert_int_equal(mtps_scorer_create(model, &scorer, &f->err), MTPS_OK);
    assert_int_equal(mtps_feature(model, 0)->key, MTPS_KEY_NUMBER);
    assert_int_equal(mtps_feature(model, 2)->key, MTPS_KEY_TEXT);
    assert_int_equal(mtps_score(scorer, f->rows, ROWS, want, &f->err), MTPS_OK);
    make_keys(f, &p);
    assert_int_equal(mtps_score_keys(scorer, p.columns, p.durations, ROWS, out, &f->err), MTPS_OK);
    assert_memory_not_equal(out, want, sizeof out);
    for (size_t r = 0; r < ROWS; r++) {
        p.keys[0][r] = strtoull(f->texts[r][input(f, "user")], NULL, 10);
        p.keys[7][r] = hash_pair(p.keys[0][r], p.keys[2][r]);
    }
    assert_int_equal(mtps_score_keys(scorer, p.columns, p.durations, ROWS, out, &f->err), MTPS_OK);
    assert_memory_equal(out, want, sizeof out);
    mtps_scorer_destroy(scorer);
    mtps_close(model);
}

/* Keys that are not given, offsets out of order, two keys where one is expected. */
static void keys_that_do_not_fit_are_refused(void **state)
{
    struct fixture *f = *state;
    static struct prepared p;
    float out[ROWS * TASKS];
    make_keys(f, &p);
    p.columns[0].keys = NULL;
    assert_int_equal(mtps_score_keys(f->scorer, p.columns, NULL, 1, out, &f->err), MTPS_USAGE);
    assert_string_equal(f->err.text, "row 0: user: keys are not given");
    make_keys(f, &p);
    p.columns[4].numbers = NULL;
    assert_int_equal(mtps_score_keys(f->scorer, p.columns, NULL, 1, out, &f->err), MTPS_USAGE);
    assert_string_equal(f->err.text, "row 0: price: numbers are not given");
    make_keys(f, &p);
    p.off[3] = 0;
    assert_int_equal(mtps_score_keys(f->scorer, p.columns, NULL, 4, out, &f->err), MTPS_DATA);
    assert_string_equal(f->err.text, "row 2: tags: offsets are not in order");
    make_keys(f, &p);
    static const uint32_t two[] = {0, 2};
    p.columns[0].offsets = two;
    assert_int_equal(mtps_score_keys(f->scorer, p.columns, NULL, 1, out, &f->err), MTPS_DATA);
    assert_string_equal(f->err.text, "row 0: user: 2 keys where one is expected");
    static const uint32_t none[] = {0, 0};
    p.columns[0].offsets = none; /* missing */
    assert_int_equal(mtps_score_keys(f->scorer, p.columns, NULL, 1, out, &f->err), MTPS_OK);
}

/* Numbers of prepared keys are finite or missing, durations finite; the first row that has a
 * fault is told of, whichever column comes first. */
static void prepared_numbers_are_finite(void **state)
{
    struct fixture *f = *state;
    static struct prepared p;
    float out[ROWS * TASKS], numbers[ROWS], durations[ROWS * TASKS] = {0};
    make_keys(f, &p);
    memcpy(numbers, p.columns[4].numbers, sizeof numbers);
    p.columns[4].numbers = numbers;
    numbers[2] = INFINITY;
    assert_int_equal(mtps_score_keys(f->scorer, p.columns, NULL, 4, out, &f->err), MTPS_DATA);
    assert_string_equal(f->err.text, "row 2: price: a number that is not finite");
    durations[1 * TASKS + 1] = INFINITY;
    assert_int_equal(mtps_score_keys(f->scorer, p.columns, durations, 4, out, &f->err), MTPS_DATA);
    assert_string_equal(f->err.text, "row 1: watched: a duration that is not finite");
    numbers[2] = NAN;
    durations[1 * TASKS + 1] = NAN;
    durations[2 * TASKS + 1] = -5;
    durations[3 * TASKS + 1] = 2;
    durations[0] = INFINITY; /* of a task without one */
    assert_int_equal(mtps_score_keys(f->scorer, p.columns, durations, 4, out, &f->err), MTPS_OK);
    assert_true(out[1 * TASKS + 1] == 0 && out[2 * TASKS + 1] == 0 && out[3 * TASKS + 1] > 0);
}

/* ---- errors ---- */

static void refused(struct fixture *f, const char *name, struct mtps_value v, const char *why)
{
    float out[ROWS * TASKS];
    struct mtps_value kept = f->rows[5 * INPUTS + input(f, name)];
    f->rows[5 * INPUTS + input(f, name)] = v;
    assert_int_equal(mtps_score(f->scorer, f->rows, ROWS, out, &f->err), MTPS_DATA);
    if (!strstr(f->err.text, why)) fail_msg("'%s' without '%s'", f->err.text, why);
    assert_int_equal(f->err.row, 5);
    assert_int_equal(mtps_score(f->scorer, f->rows, 1, out, NULL), MTPS_OK); /* and goes on */
    f->rows[5 * INPUTS + input(f, name)] = kept;
}

/* What does not fit names row, input and reason; the scorer goes on working. */
static void values_that_do_not_fit_are_refused(void **state)
{
    struct fixture *f = *state;
    struct mtps_value inner[] = {mtps_integer(1)}, nested[] = {mtps_list(inner, 1)};
    refused(f, "price", mtps_text("cheap"), "row 5: price: not a number");
    refused(f, "price", mtps_text("1e99"), "row 5: price: number out of range");
    refused(f, "price", mtps_real(NAN), "row 5: price: a number that is not finite");
    refused(f, "user", mtps_real(INFINITY), "row 5: user: a number that is not finite");
    refused(f, "user", mtps_list(inner, 1), "row 5: user: a list where one value is expected");
    refused(f, "tags", mtps_list(nested, 1), "row 5: tags: a list where one value is expected");
    refused(f, "hourmin", mtps_text("noon"), "row 5: ");
    refused(f, "length", mtps_text("long"), "row 5: length: not a number");
    refused(f, "user", (struct mtps_value){.kind = (enum mtps_kind)17}, "row 5: user: a value of unknown kind");
}

/* ---- memory, threads, versions ---- */

/* Once it is warm, scoring takes no memory. */
static void scoring_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    score(f);
    uint64_t before = mem_calls();
    score(f);
    assert_int_equal(mem_calls(), before);
}

/* Every allocation of a scorer and of scoring may fail. */
static void any_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    float want[ROWS * TASKS], got[ROWS * TASKS];
    score(f);
    memcpy(want, f->scores, sizeof want);
    uint64_t before = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        struct mtps_scorer *scorer = NULL;
        mem_fail_at(k);
        enum mtps_status st = mtps_scorer_create(f->model, &scorer, &f->err);
        if (st == MTPS_OK) st = mtps_score(scorer, f->rows, ROWS, got, &f->err);
        mem_fail_at(0);
        mtps_scorer_destroy(scorer);
        assert_int_equal(mem_live_bytes(), before);
        if (st == MTPS_OK) break;
        assert_int_equal(st, MTPS_NOMEM);
    }
    assert_memory_equal(want, got, sizeof want);
}

struct hand {
    struct fixture *f;
    float scores[ROWS * TASKS];
    int failed;
};

static void *score_many(void *arg)
{
    struct hand *h = arg;
    struct mtps_scorer *scorer;
    h->failed = mtps_scorer_create(h->f->model, &scorer, NULL) != MTPS_OK;
    for (int i = 0; i < 20 && !h->failed; i++)
        h->failed = mtps_score(scorer, h->f->rows, ROWS, h->scores, NULL) != MTPS_OK;
    if (!h->failed) mtps_scorer_destroy(scorer);
    return NULL;
}

/* Threads with scorers of their own share a model. */
static void threads_share_a_model(void **state)
{
    struct fixture *f = *state;
    static struct hand hands[4];
    pthread_t threads[4];
    score(f);
    for (size_t i = 0; i < 4; i++) {
        hands[i].f = f;
        assert_int_equal(pthread_create(&threads[i], NULL, score_many, &hands[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_false(hands[i].failed);
        assert_memory_equal(hands[i].scores, f->scores, sizeof f->scores);
    }
}

/* A model that was closed lives as long as a scorer of it. */
static void a_scorer_holds_its_model(void **state)
{
    struct fixture *f = *state;
    struct mtps_model *other;
    struct mtps_scorer *scorer;
    float out[ROWS * TASKS];
    score(f);
    assert_int_equal(mtps_open(f->s->path, MTPS_SKIP_BIG_CHECKS, &other, &f->err), MTPS_OK);
    assert_int_equal(mtps_scorer_create(other, &scorer, &f->err), MTPS_OK);
    mtps_close(other);
    assert_int_equal(mtps_score(scorer, f->rows, ROWS, out, &f->err), MTPS_OK);
    assert_memory_equal(out, f->scores, sizeof out);
    mtps_scorer_destroy(scorer);
}

/* Numbers have a point, whatever the locale of the program around says. */
static void the_locale_does_not_matter(void **state)
{
    struct fixture *f = *state;
    float out[ROWS * TASKS];
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
    score(f);
    for (size_t i = 0; i < 3; i++) setlocale(LC_ALL, names[i]);
    assert_int_equal(mtps_score(f->scorer, f->rows, ROWS, out, &f->err), MTPS_OK);
    assert_memory_equal(out, f->scores, sizeof out);
    setlocale(LC_ALL, "C");
}

/* A weight beyond the largest of f16 becomes that one, no infinity that a reader would refuse. */
static void large_weights_fit_f16(void **state)
{
    const float row[] = {1e6f, -3e38f, 65504, 65519.99f, 1};
    const float want[] = {HALF_MOST, -HALF_MOST, HALF_MOST, HALF_MOST, 1};
    uint16_t half[5];
    float scale;
    (void)state;
    lookup_pack(SECTION_F16, row, 5, half, &scale);
    for (size_t i = 0; i < 5; i++) assert_true(half_to_float(half[i]) == want[i]);
}

/* Rounded rows change scores a little: f16 by 2^-11 of each weight, i8 by 1/254 of a row's largest. */
static void rounded_rows_change_scores_a_little(void **state)
{
    struct fixture *f = *state;
    static const enum section_type types[] = {SECTION_F16, SECTION_I8};
    static const double most[] = {0.004, 0.03};
    score(f);
    for (size_t i = 0; i < 2; i++) {
        char path[600];
        struct mtps_model *other;
        struct mtps_scorer *scorer;
        struct mtps_info info;
        float out[ROWS * TASKS];
        double worst = 0;
        tmpdir_path(&f->s->dir, section_type_name(types[i]), path, sizeof path);
        bundle_sample_write(f->s, path, types[i]);
        assert_int_equal(mtps_open(path, 0, &other, &f->err), MTPS_OK);
        mtps_describe(other, &info);
        assert_string_equal(info.rows, section_type_name(types[i]));
        assert_int_equal(mtps_scorer_create(other, &scorer, &f->err), MTPS_OK);
        assert_int_equal(mtps_score(scorer, f->rows, ROWS, out, &f->err), MTPS_OK);
        for (size_t r = 0; r < ROWS; r++) worst = fmax(worst, fabs(out[r * TASKS] - f->scores[r * TASKS]));
        assert_true(worst > 0 && worst < most[i]);
        mtps_scorer_destroy(scorer);
        mtps_close(other);
    }
}

/* Projected rows, and a side table inside: the scores of the plain bundle within 1e-6, also of
 * values that are missing and of ids that are not there. */
static void the_whole_gives_nearly_the_same(void **state)
{
    struct fixture *f = *state;
    char path[600];
    struct mtps_model *whole;
    struct mtps_scorer *scorer;
    float scores[ROWS * TASKS];
    tmpdir_path(&f->s->dir, "whole", path, sizeof path);
    bundle_sample_write_whole(f->s, path);
    assert_int_equal(mtps_open(path, 0, &whole, &f->err), MTPS_OK);
    assert_int_equal(mtps_scorer_create(whole, &scorer, &f->err), MTPS_OK);
    assert_int_equal(mtps_n_inputs(whole), INPUTS - 1);
    assert_int_equal(mtps_find_input(whole, "price"), -1);
    struct mtps_value *rows = calloc(ROWS * (INPUTS - 1), sizeof *rows);
    for (size_t r = 0; r < ROWS; r++) {
        struct mtps_value *own = f->rows + r * INPUTS, *item = &own[input(f, "item")];
        if (r % 3 == 0) *item = mtps_integer((int64_t)(r % 25));
        if (r % 11 == 0) *item = mtps_text(NULL);
        if (r % 7 == 0) own[input(f, "user")] = mtps_text("");
        bool known = item->kind == MTPS_INTEGER && item->u.integer < SAMPLE_ITEMS;
        put(f, r, "price", "%s", known ? bundle_sample_price((size_t)item->u.integer) : "");
        for (size_t i = 0; item->kind == MTPS_TEXT && i < SAMPLE_ITEMS; i++) {
            char text[16];
            size_t n = (size_t)snprintf(text, sizeof text, "%zu", i);
            if (n == item->n && !memcmp(text, item->u.text, n)) put(f, r, "price", "%s", bundle_sample_price(i));
        }
        for (size_t i = 0; i < INPUTS - 1; i++)
            rows[r * (INPUTS - 1) + i] = own[input(f, mtps_input(whole, i)->name)];
    }
    score(f);
    assert_int_equal(mtps_score(scorer, rows, ROWS, scores, &f->err), MTPS_OK);
    size_t different = 0;
    for (size_t i = 0; i < ROWS * TASKS; i++) {
        float most = 1e-6f * (1 + fabsf(f->scores[i]));
        if (!(fabsf(scores[i] - f->scores[i]) <= most)) fail_msg("row %zu: %g, not %g", i / TASKS, scores[i], f->scores[i]);
        different += scores[i] != f->scores[i];
    }
    assert_true(different > 0); /* the order of sums is another one */
    free(rows);
    mtps_scorer_destroy(scorer);
    mtps_close(whole);
}

/* What is missing from a call is said, not run into; so are flags of another version. */
static void calls_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    struct mtps_model *model = f->model;
    struct mtps_value row[INPUTS] = {{0}};
    struct mtps_column columns[FEATURES] = {{0}};
    float out[TASKS];
    assert_int_equal(mtps_open(NULL, 0, &model, &f->err), MTPS_USAGE);
    assert_string_equal(f->err.text, "mtps_open: path is NULL");
    assert_null(model);
    assert_int_equal(mtps_open(f->s->path, 0, NULL, &f->err), MTPS_USAGE);
    for (unsigned bit = MTPS_SKIP_BIG_CHECKS << 1; bit; bit <<= 1) {
        model = f->model;
        assert_int_equal(mtps_open(f->s->path, bit | MTPS_SKIP_BIG_CHECKS, &model, &f->err), MTPS_USAGE);
        assert_non_null(strstr(f->err.text, "flags"));
        assert_null(model);
    }
    struct mtps_scorer *scorer = f->scorer;
    assert_int_equal(mtps_scorer_create(NULL, &scorer, &f->err), MTPS_USAGE);
    assert_string_equal(f->err.text, "mtps_scorer_create: model is NULL");
    assert_null(scorer);
    assert_int_equal(mtps_scorer_create(f->model, NULL, &f->err), MTPS_USAGE);
    assert_int_equal(mtps_score(NULL, row, 1, out, &f->err), MTPS_USAGE);
    assert_int_equal(mtps_score(f->scorer, NULL, 1, out, &f->err), MTPS_USAGE);
    assert_string_equal(f->err.text, "mtps_score: rows is NULL");
    assert_int_equal(mtps_score(f->scorer, row, 1, NULL, &f->err), MTPS_USAGE);
    assert_int_equal(mtps_score_keys(NULL, columns, NULL, 1, out, &f->err), MTPS_USAGE);
    assert_int_equal(mtps_score_keys(f->scorer, NULL, NULL, 1, out, &f->err), MTPS_USAGE);
    assert_int_equal(mtps_score_keys(f->scorer, columns, NULL, 1, NULL, &f->err), MTPS_USAGE);
    assert_int_equal(mtps_score(f->scorer, row, 1, out, &f->err), MTPS_OK);
}

/* Of no model there is nothing to be said. */
static void no_model_has_nothing(void **state)
{
    struct fixture *f = *state;
    struct mtps_info info, none = {0};
    memset(&info, 1, sizeof info);
    mtps_describe(NULL, &info);
    assert_memory_equal(&info, &none, sizeof info);
    mtps_describe(f->model, NULL);
    assert_int_equal(mtps_n_inputs(NULL) + mtps_n_tasks(NULL) + mtps_n_features(NULL), 0);
    assert_null(mtps_input(NULL, 0));
    assert_null(mtps_task(NULL, 0));
    assert_null(mtps_feature(NULL, 0));
    assert_int_equal(mtps_find_input(NULL, "user"), -1);
    assert_int_equal(mtps_find_input(f->model, NULL), -1);
    assert_true(mtps_key(NULL, 3) == mtps_key("", 0));
}

/* NULL is fine where nothing is to be done, and errors are optional. */
static void nothing_is_fine(void **state)
{
    struct fixture *f = *state;
    struct mtps_model *model;
    mtps_close(NULL);
    mtps_scorer_destroy(NULL);
    assert_int_equal(mtps_open("/nowhere", 0, &model, NULL), MTPS_NOINPUT);
    assert_null(model);
    assert_int_equal(mtps_open(NULL, 0, &model, NULL), MTPS_USAGE);
    assert_int_equal(mtps_score(f->scorer, NULL, 0, NULL, NULL), MTPS_OK);
    assert_int_equal(mtps_score_keys(f->scorer, NULL, NULL, 0, NULL, NULL), MTPS_OK);
    assert_true(strlen(mtps_version()) > 0);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(describes_the_model),
        CASE(a_row_has_its_own_bits),
        CASE(scores_are_those_of_the_reference),
        CASE(forms_of_a_value_agree),
        CASE(absent_values_are_missing),
        CASE(keys_give_the_same_bits),
        CASE(a_number_is_its_own_key),
        CASE(keys_that_do_not_fit_are_refused),
        CASE(prepared_numbers_are_finite),
        CASE(values_that_do_not_fit_are_refused),
        CASE(scoring_allocates_nothing),
        CASE(any_allocation_may_fail),
        CASE(threads_share_a_model),
        CASE(a_scorer_holds_its_model),
        CASE(the_locale_does_not_matter),
        CASE(large_weights_fit_f16),
        CASE(rounded_rows_change_scores_a_little),
        CASE(the_whole_gives_nearly_the_same), 
        CASE(calls_that_cannot_be_are_refused), CASE(no_model_has_nothing), CASE(nothing_is_fine),
    };
    return cmocka_run_group_tests_name("infer_library", tests, NULL, NULL);
}
