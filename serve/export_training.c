/* The model card's sections about training: what the checkpoint holds, and what its run wrote
 * into metrics.jsonl at the same step. What neither says is said to be unknown. Equal for
 * every export of a checkpoint. */
#include "serve/export_impl.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/config/flow.h"
#include "common/store/ckpt.h"

enum { MAX_FILES_SHOWN = 20 };

/* ---- data ---- */

static void put_code(struct buffer *b, const char *text)
{
    buffer_puts(b, "`");
    export_put_cell(b, text);
    buffer_puts(b, "`");
}

static void put_source(struct buffer *b, const struct source_cfg *s)
{
    size_t n = s->files.n < MAX_FILES_SHOWN ? s->files.n : MAX_FILES_SHOWN;
    for (size_t i = 0; i < n; i++) {
        buffer_puts(b, i ? ", " : "");
        put_code(b, s->files.v[i]);
    }
    if (n < s->files.n) buffer_printf(b, " and %zu more", s->files.n - n);
    if (!s->where.text) return;
    buffer_puts(b, ", rows where ");
    put_code(b, s->where.text);
}

static void put_valid(struct buffer *b, const struct valid_cfg *v)
{
    if (v->source.files.n) {
        put_source(b, &v->source);
    } else if (v->where.text) {
        buffer_puts(b, "rows of data.train where ");
        put_code(b, v->where.text);
    } else {
        buffer_printf(b, "%.6g of the rows of data.train, by the hash of ", v->fraction);
        if (v->by.text)
            put_code(b, v->by.text);
        else
            buffer_puts(b, "their number");
    }
}

static void put_data(struct buffer *b, const struct export *e)
{
    const struct data_cfg *d = &e->settings->data;
    const struct named_array *rows = ckpt_find_state(e->ckpt, "data_rows");
    bool known = rows && rows->type == DTYPE_U64 && rows->rows == 1;
    buffer_puts(b, "| data.train | ");
    put_source(b, &d->train);
    if (known)
        buffer_printf(b, " |\n| rows of one pass | %" PRIu64 " |\n", ((const uint64_t *)rows->data)[0]);
    else
        buffer_puts(b, " |\n| rows of one pass | not known: the checkpoint does not say |\n");
    buffer_puts(b, "| dates of these rows | not known: checkpoints do not hold them |\n");
    for (size_t j = 0; j < d->n_joins; j++) {
        buffer_puts(b, "| side table | ");
        put_source(b, &d->joins[j].source);
        buffer_puts(b, ", by ");
        put_code(b, d->joins[j].key.text);
        buffer_puts(b, " |\n");
    }
    if (d->valid.given) {
        buffer_puts(b, "| left out for validation | ");
        put_valid(b, &d->valid);
        buffer_puts(b, " |\n");
    }
}

void export_card_training(const struct export *e, struct buffer *b)
{
    const struct ckpt_meta *m = ckpt_meta(e->ckpt);
    const struct hot_start_cfg *hot = &e->settings->hot_start;
    char hex[SHA256_HEX];
    bytes_sha256(m->config, strlen(m->config), hex);
    buffer_puts(b, "\n## Training\n\n| | |\n| --- | --- |\n");
    put_data(b, e);
    if (hot->given && hot->from) {
        buffer_puts(b, "| went on from | ");
        put_code(b, hot->from);
        buffer_printf(b, ", mode %s |\n", hot_mode_name(hot->mode));
    }
    buffer_printf(b, "| seed, lanes | %" PRIu64 ", %" PRIu64 " |\n| configuration | SHA-256 %s |\n", m->seed, m->lanes, hex);
    buffer_printf(b, "| prepared data | %s |\n| run | %s |\n", m->data_digest, m->run_uuid);
}

/* ---- metrics ---- */

/* Kinds of evaluations, in the order of the card; of each the last line of this step. */
enum { EVAL, VALID, KINDS };
static const char *const kinds[KINDS] = {"eval", "valid"};

struct evaluations {
    bool there; /* the file is */
    char *line[KINDS];
};

/* metrics.jsonl of the run, when the checkpoint is where runs keep theirs. */
static FILE *open_metrics(const char *ckpt)
{
    char real[PATH_MAX], path[PATH_MAX + 64];
    struct stat s;
    if (!realpath(ckpt, real)) return NULL;
    char *name = strrchr(real, '/');
    if (!name) return NULL;
    *name = '\0';
    char *parent = strrchr(real, '/');
    if (!parent || strcmp(parent, "/checkpoints") != 0) return NULL;
    *parent = '\0';
    snprintf(path, sizeof path, "%s/metrics.jsonl", real);
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) ? fopen(path, "re") : NULL;
}

/* A line as a tree, or NULL: also half a line at the end of the file. */
static const struct node *parse_line(struct arena *a, const char *line)
{
    struct node *n;
    return flow_parse(a, line, strlen(line), "metrics.jsonl", &n, NULL) == ST_OK && n->kind == NODE_MAP ? n : NULL;
}

static bool is_text(const struct node *map, const char *key, const char *text)
{
    const struct node *n = node_get(map, key);
    return n && n->kind == NODE_SCALAR && !strcmp(n->text, text);
}

/* KINDS: it is none of this step. */
static size_t kind_of(const char *line, const char *step, struct error *err, enum status *st)
{
    struct arena *a;
    size_t kind = 0;
    if (!strstr(line, "\"eval\"") && !strstr(line, "\"valid\"")) return KINDS;
    *st = arena_create(&a, err);
    if (*st != ST_OK) return KINDS;
    const struct node *n = parse_line(a, line);
    if (!n || !is_text(n, "step", step)) kind = KINDS;
    while (kind < KINDS && !is_text(n, "kind", kinds[kind])) kind++;
    arena_destroy(a);
    return kind;
}

static enum status read_evaluations(const struct export *e, struct evaluations *v, struct error *err)
{
    char step[24], *line = NULL;
    size_t room = 0;
    enum status st = ST_OK;
    FILE *f = open_metrics(ckpt_path(e->ckpt));
    if (!f) return ST_OK;
    v->there = true;
    snprintf(step, sizeof step, "%" PRIu64, ckpt_meta(e->ckpt)->step);
    while (st == ST_OK && getline(&line, &room, f) > 0) {
        size_t kind = kind_of(line, step, err, &st);
        if (st != ST_OK || kind == KINDS) continue;
        mem_free(v->line[kind]);
        v->line[kind] = mem_strdup(line);
        if (!v->line[kind]) st = mem_error(err, "metrics.jsonl", room);
    }
    free(line);
    fclose(f);
    return st;
}

static void put_results(struct buffer *b, const struct export *e, const struct node *tasks)
{
    buffer_puts(b, "\n| task | metrics |\n| --- | --- |\n");
    for (size_t k = 0; k < e->settings->n_scores; k++) {
        const char *name = e->settings->scores[k].name;
        const struct node *results = tasks ? node_get(tasks, name) : NULL;
        buffer_puts(b, "| ");
        export_put_cell(b, name);
        buffer_puts(b, " | ");
        if (!results || results->kind != NODE_MAP || !results->n) buffer_puts(b, "none: no row has a label");
        for (size_t i = 0; results && results->kind == NODE_MAP && i < results->n; i++) {
            const struct node *value = results->items[i];
            if (value->kind != NODE_SCALAR) continue;
            buffer_puts(b, i ? ", " : "");
            export_put_cell(b, results->keys[i]->text);
            buffer_puts(b, " ");
            export_put_cell(b, value->text);
        }
        buffer_puts(b, " |\n");
    }
}

static enum status put_kind(struct buffer *b, const struct export *e, size_t kind, const char *line,
                            struct error *err)
{
    struct arena *a;
    const struct data_cfg *d = &e->settings->data;
    TRY(arena_create(&a, err));
    const struct node *n = parse_line(a, line);
    buffer_printf(b, "\nOn data.%s: ", kinds[kind]);
    if (kind == EVAL)
        put_source(b, &d->eval);
    else
        put_valid(b, &d->valid);
    buffer_puts(b, ".\n");
    put_results(b, e, n ? node_get(n, "tasks") : NULL);
    arena_destroy(a);
    return ST_OK;
}

enum status export_card_metrics(const struct export *e, struct buffer *b, struct error *err)
{
    struct evaluations v = {0};
    uint64_t step = ckpt_meta(e->ckpt)->step;
    bool any = false;
    enum status st = read_evaluations(e, &v, err);
    buffer_puts(b, "\n## Metrics\n\n");
    for (size_t k = 0; k < KINDS; k++) any |= v.line[k] != NULL;
    if (any)
        buffer_printf(b, "After step %" PRIu64 ", as the run wrote them into `metrics.jsonl`.\n", step);
    else if (v.there)
        buffer_printf(b, "Not known: the run's `metrics.jsonl` has no evaluation after step %" PRIu64 ".\n", step);
    else
        buffer_puts(b, "Not known: the checkpoint is not in the folder of its run, where `metrics.jsonl` is.\n");
    for (size_t k = 0; st == ST_OK && k < KINDS; k++)
        if (v.line[k]) st = put_kind(b, e, k, v.line[k], err);
    for (size_t k = 0; k < KINDS; k++) mem_free(v.line[k]);
    return st;
}
