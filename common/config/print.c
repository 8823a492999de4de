/* The effective tree as YAML. What is printed reads back as the same tree. */
#include <ctype.h>
#include <string.h>

#include "common/config/buffer.h"
#include "common/config/config.h"

enum { INDENT = 2 };

struct printer {
    struct buffer out;
    bool origins;
    enum model_type type;
    const char *type_name;
};

/* ---- words ---- */

static bool starts_plain(const char *text)
{
    unsigned char c = (unsigned char)text[0];
    if (c == '-' || c == '+' || c == '.') return isdigit((unsigned char)text[1]) || c == '.';
    return isalnum(c) || c == '_' || c == '/';
}

/* A cautious subset of what YAML lets stand without quotes, also inside []. */
static bool fits_plain(const char *text)
{
    size_t n = strlen(text);
    if (!n || text[n - 1] == ' ' || !starts_plain(text)) return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_-+./% ", *c)) return false;
    return true;
}

/* Keys hold no variables, so nothing is doubled in them. */
static void put_quoted(struct buffer *out, const char *text, bool key)
{
    buffer_puts(out, "\"");
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buffer_printf(out, "\\%c", *c);
        else if ((unsigned char)*c < ' ')
            buffer_printf(out, "\\x%02x", (unsigned)*c);
        else if (!key && c[0] == '$' && c[1] == '{')
            buffer_puts(out, "$$");
        else
            buffer_add(out, c, 1);
    }
    buffer_puts(out, "\"");
}

static void put_word(struct buffer *out, const struct node *node, bool key)
{
    if (node->plain && fits_plain(node->text))
        buffer_puts(out, node->text);
    else
        put_quoted(out, node->text, key);
}

static void put_flow(struct buffer *out, const struct node *node)
{
    if (node->kind == NODE_SCALAR) {
        put_word(out, node, false);
        return;
    }
    bool map = node->kind == NODE_MAP;
    buffer_puts(out, map ? "{" : "[");
    for (size_t i = 0; i < node->n; i++) {
        if (i) buffer_puts(out, ", ");
        if (map) {
            put_word(out, node->keys[i], true);
            buffer_puts(out, ": ");
        }
        put_flow(out, node->items[i]);
    }
    buffer_puts(out, map ? "}" : "]");
}

/* ---- lines ---- */

static void end_line(struct printer *p, const struct node *node, bool unused)
{
    if (p->origins) {
        buffer_printf(&p->out, "  # %s", node->at.file ? node->at.file : "default");
        if (node->at.line) buffer_printf(&p->out, ":%u", node->at.line);
        if (unused) buffer_printf(&p->out, ", not used by type %s", p->type_name);
    }
    buffer_puts(&p->out, "\n");
}

static void put_indent(struct printer *p, size_t depth)
{
    for (size_t i = 0; i < depth * INDENT; i++) buffer_puts(&p->out, " ");
}

static void put_map(struct printer *p, const struct option_group *group,
                    const struct node *map, size_t depth, bool unused);

/* Elements of `features` and `joins`: "- " and the keys below each other. */
static void put_elements(struct printer *p, const struct option_group *group,
                         const struct node *list, size_t depth, bool unused)
{
    for (size_t i = 0; i < list->n; i++) {
        size_t start = p->out.n + depth * INDENT;
        put_map(p, group, list->items[i], depth + 1, unused);
        if (!p->out.failed) p->out.text[start] = '-';
    }
}

static void put_entry(struct printer *p, const struct option *o, const struct node *value,
                      size_t depth, bool unused)
{
    bool named = o && o->type == OPTION_NAMED;
    bool elements = o && o->type == OPTION_LIST && value->n;
    bool block = value->kind == NODE_MAP && value->n;
    buffer_puts(&p->out, ":");
    if (!block && !elements) {
        buffer_puts(&p->out, " ");
        put_flow(&p->out, value);
        end_line(p, value, unused);
        return;
    }
    buffer_puts(&p->out, "\n");
    const struct option_group *inside = o ? o->group : NULL;
    if (elements) {
        put_elements(p, inside, value, depth + 1, unused);
        return;
    }
    for (size_t i = 0; named && i < value->n; i++) {
        put_indent(p, depth + 1);
        put_word(&p->out, value->keys[i], true);
        if (value->items[i]->n) {
            buffer_puts(&p->out, ":\n");
            put_map(p, inside, value->items[i], depth + 2, unused);
        } else {
            buffer_puts(&p->out, ": {}");
            end_line(p, value->items[i], unused);
        }
    }
    if (!named) put_map(p, inside, value, depth + 1, unused);
}

static void put_map(struct printer *p, const struct option_group *group,
                    const struct node *map, size_t depth, bool unused)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct option *o = group ? option_find(group, map->keys[i]->text) : NULL;
        bool not_used = unused || (o && o->models && !(o->models & FOR(p->type)));
        put_indent(p, depth);
        put_word(&p->out, map->keys[i], true);
        put_entry(p, o, map->items[i], depth, not_used);
    }
}

enum status settings_print(const struct settings *s, bool origins, char **out,
                           struct error *err)
{
    struct printer p = {
        .origins = origins, .type = s->model.type, .type_name = settings_model_name(s)};
    put_map(&p, &option_root, s->tree->root, 0, false);
    return buffer_take(&p.out, out, err);
}
