#include "common/config/options.h"

#include <stdio.h>
#include <string.h>

#include "common/config/nearest.h"

enum { MAX_ROWS = 64, MAX_PATH = 256 };

size_t option_count(const struct option_group *group)
{
    return group->n + (group->shared ? option_count(group->shared) : 0);
}

struct option_row option_row(const struct option_group *group, size_t i)
{
    size_t n_shared = group->shared ? option_count(group->shared) : 0;
    if (i >= n_shared) return (struct option_row){group->options + (i - n_shared), 0, false};
    struct option_row row = option_row(group->shared, i);
    row.base += group->shared_offset;
    row.inherits |= group->shared_inherits;
    return row;
}

const struct option *option_find(const struct option_group *group, const char *key)
{
    for (size_t i = 0; i < option_count(group); i++) {
        const struct option *o = option_row(group, i).o;
        if (!strcmp(o->key, key)) return o;
    }
    return NULL;
}

const char *option_nearest(const struct option_group *group, const char *key)
{
    const char *known[MAX_ROWS];
    size_t n = option_count(group);
    if (n > MAX_ROWS) n = MAX_ROWS;
    for (size_t i = 0; i < n; i++) known[i] = option_row(group, i).o->key;
    return nearest_word(key, known, n);
}

/* Cut the first component off a path; "[]" behind a list's name is dropped. */
static const char *next_component(const char *path, char *out, size_t size)
{
    size_t n = strcspn(path, ".");
    size_t kept = n > 2 && !memcmp(path + n - 2, "[]", 2) ? n - 2 : n;
    snprintf(out, size, "%.*s", (int)kept, path);
    return path[n] ? path + n + 1 : NULL;
}

const struct option *option_path(const char *path, const struct option_group **group,
                                 char *bad, size_t size)
{
    const struct option *o = NULL;
    *group = &option_root;
    bool element = false; /* the next component may be an element's name */
    while (path) {
        char part[MAX_PATH];
        path = next_component(path, part, sizeof part);
        const struct option *found = option_find(*group, part);
        if (!found && element && part[0]) {
            element = false;
            continue;
        }
        snprintf(bad, size, "%s", part);
        if (!found || (path && !option_has_group(found))) return NULL;
        o = found;
        if (o->group) *group = o->group;
        element = o->type == OPTION_LIST || o->type == OPTION_NAMED;
    }
    return o;
}

struct walk {
    option_visit_fn visit;
    void *context;
};

static bool walk_group(const struct walk *w, const struct option_group *group,
                       const char *prefix, bool inherits, size_t depth)
{
    for (size_t i = 0; i < option_count(group); i++) {
        struct option_row row = option_row(group, i);
        const struct option *o = row.o;
        char path[MAX_PATH];
        bool from_outside = inherits || row.inherits || (o->flags & OPTION_INHERITS);
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", o->key);
        struct option_place place = {path, o, from_outside, row.inherits, depth};
        if (!w->visit(w->context, &place)) return false;
        if (!o->group) continue;
        char inside[MAX_PATH];
        const char *element = o->group->element ? o->group->element : "NAME";
        snprintf(inside, sizeof inside, "%.200s%s%s%s", path, o->type == OPTION_LIST ? "[]" : "",
                 o->type == OPTION_NAMED ? "." : "", o->type == OPTION_NAMED ? element : "");
        if (!walk_group(w, o->group, inside, from_outside, depth + 1)) return false;
    }
    return true;
}

bool option_walk(option_visit_fn visit, void *context)
{
    struct walk w = {visit, context};
    return walk_group(&w, &option_root, "", false, 0);
}

const char *option_type_text(const struct option *o)
{
    switch (o->type) {
    case OPTION_BOOL:
        return "true or false";
    case OPTION_ENUM:
        return "one word";
    case OPTION_COUNT:
        return "whole number";
    case OPTION_REAL:
        return "number";
    case OPTION_SHARE:
        return "share (0.1 or 10%)";
    case OPTION_COUNT_OR_SHARE:
        return "whole number, or a percentage";
    case OPTION_SECONDS:
        return "duration (120 s, 10 min, 2 h)";
    case OPTION_BYTES:
        return "bytes (512 MiB, 4 GiB)";
    case OPTION_PERIOD:
        return "period or list of periods (2000 steps, 10 min, 1 epoch), or never";
    case OPTION_STRING:
    case OPTION_NAME:
        return "text";
    case OPTION_TEXT:
        return "column or expression";
    case OPTION_STRINGS:
        return "list of texts";
    case OPTION_SIZES:
        return "list of whole numbers";
    case OPTION_PAIRS:
        return "mapping from names to values";
    case OPTION_TRANSFORMS:
        return "list of transforms";
    case OPTION_FIXED:
        return "whole number";
    case OPTION_PRELUDE:
        return !strcmp(o->key, "vars") ? "mapping" : "file, or list of files";
    case OPTION_NOTHING:
        return "nothing";
    case OPTION_GROUP:
        return "mapping";
    case OPTION_CHOICE:
        return "mapping with one key";
    case OPTION_LIST:
        return "list of mappings";
    case OPTION_NAMED:
        return "mapping from names to mappings";
    }
    return "";
}

const char *option_range_text(const struct option *o, char *out, size_t size)
{
    out[0] = '\0';
    if (!option_has_range(o)) return out;
    bool above = (o->flags & OPTION_ABOVE_MIN) != 0;
    if (o->max >= 1e15)
        snprintf(out, size, "%s %.15g", above ? "above" : "at least", o->min);
    else if (above)
        snprintf(out, size, "above %.15g, up to %.15g", o->min, o->max);
    else
        snprintf(out, size, "%.15g to %.15g", o->min, o->max);
    return out;
}

const char *option_choices_text(const struct option *o, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; o->type == OPTION_ENUM && o->names[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " | " : "", o->names[i]);
    for (size_t i = 0; o->type == OPTION_CHOICE && i < o->group->n && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " | " : "",
                                 o->group->options[i].key);
    return out;
}
