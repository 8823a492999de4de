#include "common/config/docs.h"

#include <stdio.h>
#include <string.h>

#include "common/config/buffer.h"
#include "common/config/config.h"

enum { WIDTH = 80, MAX_TEXT = 600 };

/* ---- pieces ---- */

/* The words of an enum that are in a set, by the path of its key. */
static const char *set_text(unsigned set, const char *path, char *out, size_t size)
{
    const struct option_group *group;
    char bad[64];
    const char *const *names = option_path(path, &group, bad, sizeof bad)->names;
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; names[i] && used < size; i++)
        if (set & FOR(i))
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", names[i]);
    return out;
}

/* "whole number, 1 to 4096 floats", "csv | tsv | slot". */
static const char *value_text(const struct option *o, char *out, size_t size)
{
    char range[128], choices[256];
    option_range_text(o, range, sizeof range);
    option_choices_text(o, choices, sizeof choices);
    if (o->type == OPTION_ENUM || o->type == OPTION_FIXED) {
        snprintf(out, size, "%s", *choices ? choices : o->def);
        return out;
    }
    int n = snprintf(out, size, "%s", option_type_text(o));
    if (*choices) n += snprintf(out + n, size - (size_t)n, ": %s", choices);
    if (*range) n += snprintf(out + n, size - (size_t)n, ", %s", range);
    if (o->unit && *range) n += snprintf(out + n, size - (size_t)n, " %s", o->unit);
    if (o->word) snprintf(out + n, size - (size_t)n, ", or %s", o->word);
    return out;
}

static const char *default_text(const struct option *o, bool inherits, char *out, size_t size)
{
    if (o->flags & OPTION_REQUIRED)
        snprintf(out, size, "must be given");
    else if (inherits && !(o->flags & OPTION_INHERITS))
        snprintf(out, size, "as on the outer level");
    else if (o->def)
        snprintf(out, size, "%s", o->def);
    else
        snprintf(out, size, "%s", o->def_text ? o->def_text : "");
    return out;
}

/* ---- explain ---- */

static void put_wrapped(struct buffer *out, const char *text, const char *indent)
{
    size_t column = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column && column + 1 + n > WIDTH - strlen(indent)) {
            buffer_puts(out, "\n");
            column = 0;
        }
        buffer_puts(out, column ? " " : indent);
        buffer_add(out, text, n);
        column += n + (column ? 1 : 0);
        text += n + strspn(text + n, " ");
    }
    buffer_puts(out, "\n");
}

static void put_facts(struct buffer *out, const struct option *o, bool inherits)
{
    char text[MAX_TEXT];
    put_wrapped(out, o->help, "  ");
    buffer_printf(out, "  value:    %s\n", value_text(o, text, sizeof text));
    if (*default_text(o, inherits, text, sizeof text))
        buffer_printf(out, "  default:  %s\n", text);
    if (o->models)
        buffer_printf(out, "  used by:  model type %s\n",
                      set_text(o->models, "model.type", text, sizeof text));
    if (o->kinds)
        buffer_printf(out, "  only for: features of kind %s\n",
                      set_text(o->kinds, "features.kind", text, sizeof text));
}

static void put_keys(struct buffer *out, const struct option_group *group)
{
    buffer_puts(out, "\n  keys:\n");
    for (size_t i = 0; i < option_count(group); i++) {
        struct option_row row = option_row(group, i);
        char text[MAX_TEXT];
        buffer_printf(out, "    %-20s", row.o->key);
        const char *end = strstr(row.o->help, ". ");
        size_t n = end ? (size_t)(end - row.o->help) : strlen(row.o->help) - 1;
        buffer_printf(out, " %.*s", (int)n, row.o->help);
        if (*default_text(row.o, row.inherits, text, sizeof text) && !row.o->group)
            buffer_printf(out, " [%s]", text);
        buffer_puts(out, "\n");
    }
}

enum status docs_explain(const char *key, char **out, struct error *err)
{
    struct buffer b = {0};
    if (!key || !*key) {
        buffer_puts(&b, "Keys at the top level of a configuration:\n");
        put_keys(&b, &option_root);
        return buffer_take(&b, out, err);
    }
    const struct option_group *group;
    char bad[128];
    const struct option *o = option_path(key, &group, bad, sizeof bad);
    if (!o) {
        error_set(err, ST_USAGE, "there is no key '%s': '%s' is unknown", key, bad);
        const char *nearest = option_nearest(group, bad);
        if (nearest) return error_hint(err, ST_USAGE, "did you mean '%s'?", nearest);
        return error_hint(err, ST_USAGE, "'mtps config explain' lists the keys at the top level");
    }
    buffer_printf(&b, "%s\n", key);
    put_facts(&b, o, (o->flags & OPTION_INHERITS) != 0);
    if (o->group) put_keys(&b, o->group);
    return buffer_take(&b, out, err);
}

/* ---- markdown ---- */

static void put_cell(struct buffer *out, const char *text, bool code)
{
    if (code && *text) buffer_puts(out, "`");
    for (const char *c = text; *c; c++) {
        if (*c == '|') buffer_puts(out, "\\");
        buffer_add(out, c, 1);
    }
    if (code && *text) buffer_puts(out, "`");
}

static void put_row(struct buffer *out, const struct option_place *place)
{
    const struct option *o = place->o;
    char text[MAX_TEXT];
    bool code = o->def && !(o->flags & OPTION_REQUIRED) && !place->inherits;
    buffer_puts(out, "| ");
    put_cell(out, place->path, true);
    buffer_puts(out, " | ");
    put_cell(out, value_text(o, text, sizeof text), false);
    buffer_puts(out, " | ");
    if (!o->group || o->flags & OPTION_REQUIRED || o->def_text || o->def)
        put_cell(out, default_text(o, place->inherits, text, sizeof text), code);
    buffer_puts(out, " | ");
    put_cell(out, o->help, false);
    if (o->group && o->group->shared && o->group->shared_inherits)
        buffer_puts(out, " Also takes the keys from `data.format` to `data.missing`.");
    if (o->models)
        buffer_printf(out, " *Used by %s.*",
                      set_text(o->models, "model.type", text, sizeof text));
    if (o->kinds)
        buffer_printf(out, " *Only for kind %s.*",
                      set_text(o->kinds, "features.kind", text, sizeof text));
    buffer_puts(out, " |\n");
}

/* Sections: one for the plain keys at the top, one per mapping below it. */
static bool visit_markdown(void *context, const struct option_place *place)
{
    struct buffer *out = context;
    static const char head[] = "| key | value | default | what it is |\n| --- | --- | --- | --- |\n";
    if (place->shared) return true; /* put_row has said so */
    if (place->depth == 0 && place->o->group) {
        buffer_printf(out, "\n## %s\n\n%s\n\n%s", place->o->key, place->o->help, head);
        return true;
    }
    if (place->depth == 0 && !strcmp(place->path, option_root.options[0].key))
        buffer_puts(out, head);
    put_row(out, place);
    return true;
}

enum status docs_markdown(char **out, struct error *err)
{
    struct buffer b = {0};
    buffer_puts(
        &b,
        "<!-- Generated by `mtps config docs` from the option table; do not edit. -->\n"
        "# Configuration\n\n"
        "A configuration is one YAML file. `mtps config check -c FILE` checks it, `mtps config\n"
        "show -c FILE` prints every value with the place it comes from, and `mtps config explain\n"
        "KEY` prints what this page says about a key. An unknown key is an error. Any value can\n"
        "be changed on the command line: `--set train.batch_size=2048`, `--set\n"
        "tasks.like.weight=0.5`, `--set 'data.train={files: [a.csv], where: \"x == 1\"}'`; elements\n"
        "of `features` are addressed by name, those of `joins` by place from 0; `--set KEY=null`\n"
        "takes a key away.\n\n"
        "Whole numbers may end in k, M or G (thousands); bytes in KiB, MiB, GiB, or k, M, G\n"
        "(powers of 1024). Times are `500 ms`, `120 s`, `10 min`, `2 h`, `1 d`. `NAME`, `TABLE` and\n"
        "`TASK` below stand for names of your own. Expressions: `docs/expressions.md`.\n\n"
        "A file has at most 1 MiB, lines of 64 KiB and 16 levels.\n\n");
    option_walk(visit_markdown, &b);
    return buffer_take(&b, out, err);
}
