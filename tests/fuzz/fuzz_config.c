/* Configurations: what is accepted prints as a text that reads back as the same, in both
 * forms (YAML, and the line that bundles carry). */
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/settings.h"
#include "tests/fuzz/fuzz.h"

/* libfyaml keeps a block of 4 KiB when a long text in single quotes is malformed: once for a
 * program that then ends, and nothing that its caller could free. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

static void check_yaml(const struct settings *s)
{
    char *first, *second;
    struct settings *again;
    struct error err;
    FUZZ_CHECK(settings_print(s, false, &first, &err) == ST_OK);
    FUZZ_CHECK(settings_parse(first, "printed", NULL, 0, &again, &err) == ST_OK);
    FUZZ_CHECK(settings_print(again, false, &second, &err) == ST_OK);
    FUZZ_CHECK(strcmp(first, second) == 0);
    settings_destroy(again);
    mem_free(first);
    mem_free(second);
}

static void check_flow(const struct settings *s)
{
    char *first, *second;
    struct settings *again;
    struct error err;
    FUZZ_CHECK(settings_print_flow(s, &first, &err) == ST_OK);
    FUZZ_CHECK(settings_parse_flow(first, strlen(first), "printed", &again, &err) == ST_OK);
    FUZZ_CHECK(settings_print_flow(again, &second, &err) == ST_OK);
    FUZZ_CHECK(strcmp(first, second) == 0);
    settings_destroy(again);
    mem_free(first);
    mem_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = fuzz_text(data, n);
    struct settings *s;
    struct error err;
    if (settings_parse(text, "fuzz.yaml", NULL, 0, &s, &err) == ST_OK) {
        check_yaml(s);
        check_flow(s);
        settings_destroy(s);
    }
    if (settings_parse_flow(text, n, "fuzz", &s, &err) == ST_OK) settings_destroy(s);
    free(text);
    return 0;
}
