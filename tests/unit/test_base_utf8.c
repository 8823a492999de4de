/* Code points as UTF-8: common/base/utf8.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/utf8.h"

/* First and last code point of each length, as RFC 3629 lists them. */
static void code_points_have_their_bytes(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        const char *bytes;
        size_t n;
    } cases[] = {{0, "\0", 1},
                 {0x7f, "\x7f", 1},
                 {0x80, "\xc2\x80", 2},
                 {0x7ff, "\xdf\xbf", 2},
                 {0x800, "\xe0\xa0\x80", 3},
                 {0xffff, "\xef\xbf\xbf", 3},
                 {0x10000, "\xf0\x90\x80\x80", 4},
                 {0x10ffff, "\xf4\x8f\xbf\xbf", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[UTF8_MAX];
        assert_int_equal(utf8_put(cases[i].code, out), cases[i].n);
        assert_memory_equal(out, cases[i].bytes, cases[i].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_points_have_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
