/* Layer 1 from rows that were multiplied ahead of time: for every example a sum of
 * projected rows, those of near tables first and then those of far ones, each in order
 * of name; then the inputs that are not projected. */
#include <string.h>

#include "common/math/chain.h"
#include "common/math/vec.h"
#include "model/gather.h"
#include "model/infer_impl.h"

enum { LISTED = 6144 }; /* projected rows that are added together */

/* Projected rows that wait to be added to those of examples [begin, end) of the chunk. */
struct infer_lists {
    size_t begin, end, n;
    uint32_t first[NET_CHUNK + 1]; /* first[l]: of example begin + l */
    float scale[LISTED];
    const float *row[LISTED + VEC_AHEAD];
};

enum status infer_lists_create(struct infer_lists **out, struct error *err)
{
    *out = mem_zeroed(1, sizeof **out);
    return *out != NULL ? ST_OK : mem_error(err, "inference", sizeof **out);
}

void infer_lists_destroy(struct infer_lists *p)
{
    mem_free(p);
}

size_t infer_projected_width(const struct infer *f)
{
    bool plain = f->m->net.x_block != NET_NONE && f->m->net.x_buf[0] == NET_NONE &&
                 f->m->n_attention == 0;
    return plain ? f->m->net.buffers[NET_Y].width : 0;
}

bool infer_projects(const struct infer *f, size_t input)
{
    const struct model_input *in = &f->m->inputs[input];
    return infer_projected_width(f) > 0 && in->kind == INPUT_ID && !in->direct;
}

/* First row of the input's weights. */
static size_t first_row(const struct infer *f, size_t input)
{
    size_t row = 0;
    for (size_t i = 0; f->order[i] != input; i++) row += f->m->inputs[f->order[i]].width;
    return row;
}

void infer_project(const struct infer *f, size_t input, const float *row, float *out)
{
    size_t ld = f->m->net.buffers[NET_Y].width, dim = f->m->inputs[input].width;
    chain_gemm(1, ld, dim, row, dim, f->w + first_row(f, input) * ld, ld, NULL, false,
               out, ld);
}

/* ---- sums ---- */

static void add_waiting(struct infer_lists *p, bool far, float *y, size_t ld)
{
    if (p->n == 0) return;
    for (size_t i = 0; i < VEC_AHEAD; i++) p->row[p->n + i] = p->row[p->n - 1];
    p->first[p->end - p->begin] = (uint32_t)p->n;
    (far ? vec_axpy_far_lists : vec_axpy_lists)(ld, p->end - p->begin, p->first, p->scale,
                                                p->row, y + p->begin * ld, ld);
    p->n = 0;
}

/* The rows of one input of example r, the last that the lists have. When they are full,
 * what waits is added, and the example goes on in the next ones. */
static void list_input(struct infer_lists *p, const struct model_input *in,
                       const struct batch_id *ids, const float *const *projected, size_t r,
                       bool far, float *y, size_t ld)
{
    size_t begin = gather_first(ids, r), end = gather_first(ids, r + 1);
    float scale = gather_scale(in->pool, end - begin);
    for (size_t o = begin; o < end; o++) {
        if (p->n == LISTED) {
            add_waiting(p, far, y, ld);
            p->begin = p->end - 1;
            p->first[0] = 0;
        }
        p->scale[p->n] = scale;
        p->row[p->n++] = projected[o];
    }
}

/* Projected inputs of near or of far tables, of rows [first, first + n) of the batch. */
static void add_projected(const struct infer *f, const struct batch *b,
                          const struct infer_projected *projected, bool far, size_t first,
                          size_t n, struct infer_work *w)
{
    size_t ld = f->m->net.buffers[NET_Y].width;
    struct infer_lists *p = w->lists;
    p->begin = p->n = 0;
    for (size_t r = 0; r < n; r++) {
        p->first[r - p->begin] = (uint32_t)p->n;
        p->end = r + 1;
        for (size_t i = 0; i < f->n_order; i++) {
            size_t input = f->order[i];
            const struct model_input *in = &f->m->inputs[input];
            if (projected[input].row != NULL && projected[input].far == far)
                list_input(p, in, &b->ids[in->place], projected[input].row, first + r, far,
                           w->y, ld);
        }
    }
    add_waiting(p, far, w->y, ld);
}

static void layer1_sums(const struct infer *f, const struct batch *b,
                        const struct model_rows *rows, const struct infer_projected *projected,
                        size_t first, size_t n, struct infer_work *w)
{
    size_t row = 0;
    memset(w->y, 0, n * f->m->net.buffers[NET_Y].width * sizeof *w->y);
    add_projected(f, b, projected, false, first, n, w);
    add_projected(f, b, projected, true, first, n, w);
    for (size_t i = 0; i < f->n_order; i++) {
        const struct model_input *in = &f->m->inputs[f->order[i]];
        enum segment_kind kind = in->kind == INPUT_ONE_HOT ? SEGMENT_ONE_HOT : SEGMENT_DENSE;
        const struct segment s = {kind, i, 1, row, in->width, false};
        if (projected[f->order[i]].row == NULL) infer_add_segment(f, &s, b, rows, first, n, true, w);
        row += in->width;
    }
    infer_add_bias(f, n, w);
}

void infer_forward_projected(const struct infer *f, const struct batch *b,
                             const struct model_rows *rows,
                             const struct infer_projected *projected, struct infer_work *w,
                             float *logits)
{
    for (size_t first = 0; first < b->n_rows; first += NET_CHUNK) {
        size_t left = b->n_rows - first, n = left < NET_CHUNK ? left : NET_CHUNK;
        w->chunk->n = n;
        w->chunk->act[NET_Y] = w->y;
        layer1_sums(f, b, rows, projected, first, n, w);
        infer_after_layer1(f, b, rows, first, w, logits);
    }
}
