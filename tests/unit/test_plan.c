/* The plan of a net: who reads what, level by level, and that the order of what stands
 * on one level is of no matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/net.h"
#include "tests/unit/test_model_toy.h"

enum { ROWS = 150, TASKS = 3 };

#define PLE(n)                                                                           \
    .type = MODEL_PLE, .n_rows = ROWS, .n_tasks = TASKS, .seed = 2, .own = 2,            \
    .shared = 3, .levels = n, .experts = {5, 4}, .gates = {3}, .towers = {4}

static const struct toy_cfg mixtures[] = {
    {PLE(3)},
    {.type = MODEL_PLE,
     .n_rows = ROWS,
     .n_tasks = TASKS,
     .seed = 2,
     .shared = 2,
     .levels = 2,
     .experts = {5}},
    {.type = MODEL_PLE,
     .n_rows = ROWS,
     .n_tasks = TASKS,
     .seed = 2,
     .own = 1,
     .levels = 2,
     .experts = {5}},
    {.type = MODEL_MMOE,
     .n_rows = ROWS,
     .n_tasks = TASKS,
     .seed = 2,
     .count = 3,
     .experts = {5, 4},
     .own_towers = true},
};
enum { N_MIXTURES = sizeof mixtures / sizeof *mixtures };

/* The level that writes a buffer: units in their own, mixes behind them. */
static size_t written_in(const struct net *net, size_t buffer)
{
    for (size_t i = 0; i < net->n_levels; i++) {
        const struct net_level *l = &net->levels[i];
        for (size_t j = 0; j < l->n_blocks; j++)
            if (net->blocks[l->first_block + j].dst == buffer) return i;
        for (size_t j = 0; j < l->n_mixes; j++)
            if (net->mixes[l->first_mix + j].dst == buffer) return i;
    }
    return NET_NONE;
}

/* Every expert, gate and tower of level j reads what a mix of level j - 1 left, and those
 * of level 0 read x: nothing reads its own level, nothing jumps over one. */
static void levels_read_the_level_before(void **state)
{
    (void)state;
    for (size_t c = 0; c < N_MIXTURES; c++) {
        struct toy t;
        toy_create(&t, &mixtures[c]);
        const struct net *net = &t.model->net;
        for (size_t i = 0; i < net->n_levels; i++)
            for (size_t j = 0; j < net->levels[i].n_blocks; j++) {
                const struct net_block *b = &net->blocks[net->levels[i].first_block + j];
                if (i == 0)
                    assert_true(b->src == NET_X);
                else
                    assert_int_equal(written_in(net, b->src), i - 1);
            }
        toy_destroy(&t);
    }
}

/* In level j > 0 a task's experts and gate read the task's own path, and the shared ones
 * the shared path: the mix of their name. */
static void experts_read_the_path_of_their_group(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &mixtures[0]);
    const struct net *net = &t.model->net;
    size_t seen = 0;
    for (size_t u = 0; u < net->n_units; u++) {
        const struct net_unit *unit = &net->units[u];
        size_t level;
        char group[16], mix[64];
        if (sscanf(unit->name, "expert/level%zu/%15[^/]", &level, group) != 2 &&
            sscanf(unit->name, "gate/level%zu/%15[^/]", &level, group) != 2)
            continue;
        if (level == 0) continue;
        snprintf(mix, sizeof mix, "gate/level%zu/%s", level - 1, group);
        for (size_t j = 0; j < net->n_mixes; j++)
            if (net->mixes[j].dst == net->layers[unit->first].src) {
                assert_string_equal(net->mixes[j].name, mix);
                seen++;
            }
    }
    /* Two levels of 3 tasks' 2 experts and gate, of 3 shared experts; one shared gate. */
    assert_int_equal(seen, 2 * (3 * (2 + 1) + 3) + 1);
    toy_destroy(&t);
}

/* The shared gate mixes every expert of its level once, a task's gate its own ones and
 * the shared ones. */
static void gates_mix_the_experts_of_their_level(void **state)
{
    (void)state;
    struct toy t;
    toy_create(&t, &mixtures[0]);
    const struct net *net = &t.model->net;
    for (size_t i = 0; i + 1 < net->n_levels; i++)
        for (size_t j = 0; j < net->levels[i].n_mixes; j++) {
            const struct net_level *l = &net->levels[i];
            const struct net_mix *m = &net->mixes[l->first_mix + j];
            bool shared = strstr(m->name, "/shared") != NULL;
            assert_int_equal(m->n, shared ? 3 * 2 + 3 : 2 + 3);
            for (size_t e = 0; e < m->n; e++) {
                assert_true(m->expert[e] >= l->first_expert &&
                            m->expert[e] < l->first_expert + l->n_experts);
                assert_true(e == 0 || m->expert[e] > m->expert[e - 1]);
            }
        }
    toy_destroy(&t);
}

static void score(const struct toy *t, float *out)
{
    struct infer *f;
    struct infer_work *w;
    struct error err;
    assert_int_equal(infer_create(t->model, t->params, &f, &err), ST_OK);
    assert_int_equal(infer_work_create(f, ROWS, &w, &err), ST_OK);
    infer_forward(f, &t->batch, &t->rows, w, out);
    infer_work_destroy(w);
    infer_destroy(f);
}

static void reverse(void *array, size_t n, size_t size)
{
    char *at = array, other[256];
    assert_true(size <= sizeof other);
    for (size_t i = 0; i < n / 2; i++) {
        memcpy(other, at + i * size, size);
        memcpy(at + i * size, at + (n - 1 - i) * size, size);
        memcpy(at + (n - 1 - i) * size, other, size);
    }
}

/* Blocks, units and mixes of every level the other way round: the same bits. (Nothing of
 * these models looks up a unit by its block; the block that reads x stays alone.) */
static void the_order_within_a_level_does_not_matter(void **state)
{
    (void)state;
    for (size_t c = 0; c < N_MIXTURES; c++) {
        static float one[ROWS * TASKS], other[ROWS * TASKS];
        struct toy t;
        toy_create(&t, &mixtures[c]);
        toy_randomise(&t);
        score(&t, one);
        struct net *net = &t.model->net;
        for (size_t l = 0; l < net->n_levels; l++) {
            const struct net_level *level = &net->levels[l];
            reverse(net->blocks + level->first_block, level->n_blocks,
                    sizeof *net->blocks);
            reverse(net->units + level->first_unit, level->n_units, sizeof *net->units);
            reverse(net->mixes + level->first_mix, level->n_mixes, sizeof *net->mixes);
        }
        score(&t, other);
        assert_memory_equal(one, other, sizeof one);
        toy_destroy(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_read_the_level_before),
        cmocka_unit_test(experts_read_the_path_of_their_group),
        cmocka_unit_test(gates_mix_the_experts_of_their_level),
        cmocka_unit_test(the_order_within_a_level_does_not_matter),
    };
    return cmocka_run_group_tests(tests, toy_setup, NULL);
}
