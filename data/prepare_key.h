/* The key of a prepared file: what is computed (schema), from what (names, sizes
 * and contents of raw files), by which rules (versions). */
#ifndef MTPS_DATA_PREPARE_KEY_H
#define MTPS_DATA_PREPARE_KEY_H

#include "data/prepare.h"

enum { PREPARE_KEY_HEX = 33 }; /* with the final 0 */

/* ST_STOPPED when opt asks for it. */
enum status prepare_key(const struct schema *s, const struct source_cfg *source,
                        const struct prepare_options *opt, char key[PREPARE_KEY_HEX], struct error *err) MUST_USE;

#endif
