/* mtps ckpt dump and import: rows of one table as csv. */
#ifndef MTPS_CLI_CKPT_TABLE_H
#define MTPS_CLI_CKPT_TABLE_H

#include "cli/cli.h"

struct ckpt_table_args {
    const char *path; /* checkpoint or run directory; import: NULL, or what else is kept */
    const char *table, *csv, *output;
    bool json;
};
enum status ckpt_table_dump(const struct ckpt_table_args *a, struct error *err) MUST_USE;
enum status ckpt_table_import(const struct ckpt_table_args *a, struct error *err) MUST_USE;

#endif
