#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/store/file.h"
#include "data/prepare.h"

/* Provisional codes -> final ones. */
struct ranks {
    uint32_t **table, **level; /* [n_tables], [n_one_hot]; NULL entries: no dictionary */
};

static void ranks_close(struct ranks *r, const struct schema *s)
{
    for (size_t t = 0; r->table && t < s->n_tables; t++) mem_free(r->table[t]);
    for (size_t i = 0; r->level && i < s->n_one_hot; i++) mem_free(r->level[i]);
    mem_free(r->table);
    mem_free(r->level);
}

/* Sorts a dictionary, writes it and gives the ranks. */
static enum status write_dictionary(struct h5 *h5, const char *name,
                                    const struct key_set *set, uint32_t **rank,
                                    struct error *err)
{
    uint64_t *sorted = mem_array(set->n, sizeof *sorted);
    *rank = mem_array(set->n, sizeof **rank);
    enum status st = sorted && *rank
                         ? key_set_rank(set, *rank, sorted, err)
                         : mem_error(err, "dictionary", set->n * sizeof *sorted);
    if (st == ST_OK) st = h5_write(h5, name, DTYPE_U64, set->n, 0, sorted, err);
    mem_free(sorted);
    return st;
}

static enum status write_dictionaries(struct prep *p, struct h5 *h5, struct ranks *r,
                                      struct error *err)
{
    const struct schema *s = p->schema;
    char name[64];
    r->table = mem_zeroed(s->n_tables, sizeof *r->table);
    r->level = mem_zeroed(s->n_one_hot, sizeof *r->level);
    uint32_t *keyed = mem_zeroed(s->n_tables, sizeof *keyed);
    enum status st = r->table && r->level && keyed
                         ? ST_OK
                         : mem_error(err, "dictionaries", s->n_tables * sizeof *r->table);
    for (size_t t = 0; t < s->n_tables && st == ST_OK; t++) {
        keyed[t] = p->keyed[t];
        snprintf(name, sizeof name, "tables/%zu/keys", t);
        if (!p->keyed[t])
            st = write_dictionary(h5, name, &p->tables[t], &r->table[t], err);
    }
    for (size_t i = 0; i < s->n_one_hot && st == ST_OK; i++) {
        snprintf(name, sizeof name, "one_hot/%zu/keys", i);
        st = write_dictionary(h5, name, &p->levels[i], &r->level[i], err);
    }
    if (st == ST_OK && s->n_tables)
        st = h5_write(h5, "tables/keyed", DTYPE_U32, s->n_tables, 0, keyed, err);
    mem_free(keyed);
    return st;
}

/* ---- columns kept for selections ---- */

static enum status write_texts(struct h5 *h5, size_t i, const struct text_set *set,
                               struct error *err)
{
    char name[64];
    static const uint64_t none[1] = {0};
    snprintf(name, sizeof name, "aux/%zu/bytes", i);
    TRY(h5_write(h5, name, DTYPE_U8, set->n_bytes, 0, set->bytes ? set->bytes : "", err));
    snprintf(name, sizeof name, "aux/%zu/offsets", i);
    return h5_write(h5, name, DTYPE_U64, set->n + 1, 0, set->n ? set->start : none, err);
}

/* Per kept column {owner + 1, kind, all_numbers, place among its like}. */
enum { INFO_WIDTH = 4 };

static enum status write_aux(struct prep *p, struct h5 *h5, struct error *err)
{
    size_t n = 0;
    const char **names = mem_array(p->aux.n, sizeof *names);
    uint32_t *info = mem_array(p->aux.n, INFO_WIDTH * sizeof *info);
    enum status st =
        names && info ? ST_OK : mem_error(err, "kept columns", p->aux.n * 16);
    for (size_t j = 0; j < p->n_parts && st == ST_OK; j++) {
        uint32_t texts = 0, numbers = 0;
        for (size_t i = 0; i < p->parts[j].n_aux && st == ST_OK; i++) {
            const struct aux_column *a = &p->aux.v[p->parts[j].aux[i]];
            uint32_t *to = info + n * INFO_WIDTH;
            names[n] = a->name;
            to[0] = (uint32_t)(a->owner + 1);
            to[1] = a->kind;
            to[2] = a->all_numbers;
            to[3] = a->kind == AUX_NUMBER ? numbers++ : texts++;
            if (a->kind == AUX_TEXT) st = write_texts(h5, n, &a->texts, err);
            n++;
        }
        char name[64];
        snprintf(name, sizeof name, "aux/join%zu/codes", j - 1);
        const struct part *part = &p->parts[j];
        if (j && part->n_aux && st == ST_OK)
            st = h5_write(h5, name, DTYPE_U32, part->rows, part->n_aux, part->aux_codes,
                          err);
    }
    if (st == ST_OK) st = h5_write_texts(h5, "aux/names", names, n, err);
    if (st == ST_OK && n)
        st = h5_write(h5, "aux/info", DTYPE_U32, n, INFO_WIDTH, info, err);
    mem_free(names);
    mem_free(info);
    return st;
}

/* ---- rows ---- */

static void final_codes(struct prep *p, const struct ranks *r, const uint32_t **column)
{
    const struct schema *s = p->schema;
    for (size_t i = 0; i < s->plan->n_single; i++) {
        size_t f = s->plan->single[i];
        if (!prep_is_keyed(p, f)) column[p->place[f]] = r->table[s->features[f].table];
    }
}

static void recode(struct prep *p, const struct ranks *r, const uint32_t *const *column)
{
    const struct schema *s = p->schema;
    struct block *b = p->block;
    size_t width = p->shape.width[COL_CODES];
    uint32_t *codes = block_u32(b, COL_CODES);
    for (size_t i = 0; i < b->n; i++)
        for (size_t c = 0; c < width; c++, codes++) *codes = column[c][*codes];
    uint32_t *levels = block_u32(b, COL_ONE_HOT);
    for (size_t i = 0; i < b->n; i++)
        for (size_t c = 0; c < s->n_one_hot; c++, levels++)
            if (*levels != ONE_HOT_NONE) *levels = r->level[c][*levels];
    const uint32_t *lengths = block_u32(b, COL_LENGTHS);
    uint32_t *v = b->values[BLOCK_CODES].v;
    for (size_t i = 0; i < b->n; i++)
        for (size_t m = 0; m < s->plan->n_multi; m++, lengths++) {
            size_t f = s->plan->multi[m];
            if (prep_is_keyed(p, f)) continue;
            const uint32_t *rank = r->table[s->features[f].table];
            for (size_t j = 0; j < *lengths; j++, v++) *v = rank[*v];
        }
}

static enum status write_rows(struct prep *p, struct h5 *h5, const struct ranks *r,
                              struct error *err)
{
    struct block_file *file;
    const uint32_t **column = mem_zeroed(p->shape.width[COL_CODES], sizeof *column);
    if (!column) return mem_error(err, "prepared file", 0);
    final_codes(p, r, column);
    enum status st = block_file_create(h5, &p->shape, p->rows, p->total, &file, err);
    if (st == ST_OK) {
        for (uint64_t done = 0; done < p->rows && st == ST_OK; done += p->block->n) {
            st = prepare_tell(p->opt, &p->told, done, p->rows, p->rows, "writing", err);
            if (st == ST_OK) st = block_unspool(p->block, p->spool, err);
            if (st != ST_OK) break;
            recode(p, r, column);
            st = block_file_append(file, p->block, err);
        }
        if (st == ST_OK) st = block_file_finish(file, err);
        block_file_close(file);
    }
    mem_free(column);
    return st;
}

/* ---- the file ---- */

static enum status write_ledger(const struct prep *p, struct h5 *h5, struct error *err)
{
    const char *shown[BAD_ROWS_SHOWN];
    for (size_t i = 0; i < p->bad->n_shown; i++) shown[i] = p->bad->shown[i];
    TRY(h5_set_u64(h5, "", "bad_rows", p->bad->n_bad, err));
    return h5_write_texts(h5, "bad_rows", shown, p->bad->n_shown, err);
}

static enum status write_head(const struct prep *p, struct h5 *h5, const char *base,
                              struct error *err)
{
    const struct schema *s = p->schema;
    TRY(h5_set_text(h5, "", "format", "mtps prepared data", err));
    TRY(h5_set_u64(h5, "", "version", PREPARED_VERSION, err));
    TRY(h5_set_u64(h5, "", "hash_version", HASH_VERSION, err));
    TRY(h5_set_text(h5, "", "key", base, err));
    TRY(h5_set_u64(h5, "", "rows", p->rows, err));
    TRY(h5_set_u64(h5, "", "ignored_values", p->ignored_values, err));
    TRY(h5_set_u64(h5, "", "ignored_names", p->ignored_names, err));
    const char *text = s->plan->text;
    TRY(h5_write(h5, "schema", DTYPE_U8, strlen(text), 0, text, err));
    TRY(h5_write_texts(h5, "tables/names", s->table_names, s->n_tables, err));
    if (s->plan->n_multi)
        TRY(h5_write(h5, "multi/max", DTYPE_U64, s->plan->n_multi, 0, p->max_length,
                     err));
    return write_ledger(p, h5, err);
}

static enum status write_file(struct prep *p, struct h5 *h5, const char *base,
                              struct error *err)
{
    struct ranks r = {0};
    TRY(write_head(p, h5, base, err));
    enum status st = write_dictionaries(p, h5, &r, err);
    if (st == ST_OK) st = write_rows(p, h5, &r, err);
    if (st == ST_OK) st = write_aux(p, h5, err);
    ranks_close(&r, p->schema);
    /* The last thing written: a file without it was cut short. */
    if (st == ST_OK) st = h5_set_u64(h5, "", "complete", 1, err);
    return st;
}

/* Written under another name first: readers see all of it or nothing. */
enum status prepare_write(struct prep *p, const char *path, const char *base,
                          struct error *err)
{
    char temp[4200];
    struct h5 *h5;
    snprintf(temp, sizeof temp, "%s.%ld.tmp", path, (long)getpid());
    unlink(temp);
    TRY(h5_create(temp, &h5, err));
    enum status st = write_file(p, h5, base, err);
    struct error closing;
    enum status close_st = h5_close(h5, &closing);
    if (st == ST_OK && close_st != ST_OK) {
        st = close_st;
        if (err) *err = closing;
    }
    if (st == ST_OK) st = file_fsync(temp, err);
    if (st == ST_OK && rename(temp, path))
        st = error_set(err, ST_IO, "%s: cannot be given its name", path);
    if (st == ST_OK) st = file_fsync(p->schema->settings->data.cache, err);
    if (st != ST_OK) unlink(temp);
    if (p->opt->progress) p->opt->progress(p->opt->arg, p->rows, p->rows, p->rows, "writing");
    return st;
}
