#include "common/store/h5_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

bool h5_name_ok(const char *name)
{
    size_t n = strlen(name), part = 0;
    if (n == 0 || n >= H5_NAME_LIMIT) return false;
    for (size_t i = 0; i <= n; i++) {
        if (name[i] && name[i] != '/') continue;
        if (i == part || (i == part + 1 && name[part] == '.')) return false;
        part = i + 1;
    }
    return true;
}

size_t h5_name_prefix(const char *name, size_t from, char out[H5_NAME_LIMIT])
{
    const char *slash = strchr(name + from + 1, '/'); /* no part is empty */
    if (!slash) return 0;
    size_t n = (size_t)(slash - name);
    memcpy(out, name, n);
    out[n] = '\0';
    return n;
}

bool h5_names_add(struct h5_names *l, const char *prefix, const char *name)
{
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 64;
        char **v = mem_resize(l->v, capacity, sizeof *v);
        if (!v) return false;
        l->v = v;
        l->capacity = capacity;
    }
    size_t size = strlen(prefix) + strlen(name) + 2;
    char *full = mem_alloc(size);
    if (!full) return false;
    snprintf(full, size, "%s%s%s", prefix, *prefix ? "/" : "", name);
    l->v[l->n++] = full;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void h5_names_sort(struct h5_names *l)
{
    if (l->n) qsort(l->v, l->n, sizeof *l->v, by_name);
}

void h5_names_free(struct h5_names *l)
{
    for (size_t i = 0; i < l->n; i++) mem_free(l->v[i]);
    mem_free(l->v);
}
