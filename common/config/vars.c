#include <string.h>

#include "common/config/config.h"
#include "common/config/nearest.h"
#include "common/config/value.h"

enum { MAX_TEXT = 64 * 1024, MAX_VARS = 256 };

struct vars {
    struct arena *arena;
    const struct node *map;
    size_t n_known; /* a variable may use those before it */
    const struct node *seed; /* ${seed}, once it is settled and unless the map has one */
    struct error *err;
};

static enum status unknown(const struct vars *v, const struct node *node, const char *name,
                           size_t n)
{
    const char *known[MAX_VARS];
    size_t n_known = v->n_known < MAX_VARS ? v->n_known : MAX_VARS;
    for (size_t i = 0; i < n_known; i++) known[i] = v->map->keys[i]->text;
    char word[64];
    size_t kept = n < sizeof word ? n : sizeof word - 1;
    memcpy(word, name, kept);
    word[kept] = '\0';
    for (size_t i = v->n_known; v->map && i < v->map->n; i++)
        if (!strcmp(v->map->keys[i]->text, word))
            return config_fail(v->err, node->at, "${%s} is set in 'vars' only after this: a "
                               "variable may use those before it", word);
    config_fail(v->err, node->at, "${%s} is not set in 'vars'", word);
    const char *nearest = nearest_word(word, known, n_known);
    if (nearest) return error_hint(v->err, ST_USAGE, "did you mean ${%s}?", nearest);
    return error_hint(v->err, ST_USAGE, "add it: vars: {%s: VALUE}; a plain ${ is written $${",
                      word);
}

/* The variable at text ("${name}..."): its node and the bytes it takes. */
static enum status lookup(const struct vars *v, const struct node *node, const char *text,
                          const struct node **value, size_t *length)
{
    size_t n = strspn(text + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (!n || text[2 + n] != '}') {
        config_fail(v->err, node->at, "'${' without a name and '}' in '%.60s'", node->text);
        return error_hint(v->err, ST_USAGE, "write ${name}, or $${ for a plain ${");
    }
    for (size_t i = 0; i < v->n_known; i++) {
        const char *name = v->map->keys[i]->text;
        if (strlen(name) != n || memcmp(name, text + 2, n) != 0) continue;
        *value = v->map->items[i];
        *length = n + 3;
        return ST_OK;
    }
    if (v->seed && n == 4 && !memcmp(text + 2, "seed", n)) {
        *value = v->seed;
        *length = n + 3;
        return ST_OK;
    }
    return unknown(v, node, text + 2, n);
}

static bool looks_typed(const char *text)
{
    double x;
    bool b;
    return value_real(text, &x) || value_bool(text, &b);
}

static enum status substitute_text(const struct vars *v, const struct node *node, char *out,
                                   size_t *n)
{
    *n = 0;
    for (const char *c = node->text; *c;) {
        const char *piece = c;
        size_t length = 1, taken = 1;
        if (!strncmp(c, "$${", 3)) {
            piece = c + 1;
            length = 2;
            taken = 3;
        } else if (!strncmp(c, "${", 2)) {
            const struct node *value;
            TRY(lookup(v, node, c, &value, &taken));
            if (value->kind != NODE_SCALAR)
                return config_fail(v->err, node->at,
                                   "%.*s is not a word: it can only stand alone", (int)taken, c);
            piece = value->text;
            length = strlen(piece);
        }
        if (*n + length > MAX_TEXT)
            return config_fail(v->err, node->at, "text is longer than 64 KiB after ${}");
        memcpy(out + *n, piece, length);
        *n += length;
        c += taken;
    }
    return ST_OK;
}

static enum status substitute_scalar(const struct vars *v, struct node **place)
{
    const struct node *node = *place;
    if (!strstr(node->text, "${")) return ST_OK;
    const struct node *whole = NULL;
    size_t length = 0;
    if (!strncmp(node->text, "${", 2)) TRY(lookup(v, node, node->text, &whole, &length));
    if (whole && whole->kind != NODE_SCALAR && !node->text[length]) {
        *place = node_copy(v->arena, whole);
        return *place ? ST_OK : config_no_memory(v->err);
    }
    char *text = mem_alloc(MAX_TEXT);
    if (!text) return config_no_memory(v->err);
    size_t n;
    enum status st = substitute_text(v, node, text, &n);
    if (st == ST_OK) {
        *place = node_scalar(v->arena, text, n, node->plain, node->at);
        if (!*place) st = config_no_memory(v->err);
    }
    mem_free(text);
    /* "${n}" needs its quotes inside {}: what comes out may still be a number. */
    if (st == ST_OK && looks_typed((*place)->text)) (*place)->plain = true;
    return st;
}

static enum status substitute(const struct vars *v, struct node **place)
{
    if ((*place)->kind == NODE_SCALAR) return substitute_scalar(v, place);
    for (size_t i = 0; i < (*place)->n; i++) TRY(substitute(v, &(*place)->items[i]));
    return ST_OK;
}

/* What the file or --set says, in which variables count, or its default. */
static enum status settle_seed(struct vars *v, struct node *root)
{
    size_t at = node_find(root, "seed");
    bool given = at < root->n && !node_is_null(root->items[at]);
    if (given) {
        TRY(substitute(v, &root->items[at]));
        v->seed = root->items[at];
        return ST_OK;
    }
    const char *text = option_find(&option_root, "seed")->def;
    v->seed = node_scalar(v->arena, text, strlen(text), true, root->at);
    return v->seed ? ST_OK : config_no_memory(v->err);
}

enum status vars_substitute(struct arena *a, struct node *root, struct error *err)
{
    struct vars v = {.arena = a, .err = err};
    size_t at = node_find(root, "vars");
    struct node *map = at < root->n ? root->items[at] : NULL;
    if (map) node_remove(root, at);
    if (map && node_is_null(map)) map = NULL;
    if (map && map->kind != NODE_MAP)
        return config_fail(err, map->at, "vars: expected a mapping from names to values");
    v.map = map;
    for (size_t i = 0; map && i < map->n; i++) {
        TRY(substitute(&v, &map->items[i]));
        v.n_known++;
    }
    TRY(settle_seed(&v, root));
    return substitute(&v, &root);
}
