#include "common/config/yaml.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/input.h"

enum { MAX_ANCHORS = 256 };

struct anchor {
    const char *name;
    struct node *node;
};

struct reader {
    struct arena *arena;
    struct fy_parser *parser;
    struct fy_diag *diag;
    const char *text;
    size_t n;
    const char *file;
    bool lines;
    struct anchor anchors[MAX_ANCHORS];
    size_t n_anchors;
    size_t n_nodes;
    struct origin last; /* of the newest event that has one */
    struct error *err;
};

static enum status no_memory(struct reader *r)
{
    return mem_error(r->err, "configuration tree", sizeof(struct node));
}

static enum status fail(struct reader *r, struct origin at, const char *what)
{
    if (!at.line) return error_set(r->err, ST_USAGE, "%s: %s", r->file, what);
    return error_set(r->err, ST_USAGE, "%s:%u:%u: %s", r->file, at.line, at.column, what);
}

/* ---- the text itself ---- */

/* Bytes of the UTF-8 sequence at s, 0 when it is none or a control character. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    if (s[0] < 0x80)
        return s[0] >= 0x20 ? s[0] != 0x7f : s[0] == '\t' || s[0] == '\n' || s[0] == '\r';
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || length > n) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
    if (s[0] == 0xed && s[1] > 0x9f) return 0;
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
    return length;
}

/* libfyaml stops quietly at a byte it cannot decode, so that is checked before. */
static enum status check_text(struct reader *r)
{
    if (r->n > YAML_MAX_BYTES) {
        error_set(r->err, ST_USAGE, "%s: configuration has %zu bytes, at most %d are allowed",
                  r->file, r->n, YAML_MAX_BYTES);
        return ST_USAGE;
    }
    struct origin at = {r->file, 1, 1};
    size_t line_start = 0;
    for (size_t i = 0; i < r->n;) {
        size_t length = utf8_length((const unsigned char *)r->text + i, r->n - i);
        if (!length) return fail(r, at, "not valid UTF-8 text");
        if (i - line_start > YAML_MAX_LINE) return fail(r, at, "line is longer than 64 KiB");
        at.column++;
        if (r->text[i] == '\n') {
            at.line++;
            at.column = 1;
            line_start = i + 1;
        }
        i += length;
    }
    return ST_OK;
}

/* ---- events ---- */

static struct origin origin_of(struct reader *r, const struct fy_mark *mark, bool block)
{
    struct origin at = {r->file, 0, 0};
    if (!mark || !r->lines) return at;
    at.line = (unsigned)mark->line + 1;
    at.column = (unsigned)mark->column + 1;
    /* A block scalar's mark is the line's start; its text starts behind the indent. */
    for (size_t i = mark->input_pos; block && i < r->n && r->text[i] == ' '; i++) at.column++;
    return at;
}

static struct origin event_origin(struct reader *r, struct fy_event *event)
{
    bool block = false;
    if (event->type == FYET_SCALAR) {
        enum fy_scalar_style style = fy_token_scalar_style(event->scalar.value);
        block = style == FYSS_LITERAL || style == FYSS_FOLDED;
    }
    const struct fy_mark *mark = fy_event_start_mark(event);
    /* An empty value has no place of its own: it is where its key is. */
    if (!mark) return r->last;
    return r->last = origin_of(r, mark, block);
}

/* The parser stopped: its own first error, or ours when it gives none. */
static enum status parser_error(struct reader *r)
{
    void *at = NULL;
    struct fy_diag_error *e;
    while ((e = fy_diag_errors_iterate(r->diag, &at))) {
        if (e->type != FYET_ERROR || !e->msg) continue;
        struct origin where = {r->file, 0, 0};
        if (r->lines && e->line > 0) where.line = (unsigned)e->line;
        if (r->lines && e->column > 0) where.column = (unsigned)e->column;
        fail(r, where, e->msg);
        return error_hint(r->err, ST_USAGE, "the text is not valid YAML; quote values that "
                                            "contain ': ', '#', braces or brackets");
    }
    return fail(r, r->last, "not valid YAML");
}

static enum status next_event(struct reader *r, struct fy_event **out)
{
    *out = fy_parser_parse(r->parser);
    if (*out) return ST_OK;
    return parser_error(r);
}

static enum status anchor_add(struct reader *r, struct fy_token *token, struct node *node)
{
    if (!token) return ST_OK;
    if (r->n_anchors == MAX_ANCHORS) return fail(r, node->at, "more than 256 anchors");
    size_t n;
    const char *text = fy_token_get_text(token, &n);
    const char *name = text ? arena_strndup(r->arena, text, n) : NULL;
    if (!name) return no_memory(r);
    r->anchors[r->n_anchors++] = (struct anchor){name, node};
    return ST_OK;
}

static size_t count_nodes(const struct node *node)
{
    size_t n = 1;
    for (size_t i = 0; i < node->n; i++) n += count_nodes(node->items[i]);
    return n;
}

static size_t depth_of(const struct node *node)
{
    size_t deepest = 0;
    for (size_t i = 0; i < node->n; i++) {
        size_t depth = depth_of(node->items[i]);
        if (depth > deepest) deepest = depth;
    }
    return node->kind == NODE_SCALAR ? 0 : deepest + 1;
}

static enum status read_alias(struct reader *r, struct fy_event *event, size_t depth,
                              struct node **out)
{
    size_t n;
    const char *name = fy_token_get_text(event->alias.anchor, &n);
    struct node *found = NULL;
    for (size_t i = r->n_anchors; name && i-- > 0 && !found;)
        if (strlen(r->anchors[i].name) == n && !memcmp(r->anchors[i].name, name, n))
            found = r->anchors[i].node;
    if (!found) return fail(r, r->last, "alias of an anchor that is not written before it");
    r->n_nodes += count_nodes(found);
    if (r->n_nodes > YAML_MAX_NODES) return fail(r, r->last, "aliases make too large a tree");
    if (depth + depth_of(found) > YAML_MAX_DEPTH)
        return fail(r, r->last, "nested deeper than 16 levels");
    *out = node_copy(r->arena, found);
    return *out ? ST_OK : no_memory(r);
}

static enum status read_node(struct reader *r, struct fy_event *event, size_t depth,
                             struct node **out);

static enum status read_list(struct reader *r, struct node *list, size_t depth)
{
    for (;;) {
        struct fy_event *event;
        TRY(next_event(r, &event));
        bool end = event->type == FYET_SEQUENCE_END;
        struct node *item = NULL;
        enum status st = end ? ST_OK : read_node(r, event, depth, &item);
        fy_parser_event_free(r->parser, event);
        if (end || st != ST_OK) return st;
        if (!node_append(r->arena, list, NULL, item)) return no_memory(r);
    }
}

/* `<<: *base`: the keys of base that the mapping does not have itself. */
static enum status merge_key(struct reader *r, struct node *map, const struct node *base)
{
    if (base->kind == NODE_LIST) {
        for (size_t i = 0; i < base->n; i++) TRY(merge_key(r, map, base->items[i]));
        return ST_OK;
    }
    if (base->kind != NODE_MAP) return fail(r, base->at, "'<<' needs a mapping");
    for (size_t i = 0; i < base->n; i++)
        if (!node_get(map, base->keys[i]->text) &&
            !node_append(r->arena, map, base->keys[i], base->items[i]))
            return no_memory(r);
    return ST_OK;
}

static enum status add_entry(struct reader *r, struct node *map, struct node *key,
                             struct node *value)
{
    size_t i = node_find(map, key->text);
    if (i == map->n)
        return node_append(r->arena, map, key, value) ? ST_OK : no_memory(r);
    struct origin first = map->keys[i]->at;
    char what[256];
    if (first.line)
        snprintf(what, sizeof what, "key '%.100s' is written twice, first in line %u column %u",
                 key->text, first.line, first.column);
    else
        snprintf(what, sizeof what, "key '%.100s' is written twice", key->text);
    fail(r, key->at, what);
    return error_hint(r->err, ST_USAGE, "remove one of them, or join their values");
}

static enum status read_map(struct reader *r, struct node *map, size_t depth)
{
    struct node *base = NULL, *key = NULL;
    for (;;) {
        struct fy_event *event;
        TRY(next_event(r, &event));
        bool end = event->type == FYET_MAPPING_END;
        struct node *node = NULL;
        enum status st = end ? ST_OK : read_node(r, event, depth, &node);
        fy_parser_event_free(r->parser, event);
        if (st != ST_OK) return st;
        if (end) break;
        if (!key) {
            if (node->kind != NODE_SCALAR) return fail(r, node->at, "a key must be a word");
            key = node;
            continue;
        }
        if (key->plain && !strcmp(key->text, "<<"))
            base = node;
        else
            TRY(add_entry(r, map, key, node));
        key = NULL;
    }
    return base ? merge_key(r, map, base) : ST_OK;
}

static enum status read_scalar(struct reader *r, struct fy_event *event, struct origin at,
                               struct node **out)
{
    size_t n = 0;
    struct fy_token *token = event->scalar.value;
    const char *text = token ? fy_token_get_text(token, &n) : "";
    if (!text) return no_memory(r);
    if (memchr(text, '\0', n)) return fail(r, at, "text contains a zero byte");
    bool plain = !token || fy_token_scalar_style(token) == FYSS_PLAIN;
    if (event->scalar.tag) {
        size_t n_tag;
        const char *tag = fy_token_get_text(event->scalar.tag, &n_tag);
        if (tag && n_tag >= 4 && !memcmp(tag + n_tag - 4, ":str", 4)) plain = false;
    }
    *out = node_scalar(r->arena, text, n, plain, at);
    return *out ? anchor_add(r, event->scalar.anchor, *out) : no_memory(r);
}

/* Depth is bounded by YAML_MAX_DEPTH, so recursion is too. */
static enum status read_node(struct reader *r, struct fy_event *event, size_t depth,
                             struct node **out)
{
    struct origin at = event_origin(r, event);
    if (++r->n_nodes > YAML_MAX_NODES) return fail(r, at, "more than 200,000 values");
    switch (event->type) {
    case FYET_SCALAR:
        return read_scalar(r, event, at, out);
    case FYET_ALIAS:
        return read_alias(r, event, depth, out);
    case FYET_SEQUENCE_START:
    case FYET_MAPPING_START:
        break;
    default:
        return fail(r, at, "unexpected end of the text");
    }
    if (depth + 1 > YAML_MAX_DEPTH) return fail(r, at, "nested deeper than 16 levels");
    bool list = event->type == FYET_SEQUENCE_START;
    struct fy_token *anchor =
        list ? event->sequence_start.anchor : event->mapping_start.anchor;
    *out = list ? node_list(r->arena, at) : node_map(r->arena, at);
    if (!*out) return no_memory(r);
    TRY(list ? read_list(r, *out, depth + 1) : read_map(r, *out, depth + 1));
    return anchor_add(r, anchor, *out);
}

/* Stream and document events around the one value. */
static enum status read_document(struct reader *r, struct node **out)
{
    bool ended = false;
    *out = NULL;
    while (!ended) {
        struct fy_event *event;
        TRY(next_event(r, &event));
        enum status st = ST_OK;
        switch (event->type) {
        case FYET_STREAM_START:
        case FYET_DOCUMENT_START:
        case FYET_DOCUMENT_END:
            break;
        case FYET_STREAM_END:
            ended = true;
            break;
        default:
            if (*out)
                st = fail(r, event_origin(r, event), "a second document; one is allowed");
            else
                st = read_node(r, event, 0, out);
        }
        fy_parser_event_free(r->parser, event);
        if (st != ST_OK) return st;
    }
    if (fy_diag_got_error(r->diag)) return parser_error(r);
    if (*out) return ST_OK;
    *out = node_map(r->arena, (struct origin){r->file, r->lines ? 1 : 0, r->lines ? 1 : 0});
    return *out ? ST_OK : no_memory(r);
}

enum status yaml_parse(struct arena *a, const char *text, size_t n, const char *file,
                       bool lines, struct node **out, struct error *err)
{
    struct reader r = {.arena = a,
                       .text = text,
                       .n = n,
                       .file = file,
                       .lines = lines,
                       .last = {file, lines ? 1 : 0, lines ? 1 : 0},
                       .err = err};
    TRY(check_text(&r));
    struct fy_diag_cfg quiet;
    fy_diag_cfg_default(&quiet);
    quiet.fp = NULL;
    r.diag = fy_diag_create(&quiet);
    if (!r.diag) return no_memory(&r);
    fy_diag_set_collect_errors(r.diag, true);
    struct fy_parse_cfg cfg = {.search_path = "",
                               .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG,
                               .diag = r.diag};
    r.parser = fy_parser_create(&cfg);
    enum status st = r.parser ? ST_OK : no_memory(&r);
    if (st == ST_OK && fy_parser_set_string(r.parser, text, n) != 0) st = no_memory(&r);
    if (st == ST_OK) st = read_document(&r, out);
    fy_parser_destroy(r.parser);
    fy_diag_destroy(r.diag);
    return st;
}

/* ---- files ---- */

static enum status read_all(FILE *f, const char *file, char *text, size_t *n, struct error *err)
{
    *n = fread(text, 1, YAML_MAX_BYTES + 1, f);
    if (ferror(f))
        return error_set(err, ST_NOINPUT, "%s: cannot be read: %s", file, strerror(errno));
    if (*n > YAML_MAX_BYTES)
        return error_set(err, ST_USAGE, "%s: configuration is larger than 1 MiB", file);
    return ST_OK;
}

enum status yaml_read(struct arena *a, const char *file, struct node **out, struct error *err)
{
    const char *why = NULL;
    int fd = input_open(file, &why);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "rb");
    if (!f) {
        error_set(err, ST_NOINPUT, "%s: configuration cannot be read: %s", file,
                  fd < 0 ? why : strerror(errno));
        if (fd >= 0) close(fd);
        return error_hint(err, ST_NOINPUT, "relative paths start at the current directory");
    }
    char *text = mem_alloc(YAML_MAX_BYTES + 1);
    size_t n = 0;
    enum status st = text ? read_all(f, file, text, &n, err)
                          : mem_error(err, "configuration text", YAML_MAX_BYTES + 1);
    fclose(f);
    if (st == ST_OK) st = yaml_parse(a, text, n, file, true, out, err);
    mem_free(text);
    return st;
}
