/* Where PaddleRec's data are, and what its readers take them to be. */
#include <stdio.h>
#include <string.h>

#include "cli/paddlerec.h"
#include "common/base/mem.h"
#include "common/store/file.h"

#define HYPER "hyper_parameters."

/* The readers that ship with PaddleRec, by the keys of their models. */
enum shape {
    SHAPE_UNKNOWN,
    SHAPE_CENSUS, /* label0,label1,f1,...: numbers without a header line */
    SHAPE_CRITEO, /* click:0 dense_feature:0.1 ... 1:737395 ... */
    SHAPE_SLOTS,  /* 0:1 16543128959394097760:29 ... */
    SHAPE_ESMM,   /* id,click,buy,101:12,... */
    SHAPE_AITM    /* click,purchase,101,121,... with a header line */
};

static enum shape shape_of(const struct paddlerec *p)
{
    if (paddlerec_has(p, HYPER "feature_size")) return SHAPE_CENSUS;
    if (paddlerec_has(p, HYPER "sparse_inputs_slots")) return SHAPE_CRITEO;
    if (paddlerec_has(p, HYPER "slot_num")) return SHAPE_SLOTS;
    if (paddlerec_has(p, HYPER "ctr_fc_sizes")) return SHAPE_ESMM;
    if (paddlerec_has(p, HYPER "feature_vocabulary")) return SHAPE_AITM;
    return SHAPE_UNKNOWN;
}

static enum status no_memory(struct error *err)
{
    return mem_error(err, "draft", 0);
}

/* ---- files ---- */

/* The pattern of all files of a folder that the file names; relative to the file's own
 * folder. */
static enum status folder(struct paddlerec *p, struct arena *a, const char *key,
                          const char **pattern, struct error *err)
{
    const char *dir = paddlerec_text(p, key);
    *pattern = NULL;
    if (!dir || !*dir) return ST_OK;
    const char *slash = strrchr(p->file, '/');
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    while (n > 2 && !strncmp(dir, "./", 2)) {
        dir += 2;
        n -= 2;
    }
    int base = slash && *dir != '/' ? (int)(slash + 1 - p->file) : 0;
    *pattern = arena_printf(a, "%.*s%.*s/*", base, p->file, (int)n, dir);
    return *pattern ? ST_OK : no_memory(err);
}

static bool has_files(const char *pattern)
{
    char dir[4096];
    const char **names;
    size_t n;
    struct error unheeded;
    if (!pattern) return false;
    snprintf(dir, sizeof dir, "%.*s", (int)strlen(pattern) - 2, pattern);
    if (!file_is_dir(dir) || file_list(dir, &names, &n, &unheeded) != ST_OK) return false;
    mem_free(names);
    return n > 0;
}

/* ---- columns without the data ---- */

static struct guess_column *add_column(struct guess *g, const char *name,
                                       enum guess_kind kind)
{
    struct guess_column *c = &g->columns[g->n_columns++];
    *c =
        (struct guess_column){.name = name, .kind = kind, .width = 1, .whole_keys = true};
    return c;
}

static enum status add_columns(struct guess *g, const char *prefix, size_t first,
                               size_t last, enum guess_kind kind, struct error *err)
{
    for (size_t i = first; i <= last; i++) {
        const char *name = arena_printf(g->arena, "%s%zu", prefix, i);
        if (!name) return no_memory(err);
        add_column(g, name, kind);
    }
    return ST_OK;
}

static void add_task(struct guess *g, const char *name, const char *label)
{
    g->tasks[g->n_tasks++] = (struct guess_task){.name = name, .label = label};
    if (g->data.train.format != SOURCE_SLOT) add_column(g, label, GUESS_LABEL);
}

/* The names of a csv file without a header line are those of the columns. */
static enum status list_names(struct guess *g, struct error *err)
{
    struct list_cfg names = {.n = g->n_columns};
    names.v = arena_take(g->arena, g->n_columns, sizeof *names.v);
    if (!names.v) return no_memory(err);
    for (size_t i = 0; i < g->n_columns; i++) names.v[i] = g->columns[i].name;
    g->data.train.columns = g->data.eval.columns = names;
    g->names_listed = true;
    return ST_OK;
}

static enum status census(struct paddlerec *p, struct guess *g, struct error *err)
{
    size_t n_tasks = paddlerec_count(p, HYPER "task_num");
    if (!n_tasks) n_tasks = paddlerec_count(p, HYPER "gate_num");
    if (!n_tasks || n_tasks > 16) n_tasks = 2;
    for (size_t k = 0; k < n_tasks; k++) {
        const char *name = arena_printf(g->arena, "label%zu", k);
        if (!name) return no_memory(err);
        add_task(g, name, name);
    }
    TRY(add_columns(g, "f", 1, paddlerec_count(p, HYPER "feature_size"), GUESS_NUMBER,
                    err));
    return list_names(g, err);
}

static enum status criteo(struct paddlerec *p, struct guess *g, struct error *err)
{
    size_t slots = paddlerec_count(p, HYPER "sparse_inputs_slots"); /* the label is one */
    add_task(g, "click", "click");
    if (slots > 1) TRY(add_columns(g, "", 1, slots - 1, GUESS_LIST, err));
    size_t width = paddlerec_count(p, HYPER "dense_input_dim");
    if (width) add_column(g, "dense_feature", GUESS_NUMBER)->width = width;
    return ST_OK;
}

static enum status slots(struct paddlerec *p, struct guess *g, struct error *err)
{
    g->data.slot.order = SLOT_VALUE_FIRST;
    add_task(g, "click", "1");
    return add_columns(g, "", 2, paddlerec_count(p, HYPER "slot_num") + 1, GUESS_LIST,
                       err);
}

static enum status esmm(struct guess *g, struct error *err)
{
    static const char *const fixed[] = {"id", "click", "buy"};
    static const char *const fields[] = {
        "101", "109_14", "110_14", "127_14", "150_14", "121", "122", "124",
        "125", "126",    "127",    "128",    "129",    "205", "206", "207",
        "210", "216",    "508",    "509",    "702",    "853", "301"};
    g->data.slot.separator = ",";
    g->data.slot.fixed = (struct list_cfg){(const char **)fixed, 3, {0}};
    add_task(g, "click", "click");
    add_task(g, "buy", "buy");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        add_column(g, fields[i], GUESS_LIST);
    (void)err;
    return ST_OK;
}

/* [['101', 238635], ...] */
static enum status aitm(struct paddlerec *p, struct guess *g, struct error *err)
{
    const struct node *fields = paddlerec_value(p, HYPER "feature_vocabulary");
    add_task(g, "click", "click");
    add_task(g, "purchase", "purchase");
    for (size_t i = 0; fields && fields->kind == NODE_LIST && i < fields->n; i++) {
        const struct node *field = fields->items[i];
        if (field->kind != NODE_LIST || !field->n || field->items[0]->kind != NODE_SCALAR)
            return error_set(err, ST_USAGE, "%s:%u:%u: [name, number of ids] is expected",
                             p->file, field->at.line, field->at.column);
        const char *name = arena_strdup(g->arena, field->items[0]->text);
        if (!name) return no_memory(err);
        add_column(g, name, GUESS_ID);
    }
    return ST_OK;
}

static size_t most_columns(struct paddlerec *p)
{
    const struct node *fields = paddlerec_value(p, HYPER "feature_vocabulary");
    return 64 + paddlerec_count(p, HYPER "feature_size") + (fields ? fields->n : 0) +
           paddlerec_count(p, HYPER "sparse_inputs_slots") +
           paddlerec_count(p, HYPER "slot_num");
}

static enum status by_shape(struct paddlerec *p, enum shape shape, struct guess *g,
                            struct error *err)
{
    size_t most = most_columns(p);
    if (most > 65536) return error_set(err, ST_USAGE, "%s: %zu columns", p->file, most);
    g->columns = arena_take(g->arena, most, sizeof *g->columns);
    g->tasks = arena_take(g->arena, 16, sizeof *g->tasks);
    if (!g->columns || !g->tasks) return no_memory(err);
    bool slot = shape == SHAPE_CRITEO || shape == SHAPE_SLOTS || shape == SHAPE_ESMM;
    g->data.train.format = g->data.eval.format = slot ? SOURCE_SLOT : SOURCE_CSV;
    g->data.train.header = g->data.eval.header = shape == SHAPE_AITM;
    switch (shape) {
    case SHAPE_CENSUS:
        return census(p, g, err);
    case SHAPE_CRITEO:
        return criteo(p, g, err);
    case SHAPE_SLOTS:
        return slots(p, g, err);
    case SHAPE_ESMM:
        return esmm(g, err);
    default:
        return aitm(p, g, err);
    }
}

/* ---- with the data ---- */

/* Names and labels that the reader knows and the files do not say. */
static void fill_request(enum shape shape, struct guess_request *q)
{
    static const char *const fixed[] = {"id", "click", "buy"};
    static const struct {
        const char *v[2];
        size_t n;
    } labels[] = {[SHAPE_CENSUS] = {{"label0=col1", "label1=col2"}, 2},
                  [SHAPE_CRITEO] = {{"click"}, 1},
                  [SHAPE_SLOTS] = {{"click=1"}, 1},
                  [SHAPE_ESMM] = {{"click", "buy"}, 2},
                  [SHAPE_AITM] = {{"click", "purchase"}, 2}};
    if (q->labels.n || q->columns.n || shape == SHAPE_UNKNOWN) return;
    q->labels = (struct list_cfg){(const char **)labels[shape].v, labels[shape].n, {0}};
    if (shape == SHAPE_ESMM) q->columns = (struct list_cfg){(const char **)fixed, 3, {0}};
}

static enum status one_file(struct guess *g, struct list_cfg *files, const char *pattern,
                            struct error *err)
{
    files->v = arena_take(g->arena, 1, sizeof *files->v);
    if (!files->v || !(files->v[0] = arena_strdup(g->arena, pattern)))
        return no_memory(err);
    files->n = 1;
    return ST_OK;
}

/* The files are elsewhere: what the reader would make of them. */
static enum status without_data(struct paddlerec *p, enum shape shape, const char *train,
                                const char *test, struct guess **out, struct error *err)
{
    if (shape == SHAPE_UNKNOWN || !train) {
        error_set(err, ST_NOINPUT,
                  "%s: its data are not there, and its keys do not tell what "
                  "they are",
                  p->file);
        return error_hint(err, ST_NOINPUT, "name them: --data FILE...");
    }
    struct guess *g;
    TRY(guess_create(&g, err));
    enum status st = by_shape(p, shape, g, err);
    if (st == ST_OK) st = one_file(g, &g->data.train.files, train, err);
    if (st == ST_OK && test) st = one_file(g, &g->data.eval.files, test, err);
    guess_plan_default(g);
    if (st != ST_OK)
        guess_destroy(g);
    else
        *out = g;
    return st;
}

/* Sizes that the data say, too. */
static void use_up(struct paddlerec *p)
{
    static const char *const keys[] = {HYPER "feature_size", HYPER "sparse_inputs_slots",
                                       HYPER "dense_input_dim", HYPER "slot_num",
                                       HYPER "num_field"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) paddlerec_count(p, keys[i]);
}

enum status paddlerec_data(struct paddlerec *p, const struct guess_request *q,
                           struct guess **out, struct error *err)
{
    const char *train, *test;
    enum shape shape = shape_of(p);
    struct guess_request full = *q;
    TRY(folder(p, p->arena, "runner.train_data_dir", &train, err));
    TRY(folder(p, p->arena, "runner.test_data_dir", &test, err));
    if (!full.files.n && has_files(train)) {
        full.files = (struct list_cfg){&train, 1, {0}};
        if (!full.eval.n && has_files(test)) full.eval = (struct list_cfg){&test, 1, {0}};
    }
    struct guess *g;
    if (full.files.n) {
        fill_request(shape, &full);
        TRY(guess_read(&full, &g, err));
    } else {
        TRY(without_data(p, shape, train, test, &g, err));
    }
    use_up(p);
    if (g->data.train.format == SOURCE_SLOT) g->plan.table = "feature";
    *out = g;
    return ST_OK;
}
