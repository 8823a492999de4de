/* mtps ckpt: look at checkpoints, take rows out and in. Without MPI. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ckpt_table.h"
#include "common/base/mem.h"
#include "common/store/ckpt.h"

struct ckpt_args {
    struct common_args common;
    const char *verb, *path;
    struct ckpt_table_args table; /* dump, import */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct ckpt_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 't':
        a->table.table = arg;
        return 0;
    case 'F':
        a->table.csv = arg;
        return 0;
    case 'o':
        a->table.output = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (!a->verb)
            a->verb = arg;
        else if (!a->path)
            a->path = arg;
        else
            argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"table", 't', "T", 0, "dump, import: the table", 0},
    {"csv", 'F', "FILE", 0, "import: rows, a header line like id,w0,w1 or key,w0,w1 first", 0},
    {"output", 'o', "PATH", 0, "dump: file (default: standard output); import: run directory of the "
                               "new checkpoint", 0},
    {0}};
static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options,
    parse,
    "ls DIR\nshow PATH\nverify PATH\ndigest PATH\ndump --table T PATH\nimport --table T --csv FILE "
    "[PATH] -o RUN",
    "Look at checkpoints, take rows of a table out and in. PATH is a checkpoint or a run "
    "directory (its best checkpoint when one is named, else the newest); DIR is a run directory "
    "or its folder of checkpoints."
    "\v"
    "ls      every checkpoint with its step, rows, bytes, and what is wrong with it\n"
    "show    tables, tensors and files of a checkpoint\n"
    "verify  read all of it and check every hash, row and number: exit 0, or 66; of a run "
    "directory every checkpoint\n"
    "digest  a number that depends on the contents only, not on the number of servers\n"
    "dump    rows of a table as csv: key, count, last_step, weights\n"
    "import  a checkpoint with the rows of a csv, and all that PATH holds besides, which "
    "stays as it is; hot_start.from takes it",
    children,
    NULL,
    NULL};

static uint64_t total_bytes(const struct ckpt *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < ckpt_n_files(c); i++) n += ckpt_file(c, i)->bytes;
    return n;
}

static enum status print_json(json_t *doc, struct error *err)
{
    if (!doc) return error_set(err, ST_INTERNAL, "the result cannot be printed as JSON");
    int failed = json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(doc);
    putchar('\n');
    return failed ? cli_not_written(err) : ST_OK;
}

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

/* ---- ls ---- */

static enum status folder_of(const char *path, char *out, size_t size, struct error *err)
{
    int n = snprintf(out, size, "%s/checkpoints", path);
    if (n < 0 || (size_t)n >= size)
        return error_set(err, ST_NOINPUT, "%s: the path is too long", path);
    if (!file_is_dir(out)) snprintf(out, size, "%s", path);
    if (file_is_dir(out)) return ST_OK;
    return error_set(err, ST_NOINPUT, "%s: no such folder", path);
}

/* One line, or one object added to the list. */
static void list_one(const char *dir, const char *name, json_t *list)
{
    char path[4096 + 300];
    struct error why = {0};
    struct ckpt *c = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    bool ok = ckpt_open(path, false, &c, &why) == ST_OK;
    uint64_t rows = ok ? ckpt_count_rows(c).rows : 0, bytes = ok ? total_bytes(c) : 0;
    if (list) {
        json_t *o = json_pack("{s:s, s:b}", "path", path, "valid", ok);
        if (ok) {
            json_object_set_new(o, "step", number(ckpt_meta(c)->step));
            json_object_set_new(o, "rows", number(rows));
            json_object_set_new(o, "bytes", number(bytes));
        } else {
            json_object_set_new(o, "error", json_string(why.text));
        }
        json_array_append_new(list, o);
    } else if (ok) {
        printf("%-20s  step %-12" PRIu64 "  %12" PRIu64 " rows  %14" PRIu64 " bytes\n",
               name, ckpt_meta(c)->step, rows, bytes);
    } else {
        printf("%-20s  not usable: %s\n", name, why.text);
    }
    ckpt_close(c);
}

static enum status run_ls(const struct ckpt_args *a, struct error *err)
{
    char dir[4096];
    const char **names;
    size_t n;
    TRY(folder_of(a->path, dir, sizeof dir, err));
    TRY(file_list(dir, &names, &n, err));
    json_t *list = a->common.json ? json_array() : NULL;
    for (size_t i = 0; i < n; i++)
        if (!strncmp(names[i], "step-", 5)) list_one(dir, names[i], list);
    mem_free(names);
    return a->common.json ? print_json(list, err) : ST_OK;
}

/* ---- show ---- */

static json_t *tables_json(const struct ckpt *c)
{
    json_t *list = json_array();
    for (size_t t = 0; t < ckpt_n_tables(c); t++) {
        const struct ckpt_table *table = ckpt_table(c, t);
        json_t *slots = json_array();
        for (size_t i = 0; i < table->n_slots; i++)
            json_array_append_new(slots, json_string(table->slot_name[i]));
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:o, s:o}", "name", table->name,
                                        "dim", number(table->dim), "rows",
                                        number(ckpt_table_rows(c, t)), "slots", slots));
    }
    return list;
}

static json_t *tensors_json(const struct ckpt *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ckpt_n_tensors(c); i++) {
        struct named_array a = ckpt_tensor_shape(c, i);
        json_array_append_new(list, json_pack("{s:s, s:[o, o]}", "name", a.name, "shape",
                                              number(a.rows), number(a.cols)));
    }
    return list;
}

static json_t *files_json(const struct ckpt *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ckpt_n_files(c); i++) {
        const struct ckpt_file_info *f = ckpt_file(c, i);
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:s}", "name", f->name,
                                              "bytes", number(f->bytes), "rows",
                                              number(f->rows), "sha256", f->sha256));
    }
    return list;
}

static json_t *show_json(const struct ckpt *c, const char *path)
{
    const struct ckpt_meta *m = ckpt_meta(c);
    struct digest d;
    char hex[33], seed[24];
    ckpt_digest(c, &d);
    digest_hex(&d, hex);
    snprintf(seed, sizeof seed, "%" PRIu64, m->seed);
    json_t *slots = json_array();
    for (size_t i = 0; i < ckpt_n_slots(c); i++)
        json_array_append_new(slots, json_string(ckpt_slot(c, i)));
    return json_pack("{s:s, s:o, s:o, s:f, s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:o, "
                     "s:o, s:o, s:o, s:s}",
                     "path", path, "step", number(m->step), "updates", number(m->updates),
                     "epoch", m->epoch, "seed", seed, "lanes", number(m->lanes),
                     "batch_size", number(m->batch_size), "attempt", number(m->attempt),
                     "run_uuid", m->run_uuid, "build", m->build, "data_digest",
                     m->data_digest, "digest", hex, "tables", tables_json(c), "tensors",
                     tensors_json(c), "dense_slots", slots, "files", files_json(c),
                     "config", m->config);
}

static void print_tables(const struct ckpt *c)
{
    for (size_t t = 0; t < ckpt_n_tables(c); t++) {
        const struct ckpt_table *table = ckpt_table(c, t);
        if (!table->dim) {
            printf("ids     %-32s %" PRIu64 "\n", table->name, ckpt_table_rows(c, t));
            continue;
        }
        printf("table   %-32s dim %-5zu rows %-12" PRIu64 " slots", table->name,
               table->dim, ckpt_table_rows(c, t));
        for (size_t i = 0; i < table->n_slots; i++) printf(" %s", table->slot_name[i]);
        puts(table->n_slots ? "" : " none");
    }
}

static void print_summary(const struct ckpt *c, const char *path)
{
    const struct ckpt_meta *m = ckpt_meta(c);
    struct digest d;
    char hex[33];
    ckpt_digest(c, &d);
    digest_hex(&d, hex);
    printf("checkpoint %s\n", path);
    printf("step %" PRIu64 "  updates %" PRIu64 "  epoch %g  seed %" PRIu64
           "  lanes %" PRIu64 "  batch_size %" PRIu64 "\n",
           m->step, m->updates, m->epoch, m->seed, m->lanes, m->batch_size);
    printf("run %s  attempt %" PRIu64 "  build %s\n", m->run_uuid, m->attempt, m->build);
    printf("digest %s\n", hex);
    print_tables(c);
    for (size_t i = 0; i < ckpt_n_tensors(c); i++) {
        struct named_array a = ckpt_tensor_shape(c, i);
        printf("tensor  %-32s [%zu, %zu]\n", a.name, a.rows, a.cols);
    }
    printf("slots of the tensors:");
    for (size_t i = 0; i < ckpt_n_slots(c); i++) printf(" %s", ckpt_slot(c, i));
    puts(ckpt_n_slots(c) ? "" : " none");
    for (size_t i = 0; i < ckpt_n_files(c); i++) {
        const struct ckpt_file_info *f = ckpt_file(c, i);
        printf("file    %-32s %14" PRIu64 " bytes %12" PRIu64 " rows\n", f->name,
               f->bytes, f->rows);
    }
}

static enum status show(const struct ckpt_args *a, const struct ckpt *c, const char *path,
                        struct error *err)
{
    if (a->common.json) return print_json(show_json(c, path), err);
    print_summary(c, path);
    return ST_OK;
}

/* ---- digest, verify ---- */

static enum status print_digest(const struct ckpt_args *a, const struct ckpt *c,
                                const char *path, struct error *err)
{
    struct digest d;
    char hex[33];
    struct ckpt_counts n = ckpt_count_rows(c);
    (void)path;
    ckpt_digest(c, &d);
    digest_hex(&d, hex);
    if (a->common.json)
        return print_json(json_pack("{s:s, s:o, s:o, s:o}", "digest", hex, "rows",
                                    number(n.rows), "waiting", number(n.waiting), "step",
                                    number(ckpt_meta(c)->step)),
                          err);
    puts(hex);
    return ST_OK;
}

static json_t *verified_json(const struct ckpt *c, const char *path)
{
    return json_pack("{s:s, s:b, s:o, s:o, s:o}", "path", path, "valid", 1, "step",
                     number(ckpt_meta(c)->step), "rows", number(ckpt_count_rows(c).rows), "bytes",
                     number(total_bytes(c)));
}

static void print_valid(const struct ckpt *c, const char *path)
{
    printf("%s: valid, step %" PRIu64 ", %" PRIu64 " rows, %" PRIu64 " bytes\n", path,
           ckpt_meta(c)->step, ckpt_count_rows(c).rows, total_bytes(c));
}

static enum status print_verified(const struct ckpt_args *a, const struct ckpt *c,
                                  const char *path, struct error *err)
{
    if (a->common.json) return print_json(verified_json(c, path), err);
    print_valid(c, path);
    return ST_OK;
}

/* ---- verify a run directory ---- */

/* One line, or one object added to the list. A failure that is not the file's ends it. */
static enum status verify_one(const char *path, json_t *list, struct error *err)
{
    struct ckpt *c;
    enum status st = ckpt_verify(path, err);
    if (st == ST_OK) st = ckpt_open(path, false, &c, err);
    if (st != ST_OK) {
        if (list)
            json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "path", path, "valid", 0,
                                                  "error", err->text));
        else
            printf("%s: damaged\n", path);
        return st;
    }
    if (list)
        json_array_append_new(list, verified_json(c, path));
    else
        print_valid(c, path);
    ckpt_close(c);
    return ST_OK;
}

/* The first failure is the error; the others are said where they are found. */
static enum status verify_all(const char *dir, json_t *list, struct error *err)
{
    const char **names;
    size_t n, n_seen = 0, n_bad = 0;
    enum status worst = ST_OK;
    TRY(file_list(dir, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        char path[4096 + 300];
        struct error why;
        if (strncmp(names[i], "step-", 5)) continue;
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        n_seen++;
        enum status st = verify_one(path, list, &why);
        if (st != ST_OK && !n_bad++) {
            worst = st;
            *err = why;
        }
    }
    mem_free(names);
    if (!n_seen) return error_set(err, ST_NOINPUT, "%s: holds no checkpoint", dir);
    if (n_bad) error_hint(err, worst, "%zu of %zu checkpoints are damaged", n_bad, n_seen);
    return worst;
}

static enum status run_verify(const struct ckpt_args *a, struct error *err)
{
    char dir[4096];
    TRY(folder_of(a->path, dir, sizeof dir, err));
    json_t *list = a->common.json ? json_array() : NULL;
    enum status st = verify_all(dir, list, err);
    if (!list) return st;
    struct error ignored;
    enum status printed = print_json(json_pack("{s:s, s:b, s:o}", "path", a->path, "valid",
                                               st == ST_OK, "checkpoints", list),
                                     st == ST_OK ? err : &ignored);
    return st == ST_OK ? printed : st;
}

struct verb {
    const char *name;
    bool verify, hashes;
    enum status (*print)(const struct ckpt_args *a, const struct ckpt *c,
                         const char *path, struct error *err);
};

static const struct verb verbs[] = {
    {"show", false, false, show},
    {"verify", true, false, print_verified},
    {"digest", false, true, print_digest}, /* of what is there, so the hashes must hold */
};

static enum status run_on_checkpoint(const struct ckpt_args *a, const struct verb *verb,
                                     struct error *err)
{
    char *path;
    struct ckpt *c;
    TRY(ckpt_resolve(a->path, cli_warn, NULL, &path, err));
    enum status st = verb->verify ? ckpt_verify(path, err) : ST_OK;
    if (st == ST_OK) st = ckpt_open(path, verb->hashes, &c, err);
    if (st == ST_OK) {
        st = verb->print(a, c, path, err);
        ckpt_close(c);
    }
    mem_free(path);
    return st;
}

static enum status run(const struct ckpt_args *a, struct error *err)
{
    struct ckpt_table_args table = a->table;
    table.path = a->path;
    table.json = a->common.json;
    if (a->verb && !strcmp(a->verb, "dump")) return ckpt_table_dump(&table, err);
    if (a->verb && !strcmp(a->verb, "import")) return ckpt_table_import(&table, err);
    if (!a->verb) {
        error_set(err, ST_USAGE, "ckpt: give a command");
    } else if (!a->path) {
        error_set(err, ST_USAGE,
                  "ckpt %s: give the path of a checkpoint or run directory", a->verb);
    } else {
        if (!strcmp(a->verb, "ls")) return run_ls(a, err);
        if (!strcmp(a->verb, "verify") && file_is_dir(a->path) && !ckpt_is(a->path))
            return run_verify(a, err);
        for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
            if (!strcmp(a->verb, verbs[i].name))
                return run_on_checkpoint(a, &verbs[i], err);
        error_set(err, ST_USAGE, "ckpt: unknown command '%s'", a->verb);
    }
    return error_hint(err, ST_USAGE, "mtps ckpt ls|show|verify|digest|dump|import PATH");
}

int cmd_ckpt(int argc, char **argv)
{
    struct ckpt_args a = {0};
    struct error err = {0};
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = run(&a, &err);
    free(a.common.sets);
    return cli_finish(st, &err);
}
