#include "tests/golden/golden_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *slurp(const char *path)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL) fail_msg("cannot read %s", path);
    fseek(in, 0, SEEK_END);
    size_t n = (size_t)ftell(in);
    rewind(in);
    char *text = malloc(n + 1);
    assert_int_equal(fread(text, 1, n, in), n);
    text[n] = 0;
    fclose(in);
    return text;
}

static void parse(char *line, struct golden_line *out)
{
    char *rest = NULL;
    out->key = strtok_r(line, " ", &rest);
    out->name = strtok_r(NULL, " ", &rest);
    const char *count = strtok_r(NULL, " ", &rest);
    assert_true(out->key && out->name && count);
    out->n = strtoul(count, NULL, 10);
    if (strcmp(out->key, "case") == 0) {
        out->word = rest;
        return;
    }
    out->v = malloc((out->n + 1) * sizeof *out->v);
    for (size_t i = 0; i < out->n; i++) out->v[i] = strtod(rest, &rest);
}

void golden_open(struct golden_file *f, const char *path)
{
    size_t cap = 0;
    *f = (struct golden_file){.text = slurp(path)};
    for (char *rest = f->text, *line;
         (line = strsep(&rest, "\n")) != NULL && *line != 0;) {
        if (f->n == cap) {
            cap = cap * 2 + 64;
            f->lines = realloc(f->lines, cap * sizeof *f->lines);
        }
        f->lines[f->n] = (struct golden_line){0};
        parse(line, &f->lines[f->n++]);
    }
}

void golden_close(struct golden_file *f)
{
    for (size_t i = 0; i < f->n; i++) free(f->lines[i].v);
    free(f->lines);
    free(f->text);
}

const struct golden_line *golden_find(const struct golden_file *f, size_t from,
                                      const char *key, const char *name)
{
    for (size_t i = from; i < f->n; i++) {
        const struct golden_line *l = &f->lines[i];
        if (i > from && strcmp(l->key, "case") == 0) return NULL;
        if (strcmp(l->key, key) == 0 && (name == NULL || strcmp(l->name, name) == 0))
            return l;
    }
    return NULL;
}
