/* How a model's health is told: to programs and to people. */
#include <math.h>
#include <stdio.h>

#include "worker/report.h"

/* ---- for programs ---- */

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static void put_gates(const struct health_result *h, json_t *line)
{
    json_t *gates = json_object(), *entropy = json_object();
    for (size_t i = 0; i < h->n_gates; i++) {
        const struct health_gate *g = &h->gates[i];
        json_t *load = json_array();
        for (size_t e = 0; e < g->n; e++) json_array_append_new(load, number(g->load[e]));
        json_object_set_new(gates, g->name, load);
        if (g->n > 1) json_object_set_new(entropy, g->name, number(g->entropy));
    }
    json_object_set_new(line, "gates", gates);
    json_object_set_new(line, "entropy", entropy);
}

static void put_stacks(const struct health_result *h, json_t *line)
{
    json_t *dead = json_object();
    for (size_t i = 0; i < h->n_stacks; i++)
        json_object_set_new(dead, h->stacks[i].name, number(h->stacks[i].dead));
    json_object_set_new(line, "dead", dead);
}

/* Every pair once: {"click": {"like": 0.1, "finish": 0.2}, "like": {"finish": 0.3}}. */
static void put_cosine(const struct settings *s, const struct health_result *h, json_t *line)
{
    size_t K = h->n_tasks;
    json_t *all = json_object();
    for (size_t j = 0; j + 1 < K; j++) {
        json_t *row = json_object();
        for (size_t k = j + 1; k < K; k++)
            json_object_set_new(row, s->tasks[k].name, number(h->cosine[j * K + k]));
        json_object_set_new(all, s->tasks[j].name, row);
    }
    json_object_set_new(line, "cosine", all);
}

void report_health_json(const struct settings *s, const struct health_result *h, json_t *line)
{
    if (h->n_gates) put_gates(h, line);
    if (h->n_stacks) put_stacks(h, line);
    if (h->cosine && h->n_tasks > 1) put_cosine(s, h, line);
}

/* ---- for people: the extremes ---- */

struct text {
    char *out;
    size_t n, size;
};

#define SAY(t, ...)                                                                        \
    do {                                                                                   \
        if ((t)->n < (t)->size)                                                            \
            (t)->n += (size_t)snprintf((t)->out + (t)->n, (t)->size - (t)->n, __VA_ARGS__); \
    } while (0)

static void say_gates(struct text *t, const struct health_result *h)
{
    const struct health_gate *low = NULL, *top = NULL;
    size_t expert = 0;
    for (size_t i = 0; i < h->n_gates; i++) {
        const struct health_gate *g = &h->gates[i];
        if (g->n < 2) continue;
        if (!low || g->entropy < low->entropy) low = g;
        for (size_t e = 0; e < g->n; e++)
            if (!top || g->load[e] > top->load[expert]) {
                top = g;
                expert = e;
            }
    }
    if (low)
        SAY(t, "  least gate entropy %.2f (%s), largest load %.2f (%s, expert %zu)",
            low->entropy, low->name, top->load[expert], top->name, expert);
}

static void say_stacks(struct text *t, const struct health_result *h)
{
    const struct health_stack *worst = NULL;
    for (size_t i = 0; i < h->n_stacks; i++)
        if (h->stacks[i].dead > (worst ? worst->dead : 0)) worst = &h->stacks[i];
    if (worst) SAY(t, "  most dead units %.0f%% (%s)", 100 * worst->dead, worst->name);
}

static void say_cosine(struct text *t, const struct settings *s, const struct health_result *h)
{
    size_t K = h->n_tasks, a = 0, b = 0;
    for (size_t j = 0; h->cosine && j < K; j++)
        for (size_t k = j + 1; k < K; k++)
            if (!isnan(h->cosine[j * K + k]) &&
                (a == b || h->cosine[j * K + k] < h->cosine[a * K + b])) {
                a = j;
                b = k;
            }
    if (a != b)
        SAY(t, "  least gradient cosine %.2f (%s, %s)", h->cosine[a * K + b], s->tasks[a].name,
            s->tasks[b].name);
}

void report_health_line(const struct settings *s, const struct health_result *h, char *out,
                        size_t size)
{
    struct text t = {out, 0, size};
    *out = 0;
    say_gates(&t, h);
    say_stacks(&t, h);
    say_cosine(&t, s, h);
    if (!t.n) return;
    char all[512];
    snprintf(all, sizeof all, "health%s", out);
    snprintf(out, size, "%s", all);
}
