#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/math/target.h"
#include "data/schema.h"

/* A text that grows. */
struct writing {
    char *s;
    size_t n, cap;
    bool failed;
};

static bool make_room(struct writing *w, size_t more)
{
    if (w->n + more + 1 <= w->cap) return true;
    size_t cap = 2 * w->cap + more + 256;
    char *s = w->failed ? NULL : mem_resize(w->s, cap, 1);
    if (!s) {
        w->failed = true;
        return false;
    }
    w->s = s;
    w->cap = cap;
    return true;
}

static void PRINTF_LIKE(2, 3) put(struct writing *w, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n > 0 && make_room(w, (size_t)n)) {
        vsnprintf(w->s + w->n, (size_t)n + 1, fmt, again);
        w->n += (size_t)n;
    }
    va_end(again);
}

/* Texts carry their length, so that no text can look like two. */
static void put_text(struct writing *w, const char *key, const char *text)
{
    if (text) put(w, " %s=%zu:%s", key, strlen(text), text);
}

static void put_list(struct writing *w, const char *key, const struct list_cfg *l)
{
    put(w, " %s=%zu[", key, l->n);
    for (size_t i = 0; i < l->n; i++) put_text(w, "", l->v[i]);
    put(w, "]");
}

static void put_source(struct writing *w, const struct source_cfg *s)
{
    put(w, " format=%d header=%d skip=%zu trim=%d encoding=%d", (int)s->format, s->header,
        s->skip_lines, s->trim, (int)s->encoding);
    put_text(w, "delimiter", s->delimiter);
    put_list(w, "columns", &s->columns);
    put_list(w, "missing", &s->missing);
}

static void put_features(struct writing *w, const struct schema *s)
{
    for (size_t i = 0; i < s->n_features; i++) {
        const struct schema_feature *f = &s->features[i];
        const struct feature_plan *p = &s->plan->features[i];
        const struct feature_cfg *c = f->cfg;
        put(w, "feature kind=%d", (int)f->kind);
        put_text(w, "name", f->name);
        if (p->from == FROM_EXPR)
            put_text(w, "expr", c->expr.text);
        else if (p->from == FROM_CROSS)
            put(w, " cross=%zu,%zu", p->cross[0], p->cross[1]);
        else
            put_text(w, "column", s->plan->columns[p->column].name);
        if (c->has_missing) put_list(w, "missing", &c->missing);
        if (f->kind == FEATURE_DENSE) put(w, " width=%zu", f->width);
        if (f->kind == FEATURE_ID) {
            put(w, " table=%zu key=%d multi=%d bucketize=%zu", f->table, (int)c->key,
                f->multi, c->bucketize);
            put_text(w, "split", c->split);
            if (f->multi) put(w, " keep=%d max_len=%zu", (int)c->keep, c->max_len);
        }
        put(w, "\n");
    }
    for (size_t t = 0; t < s->n_tables; t++) {
        put(w, "table");
        put_text(w, "name", s->table_names[t]);
        put(w, "\n");
    }
}

static void put_tasks(struct writing *w, const struct schema *s)
{
    for (size_t k = 0; k < s->settings->n_tasks; k++) {
        const struct task_cfg *t = &s->settings->tasks[k];
        const struct task_plan *p = &s->plan->tasks[k];
        put(w, "task bce=%d", t->loss == LOSS_BCE);
        put_text(w, "name", t->name);
        if (p->label.expr) put_text(w, "label", t->label.text);
        if (p->present.expr) put_text(w, "present", t->present.text);
        if (p->weight.expr) put_text(w, "row_weight", t->row_weight.text);
        if (target_is_time(t->loss)) put(w, " time=1");
        if (p->duration.expr) put_text(w, "duration", t->duration.text);
        put(w, "\n");
    }
}

const char *schema_describe(const struct schema *s)
{
    const struct data_cfg *data = &s->settings->data;
    struct writing w = {0};
    put_features(&w, s);
    put_tasks(&w, s);
    for (size_t j = 0; j < data->n_joins; j++) {
        put(&w, "join");
        put_text(&w, "key", data->joins[j].key.text);
        put_source(&w, &data->joins[j].source);
        put(&w, "\n");
    }
    put(&w, "slot order=%d", (int)data->slot.order);
    put_text(&w, "separator", data->slot.separator);
    put_list(&w, "fixed", &data->slot.fixed);
    if (s->plan->group != SIZE_MAX)
        put_text(&w, "group", s->plan->columns[s->plan->group].name);
    put(&w, "\ndictionary_limit=%zu labels_optional=%d\n", data->dictionary_limit,
        s->plan->labels_optional);
    const char *text = w.failed ? NULL : arena_strdup(s->arena, w.s);
    mem_free(w.s);
    return text;
}
