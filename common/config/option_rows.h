/* How rows of the option table are written; for the files of the table alone. */
#ifndef MTPS_CONFIG_OPTION_ROWS_H
#define MTPS_CONFIG_OPTION_ROWS_H

#include "common/config/options.h"
#include "common/config/settings.h"

#define AT(type, field) .offset = offsetof(struct type, field)
#define N_AT(type, field) .offset_n = offsetof(struct type, field)
#define FLAG(type, field) .flag = offsetof(struct type, field) + 1
#define ROWS(array) .options = array, .n = sizeof(array) / sizeof *(array)
#define ELEMENT(type) .size = sizeof(struct type), .at = offsetof(struct type, at) + 1
#define UP_TO_ANY .max = 4e18

#endif
