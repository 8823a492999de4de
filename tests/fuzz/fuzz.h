/* What a fuzz target is: one function that takes any bytes and must neither crash, nor hang,
 * nor leak. libFuzzer drives it (MTPS_FUZZ), or replay.c, which gives it the files of the
 * corpus, once each. docs/testing.md says how to run them. */
#ifndef MTPS_TESTS_FUZZ_H
#define MTPS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A property that does not hold ends the program as a crash does. */
#define FUZZ_CHECK(holds) ((holds) ? (void)0 : __builtin_trap())

/* The bytes as a text of their own, ended by 0 (free), so that a sanitizer sees what is
 * read behind it. */
char *fuzz_text(const uint8_t *data, size_t n);
/* The bytes as a file of this process, removed when it ends; gives its path. */
const char *fuzz_file(const uint8_t *data, size_t n);

#endif
