#include "data/expr_build.h"

#include <string.h>

void expr_build_close(struct expr_build *b)
{
    mem_free(b->code);
    mem_free(b->constants);
    mem_free(b->lists);
    mem_free(b->columns);
    mem_free(b->column_type);
    mem_free(b->variables);
    *b = (struct expr_build){0};
}

/* Room for one more element. */
static bool more(void **v, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) return true;
    size_t grown = *capacity ? 2 * *capacity : 16;
    void *p = mem_resize(*v, grown, size);
    if (!p) return false;
    *v = p;
    *capacity = grown;
    return true;
}

bool expr_build_code(struct expr_build *b, enum expr_op op, size_t n_args, size_t arg,
                     int net)
{
    if (!more((void **)&b->code, b->n_code, &b->cap_code, sizeof *b->code)) return false;
    b->code[b->n_code++] =
        (struct expr_instr){(uint16_t)op, (uint16_t)n_args, (uint32_t)arg};
    b->depth = (size_t)((int64_t)b->depth + net);
    if (b->depth > b->depth_max) b->depth_max = b->depth;
    return true;
}

bool expr_build_constant(struct expr_build *b, struct expr_cell c, size_t *index)
{
    if (!more((void **)&b->constants, b->n_constants, &b->cap_constants, sizeof c))
        return false;
    b->constants[ *index = b->n_constants++] = c;
    return true;
}

bool expr_build_list(struct expr_build *b, struct expr_list l, size_t *index)
{
    if (!more((void **)&b->lists, b->n_lists, &b->cap_lists, sizeof l)) return false;
    b->lists[ *index = b->n_lists++] = l;
    return true;
}

bool expr_build_variable(struct expr_build *b, enum expr_type type, size_t at,
                         uint32_t *out)
{
    if (!more((void **)&b->variables, b->n_variables, &b->cap_variables,
              sizeof *b->variables))
        return false;
    *out = (uint32_t)b->n_variables;
    b->variables[b->n_variables++] = (struct expr_variable){*out, type, at};
    return true;
}

bool expr_build_column(struct expr_build *b, const char *name, size_t at, size_t *index)
{
    for (*index = 0; *index < b->n_columns; ++*index)
        if (strcmp(b->columns[*index].name, name) == 0) return true;
    size_t capacity = b->cap_columns;
    if (!more((void **)&b->columns, b->n_columns, &capacity, sizeof *b->columns))
        return false;
    if (!more((void **)&b->column_type, b->n_columns, &b->cap_columns,
              sizeof *b->column_type))
        return false;
    if (!expr_build_variable(b, TYPE_OPEN, at, &b->column_type[b->n_columns]))
        return false;
    b->columns[b->n_columns++] = (struct expr_column){.name = name};
    return true;
}

static struct expr_variable *root(struct expr_build *b, uint32_t v)
{
    while (b->variables[v].parent != v) {
        b->variables[v].parent = b->variables[b->variables[v].parent].parent;
        v = b->variables[v].parent;
    }
    return &b->variables[v];
}

enum expr_type expr_build_type(struct expr_build *b, uint32_t variable, size_t *bound_at)
{
    struct expr_variable *r = root(b, variable);
    if (bound_at) *bound_at = r->bound_at;
    return r->type;
}

bool expr_build_bind(struct expr_build *b, uint32_t variable, enum expr_type type,
                     size_t at)
{
    struct expr_variable *r = root(b, variable);
    if (r->type == TYPE_OPEN) {
        r->type = type;
        r->bound_at = at;
    }
    return r->type == type;
}

bool expr_build_join(struct expr_build *b, uint32_t x, uint32_t y, size_t at)
{
    struct expr_variable *p = root(b, x), *q = root(b, y);
    if (p == q) return true;
    if (p->type != TYPE_OPEN && q->type != TYPE_OPEN) return p->type == q->type;
    if (p->type == TYPE_OPEN) {
        struct expr_variable *swap = p;
        p = q;
        q = swap;
    }
    q->parent = (uint32_t)(p - b->variables);
    if (p->type == TYPE_OPEN) p->bound_at = at;
    return true;
}

/* memcpy of nothing from NULL is not allowed. */
static void *copy(struct arena *a, const void *from, size_t n, size_t size)
{
    void *to = arena_take(a, n, size);
    if (to && n) memcpy(to, from, n * size);
    return to;
}

bool expr_build_finish(struct expr_build *b, struct expr *e)
{
    for (size_t i = 0; i < b->n_columns; i++)
        b->columns[i].is_string =
            expr_build_type(b, b->column_type[i], NULL) != TYPE_NUMBER;
    e->code = copy(e->arena, b->code, b->n_code, sizeof *e->code);
    e->n_code = b->n_code;
    e->constants = copy(e->arena, b->constants, b->n_constants, sizeof *e->constants);
    e->lists = copy(e->arena, b->lists, b->n_lists, sizeof *e->lists);
    e->columns = copy(e->arena, b->columns, b->n_columns, sizeof *e->columns);
    e->n_columns = b->n_columns;
    return e->code && e->constants && e->lists && e->columns;
}
