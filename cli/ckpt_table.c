#include "cli/ckpt_table.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "build_id.h"
#include "common/base/mem.h"
#include "common/config/nearest.h"
#include "common/store/output.h"
#include "worker/ckpt_import.h"

enum { MAX_TABLES = 4096 };

static enum status missing(const char *verb, const char *option, struct error *err)
{
    error_set(err, ST_USAGE, "ckpt %s: %s is missing", verb, option);
    return error_hint(err, ST_USAGE, "mtps ckpt dump --table T PATH [-o FILE], mtps ckpt import "
                      "--table T --csv FILE [PATH] -o RUN");
}

static enum status find_table(const struct ckpt *c, const char *name, size_t *out,
                              struct error *err)
{
    const char *known[MAX_TABLES];
    size_t n = ckpt_n_tables(c) < MAX_TABLES ? ckpt_n_tables(c) : MAX_TABLES;
    for (*out = 0; *out < n; ++*out) {
        known[*out] = ckpt_table(c, *out)->name;
        if (!strcmp(known[*out], name)) return ST_OK;
    }
    error_set(err, ST_NOINPUT, "ckpt dump: the checkpoint has no table '%s'", name);
    const char *nearest = nearest_word(name, known, n);
    if (nearest) return error_hint(err, ST_NOINPUT, "did you mean '%s'?", nearest);
    return error_hint(err, ST_NOINPUT, "mtps ckpt show PATH lists its tables");
}

enum status ckpt_table_dump(const struct ckpt_table_args *a, struct error *err)
{
    struct ckpt *c;
    struct output *out;
    size_t table;
    if (!a->table) return missing("dump", "--table", err);
    if (!a->path) return missing("dump", "the path of a checkpoint", err);
    const char *path = a->output ? a->output : "-";
    TRY(output_check(path, err));
    TRY(ckpt_open_resolved(a->path, cli_warn, NULL, &c, err));
    enum status st = find_table(c, a->table, &table, err);
    if (st == ST_OK) st = output_open(path, &out, err);
    if (st == ST_OK) {
        st = table_csv_write(c, table, output_stream(out), err);
        st = output_close(out, st, err);
    }
    ckpt_close(c);
    return st;
}

static void print_import(const struct ckpt_table_args *a, const struct table_csv *rows,
                         const char *path)
{
    if (!a->json) {
        printf("%zu rows of table %s, dim %zu: %s\n", rows->n, a->table, rows->dim, path);
        return;
    }
    json_t *doc = json_pack("{s:s, s:s, s:I, s:I}", "checkpoint", path, "table", a->table, "rows",
                            (json_int_t)rows->n, "dim", (json_int_t)rows->dim);
    json_dumpf(doc, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(doc);
}

static bool is_name(const char *name)
{
    size_t n = strlen(name);
    for (const char *c = name; *c; c++)
        if (*c == '/' || (unsigned char)*c < ' ') return false;
    return n > 0 && n <= 255;
}

enum status ckpt_table_import(const struct ckpt_table_args *a, struct error *err)
{
    struct table_csv rows;
    struct ckpt *base = NULL;
    char *path = NULL;
    if (!a->table) return missing("import", "--table", err);
    if (!a->csv) return missing("import", "--csv", err);
    if (!a->output) return missing("import", "-o", err);
    if (!is_name(a->table)) return error_set(err, ST_USAGE, "--table: '%s' cannot be a name", a->table);
    if (a->path) TRY(ckpt_open_resolved(a->path, cli_warn, NULL, &base, err));
    enum status st = table_csv_read(a->csv, &rows, err);
    if (st == ST_OK) {
        struct ckpt_import spec = {a->table, &rows, base, a->output, MTPS_BUILD_ID};
        st = ckpt_import(&spec, &path, err);
        if (st == ST_OK) print_import(a, &rows, path);
        table_csv_close(&rows);
    }
    mem_free(path);
    ckpt_close(base);
    return st;
}
