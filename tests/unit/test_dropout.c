/* Dropout's masks: how many values they keep, what they depend on, and their bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/dropout.h"

enum { ROWS = 200, COLS = 150 };

struct mask {
    bool kept[ROWS * COLS];
};

static void keys_of(uint64_t seed, uint64_t step, uint64_t first, uint64_t *keys)
{
    uint64_t row[ROWS];
    for (size_t r = 0; r < ROWS; r++) row[r] = first + r;
    dropout_keys(seed, step, ROWS, row, keys);
}

static void mask_make(struct dropout d, const uint64_t *keys, struct mask *m)
{
    static float y[ROWS * COLS];
    for (size_t i = 0; i < ROWS * COLS; i++) y[i] = 1;
    dropout_apply(&d, ROWS, COLS, keys, y, COLS);
    for (size_t i = 0; i < ROWS * COLS; i++) {
        assert_true(y[i] == 0 || y[i] == d.scale);
        m->kept[i] = y[i] != 0;
    }
}

static double share(const struct mask *m)
{
    double n = 0;
    for (size_t i = 0; i < ROWS * COLS; i++) n += m->kept[i];
    return n / (ROWS * COLS);
}

/* Where two masks agree; of independent ones the share is p^2 + (1 - p)^2. */
static double agreement(const struct mask *a, const struct mask *b)
{
    double n = 0;
    for (size_t i = 0; i < ROWS * COLS; i++) n += a->kept[i] == b->kept[i];
    return n / (ROWS * COLS);
}

/* Within five standard deviations of a share of ROWS * COLS independent draws. */
static void near(double got, double p)
{
    double sd = sqrt(p * (1 - p) / (ROWS * COLS));
    if (fabs(got - p) > 5 * sd) fail_msg("share %.5f, expected %.5f +- %.5f", got, p, sd);
}

/* The share of values kept is 1 - rate, and they are divided by it. */
static void the_rate_is_the_share_of_zeros(void **state)
{
    (void)state;
    static const double rates[] = {0.01, 0.1, 0.25, 0.5, 0.9, 0.95};
    static struct mask m;
    uint64_t keys[ROWS];
    keys_of(1, 0, 0, keys);
    for (size_t i = 0; i < 6; i++) {
        struct dropout d = dropout_make(rates[i], "tower/click", 0);
        mask_make(d, keys, &m);
        near(share(&m), 1 - rates[i]);
        assert_true(fabs((double)d.scale * (1 - rates[i]) - 1) < 1e-6);
    }
}

/* Another seed, step, row, unit, or layer gives an independent mask. */
static void masks_depend_on_all_that_names_them(void **state)
{
    (void)state;
    static struct mask m, other;
    uint64_t keys[ROWS], seed[ROWS], step[ROWS], row[ROWS];
    keys_of(1, 5, 0, keys);
    keys_of(2, 5, 0, seed);
    keys_of(1, 6, 0, step);
    keys_of(1, 5, ROWS, row);
    struct dropout d = dropout_make(0.3, "expert/level0/shared/0", 0);
    const struct {
        struct dropout d;
        const uint64_t *keys;
    } others[] = {{d, seed},
                  {d, step},
                  {d, row},
                  {dropout_make(0.3, "expert/level0/shared/1", 0), keys},
                  {dropout_make(0.3, "expert/level0/shared/0", 1), keys}};
    mask_make(d, keys, &m);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        mask_make(others[i].d, others[i].keys, &other);
        near(agreement(&m, &other), 0.7 * 0.7 + 0.3 * 0.3);
    }
}

/* Neighbouring rows and columns of a mask, up to 8 apart, are independent. */
static void neighbours_are_independent(void **state)
{
    (void)state;
    static struct mask m, moved;
    uint64_t keys[ROWS];
    keys_of(3, 100, 7, keys);
    mask_make(dropout_make(0.5, "bottom", 0), keys, &m);
    for (size_t by = 1; by <= 8; by++) {
        for (size_t i = 0; i < ROWS * COLS; i++)
            moved.kept[i] = m.kept[(i + by * COLS) % (ROWS * COLS)];
        near(agreement(&m, &moved), 0.5);
        for (size_t i = 0; i < ROWS * COLS; i++)
            moved.kept[i] = m.kept[i / COLS * COLS + (i + by) % COLS];
        near(agreement(&m, &moved), 0.5);
    }
}

/* A row's mask is the same alone and among others, a column's in narrow and wide
 * layers, and dropout_keeps says it; columns behind the width stay. */
static void a_value_is_its_own(void **state)
{
    (void)state;
    static struct mask m;
    uint64_t keys[ROWS];
    struct dropout d = dropout_make(0.4, "gate/level0/click", 0);
    keys_of(9, 4, 30, keys);
    mask_make(d, keys, &m);
    for (size_t n = 1; n < 40; n++) {
        float y[40];
        for (size_t j = 0; j < 40; j++) y[j] = 3;
        dropout_apply(&d, 1, n, &keys[n], y, 40);
        for (size_t j = 0; j < 40; j++)
            assert_true(y[j] == (j >= n ? 3 : m.kept[n * COLS + j] ? 3 * d.scale : 0));
    }
    for (size_t r = 0; r < ROWS; r++)
        for (size_t j = 0; j < COLS; j++)
            assert_int_equal(dropout_keeps(&d, keys[r], j), m.kept[r * COLS + j]);
}

/* Frozen: a run that is resumed by a later version goes on with the same masks. */
static void bits_are_frozen(void **state)
{
    (void)state;
    uint64_t row[2] = {0, 123456789}, keys[2], bits = 0;
    dropout_keys(42, 7, 2, row, keys);
    struct dropout d = dropout_make(0.5, "tower/click", 1);
    for (size_t i = 0; i < 64; i++)
        bits |= (uint64_t)dropout_keeps(&d, keys[i / 32], i % 32) << i;
    assert_true(bits == UINT64_C(0x441baf0e1fc73683));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_the_share_of_zeros),
        cmocka_unit_test(masks_depend_on_all_that_names_them),
        cmocka_unit_test(neighbours_are_independent),
        cmocka_unit_test(a_value_is_its_own),
        cmocka_unit_test(bits_are_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
