/* Where the rows are that a chunk's keys ask for: in the file where it holds them as floats,
 * else unpacked or made; or the file's projected rows. */
#include "model/tables.h"
#include "serve/chunk.h"

/* ---- rows of tables ---- */

/* Room for the rows of a table's slots, and for where they are. */
static bool grow_slots(struct mtps_scorer *s, size_t table, size_t n, size_t dim)
{
    if (n <= s->max_slots[table]) return true;
    float *rows = mem_resize(s->rows[table], 2 * n * dim, sizeof *rows);
    if (!rows) return false;
    s->rows[table] = rows;
    const float **at = mem_resize(s->at[table], 2 * n, sizeof *at);
    if (!at) return false;
    s->at[table] = at;
    s->max_slots[table] = 2 * n;
    return true;
}

static bool grow_identity(struct mtps_scorer *s, size_t n)
{
    if (n <= s->max_identity) return true;
    uint32_t *v = mem_resize(s->identity, 2 * n, sizeof *v);
    if (!v) return false;
    for (size_t i = 0; i < 2 * n; i++) v[i] = (uint32_t)i;
    s->identity = v;
    s->max_identity = 2 * n;
    return true;
}

/* Room for the rows of all occurrences. */
static bool make_room(struct mtps_scorer *s)
{
    const struct schema *schema = s->model->schema;
    const struct model_tables *kinds = s->model->kinds;
    size_t occurrences = 0;
    for (size_t t = 0; t < schema->n_tables; t++) s->n_slots[t] = 0;
    for (size_t i = 0; i < schema->n_ids; i++) {
        size_t feature = schema->plan->ids[i];
        occurrences += s->ids[i].n;
        if (!s->model->projected[feature]) s->n_slots[schema->features[feature].table] += s->ids[i].n;
    }
    for (size_t t = 0; t < kinds->n; t++)
        if (!grow_slots(s, t, s->n_slots[kinds->source[t]], kinds->dim[t])) return false;
    /* A feature's keys may be asked of two tables. */
    if (2 * occurrences > s->max_places) {
        size_t *places = mem_resize(s->places, 4 * occurrences, sizeof *places);
        if (!places) return false;
        s->places = places;
        s->max_places = 4 * occurrences;
    }
    return grow_identity(s, occurrences);
}

/* Keys of id feature i are asked of one of the model's tables. */
static void request(struct mtps_scorer *s, size_t i, size_t table, size_t slot, size_t **place)
{
    const struct chunk_ids *ids = &s->ids[i];
    s->requests[s->n_requests] = (struct lookup_request){&s->model->tables[table], ids->keys, ids->n, *place};
    s->wanted[s->n_requests++] = (struct chunk_wanted){i, table, slot};
    *place += ids->n;
}

static void request_rows(struct mtps_scorer *s)
{
    const struct mtps_model *m = s->model;
    const struct model_tables *kinds = m->kinds;
    const struct schema *schema = m->schema;
    size_t *place = s->places;
    s->n_requests = 0;
    for (size_t t = 0; t < schema->n_tables; t++) s->n_slots[t] = 0;
    for (size_t i = 0; i < schema->n_ids; i++) {
        size_t feature = schema->plan->ids[i], t = schema->features[feature].table, slot = s->n_slots[t];
        struct chunk_ids *ids = &s->ids[i];
        if (m->projected[feature]) {
            request(s, i, kinds->deep_table[t], SIZE_MAX, &place);
            continue;
        }
        for (size_t j = 0; j < ids->n; j++) ids->idx[j] = (uint32_t)(slot + j);
        if (kinds->deep[feature]) request(s, i, kinds->deep_table[t], slot, &place);
        if (kinds->wide[feature]) request(s, i, kinds->wide_table[t], slot, &place);
        s->n_slots[t] += ids->n;
    }
}

static void point_at_rows(struct mtps_scorer *s, const struct lookup_request *r, const struct chunk_wanted *w)
{
    size_t dim = r->table->dim;
    const float **at = s->at[w->table] + w->slot;
    float *room = s->rows[w->table] + w->slot * dim;
    for (size_t j = 0; j < r->n; j++) at[j] = lookup_row(r->table, r->keys[j], r->place[j], room + j * dim);
}

/* ---- projected rows ---- */

enum { NEAR_ROWS = 512 }; /* tables up to this size stay in caches */

/* The row is not there, and is none that was made when the model was opened. */
static bool is_born(const struct mtps_model *m, const struct lookup_request *r, size_t j)
{
    return r->place[j] == SIZE_MAX && r->keys[j] != m->missing_key;
}

static bool is_projected(const struct chunk_wanted *w)
{
    return w->slot == SIZE_MAX;
}

/* Room for projected rows of ids that are not there. */
static bool grow_born(struct mtps_scorer *s)
{
    size_t n = 0, width = s->model->projected_width;
    for (size_t k = 0; k < s->n_requests; k++)
        for (size_t j = 0; is_projected(&s->wanted[k]) && j < s->requests[k].n; j++)
            n += is_born(s->model, &s->requests[k], j);
    if (n * width <= s->max_born) return true;
    mem_free(s->born);
    s->max_born = 0;
    s->born = mem_array(2 * n * width, sizeof *s->born);
    if (s->born) s->max_born = 2 * n * width;
    return s->born != NULL;
}

/* *born: where the next row goes that is made now. */
static void point_at_projected(struct mtps_scorer *s, const struct lookup_request *r, const struct chunk_wanted *w,
                               float **born)
{
    const struct mtps_model *m = s->model;
    struct chunk_ids *ids = &s->ids[w->id];
    size_t feature = m->schema->plan->ids[w->id], width = m->projected_width;
    const float *rows = m->projected[feature];
    s->projected[feature] = (struct infer_projected){ids->projected, r->table->keys.n > NEAR_ROWS};
    for (size_t j = 0; j < r->n; j++) {
        ids->projected[j] = r->place[j] != SIZE_MAX ? rows + r->place[j] * width : m->missing[feature];
        if (!is_born(m, r, j)) continue;
        row_init(&r->table->init, &r->table->rng, r->keys[j], r->table->dim, s->numbers);
        infer_project(m->infer, feature, s->numbers, *born);
        ids->projected[j] = *born;
        *born += width;
    }
}

enum status chunk_find_rows(struct mtps_scorer *s, struct error *err)
{
    if (!make_room(s)) return mem_error(err, "rows", 0);
    request_rows(s);
    lookup_places(s->requests, s->n_requests);
    if (s->model->projected_width && !grow_born(s)) return mem_error(err, "rows", 0);
    float *born = s->born;
    for (size_t k = 0; k < s->n_requests; k++) {
        if (is_projected(&s->wanted[k]))
            point_at_projected(s, &s->requests[k], &s->wanted[k], &born);
        else
            point_at_rows(s, &s->requests[k], &s->wanted[k]);
    }
    return ST_OK;
}
