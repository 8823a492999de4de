/* What tests of the server share: the sample bundle, open, and requests as texts. */
#ifndef MTPS_TESTS_SERVE_SAMPLE_H
#define MTPS_TESTS_SERVE_SAMPLE_H

#include "serve/http/ask.h"
#include "tests/unit/bundle_sample.h"

/* Inputs of the sample: user, tags (list), item, color, price, age, hourmin, length. Tasks:
 * click (a probability) and watched (a number). */
enum { SERVE_INPUTS = 8, SERVE_TASKS = 2 };

struct serve_sample {
    struct bundle_sample *bundle;
    struct mtps_model *model;
    struct mtps_scorer *scorer;
    struct names names;
    struct ask_limits limits;
    struct budget budget;
    struct pad pad;
    struct ask ask;
    char *body;
    struct error err;
};

int serve_sample_setup(void **state);
int serve_sample_teardown(void **state);

typedef enum ask_status (*serve_sample_reader)(struct ask *a, const struct ask_body *body, struct error *err);

/* Reads a body of n bytes whose first `json` are JSON; *f->ask is fresh. */
enum ask_status serve_sample_read_bytes(struct serve_sample *f, serve_sample_reader read, const void *body, size_t n,
                                        size_t json);
enum ask_status serve_sample_read(struct serve_sample *f, serve_sample_reader read, const char *text);
/* It is read, and f->ask.scores are there. */
void serve_sample_score(struct serve_sample *f, serve_sample_reader read, const char *text);
/* It is refused with this status, and the error holds the part. */
void serve_sample_refused(struct serve_sample *f, serve_sample_reader read, const char *text, enum ask_status status,
                          const char *part);

const struct mtps_value *serve_sample_value(const struct serve_sample *f, size_t row, const char *input);
/* The value is this text, or this list of texts ("a|b"). */
void serve_sample_is(const struct serve_sample *f, size_t row, const char *input, const char *want);

#endif
