/* Lanes: unions of keys and sums up the lane tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/partition.h"
#include "common/base/rng.h"
#include "worker/lanes.h"

enum { MAX_LANES = 8, MAX_KEYS = 40, DIM = 3, N_PARAMS = 37 };

/* Random lanes: each picks some of 60 keys; their gradients are random. */
struct fixture {
    size_t n;
    struct batch batches[MAX_LANES];
    struct batch_table tables[MAX_LANES];
    uint64_t keys[MAX_LANES][MAX_KEYS];
    uint32_t counts[MAX_LANES][MAX_KEYS];
    float grad[MAX_LANES][N_PARAMS], row_grad[MAX_LANES][MAX_KEYS * DIM];
};

static int by_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x == y ? 0 : partition_before(x, y) ? -1 : 1;
}

static void fixture_fill(struct fixture *f, size_t n, uint64_t seed, uint32_t empty_mask)
{
    struct rng r = rng_make(seed, RNG_TEST, 1);
    f->n = n;
    uint64_t c = 0;
    for (size_t l = 0; l < n; l++) {
        bool empty = empty_mask >> l & 1;
        size_t k = 0;
        for (uint64_t key = 0; key < 60 && !empty; key++)
            if (k < MAX_KEYS && rng_uniform(&r, c++, 0) < 0.4) f->keys[l][k++] = key * 977;
        qsort(f->keys[l], k, sizeof(uint64_t), by_order);
        for (size_t i = 0; i < k; i++) f->counts[l][i] = 1 + (uint32_t)(rng_u64(&r, c++, 0) % 5);
        for (size_t i = 0; i < k * DIM; i++) f->row_grad[l][i] = (float)rng_uniform(&r, c++, 0) - 0.5f;
        for (size_t i = 0; i < N_PARAMS; i++) f->grad[l][i] = (float)rng_uniform(&r, c++, 0) - 0.5f;
        f->tables[l] = (struct batch_table){k, f->keys[l], NULL, f->counts[l]};
        f->batches[l] = (struct batch){.n_rows = empty ? 0 : 5, .n_tables = 1, .tables = &f->tables[l]};
    }
}

/* The tree by its definition: sum of one float over lanes [first, end); absent ones pass through. */
static bool tree(const float *v, const bool *has, size_t first, size_t end, float *out)
{
    if (end - first == 1) {
        *out = v[first];
        return has[first];
    }
    size_t middle = (first + end) / 2;
    float a, b;
    bool left = tree(v, has, first, middle, &a), right = tree(v, has, middle, end, &b);
    *out = left && right ? a + b : left ? a : b;
    return left || right;
}

static void check(size_t n_lanes, size_t first, size_t end, uint32_t empty_mask, uint64_t seed)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_fill(f, end - first, seed, empty_mask);
    size_t dim = DIM, max_keys = MAX_KEYS;
    struct lanes_spec spec = {n_lanes, first, end, 1, &dim, &max_keys, N_PARAMS};
    struct lanes *l;
    struct error err;
    assert_int_equal(lanes_create(&spec, &l, &err), ST_OK);
    const struct batch *batches[MAX_LANES];
    float *grad[MAX_LANES], *rows[MAX_LANES];
    float *const *row_grad[MAX_LANES];
    float copy[MAX_LANES][N_PARAMS];
    memcpy(copy, f->grad, sizeof copy);
    for (size_t i = 0; i < f->n; i++) {
        batches[i] = &f->batches[i];
        grad[i] = f->grad[i];
        rows[i] = f->row_grad[i];
        row_grad[i] = &rows[i];
    }
    uint64_t allocations = mem_calls();
    lanes_set(l, 1, batches);
    lanes_unite(l, 1, 0);
    lanes_reduce(l, 1, grad, row_grad, 0, 2);
    lanes_reduce(l, 1, grad, row_grad, 1, 2);
    size_t n_parts;
    const struct wire_part *parts = lanes_parts(l, 1, grad, row_grad, &n_parts);
    assert_int_equal(mem_calls(), allocations);

    struct wire_step message = {.n_parts = n_parts, .n_tables = 1, .n_dense = N_PARAMS,
                                .parts = parts, .pulls = lanes_pull(l, 1)};
    struct wire_pieces pieces = {0};
    assert_int_equal(wire_encode_step(&message, &dim, &pieces, &err), ST_OK);
    uint64_t bytes = 0, most = lanes_message_bytes(l);
    for (size_t i = 0; i < pieces.n; i++) bytes += pieces.v[i].bytes;
    uint64_t sections = 8 * (4 * n_parts + 1); /* each ends on 8 bytes */
    assert_in_range(bytes, 1, pieces.head.bytes + most + sections);
    assert_in_range(most, 1, f->n * (N_PARAMS * 4 + MAX_KEYS * (8 + 4 + DIM * 4 + 8)));
    wire_pieces_close(&pieces);

    const struct wire_keys *pull = lanes_pull(l, 1);
    for (size_t i = 0; i + 1 < pull->n; i++)
        assert_true(partition_before(pull->keys[i], pull->keys[i + 1]));
    for (size_t i = 0; i < f->n; i++) {
        const uint32_t *place = lanes_place(l, 1, i)[0];
        for (size_t k = 0; k < f->tables[i].n; k++)
            assert_int_equal(pull->keys[place ? place[k] : k], f->keys[i][k]);
    }
    size_t covered = 0;
    for (size_t p = 0; p < n_parts; p++) {
        size_t a = ((size_t)parts[p].node.index << parts[p].node.level) - first;
        size_t b = a + ((size_t)1 << parts[p].node.level);
        covered += b - a;
        bool has[MAX_LANES];
        float v[MAX_LANES], want;
        for (size_t i = 0; i < f->n; i++) has[i] = f->batches[i].n_rows > 0;
        for (size_t x = 0; x < N_PARAMS; x++) {
            for (size_t i = 0; i < f->n; i++) v[i] = copy[i][x];
            assert_true(tree(v, has, a, b, &want));
            assert_memory_equal(&parts[p].dense[x], &want, sizeof want);
        }
        const struct wire_run *run = &parts[p].runs[0];
        for (size_t u = 0; u < run->n; u++) {
            uint32_t count = 0;
            for (size_t d = 0; d < DIM; d++) {
                count = 0;
                for (size_t i = a; i < b; i++) {
                    has[i] = false;
                    for (size_t k = 0; k < f->tables[i].n; k++)
                        if (f->keys[i][k] == run->keys[u]) {
                            has[i] = true;
                            v[i] = f->row_grad[i][k * DIM + d];
                            count += f->counts[i][k];
                        }
                }
                assert_true(tree(v, has, a, b, &want));
                assert_memory_equal(&run->grads[u * DIM + d], &want, sizeof want);
            }
            assert_int_equal(run->counts[u], count);
        }
    }
    if (!empty_mask) assert_int_equal(covered, f->n);
    lanes_destroy(l);
    free(f);
}

/* Parts hold the tree sum of their lanes, bit for bit, for every split of 8 lanes. */
static void test_parts_are_tree_sums(void **state)
{
    (void)state;
    for (size_t first = 0; first < 8; first++)
        for (size_t end = first + 1; end <= 8; end++) check(8, first, end, 0, 3 + first * 8 + end);
}

/* A lane without rows is absent: its sibling passes through, a part of empty lanes is not sent. */
static void test_empty_lanes_pass_through(void **state)
{
    (void)state;
    for (uint32_t mask = 1; mask < 256; mask += 3) check(8, 0, 8, mask, mask);
    check(8, 3, 7, 1, 9);
    check(1, 0, 1, 1, 10);
}

/* Every failing allocation of lanes_create is reported and leaks nothing. */
static void test_create_survives_failing_allocations(void **state)
{
    (void)state;
    size_t dim = DIM, max_keys = MAX_KEYS;
    struct lanes_spec spec = {4, 0, 3, 1, &dim, &max_keys, N_PARAMS};
    uint64_t live = mem_live_bytes();
    for (uint64_t k = 1;; k++) {
        struct lanes *l = NULL;
        struct error err;
        mem_fail_at(k);
        enum status st = lanes_create(&spec, &l, &err);
        mem_fail_at(0);
        if (st == ST_OK) {
            lanes_destroy(l);
            break;
        }
        assert_int_equal(st, ST_NOMEM);
        assert_int_equal(mem_live_bytes(), live);
    }
    assert_int_equal(mem_live_bytes(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_tree_sums),
        cmocka_unit_test(test_empty_lanes_pass_through),
        cmocka_unit_test(test_create_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
