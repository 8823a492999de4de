/* common/base/sha256: the digests of the standard, and of libcrypto, however the bytes come. */
#include "common/base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/store/file.h"

static void hex_of(const void *bytes, size_t n, size_t piece, char hex[SHA256_HEX])
{
    struct sha256 s;
    unsigned char digest[SHA256_DIGEST];
    sha256_init(&s);
    for (size_t i = 0; i < n; i += piece)
        sha256_add(&s, (const char *)bytes + i, n - i < piece ? n - i : piece);
    sha256_end(&s, digest);
    for (size_t i = 0; i < SHA256_DIGEST; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* The examples of FIPS 180-4 (CSRC's "Examples with Intermediate Values"), and of nothing. */
static void digests_are_those_of_the_standard(void **state)
{
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[SHA256_HEX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hex_of(cases[i].text, strlen(cases[i].text), 64, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

/* Every length around the ends of blocks, in pieces of any size, has libcrypto's digest. */
static void lengths_and_pieces_do_not_matter(void **state)
{
    unsigned char bytes[300];
    char hex[SHA256_HEX], want[SHA256_HEX];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 167 + i / 7);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        bytes_sha256(bytes, n, want);
        for (size_t piece = 1; piece <= 129; piece += 32) {
            hex_of(bytes, n, piece, hex);
            assert_string_equal(hex, want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(lengths_and_pieces_do_not_matter),
    };
    return cmocka_run_group_tests_name("base_sha256", tests, NULL, NULL);
}
