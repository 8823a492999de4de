#include "data/raw_names.h"

#include <string.h>

#include "common/base/hash.h"
#include "data/raw_text.h"

enum { FIRST_CAPACITY = 64 };

enum status raw_names_init(struct raw_names *names, struct error *err)
{
    *names = (struct raw_names){0};
    return arena_create(&names->arena, err);
}

void raw_names_close(struct raw_names *names)
{
    arena_destroy(names->arena);
    mem_free(names->v);
    mem_free(names->slots);
    *names = (struct raw_names){0};
}

/* The slot that holds the name, or the free one where it would go. */
static size_t slot_of(const struct raw_names *names, struct text name)
{
    size_t mask = names->n_slots - 1;
    size_t i = (size_t)hash_bytes(name.s, name.n, 0) & mask;
    while (names->slots[i]) {
        const char *there = names->v[names->slots[i] - 1];
        if (strncmp(there, name.s, name.n) == 0 && there[name.n] == '\0') break;
        i = (i + 1) & mask;
    }
    return i;
}

size_t raw_names_find(const struct raw_names *names, struct text name)
{
    if (!names->n) return SIZE_MAX;
    uint32_t found = names->slots[slot_of(names, name)];
    return found ? found - 1 : SIZE_MAX;
}

static enum status grow(struct raw_names *names, struct error *err)
{
    size_t capacity = names->capacity ? 2 * names->capacity : FIRST_CAPACITY;
    const char **v = mem_resize(names->v, capacity, sizeof *v);
    if (!v) return mem_error(err, "names", capacity * sizeof *v);
    names->v = v;
    uint32_t *slots = mem_zeroed(2 * capacity, sizeof *slots);
    if (!slots) return mem_error(err, "names", 2 * capacity * sizeof *slots);
    mem_free(names->slots);
    names->slots = slots;
    names->n_slots = 2 * capacity;
    names->capacity = capacity;
    for (size_t i = 0; i < names->n; i++)
        slots[slot_of(names, raw_text_of(v[i]))] = (uint32_t)i + 1;
    return ST_OK;
}

enum status raw_names_add(struct raw_names *names, struct text name, size_t *place,
                          struct error *err)
{
    *place = raw_names_find(names, name);
    if (*place != SIZE_MAX) return ST_OK;
    if (names->n == names->capacity) TRY(grow(names, err));
    char *copy = arena_strndup(names->arena, name.s, name.n);
    if (!copy) return mem_error(err, "names", name.n);
    names->v[names->n] = copy;
    *place = names->n;
    size_t slot = slot_of(names, name);
    names->slots[slot] = (uint32_t)++names->n;
    return ST_OK;
}
