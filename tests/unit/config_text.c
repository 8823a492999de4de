#include "tests/unit/config_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const char config_least[] = "data: {train: {files: [a.csv]}}\n"
                            "features: [{name: user}, {name: item}]\n"
                            "tasks: {click: {label: clicked}}\n"
                            "model: {type: lr}\n";

static size_t count(const char *const *sets)
{
    size_t n = 0;
    while (sets && sets[n]) n++;
    return n;
}

struct settings *config_parse(const char *text, const char *const *sets)
{
    struct settings *s;
    struct error err = {0};
    enum status st = settings_parse(text, "c.yaml", sets, count(sets), &s, &err);
    if (st != ST_OK) fail_msg("%s", err.text);
    return s;
}

void config_refused(const char *text, const char *const *sets, const char *message,
                    const char *hint)
{
    struct settings *s;
    struct error err = {0};
    enum status st = settings_parse(text, "c.yaml", sets, count(sets), &s, &err);
    if (st == ST_OK) fail_msg("accepted, but '%s' was expected", message);
    assert_string_equal(err.text, message);
    assert_int_equal(st, ST_USAGE);
    if (hint && !strstr(err.hint, hint)) fail_msg("hint '%s' lacks '%s'", err.hint, hint);
}

struct settings *config_more(const char *lines)
{
    char text[8192];
    snprintf(text, sizeof text, "%s%s", config_least, lines);
    return config_parse(text, NULL);
}

void config_more_refused(const char *lines, const char *message, const char *hint)
{
    char text[8192];
    snprintf(text, sizeof text, "%s%s", config_least, lines);
    config_refused(text, NULL, message, hint);
}
