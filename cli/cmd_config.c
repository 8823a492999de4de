/* mtps config: look at configurations. check reads the data's header lines too. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/base/mem.h"
#include "common/config/docs.h"
#include "common/config/nearest.h"
#include "data/dataset.h"

struct config_args {
    struct common_args common;
    const char *verb, *key;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct config_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case ARGP_KEY_ARG:
        if (!a->verb)
            a->verb = arg;
        else if (!a->key)
            a->key = arg;
        else
            argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    NULL,
    parse,
    "check -c FILE\nshow -c FILE\nexplain [KEY]\nschema",
    "Look at configurations."
    "\v"
    "check    read FILE with what it includes and the header lines of its data, and report\n"
    "         what is wrong\n"
    "show     every value with its place: FILE:LINE, --set or default\n"
    "explain  what a key means, its values and its default\n"
    "schema   a JSON Schema for editors\n",
    children,
    NULL,
    NULL};

static enum status print_text(char *text, bool json, struct error *err)
{
    int failed;
    if (json) {
        json_t *doc = json_pack("{s:s}", "text", text);
        failed = !doc || json_dumpf(doc, stdout, JSON_COMPACT);
        json_decref(doc);
        putchar('\n');
    } else {
        failed = fputs(text, stdout) < 0;
    }
    mem_free(text);
    return failed ? cli_not_written(err) : ST_OK;
}

static json_t *warnings_json(const struct list_cfg *warnings, const char *unread)
{
    json_t *list = json_array();
    for (size_t i = 0; i < warnings->n; i++)
        json_array_append_new(list, json_string(warnings->v[i]));
    if (unread) json_array_append_new(list, json_string(unread));
    return list;
}

static enum status print_check(const struct config_args *a, const struct settings *s,
                               const char *unread, struct error *err)
{
    const struct list_cfg *warnings = settings_warnings(s);
    if (!a->common.json) {
        size_t n_names = 0; /* a pattern is one name */
        for (size_t i = 0; i < s->n_features; i++) n_names += s->features[i].names.n;
        if (unread) fprintf(stderr, "warning: columns were not checked: %s\n", unread);
        printf("%s: fine (%zu features, %zu tasks, %zu warnings)\n", a->common.config, n_names,
               s->n_tasks, warnings->n + (unread != NULL));
        return ST_OK;
    }
    json_t *doc = json_pack("{s:s, s:s, s:o}", "config", a->common.config, "name", s->name,
                            "warnings", warnings_json(warnings, unread));
    int failed = !doc || json_dumpf(doc, stdout, JSON_COMPACT);
    json_decref(doc);
    putchar('\n');
    return failed ? cli_not_written(err) : ST_OK;
}

static enum status check(const struct config_args *a, struct error *err)
{
    struct settings *s;
    char *unread = NULL;
    TRY(cli_settings(&a->common, &s, err));
    enum status st = schema_check(s, &unread, err);
    if (st == ST_OK) st = print_check(a, s, unread, err);
    mem_free(unread);
    settings_destroy(s);
    return st;
}

static enum status show(const struct config_args *a, struct error *err)
{
    struct settings *s;
    TRY(cli_settings(&a->common, &s, err));
    char *text;
    enum status st = settings_print(s, !a->common.json, &text, err);
    if (st == ST_OK) st = print_text(text, a->common.json, err);
    settings_destroy(s);
    return st;
}

static enum status explain(const struct config_args *a, struct error *err)
{
    char *text;
    TRY(docs_explain(a->key, &text, err));
    return print_text(text, a->common.json, err);
}

static enum status schema(const struct config_args *a, struct error *err)
{
    (void)a;
    char *text;
    TRY(docs_schema(&text, err));
    TRY(print_text(text, false, err));
    putchar('\n');
    return ST_OK;
}

/* docs/configuration.md; for this project's own upkeep, so help does not list it. */
static enum status docs(const struct config_args *a, struct error *err)
{
    (void)a;
    char *text;
    TRY(docs_markdown(&text, err));
    return print_text(text, false, err);
}

struct verb {
    const char *name;
    enum status (*run)(const struct config_args *a, struct error *err);
};

static enum status run(const struct config_args *a, struct error *err)
{
    static const struct verb verbs[] = {
        {"check", check}, {"show", show}, {"explain", explain}, {"schema", schema}, {"docs", docs}};
    static const char *const known[] = {"check", "show", "explain", "schema"};
    if (!a->verb) {
        error_set(err, ST_USAGE, "config: what is to be done is not said");
        return error_hint(err, ST_USAGE, "one of check, show, explain, schema");
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].name, a->verb) != 0) continue;
        if (a->key && verbs[i].run != explain) {
            error_set(err, ST_USAGE, "config %s: unexpected argument '%s'", a->verb, a->key);
            return error_hint(err, ST_USAGE, "the configuration is named with -c FILE");
        }
        return verbs[i].run(a, err);
    }
    error_set(err, ST_USAGE, "config: there is no '%s'", a->verb);
    const char *nearest = nearest_word(a->verb, known, sizeof known / sizeof *known);
    if (nearest) return error_hint(err, ST_USAGE, "did you mean '%s'?", nearest);
    return error_hint(err, ST_USAGE, "one of check, show, explain, schema");
}

int cmd_config(int argc, char **argv)
{
    struct config_args a = {0};
    struct error err = {0};
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = run(&a, &err);
    mem_free(a.common.sets);
    return cli_finish(st, &err);
}
