/* One written value -> one field of struct settings, by its row of the table. */
#ifndef MTPS_CONFIG_READ_H
#define MTPS_CONFIG_READ_H

#include "common/config/config.h"

/* Check value against the row and store it.
 *   path   of the key, for messages: "train.batch_size"
 *   field  where it goes: what the row's type says (options.h); for
 *          OPTION_TRANSFORMS the struct feature_cfg
 *   flag   the row's bool, or NULL
 * Values with keys inside (groups, choices, lists of groups) are not read here. */
enum status read_value(struct arena *a, const struct option *o, const char *path,
                       const struct node *value, void *field, bool *flag,
                       struct error *err) MUST_USE;

/* "expected TYPE, not VALUE", with the key's range as hint. */
enum status read_wrong_type(const struct option *o, const char *path, const struct node *value,
                            struct error *err);

#endif
