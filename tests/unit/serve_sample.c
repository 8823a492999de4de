#include "tests/unit/serve_sample.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int serve_sample_setup(void **state)
{
    struct serve_sample *f = calloc(1, sizeof *f);
    void *bundle;
    struct mtps_error error;
    *state = f;
    bundle_sample_setup(&bundle);
    f->bundle = bundle;
    if (mtps_open(f->bundle->path, 0, &f->model, &error) != MTPS_OK) fail_msg("%s", error.text);
    assert_int_equal(mtps_scorer_create(f->model, &f->scorer, &error), MTPS_OK);
    assert_int_equal(names_open(&f->names, f->model, &f->err), ST_OK);
    f->limits = (struct ask_limits){100, 1000};
    f->budget = (struct budget){0, 16 << 20};
    pad_open(&f->pad, &f->budget);
    return 0;
}

int serve_sample_teardown(void **state)
{
    struct serve_sample *f = *state;
    void *bundle = f->bundle;
    pad_close(&f->pad);
    assert_int_equal(f->budget.used, 0);
    names_close(&f->names);
    mtps_scorer_destroy(f->scorer);
    mtps_close(f->model);
    bundle_sample_teardown(&bundle);
    free(f->body);
    free(f);
    return 0;
}

enum ask_status serve_sample_read_bytes(struct serve_sample *f, serve_sample_reader read, const void *body, size_t n,
                                        size_t json)
{
    pad_reset(&f->pad);
    free(f->body);
    f->body = malloc(n + 1); /* no byte more: tools that watch memory see what is read behind it */
    memcpy(f->body, body, n);
    f->body[n] = 0;
    f->ask = (struct ask){.names = &f->names, .limits = &f->limits, .pad = &f->pad};
    f->err = (struct error){.text = ""};
    return read(&f->ask, &(struct ask_body){f->body, n, json}, &f->err);
}

enum ask_status serve_sample_read(struct serve_sample *f, serve_sample_reader read, const char *text)
{
    return serve_sample_read_bytes(f, read, text, strlen(text), strlen(text));
}

void serve_sample_score(struct serve_sample *f, serve_sample_reader read, const char *text)
{
    struct mtps_error error;
    if (serve_sample_read(f, read, text) != ASK_OK) fail_msg("%s: %s", text, f->err.text);
    if (mtps_score(f->scorer, f->ask.values, f->ask.n_rows, f->ask.scores, &error) != MTPS_OK) fail_msg("%s", error.text);
}

void serve_sample_refused(struct serve_sample *f, serve_sample_reader read, const char *text, enum ask_status status,
                          const char *part)
{
    enum ask_status got = serve_sample_read(f, read, text);
    if (got != status) fail_msg("%s: %d, not %d: %s", text, got, status, f->err.text);
    if (!strstr(f->err.text, part)) fail_msg("%s: '%s' is not in '%s'", text, part, f->err.text);
}

const struct mtps_value *serve_sample_value(const struct serve_sample *f, size_t row, const char *input)
{
    ptrdiff_t i = mtps_find_input(f->model, input);
    if (i < 0) fail_msg("no input %s", input);
    assert_true(row < f->ask.n_rows);
    return ask_value(&f->ask, row, (size_t)i);
}

static size_t print(const struct mtps_value *v, char *out, size_t size)
{
    size_t n = 0;
    switch (v->kind) {
    case MTPS_MISSING:
        return (size_t)snprintf(out, size, "missing");
    case MTPS_TEXT:
        return (size_t)snprintf(out, size, "%.*s", (int)v->n, v->u.text);
    case MTPS_INTEGER:
        return (size_t)snprintf(out, size, "i%" PRId64, v->u.integer);
    case MTPS_REAL:
        return (size_t)snprintf(out, size, "r%.17g", v->u.real);
    default:
        *out = 0;
        for (size_t i = 0; i < v->n; i++) {
            if (i) out[n++] = '|';
            n += print(&v->u.list[i], out + n, size - n);
        }
        return n;
    }
}

void serve_sample_is(const struct serve_sample *f, size_t row, const char *input, const char *want)
{
    char got[1024];
    print(serve_sample_value(f, row, input), got, sizeof got);
    assert_string_equal(got, want);
}
