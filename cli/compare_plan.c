/* Which cells there are, and what each of them is: settings, parameters, folder. */
#include <stdio.h>
#include <string.h>

#include "cli/compare.h"
#include "cli/compare_vary.h"
#include "common/base/log.h"
#include "common/config/buffer.h"
#include "common/config/flat.h"
#include "common/store/ckpt.h"
#include "common/store/file.h"
#include "worker/session.h"

enum {
    MAX_CELLS = 10000,
    MAX_SLUG = 60,
    ID_HEX = 10,
    DRAWS_PER_CELL = 100,
    CURVE_POINTS = 100
};

const char *const compare_on_names[N_ON] = {"eval", "valid", "train"};

/* The data of the cell at hand; the next cell often has the same. */
struct planner {
    struct compare *c;
    struct vary *vary; /* [c->n_keys] */
    struct settings *owner;
    struct session *session;
    char signature[SHA256_HEX];
    size_t target; /* parameters of the first cell */
    struct error *err;
};

static enum status no_memory(struct error *err)
{
    return mem_error(err, "comparison", sizeof(struct compare_cell));
}

/* ---- what makes a model ---- */

static bool is_under(const char *key, const char *prefix)
{
    size_t n = strlen(prefix);
    return !strncmp(key, prefix, n) && (!key[n] || key[n] == '.' || key[n] == ' ');
}

static bool is_under_any(const char *key, const char *const *prefixes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_under(key, prefixes[i])) return true;
    return false;
}

/* Keys that change nothing about a finished model, and the seed, which names a
 * run of the cell. A key that is varied always counts. */
static bool counts_for_model(const struct compare *c, const char *key)
{
    static const char *const free_keys[] = {"name", "seed",       "run_dir", "data.cache",
                                            "log",  "checkpoint", "cluster"};
    return is_under_any(key, c->keys, c->n_keys) ||
           !is_under_any(key, free_keys, sizeof free_keys / sizeof *free_keys);
}

/* Keys that change rows, features or their statistics. What a task says about its
 * parts of the network does not. */
static bool counts_for_data(const struct compare *c, const char *key)
{
    static const char *const prefixes[] = {"data", "features", "tables", "tasks", "seed"};
    (void)c;
    bool network = is_under(key, "tasks") &&
                   (strstr(key, ".tower") || strstr(key, ".gate") || strstr(key, ".own"));
    return is_under_any(key, prefixes, sizeof prefixes / sizeof *prefixes) && !network;
}

/* Hash of the settings' lines that count, and of some more text. */
static enum status hash_settings(const struct compare *c, const struct settings *s,
                                 bool (*counts)(const struct compare *, const char *),
                                 const char *more, char hex[SHA256_HEX],
                                 struct error *err)
{
    struct arena *a;
    struct flat flat;
    struct buffer text = {0};
    char *all = NULL;
    TRY(arena_create(&a, err));
    enum status st = flat_make(a, s, &flat, err);
    for (size_t i = 0; st == ST_OK && i < flat.n; i++)
        if (counts(c, flat.lines[i].key))
            buffer_printf(&text, "%s=%s\n", flat.lines[i].key, flat.lines[i].value);
    if (st == ST_OK) buffer_puts(&text, more);
    if (st == ST_OK) st = buffer_take(&text, &all, err);
    if (st == ST_OK) bytes_sha256(all, strlen(all), hex);
    mem_free(all);
    buffer_close(&text);
    arena_destroy(a);
    return st;
}

/* ---- a cell's settings ---- */

static enum status add_set(struct planner *p, struct compare_cell *cell, const char *text)
{
    if (!text) return no_memory(p->err);
    cell->sets[cell->n_sets++] = text;
    return ST_OK;
}

static enum status load_cell(struct planner *p, const struct compare_cell *cell,
                             struct settings **out)
{
    enum status st = settings_load(cell->file, cell->sets, cell->n_sets, out, p->err);
    if (st == ST_OK || !p->c->n_keys) return st;
    return error_wrap(p->err, st, "cell %s", cell->label);
}

/* "mmoe", or "type=mmoe count=8" when several keys vary. */
static const char *make_label(const struct compare *c, const char *const *values)
{
    const char *label = c->n_keys ? "" : "as configured";
    for (size_t k = 0; k < c->n_keys && label; k++) {
        const char *dot = strrchr(c->keys[k], '.');
        const char *name = dot ? dot + 1 : c->keys[k];
        bool alone = c->n_keys == 1;
        label = arena_printf(c->arena, "%s%s%s%s%s", label, k ? " " : "",
                             alone ? "" : name, alone ? "" : "=", values[k]);
    }
    return label;
}

static enum status start_cell(struct planner *p, const char *const *values,
                              struct compare_cell *cell)
{
    struct compare *c = p->c;
    const struct compare_args *args = c->args;
    size_t n = args->n_sets + c->n_keys + WIDTHS_MAX_PARTS + 1;
    *cell = (struct compare_cell){.file = args->files[0],
                                  .values =
                                      arena_take(c->arena, c->n_keys + 1, sizeof(char *)),
                                  .sets = arena_take(c->arena, n, sizeof(char *)),
                                  .label = make_label(c, values)};
    if (!cell->values || !cell->sets || !cell->label) return no_memory(p->err);
    memcpy(cell->values, values, c->n_keys * sizeof *values);
    for (size_t i = 0; i < args->n_sets; i++) cell->sets[cell->n_sets++] = args->sets[i];
    for (size_t k = 0; k < c->n_keys; k++) {
        if (!strcmp(c->keys[k], "config"))
            cell->file = values[k];
        else
            TRY(add_set(p, cell, arena_printf(c->arena, "%s=%s", c->keys[k], values[k])));
    }
    return ST_OK;
}

/* ---- data ---- */

static void close_data(struct planner *p)
{
    session_close(p->session);
    settings_destroy(p->owner);
    p->session = NULL;
    p->owner = NULL;
}

/* Takes the settings over in any case. */
static enum status open_data(struct planner *p, struct settings *s)
{
    close_data(p);
    p->owner = s;
    struct session_spec spec = {.settings = s, .uses = SESSION_TRAIN | SESSION_VALID};
    if (s->data.eval.files.n) spec.uses |= SESSION_EVAL;
    TRY(session_open(&spec, &p->session, p->err));
    return session_model(p->session, NULL, p->err);
}

static enum status need_data(struct planner *p, const struct compare_cell *cell,
                             const struct settings *s)
{
    char signature[SHA256_HEX];
    TRY(hash_settings(p->c, s, counts_for_data, cell->file, signature, p->err));
    if (p->session && !strcmp(signature, p->signature)) return ST_OK;
    struct settings *own;
    TRY(load_cell(p, cell, &own));
    memcpy(p->signature, signature, sizeof signature);
    return open_data(p, own);
}

static enum status check_rows(const struct planner *p, const struct settings *s)
{
    for (size_t i = 0; i < p->c->n_on; i++) {
        enum compare_on on = p->c->on[i];
        bool there = on == ON_TRAIN || (on == ON_EVAL && s->data.eval.files.n) ||
                     (on == ON_VALID && s->data.valid.given);
        if (there) continue;
        error_set(p->err, ST_USAGE,
                  "data.%s is not given: there are no rows to compare on",
                  compare_on_names[on]);
        return error_hint(p->err, ST_USAGE,
                          "name its files, or choose other rows with --on");
    }
    return ST_OK;
}

/* ---- parameters and widths ---- */

struct counter {
    struct planner *p;
    const struct compare_cell *cell;
};

static enum status add_widths(struct planner *p, struct compare_cell *cell,
                              const struct widths *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const char *text = arena_printf(p->c->arena, "%s=[", w->part[i].key);
        for (size_t l = 0; l < w->part[i].n && text; l++)
            text = arena_printf(p->c->arena, "%s%s%zu", text, l ? ", " : "",
                                w->part[i].v[l]);
        TRY(add_set(p, cell, text ? arena_printf(p->c->arena, "%s]", text) : NULL));
    }
    return ST_OK;
}

/* A copy of the cell, whose sets may grow without changing it. */
static enum status cell_with(struct planner *p, const struct compare_cell *cell,
                             const struct widths *w, struct compare_cell *out)
{
    *out = *cell;
    out->sets =
        arena_take(p->c->arena, cell->n_sets + WIDTHS_MAX_PARTS + 1, sizeof(char *));
    if (!out->sets) return no_memory(p->err);
    memcpy(out->sets, cell->sets, cell->n_sets * sizeof *cell->sets);
    return add_widths(p, out, w);
}

static enum status count_with(void *arg, const struct widths *w, size_t *params,
                              struct error *err)
{
    const struct counter *counter = arg;
    struct compare_cell with;
    struct settings *s;
    TRY(cell_with(counter->p, counter->cell, w, &with));
    TRY(load_cell(counter->p, &with, &s));
    enum status st = session_count_params(counter->p->session, s, params, err);
    settings_destroy(s);
    return st;
}

static enum status solve_widths(struct planner *p, struct compare_cell *cell,
                                const struct settings *s)
{
    struct widths base;
    TRY(widths_of(s, &base, p->err));
    if (!base.n || cell->params == p->target) return ST_OK;
    struct counter counter = {p, cell};
    TRY(widths_solve(&base, p->target, count_with, &counter, &cell->widths, &cell->params,
                     p->err));
    return add_widths(p, cell, &cell->widths);
}

static enum status count_params(struct planner *p, struct compare_cell *cell,
                                const struct settings *s)
{
    TRY(session_count_params(p->session, s, &cell->params, p->err));
    if (!p->c->n_cells) p->target = cell->params;
    if (p->c->args->equal_params) TRY(solve_widths(p, cell, s));
    cell->deviation = p->target ? (double)cell->params / (double)p->target - 1 : 0;
    return ST_OK;
}

/* ---- the folder, and what a curve needs ---- */

/* Of the checkpoint that the cell starts from: data like any other. "" when there is none,
 * or none that can be read, which training will say. */
static enum status start_digest(const struct settings *s, char hex[33], struct error *err)
{
    const struct hot_start_cfg *h = &s->hot_start;
    struct error ignored;
    struct digest d;
    struct ckpt *c = NULL;
    char *path = NULL;
    hex[0] = '\0';
    if (!h->given || !h->from || h->mode == HOT_COLD) return ST_OK;
    enum status st = ckpt_resolve(h->from, NULL, NULL, &path, &ignored);
    if (st == ST_OK) st = ckpt_open(path, false, &c, &ignored);
    if (st == ST_OK) {
        ckpt_digest(c, &d);
        digest_hex(&d, hex);
    }
    ckpt_close(c);
    mem_free(path);
    return st == ST_NOMEM ? mem_error(err, "checkpoint of a hot start", 0) : ST_OK;
}

static enum status name_cell(struct planner *p, struct compare_cell *cell,
                             const struct settings *s)
{
    const struct session *session = p->session;
    char more[4 * SHA256_HEX], hex[SHA256_HEX], slug[MAX_SLUG + 1], start[33];
    TRY(start_digest(s, start, p->err));
    snprintf(more, sizeof more, "%s %s %s%s%s", session->data_digest,
             session->eval ? dataset_digest(session->eval) : "",
             session->valid ? dataset_digest(session->valid) : "", *start ? " " : "", start);
    TRY(hash_settings(p->c, s, counts_for_model, more, hex, p->err));
    size_t n = 0;
    for (const char *t = cell->label; *t && n < MAX_SLUG; t++)
        slug[n++] =
            strspn(t,
                   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.=+-")
                ? *t
                : '_';
    slug[n] = '\0';
    cell->id = arena_printf(p->c->arena, "%s-%.*s", slug, ID_HEX, hex);
    return cell->id ? ST_OK : no_memory(p->err);
}

/* A learning curve needs points; a progress line changes nothing else. */
static enum status set_progress(struct planner *p, struct compare_cell *cell,
                                const struct settings *s)
{
    if (s->log.every.steps || s->log.every.epochs > 0) return ST_OK;
    struct session view = *p->session;
    view.spec.settings = s;
    uint64_t every = session_total_steps(&view) / CURVE_POINTS;
    return add_set(p, cell,
                   arena_printf(p->c->arena, "log.every=%llu steps",
                                (unsigned long long)(every ? every : 1)));
}

static enum status describe_cell(struct planner *p, struct compare_cell *cell)
{
    struct settings *s = NULL, *final = NULL;
    TRY(load_cell(p, cell, &s));
    enum status st = check_rows(p, s);
    if (st == ST_OK) st = need_data(p, cell, s);
    if (st == ST_OK) st = count_params(p, cell, s);
    if (st == ST_OK) st = load_cell(p, cell, &final);
    if (st == ST_OK) st = name_cell(p, cell, final);
    if (st == ST_OK) st = set_progress(p, cell, final);
    if (st == ST_OK) cell->threads = final->cluster.threads;
    settings_destroy(final);
    settings_destroy(s);
    return st;
}

/* ---- all cells ---- */

static enum status add_cell(struct planner *p, const char *const *values)
{
    struct compare *c = p->c;
    struct compare_cell *cell = &c->cells[c->n_cells];
    TRY(start_cell(p, values, cell));
    TRY(describe_cell(p, cell));
    for (size_t i = 0; i < c->n_cells; i++) {
        const struct compare_cell *other = &c->cells[i];
        if (strcmp(strrchr(other->id, '-'), strrchr(cell->id, '-')) != 0) continue;
        log_line(LOG_WARN, "compare", "%s is the same model as %s: left out", cell->label,
                 other->label);
        return ST_OK;
    }
    c->n_cells++;
    return ST_OK;
}

static enum status make_grid(struct planner *p, const char **values)
{
    struct compare *c = p->c;
    size_t n = vary_grid_size(p->vary, c->n_keys);
    if (n > MAX_CELLS) {
        error_set(p->err, ST_USAGE, "--vary: more than %d combinations", MAX_CELLS);
        return error_hint(p->err, ST_USAGE, "draw some of them with --random N");
    }
    c->cells = arena_take(c->arena, n, sizeof *c->cells);
    if (!c->cells) return no_memory(p->err);
    for (size_t i = 0; i < n; i++) {
        vary_grid(p->vary, c->n_keys, i, values);
        TRY(add_cell(p, values));
    }
    return ST_OK;
}

/* Draws that were met before are passed over; lists may hold fewer combinations
 * than are asked for. */
static enum status make_draws(struct planner *p, const char **values)
{
    struct compare *c = p->c;
    size_t n = c->args->draws;
    c->cells = arena_take(c->arena, n, sizeof *c->cells);
    if (!c->cells) return no_memory(p->err);
    for (uint64_t i = 0; c->n_cells < n && i < (uint64_t)n * DRAWS_PER_CELL; i++) {
        TRY(vary_draw(c->arena, p->vary, c->n_keys, c->first_seed, i, values, p->err));
        bool known = false;
        for (size_t j = 0; j < c->n_cells && !known; j++) {
            known = true;
            for (size_t k = 0; k < c->n_keys; k++)
                known = known && !strcmp(c->cells[j].values[k], values[k]);
        }
        if (!known) TRY(add_cell(p, values));
    }
    if (c->n_cells < n)
        log_line(LOG_WARN, "compare",
                 "--random %zu: there are only %zu different combinations", n,
                 c->n_cells);
    return ST_OK;
}

static enum status make_runs(struct planner *p)
{
    struct compare *c = p->c;
    c->runs = arena_take(c->arena, c->n_cells * c->n_seeds, sizeof *c->runs);
    if (!c->runs) return no_memory(p->err);
    for (size_t i = 0; i < c->n_cells; i++)
        for (size_t k = 0; k < c->n_seeds; k++) {
            struct compare_run *r = &c->runs[c->n_runs++];
            *r = (struct compare_run){.cell = i, .seed = c->first_seed + k};
            r->dir = arena_printf(c->arena, "%s/cells/%s/seed-%llu", c->out,
                                  c->cells[i].id, (unsigned long long)r->seed);
            if (!r->dir) return no_memory(p->err);
        }
    return ST_OK;
}

/* ---- what is varied ---- */

static enum status check_key(const struct compare *c, const char *key, size_t k,
                             struct error *err)
{
    if (!strcmp(key, "seed") || !strcmp(key, "run_dir")) {
        error_set(err, ST_USAGE, "--vary %s: %s", key,
                  *key == 's' ? "every cell is trained with the same seeds"
                              : "every run has a folder of its own");
        return error_hint(err, ST_USAGE,
                          *key == 's' ? "say how many with --seeds N (and the "
                                        "first with --seed)"
                                      : "name the comparison's with --out DIR");
    }
    for (size_t i = 0; i < k; i++)
        if (!strcmp(key, c->keys[i]))
            return error_set(err, ST_USAGE, "--vary %s: twice", key);
    return ST_OK;
}

static enum status read_vary(struct planner *p)
{
    struct compare *c = p->c;
    const struct compare_args *args = c->args;
    p->vary = arena_take(c->arena, args->n_vary + 1, sizeof *p->vary);
    c->keys = arena_take(c->arena, args->n_vary + 1, sizeof *c->keys);
    if (!p->vary || !c->keys) return no_memory(p->err);
    if (args->n_files > 1) {
        p->vary[0] =
            (struct vary){.key = "config", .values = args->files, .n = args->n_files};
        c->keys[c->n_keys++] = "config";
    }
    for (size_t i = 0; i < args->n_vary; i++) {
        struct vary *v = &p->vary[c->n_keys];
        TRY(vary_parse(c->arena, args->vary[i], args->draws > 0, v, p->err));
        TRY(check_key(c, v->key, c->n_keys, p->err));
        c->keys[c->n_keys++] = v->key;
    }
    if (args->draws && !c->n_keys)
        return error_set(p->err, ST_USAGE, "--random %zu: nothing is varied",
                         args->draws);
    return ST_OK;
}

/* Name, first seed and rows, from the first configuration. */
static enum status read_base(struct planner *p)
{
    struct compare *c = p->c;
    const struct compare_args *args = c->args;
    struct settings *s;
    TRY(settings_load(args->files[0], args->sets, args->n_sets, &s, p->err));
    c->first_seed = s->seed;
    c->name = arena_strdup(c->arena, s->name);
    c->out = args->out ? args->out : arena_printf(c->arena, "runs/%s-compare", s->name);
    memcpy(c->on, args->on, sizeof c->on);
    c->n_on = args->n_on;
    if (!args->on_given) {
        c->on[0] = s->data.eval.files.n || !s->data.valid.given ? ON_EVAL : ON_VALID;
        c->n_on = 1;
    }
    settings_destroy(s);
    return c->name && c->out ? ST_OK : no_memory(p->err);
}

enum status compare_plan(const struct compare_args *args, struct compare *c,
                         struct error *err)
{
    *c = (struct compare){.args = args, .n_seeds = args->seeds};
    TRY(arena_create(&c->arena, err));
    struct planner p = {.c = c, .err = err};
    enum status st = read_base(&p);
    if (st == ST_OK) st = read_vary(&p);
    const char **values = arena_take(c->arena, c->n_keys + 1, sizeof *values);
    if (st == ST_OK && !values) st = no_memory(err);
    if (st == ST_OK) st = args->draws ? make_draws(&p, values) : make_grid(&p, values);
    if (st == ST_OK) st = make_runs(&p);
    close_data(&p);
    return st;
}

void compare_close(struct compare *c)
{
    for (size_t i = 0; i < c->n_runs; i++) {
        json_decref(c->runs[i].lines);
        for (size_t k = 0; k < N_ON; k++) json_decref(c->runs[i].metrics[k]);
    }
    if (c->arena) arena_destroy(c->arena);
    *c = (struct compare){0};
}
