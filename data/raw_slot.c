/* Lines of slot text: plain columns first, then items that carry their name.
 *
 *   name_first   click:0 1:737395 2:210498      the first colon parts them
 *   value_first  0:1 16543128959394097760:29    the last colon parts them */
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "data/raw_reader.h"
#include "data/raw_text.h"

enum { FIRST_ITEMS = 256, IGNORED_NAMES_MAX = 1 << 20 };
enum { NO_COLUMN = UINT32_MAX };

/* Hashes of the names that nobody asked for: only counted. */
struct hash_set {
    uint64_t *v; /* 0 = free */
    size_t n, n_slots;
};

struct item {
    uint32_t column; /* wanted column */
    uint32_t offset; /* of the value in the record */
    struct text value;
};

struct raw_slot {
    struct raw_wanted want;
    const char *separator;
    size_t n_separator;
    struct raw_names names; /* distinct wanted names ... */
    uint32_t *first;        /* [n] ... the first wanted column of each, */
    uint32_t *next;         /* [n] then the next one of the same name */
    struct item *items;     /* of the row, in the order of the line */
    size_t n_items, capacity;
    struct text *texts; /* [capacity] the same, by column */
    struct raw_field *fields;
    size_t *offset; /* [n] of the first value */
    struct hash_set ignored;
    uint64_t n_ignored;
};

static enum status index_names(struct raw_slot *s, struct error *err)
{
    TRY(raw_names_init(&s->names, err));
    for (size_t i = s->want.n; i-- > 0;) {
        size_t known = s->names.n, place;
        TRY(raw_names_add(&s->names, raw_text_of(s->want.names[i]), &place, err));
        s->next[i] = place < known ? s->first[place] : NO_COLUMN;
        s->first[place] = (uint32_t)i;
    }
    return ST_OK;
}

enum status raw_slot_create(const struct raw_wanted *want, struct raw_slot **out,
                            struct error *err)
{
    size_t n = want->n;
    struct raw_slot *s = mem_zeroed(1, sizeof *s);
    if (!s) return mem_error(err, "slot reader", sizeof *s);
    s->want = *want;
    s->separator =
        want->slot->separator && want->slot->separator[0] ? want->slot->separator : " ";
    s->n_separator = strlen(s->separator);
    s->first = mem_zeroed(n, sizeof *s->first);
    s->next = mem_zeroed(n, sizeof *s->next);
    s->fields = mem_zeroed(n, sizeof *s->fields);
    s->offset = mem_zeroed(n, sizeof *s->offset);
    s->ignored.n_slots = 64;
    s->ignored.v = mem_zeroed(s->ignored.n_slots, sizeof *s->ignored.v);
    enum status st = ST_OK;
    if (!s->first || !s->next || !s->fields || !s->offset || !s->ignored.v)
        st = mem_error(err, "slot columns", n * sizeof *s->fields);
    if (st == ST_OK) st = index_names(s, err);
    if (st != ST_OK) {
        raw_slot_destroy(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void raw_slot_destroy(struct raw_slot *s)
{
    if (!s) return;
    raw_names_close(&s->names);
    mem_free(s->first);
    mem_free(s->next);
    mem_free(s->items);
    mem_free(s->texts);
    mem_free(s->fields);
    mem_free(s->offset);
    mem_free(s->ignored.v);
    mem_free(s);
}

static enum status grow_items(struct raw_slot *s, struct error *err)
{
    size_t capacity = s->capacity ? 2 * s->capacity : FIRST_ITEMS;
    struct item *items = mem_resize(s->items, capacity, sizeof *items);
    if (!items) return mem_error(err, "slot items", capacity * sizeof *items);
    s->items = items;
    struct text *texts = mem_resize(s->texts, capacity, sizeof *texts);
    if (!texts) return mem_error(err, "slot items", capacity * sizeof *texts);
    s->texts = texts;
    s->capacity = capacity;
    return ST_OK;
}

/* One value of a name: for every wanted column of that name, unless it means
 * missing there. */
static enum status add_value(struct raw_slot *s, size_t place, struct text value,
                             size_t offset, struct error *err)
{
    for (uint32_t i = s->first[place]; i != NO_COLUMN; i = s->next[i]) {
        const struct list_cfg *missing = s->want.missing ? s->want.missing[i] : NULL;
        if (raw_text_in(missing ? missing : &s->want.source->missing, value)) continue;
        if (s->n_items == s->capacity) TRY(grow_items(s, err));
        s->items[s->n_items++] = (struct item){i, (uint32_t)offset, value};
    }
    return ST_OK;
}

static size_t slot_in(const struct hash_set *set, uint64_t h)
{
    size_t i = (size_t)hash_mix(h) & (set->n_slots - 1);
    while (set->v[i] && set->v[i] != h) i = (i + 1) & (set->n_slots - 1);
    return i;
}

static enum status count_ignored(struct raw_slot *s, struct text name, struct error *err)
{
    struct hash_set *set = &s->ignored;
    s->n_ignored++;
    uint64_t h = hash_bytes(name.s, name.n, 0);
    if (h == 0) h = 1;
    size_t i = slot_in(set, h);
    if (set->v[i] == h || set->n == IGNORED_NAMES_MAX) return ST_OK;
    set->v[i] = h;
    set->n++;
    if (2 * set->n <= set->n_slots) return ST_OK;
    struct hash_set old = *set;
    set->v = mem_zeroed(2 * old.n_slots, sizeof *set->v);
    if (!set->v) {
        set->v = old.v;
        return mem_error(err, "slot names", 2 * old.n_slots * sizeof *set->v);
    }
    set->n_slots = 2 * old.n_slots;
    for (size_t k = 0; k < old.n_slots; k++)
        if (old.v[k]) set->v[slot_in(set, old.v[k])] = old.v[k];
    mem_free(old.v);
    return ST_OK;
}

/* Cut the next item off *rest; *last when nothing is behind it. */
static struct text cut_item(const struct raw_slot *s, struct text *rest, bool *last)
{
    const char *hit = s->n_separator == 1
                          ? memchr(rest->s, s->separator[0], rest->n)
                          : memmem(rest->s, rest->n, s->separator, s->n_separator);
    struct text item = *rest;
    *last = hit == NULL;
    if (hit) item.n = (size_t)(hit - rest->s);
    size_t used = hit ? item.n + s->n_separator : item.n;
    rest->s += used;
    rest->n -= used;
    return item;
}

static bool part_item(const struct raw_slot *s, struct text item, struct text *name,
                      struct text *value)
{
    bool value_first = s->want.slot->order == SLOT_VALUE_FIRST;
    const char *colon =
        value_first ? memrchr(item.s, ':', item.n) : memchr(item.s, ':', item.n);
    if (!colon) return false;
    struct text left = {item.s, (size_t)(colon - item.s)};
    struct text right = {colon + 1, item.n - left.n - 1};
    *name = value_first ? right : left;
    *value = value_first ? left : right;
    if (s->want.source->trim) {
        *name = raw_text_trim(*name);
        *value = raw_text_trim(*value);
    }
    return true;
}

static bool fail(struct raw_fault *fault, const char *why, struct text record,
                 struct text item)
{
    snprintf(fault->why, sizeof fault->why, "%s", why);
    fault->offset = (size_t)(item.s - record.s);
    fault->excerpt = item.n ? item : record;
    return false;
}

/* A name that is not wanted: only its form matters. */
static enum status other_name(struct raw_slot *s, struct text name, struct error *err)
{
    size_t place;
    if (s->want.collect) TRY(raw_names_add(s->want.collect, name, &place, err));
    return count_ignored(s, name, err);
}

static enum status parse_item(struct raw_slot *s, struct text record, struct text item,
                              bool *good, struct raw_fault *fault, struct error *err)
{
    struct text name, value;
    *good = true;
    if (item.n == 0) return ST_OK;
    if (!part_item(s, item, &name, &value)) {
        *good = fail(fault, "item without ':'", record, item);
        return ST_OK;
    }
    size_t place = raw_names_find(&s->names, name);
    if (place != SIZE_MAX)
        return add_value(s, place, value, (size_t)(value.s - record.s), err);
    if (name.n == 0)
        *good = fail(fault, "item without a name", record, item);
    else if (!raw_text_is_utf8(name))
        *good = fail(fault, "invalid UTF-8 in a slot's name", record, item);
    else
        return other_name(s, name, err);
    return ST_OK;
}

/* The leading plain columns, exactly as many as listed. */
static enum status parse_fixed(struct raw_slot *s, struct text record, struct text *rest,
                               bool *last, bool *good, struct raw_fault *fault,
                               struct error *err)
{
    const struct list_cfg *fixed = &s->want.slot->fixed;
    *good = true;
    for (size_t k = 0; k < fixed->n; k++) {
        if (*last) {
            fail(fault, "", record, *rest);
            snprintf(fault->why, sizeof fault->why, "%zu fixed columns, %zu expected", k,
                     fixed->n);
            *good = false;
            return ST_OK;
        }
        struct text item = cut_item(s, rest, last);
        if (s->want.source->trim) item = raw_text_trim(item);
        size_t place = raw_names_find(&s->names, raw_text_of(fixed->v[k]));
        if (place == SIZE_MAX) continue;
        TRY(add_value(s, place, item, (size_t)(item.s - record.s), err));
    }
    return ST_OK;
}

/* Group the row's items by column, keeping their order. */
static void group_items(struct raw_slot *s)
{
    for (size_t i = 0; i < s->want.n; i++) s->fields[i].n = 0;
    for (size_t k = 0; k < s->n_items; k++) s->fields[s->items[k].column].n++;
    struct text *at = s->texts;
    for (size_t i = 0; i < s->want.n; i++) {
        s->fields[i].v = at;
        if (s->fields[i].n) at += s->fields[i].n; /* NULL before the first item of all */
        s->fields[i].n = 0;
    }
    for (size_t k = 0; k < s->n_items; k++) {
        const struct item *item = &s->items[k];
        struct raw_field *field = &s->fields[item->column];
        if (field->n == 0) s->offset[item->column] = item->offset;
        ((struct text *)field->v)[field->n++] = item->value;
    }
}

enum status raw_slot_parse(struct raw_slot *s, struct text record,
                           enum raw_parsed *parsed, struct raw_fault *fault,
                           struct error *err)
{
    *parsed = PARSED_BLANK;
    if (record.n == 0) return ST_OK;
    struct text rest = record;
    bool last = false, good;
    s->n_items = 0;
    TRY(parse_fixed(s, record, &rest, &last, &good, fault, err));
    while (good && !last) {
        struct text item = cut_item(s, &rest, &last);
        TRY(parse_item(s, record, item, &good, fault, err));
    }
    *parsed = good ? PARSED_ROW : PARSED_BAD;
    if (good) group_items(s);
    return ST_OK;
}

const struct raw_field *raw_slot_fields(const struct raw_slot *s)
{
    return s->fields;
}

size_t raw_slot_offset(const struct raw_slot *s, size_t column)
{
    return s->offset[column];
}

uint64_t raw_slot_ignored_values(const struct raw_slot *s)
{
    return s->n_ignored;
}

size_t raw_slot_ignored_names(const struct raw_slot *s)
{
    return s->ignored.n;
}
