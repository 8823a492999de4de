/* Words of a configuration as numbers, with units; and numbers as words. */
#ifndef MTPS_CONFIG_VALUE_H
#define MTPS_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/settings.h"

/* Each gives false when the whole text is not such a value. */
bool value_bool(const char *text, bool *out);
bool value_count(const char *text, uint64_t *out);   /* 1024, 64k, 200M, 2G: thousands */
bool value_real(const char *text, double *out);      /* finite, decimal */
bool value_share(const char *text, double *out, bool *percent);
bool value_seconds(const char *text, double *out);   /* 90, 90 s, 1.5 min, 2 h, 1 d, 500 ms */
bool value_bytes(const char *text, uint64_t *out);   /* 4096, 512 MiB, 1G: powers of 1024 */
/* One period added to *out: 2000 steps, 1 epoch, 10 min. */
bool value_period(const char *text, struct every_cfg *out);

/* The shortest text that reads back as the same number. */
const char *value_print_real(double x, char *out, size_t size);

#endif
