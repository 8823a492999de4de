#include "serve/http/names.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/config/nearest.h"
#include "data/raw_text.h"

enum {
    SHOWN = 64,    /* bytes of a name in a message */
    SEARCHED = 512 /* inputs that may have been meant: a wrong name must stay cheap */
};

static size_t home(const struct names *n, struct text name)
{
    return hash_bytes(name.s, name.n, 0) & n->mask;
}

enum status names_open(struct names *n, const struct mtps_model *model, struct error *err)
{
    *n = (struct names){.model = model, .n_inputs = mtps_n_inputs(model), .n_tasks = mtps_n_tasks(model)};
    size_t places = 8;
    while (places < 2 * n->n_inputs) places *= 2;
    n->mask = places - 1;
    n->places = mem_zeroed(places, sizeof *n->places);
    n->n_bytes = mem_zeroed(n->n_inputs + 1, sizeof *n->n_bytes);
    if (!n->places || !n->n_bytes) {
        names_close(n);
        return mem_error(err, "names of inputs", places * sizeof *n->places);
    }
    for (size_t i = 0; i < n->n_inputs; i++) {
        struct text name = raw_text_of(mtps_input(model, i)->name);
        size_t at = home(n, name);
        while (n->places[at]) at = (at + 1) & n->mask;
        n->places[at] = (uint32_t)i + 1;
        n->n_bytes[i] = name.n;
    }
    return ST_OK;
}

void names_close(struct names *n)
{
    mem_free(n->places);
    mem_free(n->n_bytes);
    n->places = NULL;
    n->n_bytes = NULL;
}

static bool is_input(const struct names *n, size_t i, struct text name)
{
    return n->n_bytes[i] == name.n && memcmp(mtps_input(n->model, i)->name, name.s, name.n) == 0;
}

size_t names_input(const struct names *n, struct text name, size_t after)
{
    if (after + 1 < n->n_inputs && is_input(n, after + 1, name)) return after + 1;
    for (size_t at = home(n, name); n->places[at]; at = (at + 1) & n->mask)
        if (is_input(n, n->places[at] - 1, name)) return n->places[at] - 1;
    return SIZE_MAX;
}

size_t names_task(const struct names *n, struct text name)
{
    for (size_t k = 0; k < n->n_tasks; k++)
        if (raw_text_equal(name, raw_text_of(mtps_task(n->model, k)->name))) return k;
    return SIZE_MAX;
}

enum status names_unknown_input(const struct names *n, struct text name, struct error *err)
{
    char shown[4 * SHOWN + 8];
    const char *best = NULL;
    raw_text_print(name, SHOWN, shown, sizeof shown);
    for (size_t i = 0, least = SIZE_MAX; i < n->n_inputs && i < SEARCHED; i++) {
        const char *known = mtps_input(n->model, i)->name;
        size_t far = nearest_word(shown, &known, 1) ? nearest_distance(shown, known) : SIZE_MAX;
        if (far >= least) continue;
        least = far;
        best = known;
    }
    error_set(err, ST_DATA, "%s: the model has no such input", shown);
    if (best) error_hint(err, ST_DATA, "did you mean %s?", best);
    return ST_DATA;
}
