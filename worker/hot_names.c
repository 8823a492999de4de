#include "worker/hot_names.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>

/* ---- parts of a name ---- */

static struct hot_part component(const char *at)
{
    return (struct hot_part){at, strcspn(at, "/")};
}

static bool is_level(struct hot_part p)
{
    return p.n > 5 && !strncmp(p.at, "level", 5) && strspn(p.at + 5, "0123456789") == p.n - 5;
}

struct hot_part hot_task(const char *name)
{
    const struct hot_part none = {name, 0};
    struct hot_part p = component(name);
    if (hot_part_is(p, "table") || !p.at[p.n]) return none;
    p = component(p.at + p.n + 1);
    if (!is_level(p)) return p;
    return p.at[p.n] ? component(p.at + p.n + 1) : none;
}

size_t hot_features(const char *name, struct hot_part out[HOT_FEATURES])
{
    static const char *const before[] = {"/w/", "/v/", "/u/", "/b/"};
    const char *at = NULL;
    for (size_t i = 0; i < sizeof before / sizeof *before && !at; i++) at = strstr(name, before[i]);
    if (!at || !strncmp(name, "table/", 6)) return 0;
    out[0] = component(at + 3);
    if (!out[0].at[out[0].n]) return out[0].n > 0;
    out[1] = component(out[0].at + out[0].n + 1);
    return 2;
}

bool hot_part_is(struct hot_part p, const char *text)
{
    return strlen(text) == p.n && !strncmp(p.at, text, p.n);
}

size_t hot_task_of(const struct settings *s, const char *name)
{
    struct hot_part p = hot_task(name);
    for (size_t k = 0; p.n && k < s->n_tasks; k++)
        if (hot_part_is(p, s->tasks[k].name)) return k;
    return SIZE_MAX;
}

size_t hot_unit(const char *name)
{
    const char *layer = strstr(name, "/layer");
    return layer ? (size_t)(layer - name) : strlen(name);
}

/* ---- patterns ---- */

static bool glob(const char *pattern, const char *text, size_t n)
{
    char part[HOT_NAME];
    if (n >= sizeof part) return false;
    memcpy(part, text, n);
    part[n] = '\0';
    return fnmatch(pattern, part, FNM_NOESCAPE) == 0;
}

bool hot_fits(const char *pattern, const char *name, const struct settings *s)
{
    if (!strncmp(pattern, "task/", 5)) {
        struct hot_part p = hot_task(name);
        return hot_task_of(s, name) != SIZE_MAX && glob(pattern + 5, p.at, p.n);
    }
    if (!strncmp(pattern, "feature/", 8)) {
        struct hot_part p[HOT_FEATURES];
        for (size_t i = hot_features(name, p); i-- > 0;)
            if (glob(pattern + 8, p[i].at, p[i].n)) return true;
        return false;
    }
    for (const char *end = name; *end;) {
        end += strcspn(end, "/");
        if (glob(pattern, name, (size_t)(end - name))) return true;
        if (*end) end++;
    }
    return false;
}

/* ---- renaming ---- */

/* What a side of a rename names: all of a task, all of a feature, or a beginning. */
static struct hot_part named_part(const char *side, const char *name)
{
    const struct hot_part none = {name, 0};
    if (!strncmp(side, "task/", 5)) {
        struct hot_part p = hot_task(name);
        return hot_part_is(p, side + 5) ? p : none;
    }
    if (!strncmp(side, "feature/", 8)) {
        struct hot_part p[HOT_FEATURES];
        for (size_t i = hot_features(name, p); i-- > 0;)
            if (hot_part_is(p[i], side + 8)) return p[i];
        return none;
    }
    size_t n = strlen(side);
    bool begins = !strncmp(name, side, n) && (!name[n] || name[n] == '/');
    return (struct hot_part){name, begins ? n : 0};
}

bool hot_concerns(const char *side, const char *name)
{
    return named_part(side, name).n > 0;
}

static const char *value_of(const char *old)
{
    if (!strncmp(old, "task/", 5)) return old + 5;
    return !strncmp(old, "feature/", 8) ? old + 8 : old;
}

static const char *replace(struct arena *a, const char *name, struct hot_part p,
                           const char *with)
{
    return arena_printf(a, "%.*s%s%s", (int)(p.at - name), name, with, p.at + p.n);
}

/* The pair whose key is this part of a name, as KIND/PART, or SIZE_MAX. */
static size_t pair_of(const struct pairs_cfg *renames, const char *kind, struct hot_part p)
{
    size_t n = strlen(kind);
    for (size_t i = 0; p.n && i < renames->n; i++)
        if (!strncmp(renames->key[i], kind, n) && hot_part_is(p, renames->key[i] + n)) return i;
    return SIZE_MAX;
}

/* Its task and its features by their old names, all looked up as the name stands, so that
 * names may change places. From the end: parts before stay where they are. */
static const char *rename_parts(struct arena *a, const struct pairs_cfg *renames,
                                const char *name, size_t *by)
{
    struct hot_part p[1 + HOT_FEATURES];
    const char *out = name;
    size_t n = 1 + hot_features(name, p + 1);
    p[0] = hot_task(name);
    for (size_t i = n; i-- > 0 && out;) {
        size_t pair = pair_of(renames, i ? "feature/" : "task/", p[i]);
        if (pair == SIZE_MAX) continue;
        *by = pair;
        out = replace(a, out, (struct hot_part){out + (p[i].at - name), p[i].n},
                      value_of(renames->value[pair]));
    }
    return out;
}

/* A task's and a feature's rename may both change one name; a beginning stands alone. */
const char *hot_renamed(struct arena *a, const struct pairs_cfg *renames, const char *name,
                        size_t *by, size_t *by2)
{
    const char *whole = NULL, *parts;
    size_t whole_by = SIZE_MAX;
    *by = *by2 = SIZE_MAX;
    if (!(parts = rename_parts(a, renames, name, by))) return NULL;
    for (size_t i = 0; i < renames->n; i++) {
        const char *new = renames->key[i], *with = renames->value[i];
        if (value_of(new) != new || !named_part(new, name).n) continue;
        const char *result = replace(a, name, named_part(new, name), value_of(with));
        if (!result) return NULL;
        if (!whole) {
            whole = result;
            whole_by = i;
        } else if (strcmp(whole, result) != 0) {
            *by2 = i;
        }
    }
    if (!whole) return parts;
    if (parts != name && strcmp(parts, whole) != 0) *by2 = *by;
    *by = whole_by;
    return whole;
}
