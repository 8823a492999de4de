/* mtps export: a checkpoint as a bundle that the inference library reads. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build_id.h"
#include "cli/cli.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "serve/export.h"

enum { KEY_JSON = 1000, KEY_VERSION, KEY_ROWS, KEY_MIN_COUNT, KEY_MAX_AGE, KEY_WITH_JOINS, KEY_PROJECT, KEY_DELTA_FROM, KEY_TO, KEY_ONNX_ROWS, KEY_ITEM_VECTORS, KEY_ITEM_KEY, MAX_FILES = 4096 };

struct args {
    struct export_spec spec;
    const char *item_files[MAX_FILES];
    bool json, onnx_rows_given;
};

static uint64_t count(struct argp_state *state, const char *name, const char *arg, uint64_t least)
{
    char *end;
    unsigned long long v = strtoull(arg, &end, 10);
    if (!*arg || *end || *arg == '-' || v < least || v > INT64_MAX)
        argp_error(state, "--%s: '%s' is not a whole number from %llu to %lld", name, arg, (unsigned long long)least, (long long)INT64_MAX);
    return v;
}

static enum section_type row_type(struct argp_state *state, const char *arg)
{
    static const enum section_type types[] = {SECTION_F32, SECTION_F16, SECTION_I8};
    static const char *const names[] = {"f32", "f16", "int8"};
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(arg, names[i])) return types[i];
    argp_error(state, "--rows: '%s' is none of f32, f16, int8", arg);
    return SECTION_F32;
}

static void check_usage(struct argp_state *state, const struct args *a)
{
    if (!a->spec.ckpt) argp_error(state, "--ckpt is missing: name a checkpoint or a run directory");
    if (!a->spec.dir) argp_error(state, "-o is missing: name the folder that gets the version's folder");
    if (a->onnx_rows_given && !a->spec.onnx) argp_error(state, "--onnx-rows is for --to onnx and --to triton");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case 'k':
        a->spec.ckpt = arg;
        return 0;
    case 'o':
        a->spec.dir = arg;
        return 0;
    case KEY_VERSION:
        a->spec.version = count(state, "version", arg, 1);
        return 0;
    case KEY_ROWS:
        a->spec.rows = row_type(state, arg);
        return 0;
    case KEY_MIN_COUNT:
        a->spec.min_count = count(state, "min-count", arg, 1);
        return 0;
    case KEY_MAX_AGE:
        a->spec.max_age = count(state, "max-age", arg, 1);
        return 0;
    case KEY_WITH_JOINS:
        a->spec.with_joins = true;
        return 0;
    case KEY_PROJECT:
        a->spec.project = true;
        return 0;
    case KEY_DELTA_FROM:
        a->spec.delta_from = arg;
        return 0;
    case KEY_TO:
        a->spec.triton = !strcmp(arg, "triton");
        a->spec.onnx = a->spec.triton || !strcmp(arg, "onnx");
        if (!a->spec.onnx && strcmp(arg, "bundle") != 0)
            argp_error(state, "--to: '%s' is none of bundle, onnx, triton", arg);
        return 0;
    case KEY_ITEM_VECTORS:
    case ARGP_KEY_ARG:
        if (key == ARGP_KEY_ARG && !a->spec.n_item_files)
            argp_error(state, "unexpected argument '%s': files of items follow --item-vectors", arg);
        if (a->spec.n_item_files == MAX_FILES) argp_error(state, "--item-vectors: more than %d files", MAX_FILES);
        a->item_files[a->spec.n_item_files++] = arg;
        return 0;
    case KEY_ITEM_KEY:
        a->spec.item_key = arg;
        return 0;
    case KEY_ONNX_ROWS:
        a->spec.onnx_rows = count(state, "onnx-rows", arg, 0);
        a->onnx_rows_given = true;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_END:
        check_usage(state, a);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"ckpt", 'k', "PATH", 0, "checkpoint, or run directory (its best checkpoint, else the newest)", 0},
    {"output", 'o', "DIR", 0, "folder of versions; DIR/VERSION is made", 0},
    {"to", KEY_TO, "bundle|onnx|triton", 0, "form (default: bundle); triton: ONNX, and config.pbtxt in -o, which is a model of a Triton repository then", 0},
    {"onnx-rows", KEY_ONNX_ROWS, "N", 0, "with --to onnx: tables go inside up to N rows in all, else beside it (default: 2000000)", 0},
    {"version", KEY_VERSION, "N", 0, "number of the version (default: the step, at least 1)", 0},
    {"rows", KEY_ROWS, "f32|f16|int8", 0, "how embedding rows are kept (default: f32)", 0},
    {"min-count", KEY_MIN_COUNT, "N", 0, "leave out ids that occurred less often", 0},
    {"max-age", KEY_MAX_AGE, "STEPS", 0, "leave out ids that did not occur in that many last steps", 0},
    {"with-joins", KEY_WITH_JOINS, NULL, 0, "put the side tables of data.joins into the bundle, so that requests need not carry their columns", 0},
    {"project", KEY_PROJECT, NULL, 0, "also keep rows multiplied by the first layer: scoring is faster, the file larger, scores within 1e-6", 0},
    {"delta-from", KEY_DELTA_FROM, "PATH", 0, "write only the rows that differ from a complete version in -o, and the dense part. PATH: that version; or a folder of versions, of which the newest complete one is taken; or the checkpoint that it was exported from", 0},
    {"item-vectors", KEY_ITEM_VECTORS, "FILE...", 0, "two_tower: also write the items' vectors, of the rows of these files", 0},
    {"item-key", KEY_ITEM_KEY, "COL", 0, "column of these files that names an item", 0},
    {"json", KEY_JSON, NULL, 0, "print the result as JSON", 0},
    {0}};
static const struct argp argp = {options, parse, "[FILE...]",
                                 "Write a checkpoint as a bundle: what the inference library, 'mtps predict --bundle' "
                                 "and a serving process need, in one file that is read in place.",
                                 NULL, NULL, NULL};

static void print_result(const struct args *a, const struct export_result *r)
{
    if (!a->json) {
        printf("%llu of %llu rows, %llu bytes: %s\n", (unsigned long long)r->rows, (unsigned long long)r->rows_all,
               (unsigned long long)r->bytes, r->path);
        return;
    }
    json_t *doc = json_pack("{s:s, s:s*, s:I, s:I, s:I, s:I}", "path", r->path, "id", *r->id ? r->id : NULL, "version",
                            (json_int_t)r->version, "step", (json_int_t)r->step, "rows", (json_int_t)r->rows, "bytes",
                            (json_int_t)r->bytes);
    char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    if (text) puts(text);
    free(text);
    json_decref(doc);
}

static void warn(void *unused, const char *text)
{
    (void)unused;
    log_line(LOG_WARN, "export", "%s", text);
}

int cmd_export(int argc, char **argv)
{
    static struct args a = {.spec = {.rows = SECTION_F32,
                                     .onnx_rows = 2000000,
                                     .item_files = a.item_files,
                                     .build = MTPS_BUILD_ID,
                                     .warn = warn}};
    struct export_result result = {0};
    struct error err;
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = export_bundle(&a.spec, &result, &err);
    if (st == ST_OK) print_result(&a, &result);
    mem_free(result.path);
    return cli_finish(st, &err);
}
