#include "tests/unit/raw_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const nothing[] = {""};

static struct source_cfg csv(struct raw_sample *s, size_t i, const char *pattern)
{
    tmpdir_path(&s->dir, pattern, s->patterns[i], sizeof s->patterns[i]);
    s->files[i] = s->patterns[i];
    return (struct source_cfg){.files = {&s->files[i], 1, {0}},
                               .header = true,
                               .delimiter = ",",
                               .missing = {(const char **)nothing, 1, {0}}};
}

int raw_sample_setup(void **state)
{
    struct raw_sample *s = calloc(1, sizeof *s);
    assert_non_null(s);
    tmpdir_create(&s->dir);
    s->data.train = csv(s, 0, "*.in");
    s->data.joins = s->joins;
    s->data.join_memory = 1 << 30;
    s->data.bad_rows_max = 1e9;
    s->data.slot.separator = " ";
    s->source = &s->data.train;
    *state = s;
    return 0;
}

int raw_sample_teardown(void **state)
{
    struct raw_sample *s = *state;
    tmpdir_remove(&s->dir);
    free(s);
    return 0;
}

void raw_sample_bytes(struct raw_sample *s, const char *name, const void *bytes, size_t n)
{
    char path[512];
    FILE *f = fopen(tmpdir_path(&s->dir, name, path, sizeof path), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void raw_sample_file(struct raw_sample *s, const char *name, const char *text)
{
    raw_sample_bytes(s, name, text, strlen(text));
}

/* "a,b,c" into names; the words live in `words`. */
static size_t cut_names(const char *list, char words[SAMPLE_COLUMNS][64],
                        const char **names)
{
    size_t n = 0;
    for (; *list; n++) {
        size_t length = strcspn(list, ",");
        assert_true(n < SAMPLE_COLUMNS && length < 64);
        memcpy(words[n], list, length);
        words[n][length] = '\0';
        names[n] = words[n];
        list += length + (list[length] == ',');
    }
    return n;
}

void raw_sample_columns(struct raw_sample *s, const char *names)
{
    static char words[SAMPLE_COLUMNS][64];
    s->source->columns =
        (struct list_cfg){s->names, cut_names(names, words, s->names), {0}};
    s->source->header = false;
}

struct join_cfg *raw_sample_join(struct raw_sample *s, const char *pattern,
                                 const char *key)
{
    struct join_cfg *join = &s->joins[s->data.n_joins++];
    join->source = csv(s, s->data.n_joins, pattern);
    join->key = (struct text_cfg){key, {"f.yaml", 5, 9}};
    return join;
}

static size_t write_row(const struct raw_row *row, size_t n, char *out)
{
    char *at = out;
    for (size_t i = 0; i < n; i++) {
        const struct raw_field *f = &row->fields[i];
        if (i) *at++ = '|';
        if (!f->n) *at++ = '~';
        for (size_t k = 0; k < f->n; k++) {
            if (k) *at++ = '+';
            memcpy(at, f->v[k].s, f->v[k].n);
            at += f->v[k].n;
        }
    }
    *at++ = '\n';
    return (size_t)(at - out);
}

const char *raw_sample_read(struct raw_sample *s, const char *columns)
{
    char words[SAMPLE_COLUMNS][64];
    const char *names[SAMPLE_COLUMNS];
    size_t n = cut_names(columns, words, names), at = 0;
    struct raw *r = NULL;
    const struct raw_row *row = NULL;
    bad_rows_init(&s->bad, &s->data);
    s->status = raw_open(&s->data, s->source, names, NULL, n, &s->bad, &r, &s->err);
    while (s->status == ST_OK) {
        s->status = raw_next(r, &row, &s->err);
        if (s->status != ST_OK || !row) break;
        assert_true(at < sizeof s->out - 2048);
        at += write_row(row, n, s->out + at);
    }
    s->out[at] = '\0';
    if (s->status != ST_OK)
        snprintf(s->out + at, sizeof s->out - at, "! %s", s->err.text);
    raw_close(r);
    return s->out;
}
