/* What the files of the inference forward share. */
#ifndef MTPS_MODEL_INFER_IMPL_H
#define MTPS_MODEL_INFER_IMPL_H

#include "model/attention.h"
#include "model/watch.h"

/* A stretch of the chain. */
enum segment_kind {
    SEGMENT_DENSE,  /* k columns of x times k rows of W: ids and dense numbers */
    SEGMENT_ONE_HOT /* one row of W: fma(1, w, s) = s + w and fma(0, w, s) = s */
};
struct segment {
    enum segment_kind kind;
    size_t first, n_inputs; /* in infer.order */
    size_t row, k;          /* in W and, for DENSE, columns [row, row + k) of x */
    bool packed;            /* infer.packed holds it as it is cut */
};

struct infer {
    const struct model *m; /* must outlive the infer */
    float *params;         /* [P] a copy */
    float *w;              /* [D, N] rows of layer 1 in name order */
    float *packed;         /* [D, N] the same, every segment as chain_pack has it */
    const float *bias;     /* [N] in params */
    size_t *order;         /* [n_order] inputs of x by name */
    size_t n_order;
    size_t *direct; /* [m->n_direct] direct inputs by name */
    struct segment *segments;
    size_t n_segments;
};

struct infer_work {
    const struct infer *f;
    struct level_chunk *chunk;
    struct attention_work *attention; /* NULL: none */
    float *x; /* [NET_CHUNK, D] pooled rows and numbers in name order */
    float *y; /* [NET_CHUNK, N] */
    struct infer_lists *lists; /* NULL: the model has no projected rows */
    infer_see *see; /* NULL: nobody watches */
    void *see_arg;
};

/* Segment s of rows [first, first + n), added to w->y; go_on false: as the first, to +0. */
void infer_add_segment(const struct infer *f, const struct segment *s, const struct batch *b,
                       const struct model_rows *rows, size_t first, size_t n, bool go_on,
                       struct infer_work *w);
void infer_add_bias(const struct infer *f, size_t n, struct infer_work *w);
/* From w->y of rows [first, first + w->chunk->n) to their logits. */
void infer_after_layer1(const struct infer *f, const struct batch *b, const struct model_rows *rows,
                        size_t first, struct infer_work *w, float *logits);

/* infer_project.c */
enum status infer_lists_create(struct infer_lists **out, struct error *err) MUST_USE;
void infer_lists_destroy(struct infer_lists *p);

#endif
