#include "ps/memo.h"

#include "common/base/mem.h"

enum { MAX_ENTRIES = 8192, MIN_ENTRIES = 64, TARGET_BYTES = 1 << 20 };

struct entry {
    uint64_t key;
    uint64_t table; /* number + 1; 0 = empty */
};

struct memo {
    size_t n, dim; /* entries, a power of two */
    struct entry *entries;
    float *rows; /* [n, dim] */
};

enum status memo_create(size_t max_dim, struct memo **out, struct error *err)
{
    struct memo *m = mem_zeroed(1, sizeof *m);
    if (!m) return mem_error(err, "initial rows", sizeof *m);
    m->dim = max_dim;
    m->n = MAX_ENTRIES;
    while (m->n > MIN_ENTRIES && m->n * max_dim * sizeof(float) > TARGET_BYTES) m->n /= 2;
    m->entries = mem_zeroed(m->n, sizeof *m->entries);
    m->rows = mem_array(m->n, max_dim * sizeof *m->rows);
    if (!m->entries || !m->rows) {
        size_t bytes = m->n * max_dim * sizeof *m->rows;
        memo_destroy(m);
        return mem_error(err, "initial rows", bytes);
    }
    *out = m;
    return ST_OK;
}

void memo_destroy(struct memo *m)
{
    if (!m) return;
    mem_free(m->entries);
    mem_free(m->rows);
    mem_free(m);
}

const float *memo_initial(struct memo *m, size_t number, const struct table *t,
                          uint64_t key)
{
    size_t i = hash_mix(key + number * UINT64_C(0x9e3779b97f4a7c15)) & (m->n - 1);
    struct entry *e = &m->entries[i];
    float *row = m->rows + i * m->dim;
    if (e->key == key && e->table == number + 1) return row;
    *e = (struct entry){.key = key, .table = number + 1};
    table_initial(t, key, row);
    return row;
}
