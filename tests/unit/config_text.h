/* Configurations from texts, for tests. Failures are test failures. */
#ifndef MTPS_TESTS_CONFIG_TEXT_H
#define MTPS_TESTS_CONFIG_TEXT_H

#include "common/config/settings.h"

/* The least that is a configuration, in four lines. */
extern const char config_least[];

/* Parse a text named "c.yaml"; sets ends with NULL (NULL: none). Destroy with
 * settings_destroy. */
struct settings *config_parse(const char *text, const char *const *sets);

/* The text is refused with ST_USAGE, this message and, unless NULL, a hint that
 * contains `hint`. */
void config_refused(const char *text, const char *const *sets, const char *message,
                    const char *hint);

/* The least configuration and more lines. */
struct settings *config_more(const char *lines);
void config_more_refused(const char *lines, const char *message, const char *hint);

#endif
