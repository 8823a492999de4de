/* Scores of some rows with memory of one thread: rows are made ready one by one or from
 * keys, a chunk at a time. Inside serve/. */
#ifndef MTPS_SERVE_CHUNK_H
#define MTPS_SERVE_CHUNK_H

#include "data/feature.h"
#include "serve/loaded.h"

enum { CHUNK_ROWS = 128 };

/* Keys of an id feature on the rows of a chunk. */
struct chunk_ids {
    uint64_t *keys;
    size_t n, max;
    uint32_t off[CHUNK_ROWS + 1];
    uint32_t *idx; /* [max] where the keys' rows lie among the table's */
    const float **projected; /* [max] rows x layer 1, when they are */
};

/* What a request for rows is for. */
struct chunk_wanted {
    size_t id, table; /* feature ids[id], a table of the model */
    size_t slot;      /* of its first key among the table's; SIZE_MAX: they are projected */
};

struct mtps_scorer {
    struct mtps_model *model;
    size_t n_rows; /* of the chunk that is being filled */
    /* the chunk */
    struct chunk_ids *ids; /* [n_ids] */
    uint32_t **one_hot;     /* [n_one_hot][CHUNK_ROWS] */
    float *dense;           /* [CHUNK_ROWS, n_dense] transformed */
    float *durations;       /* [CHUNK_ROWS, n_tasks] */
    /* work */
    struct feature_scratch *scratch;
    struct feature_keys list;
    struct raw_field *fields; /* [n_columns] */
    struct text **texts;      /* [n_columns] texts of each field */
    size_t *max_texts;
    char *digits; /* texts of numbers, and joined lists */
    size_t n_digits, max_digits;
    size_t *side;   /* [data.n_joins] row of each side table; SIZE_MAX: none */
    float *numbers; /* of the widest feature */
    struct lookup_request *requests; /* [n_requests <= 2 n_ids] */
    struct chunk_wanted *wanted;     /* the same */
    size_t n_requests;
    size_t *places; /* [max_places] of all requests */
    size_t max_places;
    struct infer_projected *projected; /* [n_features] of chunk_ids */
    float *born;                    /* projected rows of ids that are not there */
    size_t max_born;
    float **rows;     /* [kinds->n][max_slots, dim] rows that cannot be read where they are */
    const float ***at; /* [kinds->n][max_slots] where the rows are */
    size_t *n_slots; /* [n_tables of the schema] occurrences: the same places in all its tables */
    size_t *max_slots; /* [kinds->n] */
    uint32_t *identity; /* [max_identity] 0, 1, 2 ... */
    size_t max_identity;
    struct batch_id *batch_ids;
    struct infer_work *work;
    float *logits; /* [CHUNK_ROWS, n_tasks] */
};

/* What a feature is made of on a row: keys of ids and levels (n 0: none), or numbers[width]
 * before transforms (NaN = missing); the other is NULL. */
typedef void chunk_see(void *arg, size_t feature, const uint64_t *keys, size_t n,
                       const float *numbers);
/* Shows every feature, and durations[n_tasks], of a row of raw values; the chunk stays as it
 * is. ST_DATA says what does not fit. */
enum status chunk_see_values(struct mtps_scorer *s, const struct mtps_value *values, chunk_see *see,
                             void *arg, float *durations, struct error *err) MUST_USE;

/* Row n_rows of the chunk from raw values; n_rows is counted up when it is well. ST_DATA
 * says what does not fit. */
enum status chunk_add_values(struct mtps_scorer *s, const struct mtps_value *values,
                              struct error *err) MUST_USE;
/* The empty chunk from rows [first, first + n) of a batch of keys, n <= CHUNK_ROWS. ST_DATA
 * and ST_USAGE say what does not fit; then row first + n_rows is the first such row, and
 * the chunk is to be emptied. */
enum status chunk_fill_keys(struct mtps_scorer *s, const struct mtps_column *columns, const float *durations,
                            size_t first, size_t n, struct error *err) MUST_USE;
/* Scores of the chunk, which is empty then: scores[n_rows, n_tasks]. */
enum status chunk_run(struct mtps_scorer *s, float *scores, struct error *err) MUST_USE;
/* The vectors of one side in place of scores (two_tower): [n_rows, n_tasks, width]. */
enum status chunk_vectors(struct mtps_scorer *s, enum model_side side, float *vectors,
                          struct error *err) MUST_USE;
/* Rows that were added are forgotten. */
void chunk_empty(struct mtps_scorer *s);

/* s->at, s->projected and s->identity of the keys that the chunk has. */
enum status chunk_find_rows(struct mtps_scorer *s, struct error *err) MUST_USE;
/* The numbers of a feature as the model reads them, for a row of the chunk. */
void chunk_put_numbers(struct mtps_scorer *s, size_t feature, size_t row, const float *numbers);
/* Room for n keys of an id feature behind those there are; NULL when out of memory. */
uint64_t *chunk_ids_room(struct chunk_ids *ids, size_t n);
/* Level of a key, ONE_HOT_NONE when it has none. */
uint32_t chunk_level(const struct mtps_model *m, size_t one_hot, uint64_t key);

#endif
