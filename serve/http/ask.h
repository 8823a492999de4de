/* A request for scores, decoded: rows of raw values and how the answer is to look. The
 * two forms of requests (kserve.h, rows_json.h) fill it from the bytes of a body, without
 * sockets, and write the answer. Everything lies in the request's memory or in its body. */
#ifndef MTPS_SERVE_HTTP_ASK_H
#define MTPS_SERVE_HTTP_ASK_H

#include <stdbool.h>

#include "serve/http/jsonin.h"
#include "serve/http/jsonout.h"
#include "serve/http/names.h"

struct ask_limits {
    size_t rows; /* of a request */
    size_t ids;  /* values of all inputs on all rows */
};

struct ask {
    const struct names *names;
    const struct ask_limits *limits;
    struct pad *pad;
    size_t n_rows, n_values;
    struct mtps_value *values; /* [n_rows, n_inputs] */
    float *scores;             /* [n_rows, n_tasks] */
    /* of the answer */
    bool has_id;
    struct text id;      /* KServe: comes back */
    size_t *outputs;     /* [n_outputs] tasks in the order asked for */
    signed char *binary; /* [n_outputs] 1: as bytes behind the JSON */
    size_t n_outputs;
    bool columns;        /* predict: "inputs", not "instances" */
};

/* A body: bytes[n] is 0 and may be changed. */
struct ask_body {
    char *bytes;
    size_t n;
    size_t json; /* the first bytes, which are JSON; n unless tensors follow */
};

/* Outcome of decoding: a status of HTTP. */
enum ask_status {
    ASK_OK = 200,
    ASK_BAD = 400,      /* error says what and where */
    ASK_TOO_LARGE = 413,
    ASK_NO_MEMORY = 503 /* the requests of this moment take all of it */
};

/* Each sets *err unless it gives ASK_OK. */
enum ask_status ask_bad(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum ask_status ask_too_many(struct error *err, const char *what, size_t most);
enum ask_status ask_no_memory(struct error *err);
/* Of r->why: where in the JSON. */
enum ask_status ask_not_json(const struct jsonin *r, struct error *err);
/* Gives st; what is bad is bad in this row. */
enum ask_status ask_at_row(enum ask_status st, size_t row, struct error *err);

/* Values of n_rows rows, all missing, and room for their scores. */
enum ask_status ask_make_rows(struct ask *a, size_t n_rows, struct error *err) MUST_USE;
/* Counts n values more. */
enum ask_status ask_count(struct ask *a, size_t n, struct error *err) MUST_USE;

static inline struct mtps_value *ask_value(const struct ask *a, size_t row, size_t input)
{
    return &a->values[row * a->names->n_inputs + input];
}

/* The next scalar of a JSON text, null as missing; false (r->why) when it is none. */
bool ask_scalar(struct jsonin *r, struct mtps_value *out);

#define ASK_TRY(expr)                               \
    do {                                            \
        enum ask_status ask_st_ = (expr);           \
        if (ask_st_ != ASK_OK) return ask_st_;      \
    } while (0)

#endif
