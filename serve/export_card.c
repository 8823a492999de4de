/* The model card: what a bundle is, for the people who get it. */
#include "serve/export_impl.h"

#include <inttypes.h>
#include <string.h>

#include "common/store/ckpt.h"
#include "serve/lookup.h"

static const char *kind_name(const struct schema_feature *f)
{
    if (f->kind == FEATURE_ID) return f->multi ? "list of ids" : "id";
    return f->kind == FEATURE_ONE_HOT ? "one_hot" : "number";
}

void export_put_cell(struct buffer *b, const char *text)
{
    for (const char *c = text; *c; c++)
        buffer_printf(b, *c == '|' ? "\\%c" : "%c", (unsigned char)*c < ' ' ? ' ' : *c);
}

/* What a feature is made of: `a column`, an expression, two features. */
static void put_source(struct buffer *b, const struct export *e, size_t i)
{
    const struct schema_feature *f = &e->schema->features[i];
    const struct feature_plan *p = &e->schema->plan->features[i];
    if (p->from == FROM_CROSS) {
        export_put_cell(b, f->cfg->cross.v[0]);
        buffer_puts(b, " and ");
        export_put_cell(b, f->cfg->cross.v[1]);
        return;
    }
    buffer_puts(b, "`");
    export_put_cell(b, p->from == FROM_EXPR ? f->cfg->expr.text : e->schema->plan->columns[p->column].name);
    buffer_puts(b, "`");
}

/* Is it a column that joins brought in training, or the key of a side table that is inside? */
static bool is_of_side_table(const struct export *e, const char *name)
{
    const struct schema_plan *p = e->schema->plan;
    for (size_t c = 0; c < p->n_columns; c++)
        if (e->used[c] && p->columns[c].owner >= 0 && !strcmp(p->columns[c].name, name)) return true;
    return false;
}

static bool is_key(const struct export *e, const char *name)
{
    for (size_t j = 0; j < e->settings->data.n_joins; j++)
        if (export_has_join(e, j) && !strcmp(e->settings->data.joins[j].key.text, name)) return true;
    return false;
}

static void put_input(struct buffer *b, const struct export *e, const struct mtps_input *in)
{
    static const char *const kinds[2][2] = {{"id", "list of ids"}, {"number", "list of numbers"}};
    buffer_puts(b, "- `");
    export_put_cell(b, in->name);
    buffer_printf(b, "`: %s%s%s\n", kinds[in->is_number][in->is_list],
                  is_of_side_table(e, in->name) ? " (of a side table in training)" : "",
                  is_key(e, in->name) ? " (key of a side table)" : "");
}

static void put_inputs(struct buffer *b, const struct export *e, const struct mtps_model *m)
{
    buffer_puts(b, "\n## Inputs\n\n");
    buffer_puts(b, e->spec->onnx ? "Features are made of these raw values of a row; what the graph takes is below.\n\n"
                                 : "A request carries these raw values; one that is absent counts as missing.\n\n");
    for (size_t i = 0; i < mtps_n_inputs(m); i++) put_input(b, e, mtps_input(m, i));
    if (e->joins) buffer_puts(b, "\nSide tables are inside: their columns need not be given.\n");
    buffer_puts(b, "\n| feature | kind | made of |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < e->schema->n_features; i++) {
        buffer_puts(b, "| ");
        export_put_cell(b, e->schema->features[i].name);
        buffer_printf(b, " | %s | ", kind_name(&e->schema->features[i]));
        put_source(b, e, i);
        buffer_puts(b, " |\n");
    }
}

static void put_tasks(struct buffer *b, const struct export *e)
{
    buffer_puts(b, "\n## Outputs\n\n| task | score | label in training |\n| --- | --- | --- |\n");
    for (size_t k = 0; k < e->settings->n_tasks; k++) {
        const struct task_cfg *t = &e->settings->tasks[k];
        buffer_puts(b, "| ");
        export_put_cell(b, t->name);
        buffer_printf(b, " | %s | `", t->loss == LOSS_BCE ? "probability" : "value");
        export_put_cell(b, t->label.text);
        buffer_puts(b, "` |\n");
    }
}

static void put_tables(struct buffer *b, const struct export *e)
{
    const struct export_spec *s = e->spec;
    buffer_puts(b, "\n## Embeddings\n\n| table | rows | of | dim |\n| --- | ---: | ---: | ---: |\n");
    for (size_t t = 0; t < e->kinds->n; t++) {
        buffer_puts(b, "| ");
        export_put_cell(b, e->kinds->name[t]);
        buffer_printf(b, " | %" PRIu64 " | %" PRIu64 " | %zu |\n", e->kept[t],
                      ckpt_table_rows(e->ckpt, e->table[t]), ckpt_table(e->ckpt, e->table[t])->dim);
    }
    buffer_printf(b, "\nRows are kept as %s.", section_type_name(s->rows));
    if (s->min_count) buffer_printf(b, " Ids that occurred fewer than %" PRIu64 " times are left out.", s->min_count);
    if (s->max_age)
        buffer_printf(b, " Ids that did not occur in the last %" PRIu64 " steps are left out.", s->max_age);
    if (e->base)
        buffer_printf(b, " This is a delta: it holds the rows that differ from version %" PRIu64 " (id %s), which must stand beside it.",
                      e->base->info.version, e->base->info.id);
    buffer_puts(b, " An id that has no row counts as one that training never saw.\n");
}

/* What a key of a feature is made of. Levels are always texts. */
static const char *key_name(const struct export *e, size_t i)
{
    const struct schema_feature *f = &e->schema->features[i];
    if (e->schema->plan->features[i].from == FROM_CROSS) return "mix of the keys of two features";
    return f->kind == FEATURE_ID && f->cfg->key == KEY_UINT64 ? "the number" : "XXH3-64 of the text";
}

static void put_onnx_input(struct buffer *b, const struct export *e, size_t i, bool wide)
{
    const struct schema_feature *f = &e->schema->features[i];
    bool tables = export_onnx_has_tables(e), number = e->schema->plan->features[i].store == STORE_NUMBER;
    size_t table = wide ? e->kinds->wide_table[f->table] : e->kinds->deep_table[f->table];
    buffer_puts(b, wide ? "| wide/" : "| ");
    export_put_cell(b, f->name);
    if (number)
        buffer_printf(b, " | float [batch, %zu] | NaN is missing; before transforms |\n", f->kind == FEATURE_ID ? 1 : f->width);
    else if (f->kind == FEATURE_ONE_HOT)
        buffer_printf(b, " | int64 [batch] | key of the level: %s |\n", key_name(e, i));
    else if (!tables)
        buffer_printf(b, " | float [batch, %zu] | vector%s of table %s; key: %s |\n", e->kinds->dim[table],
                      f->multi ? "s, pooled," : "", e->kinds->name[table], key_name(e, i));
    else if (!f->multi)
        buffer_printf(b, " | int64 [batch] | key of the id: %s |\n", key_name(e, i));
    else
        buffer_printf(b, " | int64 [n], and `.offsets` int64 [batch + 1] | keys of all rows: %s; where each row's begin |\n",
                      key_name(e, i));
}

static void put_onnx(struct buffer *b, const struct export *e)
{
    char ids[160], vectors[160];
    buffer_puts(b, "\n## ONNX inputs\n\nA key is the XXH3-64 of the id's text as int64 (`key: uint64`: the number; a cross: "
                   "the mix of two, common/base/hash.h); a missing id has the key of `missing`. A key that training never "
                   "saw counts as zeros.\n\n| input | shape | holds |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < e->schema->n_features; i++) {
        bool by_vector = e->schema->features[i].kind == FEATURE_ID &&
                       e->schema->plan->features[i].store != STORE_NUMBER && !export_onnx_has_tables(e);
        if (!by_vector || e->kinds->deep[i]) put_onnx_input(b, e, i, false);
        if (by_vector && e->kinds->wide[i]) put_onnx_input(b, e, i, true);
    }
    for (size_t k = 0; k < e->settings->n_tasks; k++)
        if (e->settings->tasks[k].loss == LOSS_COMPLETION) {
            buffer_puts(b, "| ");
            export_put_cell(b, e->settings->tasks[k].name);
            buffer_puts(b, ".duration | float [batch, 1] | duration |\n");
        }
    if (export_onnx_has_tables(e)) return;
    buffer_puts(b, "\n| table | keys, uint64 | vectors, float |\n| --- | --- | --- |\n");
    for (size_t t = 0; t < e->kinds->n; t++) {
        export_onnx_file(e, t, "ids", ids, sizeof ids);
        export_onnx_file(e, t, "vectors", vectors, sizeof vectors);
        buffer_puts(b, "| ");
        export_put_cell(b, e->kinds->name[t]);
        buffer_printf(b, " | `%s` | `%s` |\n", ids, vectors);
    }
}

static void put_vectors(struct buffer *b, const struct export *e)
{
    const struct sizes_cfg *layers = &e->settings->model.item.mlp.layers;
    buffer_puts(b, "\n## Vectors of items\n\n`item_ids.txt` has an item a line (column ");
    export_put_cell(b, e->spec->item_key);
    buffer_printf(b,
                  "), `item_vectors.f32` its vectors: %zu tasks x %zu float32 of unit length, tasks in the order above. "
                  "The logit of a task is <user, item> / %g plus a constant.\n",
                  e->settings->n_tasks, layers->v[layers->n - 1], e->settings->model.temperature);
}

static void put_promise(struct buffer *b, const struct export *e)
{
    bool filtered = e->spec->min_count || e->spec->max_age;
    buffer_puts(b, "\n## Numbers\n\n");
    if (e->spec->onnx)
        buffer_puts(b, "ONNX Runtime's scores are within 1e-5 of those of `mtps predict --ckpt` for rows whose ids have rows.");
    else if (e->spec->rows != SECTION_F32)
        buffer_puts(b, "Rows are rounded, so scores differ slightly from those of the checkpoint: "
                       "`mtps verify-export` says by how much.");
    else if (e->spec->project)
        buffer_puts(b, "Rows were multiplied by the first layer at export, which changes the order of sums: logits are "
                       "within 1e-6 of those of `mtps predict --ckpt`, relative to their size.");
    else
        buffer_puts(b, "Scores are those of `mtps predict --ckpt`, bit for bit, on processors of the same kind, for any "
                       "batch size: `mtps verify-export` checks it.");
    buffer_puts(b, filtered && !e->spec->onnx ? " Rows with ids that were left out differ.\n" : "\n");
}

enum status export_card(const struct export *e, const struct mtps_model *m, const struct export_result *r,
                        char **text, struct error *err)
{
    const struct ckpt_meta *meta = ckpt_meta(e->ckpt);
    struct buffer b = {0};
    struct digest digest;
    char hex[33];
    ckpt_digest(e->ckpt, &digest);
    digest_hex(&digest, hex);
    buffer_puts(&b, "# ");
    export_put_cell(&b, e->settings->name);
    buffer_printf(&b,
                  ", version %" PRIu64 "\n\n"
                  "| | |\n| --- | --- |\n"
                  "| model | %s, %zu features, %zu tasks |\n"
                  "| trained for | %" PRIu64 " steps (%" PRIu64 " updates), %.6g epochs, batches of %" PRIu64 " rows |\n"
                  "| checkpoint | %s |\n| trained by | %s |\n| exported by | %s |\n"
                  "| file | `%s`, %" PRIu64 " bytes%s%s |\n",
                  e->version, settings_model_name(e->settings), e->schema->n_features, e->settings->n_tasks,
                  meta->step, meta->updates, meta->epoch, meta->batch_size, hex, meta->build, e->spec->build, e->spec->onnx ? "model.onnx" : BUNDLE_FILE,
                  r->bytes, *r->id ? ", id " : "", r->id);
    put_inputs(&b, e, m);
    if (e->spec->onnx) put_onnx(&b, e);
    put_tasks(&b, e);
    put_tables(&b, e);
    if (e->spec->n_item_files) put_vectors(&b, e);
    put_promise(&b, e);
    export_card_training(e, &b);
    enum status st = export_card_metrics(e, &b, err);
    if (st != ST_OK) buffer_close(&b);
    TRY(st);
    return buffer_take(&b, text, err);
}
