/* The one table of everything a configuration may say. Each key has its type,
 * place in struct settings, default, range, unit and help; from it come parsing,
 * --set, range errors, `config explain`, docs/configuration.md and the JSON
 * Schema. The rows are in option_table.c. */
#ifndef MTPS_CONFIG_OPTIONS_H
#define MTPS_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum option_type {
    OPTION_BOOL,           /* bool */
    OPTION_ENUM,           /* an enum: one of names */
    OPTION_COUNT,          /* size_t or uint64_t: 1024, 200M */
    OPTION_REAL,           /* double */
    OPTION_SHARE,          /* double: 0.1 or 10% */
    OPTION_COUNT_OR_SHARE, /* double; the flag is set for a percentage */
    OPTION_SECONDS,        /* double: 120 s, 10 min, 500 ms */
    OPTION_BYTES,          /* uint64_t: 512 MiB, 1G */
    OPTION_PERIOD,         /* struct every_cfg: 2000 steps, [1 epoch, 10 min], never */
    OPTION_STRING,         /* const char * */
    OPTION_NAME,           /* struct list_cfg with one name in it */
    OPTION_TEXT,           /* struct text_cfg: an expression, or a column's name */
    OPTION_STRINGS,        /* struct list_cfg: a list, or one word */
    OPTION_SIZES,          /* struct sizes_cfg */
    OPTION_PAIRS,          /* struct pairs_cfg: a mapping from names to single values */
    OPTION_TRANSFORMS,     /* struct feature_cfg itself */
    OPTION_FIXED,          /* only the default is allowed; kept nowhere */
    OPTION_PRELUDE,        /* include, vars: used up before options are read */
    OPTION_NOTHING,        /* a choice without a value (init: zero) */
    OPTION_GROUP,          /* a mapping with the keys of `group` */
    OPTION_CHOICE,         /* a mapping with one key of `group`; its value in an enum */
    OPTION_LIST,           /* a list of such mappings: pointer, count at offset_n */
    OPTION_NAMED,          /* NAME: mapping; pointer, count at offset_n */
};

enum option_flags {
    OPTION_REQUIRED = 1,
    OPTION_NOT_EMPTY = 2,  /* strings and lists */
    OPTION_IDENTIFIER = 4, /* a name that goes into paths and tensor names */
    OPTION_REPLACED = 8,   /* include: the mapping is replaced, not merged */
    OPTION_ABOVE_MIN = 16, /* min itself is out of range */
    OPTION_INHERITS = 32,  /* not written: as on the outer level (def_text says which) */
    OPTION_SOURCE = 64,    /* a source of rows: inherits how `data` says files are read */
    OPTION_JOIN = 128,     /* ... but has columns and lines of its own */
};

/* Sets of model types or feature kinds. */
#define FOR(kind) (1u << (kind))

struct option_group;

struct option {
    const char *key;
    enum option_type type;
    const char *def;         /* YAML; NULL = none, then def_text says what happens */
    const char *def_text;
    double min, max;         /* a range when min < max */
    const char *unit;
    const char *const *names; /* OPTION_ENUM: by value, ends with NULL */
    const char *word;        /* may stand for a number: sets the flag, the number is 0 */
    const struct option_group *group;
    size_t offset;           /* in the struct of the group that holds this row */
    size_t offset_n;         /* lists: count; OPTION_CHOICE: struct of the choice's keys */
    size_t flag;             /* 1 + offset of a bool that says "given"; 0 = none */
    int value;               /* of a choice */
    unsigned flags;
    unsigned models;         /* FOR(type)...: others do not use the key; 0 = all */
    unsigned kinds;          /* FOR(kind)...: an error for other features; 0 = all */
    const char *help;
};

/* Keys of one mapping: the shared group's rows, then its own. */
struct option_group {
    const struct option *options;
    size_t n;
    const struct option_group *shared; /* NULL = none */
    size_t shared_offset;
    bool shared_inherits;
    size_t size;         /* of an element (OPTION_LIST, OPTION_NAMED) */
    size_t at;           /* 1 + offset of an element's struct origin; 0 = none */
    size_t max_elements;
    const char *element; /* how docs write an element's name: TASK */
};

extern const struct option_group option_root;
extern const struct option_group option_hot_start; /* option_hot_start.c */

static inline bool option_has_range(const struct option *o)
{
    return o->min < o->max;
}

static inline bool option_has_group(const struct option *o)
{
    return o->group != NULL;
}

/* Rows of a group with those it shares. base: add to the row's offset. */
struct option_row {
    const struct option *o;
    size_t base;
    bool inherits;
};
size_t option_count(const struct option_group *group);
struct option_row option_row(const struct option_group *group, size_t i);

/* A row by key, or NULL. */
const struct option *option_find(const struct option_group *group, const char *key);

/* The known key nearest to a misspelt one, or NULL. */
const char *option_nearest(const struct option_group *group, const char *key);

/* Follow a dotted path ("train.batch_size", "tasks.click.label",
 * "features.kind"); an element's name may be left out. Gives the row; or NULL
 * with bad[] = the component that is not known and *group = where it was looked
 * for. */
const struct option *option_path(const char *path, const struct option_group **group,
                                 char *bad, size_t size);

/* Visit every row in table order; path is as docs write it: "features[].kind",
 * "tasks.TASK.label", "train.optimizer.adam.lr". Stops when a visitor gives false. */
struct option_place {
    const char *path;
    const struct option *o;
    bool inherits;
    bool shared;  /* a row that several groups share, met again */
    size_t depth; /* of the path, from 0 */
};
typedef bool (*option_visit_fn)(void *context, const struct option_place *place);
bool option_walk(option_visit_fn visit, void *context);

/* What a value looks like, for messages and docs: "whole number", "list of names". */
const char *option_type_text(const struct option *o);
/* "1 to 4096", "at least 0", "above 0"; "" without a range. */
const char *option_range_text(const struct option *o, char *out, size_t size);
/* "csv | tsv | slot" of an enum, "sgd | adam" of a choice; "" for others. */
const char *option_choices_text(const struct option *o, char *out, size_t size);

#endif
