/* What the option table says, for readers: one key, all keys, a schema. */
#ifndef MTPS_CONFIG_DOCS_H
#define MTPS_CONFIG_DOCS_H

#include "common/base/status.h"

/* Describe a key ("train.batch_size", "tasks.click.label"), or, for a mapping,
 * it and the keys inside; NULL or "" describes the top level. ST_USAGE with the
 * nearest key when there is none. Caller frees with mem_free. */
enum status docs_explain(const char *key, char **out, struct error *err) MUST_USE;

/* docs/configuration.md. Caller frees with mem_free. */
enum status docs_markdown(char **out, struct error *err) MUST_USE;

/* JSON Schema (draft 2020-12) for editors. Caller frees with mem_free. */
enum status docs_schema(char **out, struct error *err) MUST_USE;

#endif
