/* The option table as a JSON Schema. Values may hold ${name}, so every word
 * that is no plain text is also allowed as such a text. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/config/config.h"
#include "common/config/docs.h"

static json_t *schema_group(const struct option_group *group);
static json_t *schema_value(const struct option *o);

static json_t *typed(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static json_t *pattern(const char *text)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", text);
}

static json_t *any_of(json_t *a, json_t *b)
{
    return json_pack("{s:[o, o]}", "anyOf", a, b);
}

/* A number, or a text that names a variable or carries a unit. */
static json_t *schema_number(const struct option *o, const char *type, const char *text)
{
    json_t *number = typed(type);
    if (option_has_range(o)) {
        bool above = (o->flags & OPTION_ABOVE_MIN) != 0;
        json_object_set_new(number, above ? "exclusiveMinimum" : "minimum", json_real(o->min));
        if (o->max < 1e15) json_object_set_new(number, "maximum", json_real(o->max));
    }
    json_t *list = json_pack("[o, o]", number, pattern(text));
    if (o->word) json_array_append_new(list, json_pack("{s:s}", "const", o->word));
    return json_pack("{s:o}", "anyOf", list);
}

static json_t *list_of(json_t *item, bool not_empty)
{
    json_t *list = json_pack("{s:s, s:o}", "type", "array", "items", item);
    if (not_empty) json_object_set_new(list, "minItems", json_integer(1));
    return list;
}

static json_t *schema_words(const struct option *o)
{
    json_t *list = json_array();
    for (size_t i = 0; o->names[i]; i++) json_array_append_new(list, json_string(o->names[i]));
    return any_of(json_pack("{s:o}", "enum", list), pattern("\\$\\{"));
}

/* {adam: {...}} or the word alone. */
static json_t *schema_choice(const struct option *o)
{
    json_t *words = json_array();
    for (size_t i = 0; i < o->group->n; i++)
        json_array_append_new(words, json_string(o->group->options[i].key));
    json_t *map = schema_group(o->group);
    json_object_set_new(map, "minProperties", json_integer(1));
    json_object_set_new(map, "maxProperties", json_integer(1));
    return any_of(json_pack("{s:o}", "enum", words), map);
}

static json_t *schema_named(const struct option *o)
{
    json_t *element = any_of(schema_group(o->group), typed("null"));
    return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", element);
}

static json_t *schema_transforms(void)
{
    json_t *clip = json_pack("{s:s, s:{s:{s:s, s:{s:s}, s:i, s:i}}, s:b}", "type", "object",
                             "properties", "clip", "type", "array", "items", "type", "number",
                             "minItems", 2, "maxItems", 2, "additionalProperties", 0);
    json_t *words = json_pack("{s:[s, s, s]}", "enum", "log1p", "standardize", "minmax");
    return list_of(any_of(words, clip), false);
}

static json_t *schema_text(void)
{
    return json_pack("{s:[s, s, s]}", "type", "string", "number", "boolean");
}

static json_t *schema_value(const struct option *o)
{
    bool not_empty = (o->flags & OPTION_NOT_EMPTY) != 0;
    switch (o->type) {
    case OPTION_BOOL:
        return any_of(typed("boolean"), pattern("\\$\\{"));
    case OPTION_ENUM:
        return schema_words(o);
    case OPTION_COUNT:
        return schema_number(o, "integer", "\\$\\{|^[0-9.]+ *[kKMG]$");
    case OPTION_REAL:
        /* YAML readers differ on 1e-4: some give a text. */
        return schema_number(o, "number", "\\$\\{|^[-+0-9.]+[eE][-+]?[0-9]+$");
    case OPTION_SHARE:
    case OPTION_COUNT_OR_SHARE:
        return schema_number(o, "number", "\\$\\{|%$");
    case OPTION_SECONDS:
        return schema_number(o, "number", "\\$\\{|^[0-9.]+ *[a-z]+$");
    case OPTION_BYTES:
        return schema_number(o, "integer", "\\$\\{|^[0-9.]+ *[a-zA-Z]+$");
    case OPTION_PERIOD:
        return any_of(typed("string"), list_of(typed("string"), true));
    case OPTION_STRING:
    case OPTION_NAME:
    case OPTION_TEXT:
        return schema_text();
    case OPTION_STRINGS:
        return any_of(schema_text(), list_of(schema_text(), not_empty));
    case OPTION_SIZES:
        return any_of(list_of(json_pack("{s:s, s:f}", "type", "integer", "minimum", o->min), false),
                      pattern("\\$\\{"));
    case OPTION_PAIRS:
        return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", schema_text());
    case OPTION_TRANSFORMS:
        return schema_transforms();
    case OPTION_FIXED:
        return json_pack("{s:i}", "const", atoi(o->def));
    case OPTION_PRELUDE:
        if (!strcmp(o->key, "vars")) return typed("object");
        return any_of(typed("string"), list_of(typed("string"), false));
    case OPTION_NOTHING:
        return typed("null");
    case OPTION_GROUP:
        return schema_group(o->group);
    case OPTION_CHOICE:
        return schema_choice(o);
    case OPTION_LIST:
        return list_of(schema_group(o->group), not_empty);
    case OPTION_NAMED:
        return schema_named(o);
    }
    return json_object();
}

/* Required keys are left to the checker: an included file may bring them. null
 * takes a key away. */
static json_t *schema_group(const struct option_group *group)
{
    json_t *keys = json_object();
    for (size_t i = 0; i < option_count(group); i++) {
        const struct option *o = option_row(group, i).o;
        json_t *value = any_of(schema_value(o), typed("null"));
        json_object_set_new(value, "description", json_string(o->help));
        json_object_set_new(keys, o->key, value);
    }
    return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", keys,
                     "additionalProperties", 0);
}

enum status docs_schema(char **out, struct error *err)
{
    json_t *schema = schema_group(&option_root);
    char *text = NULL;
    if (schema && !json_object_set_new(schema, "$schema",
                                       json_string("https://json-schema.org/draft/2020-12/schema")) &&
        !json_object_set_new(schema, "title", json_string("mtps configuration")))
        text = json_dumps(schema, JSON_INDENT(2));
    json_decref(schema);
    if (!text) return mem_error(err, "JSON Schema", 0);
    *out = mem_strdup(text);
    free(text); /* comes from jansson, not from mem.h */
    return *out ? ST_OK : mem_error(err, "JSON Schema", 0);
}
