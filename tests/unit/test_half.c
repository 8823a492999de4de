/* common/math/half: all 16-bit floats, and rounding to them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/math/half.h"

/* The value by its definition: sign, exponent, fraction. */
static double value_of(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double x = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return h & 0x8000 ? -x : x;
}

/* Every finite 16-bit float is what its bits say, and rounds to itself. */
static void test_every_half(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float x = half_to_float((uint16_t)h);
        if ((h >> 10 & 31) == 31) {
            assert_true(h & 1023 ? isnan(x) : isinf(x) && (x < 0) == (h > 0x8000));
            continue;
        }
        assert_true((double)x == value_of((uint16_t)h));
        assert_int_equal(half_from_float(x), h);
    }
}

/* Between two neighbours the nearer one is taken, in the middle the even one. */
static void test_rounding(void **state)
{
    (void)state;
    for (uint16_t h = 0; h < 0x7bff; h++) {
        double low = value_of(h), high = value_of((uint16_t)(h + 1)), middle = (low + high) / 2;
        assert_int_equal(half_from_float((float)middle), h & 1 ? h + 1 : h);
        assert_int_equal(half_from_float(nextafterf((float)middle, 0)), h);
        assert_int_equal(half_from_float(nextafterf((float)middle, INFINITY)), h + 1);
    }
}

/* Too large is infinite, too small is zero, NaN stays NaN, signs are kept. */
static void test_edges(void **state)
{
    (void)state;
    assert_int_equal(half_from_float(65519.996f), 0x7bff);
    assert_int_equal(half_from_float(65520.0f), 0x7c00);
    assert_int_equal(half_from_float(-1e30f), 0xfc00);
    assert_int_equal(half_from_float(INFINITY), 0x7c00);
    assert_int_equal(half_from_float(0x1p-25f), 0);
    assert_int_equal(half_from_float(-0.0f), 0x8000);
    assert_true(isnan(half_to_float(half_from_float(NAN))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
