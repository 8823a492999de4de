/* A feature that reads what a label reads makes a model that knows the answer.
 * Columns are found by looking at words: expressions are parsed later, in data/,
 * where the columns are known. */
#include <ctype.h>
#include <string.h>

#include "common/config/config.h"

static bool is_word_start(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool is_keyword(const char *word, size_t n)
{
    static const char *const keywords[] = {"and", "or", "not", "in", "true", "false"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strlen(keywords[i]) == n && !memcmp(keywords[i], word, n)) return true;
    return false;
}

static const char *skip_string(const char *c)
{
    char quote = *c++;
    while (*c && *c != quote) c += *c == '\\' && c[1] ? 2 : 1;
    return *c ? c + 1 : c;
}

/* The next column's name in an expression, or NULL. *c moves behind it. */
static const char *next_column(const char **c, size_t *n)
{
    while (**c) {
        const char *start = *c;
        if (*start == '"' || *start == '\'') {
            *c = skip_string(start);
        } else if (*start == '`') {
            *n = strcspn(start + 1, "`");
            *c = start + 1 + *n + (start[1 + *n] ? 1 : 0);
            return start + 1;
        } else if (isdigit((unsigned char)*start)) {
            while (is_word(**c) || **c == '.') ++*c;
        } else if (is_word_start(*start)) {
            while (is_word(**c)) ++*c;
            *n = (size_t)(*c - start);
            bool call = (*c)[strspn(*c, " ")] == '(';
            if (!call && !is_keyword(start, *n)) return start;
        } else {
            ++*c;
        }
    }
    return NULL;
}

static bool same(const char *name, size_t n, const char *other)
{
    return strlen(other) == n && !memcmp(name, other, n);
}

/* Does the text read the column? A text that is one column's name reads it,
 * whatever characters it has. */
static bool reads(const char *text, const char *column)
{
    if (!strcmp(text, column)) return true;
    size_t n;
    const char *name;
    while ((name = next_column(&text, &n)))
        if (same(name, n, column)) return true;
    return false;
}

static enum status warn(struct settings *s, const struct feature_cfg *f, const char *name,
                        const char *column, size_t n, struct error *err)
{
    char word[256];
    if (n >= sizeof word) return ST_OK;
    memcpy(word, column, n);
    word[n] = '\0';
    for (size_t k = 0; k < s->n_tasks; k++)
        if (reads(s->tasks[k].label.text, word))
            TRY(config_warn(s, err, f->at,
                            "feature '%s' reads column '%s', which the label of task '%s' reads",
                            name, word, s->tasks[k].name));
    return ST_OK;
}

enum status check_columns(struct settings *s, struct error *err)
{
    for (size_t i = 0; i < s->n_features; i++) {
        const struct feature_cfg *f = &s->features[i];
        const char *rest = f->expr.text, *name;
        size_t n;
        while (rest && (name = next_column(&rest, &n)))
            TRY(warn(s, f, f->names.v[0], name, n, err));
        if (f->expr.text || f->cross.n) continue;
        if (f->column) TRY(warn(s, f, f->names.v[0], f->column, strlen(f->column), err));
        for (size_t k = 0; !f->column && k < f->names.n; k++)
            if (!names_is_pattern(f->names.v[k]))
                TRY(warn(s, f, f->names.v[k], f->names.v[k], strlen(f->names.v[k]), err));
    }
    return ST_OK;
}
