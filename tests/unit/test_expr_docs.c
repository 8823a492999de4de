/* docs/expressions.md: every example gives what the page says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/expr_sample.h"

enum { MOST_COLUMNS = 64, CELL = 200 };

struct page {
    struct sample_column columns[MOST_COLUMNS];
    char names[MOST_COLUMNS][CELL], texts[MOST_COLUMNS][CELL];
    size_t n_columns, n_examples;
};

/* The text between "| " and " |", without back quotes around it. Gives what is
 * behind it, or NULL. */
static const char *take_cell(const char *at, char *out)
{
    while (*at == '|' || *at == ' ') at++;
    const char *end = strstr(at, " |");
    if (!end) {
        out[0] = '\0';
        return NULL;
    }
    const char *behind = end;
    while (*at == '`' && end > at && end[-1] == '`') at++, end--;
    while (end > at && *at == ' ') at++;
    while (end > at && end[-1] == ' ') end--;
    snprintf(out, CELL, "%.*s", (int)(end - at), at);
    return behind;
}

static void take_column(struct page *p, const char *line)
{
    size_t i = p->n_columns++;
    assert_true(i + 1 < MOST_COLUMNS);
    const char *rest = take_cell(line, p->names[i]);
    assert_non_null(rest);
    rest = take_cell(rest, p->texts[i]);
    p->columns[i] =
        (struct sample_column){p->names[i], p->texts[i][0] ? p->texts[i] : NULL};
}

static void check_example(struct page *p, const char *line)
{
    char expr[CELL], want[CELL];
    const char *rest = take_cell(line, expr);
    assert_non_null(rest);
    assert_non_null(take_cell(rest, want));
    const char *result = expr_sample(expr, p->columns);
    if (strcmp(result, want) != 0)
        fail_msg("%s gives %s, the page says %s", expr, result, want);
    p->n_examples++;
}

static void test_examples_hold(void **state)
{
    (void)state;
    static struct page p;
    FILE *f = fopen("docs/expressions.md", "r");
    assert_non_null(f);
    char line[1000];
    enum { NONE, COLUMNS, EXAMPLES } table = NONE;
    while (fgets(line, sizeof line, f)) {
        if (line[0] != '|')
            table = NONE;
        else if (strcmp(line, "| column | value |\n") == 0)
            table = COLUMNS;
        else if (strcmp(line, "| expression | gives |\n") == 0)
            table = EXAMPLES;
        else if (strncmp(line, "| ---", 5) == 0)
            continue;
        else if (table == COLUMNS)
            take_column(&p, line);
        else if (table == EXAMPLES)
            check_example(&p, line);
    }
    fclose(f);
    assert_int_equal(p.n_columns, 12);
    assert_true(p.n_examples > 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples_hold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
