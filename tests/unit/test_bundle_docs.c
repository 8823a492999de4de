/* docs/bundle-format.md: every section of a bundle stands on the page, with its type and
 * its number of dimensions. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "serve/bundle.h"
#include "tests/unit/bundle_sample.h"

enum { MOST_ROWS = 40, CELL = 100 };

struct page {
    char name[MOST_ROWS][CELL], shape[MOST_ROWS][CELL];
    bool met[MOST_ROWS];
    size_t n;
};

/* Rows of the table under "| name | type, shape | meaning |". */
static void read_page(struct page *p)
{
    FILE *f = fopen("docs/bundle-format.md", "r");
    assert_non_null(f);
    char line[2000];
    bool inside = false;
    while (fgets(line, sizeof line, f)) {
        if (line[0] != '|') inside = false;
        if (inside && strncmp(line, "| ---", 5) != 0) {
            assert_true(p->n < MOST_ROWS);
            assert_int_equal(sscanf(line, "| `%99[^`]` | %99[^|]|", p->name[p->n], p->shape[p->n]), 2);
            p->n++;
        }
        if (!strcmp(line, "| name | type, shape | meaning |\n")) inside = true;
    }
    fclose(f);
}

/* A part in capitals stands for a name, which may have parts of its own. */
static bool fits(const char *pattern, const char *name)
{
    if (isupper((unsigned char)*pattern)) {
        while (isupper((unsigned char)*pattern)) pattern++;
        for (const char *rest = name; *rest; rest++)
            if (fits(pattern, rest + 1)) return true;
        return false;
    }
    if (*pattern != *name) return false;
    return !*pattern || fits(pattern + 1, name + 1);
}

static bool says(const char *shape, const struct bundle_section *s)
{
    const char *dims = strchr(shape, '['), *type = strstr(shape, section_type_name(s->type));
    return dims && type && type < dims && (strchr(dims, ',') != NULL) == (s->cols > 0);
}

/* And removes it. */
static void check_bundle(struct page *p, const char *path)
{
    struct bundle *b;
    struct error err;
    if (bundle_open(path, BUNDLE_CHECK_ALL, &b, &err) != ST_OK) fail_msg("%s", err.text);
    for (size_t i = 0; i < b->n_sections; i++) {
        const struct bundle_section *s = &b->sections[i];
        bool known = false;
        for (size_t j = 0; j < p->n; j++)
            if (fits(p->name[j], s->name) && says(p->shape[j], s)) known = p->met[j] = true;
        if (!known) fail_msg("the page has no section %s of type %s, %s", s->name, section_type_name(s->type), s->cols ? "[n, m]" : "[n]");
    }
    bundle_close(b);
    assert_int_equal(unlink(path), 0);
}

/* Bundles of all kinds of rows, with projected rows and a side table, have no section that
 * the page has not, and the page has none that they have not. */
static void test_the_page_has_every_section(void **state)
{
    struct bundle_sample *s = *state;
    static struct page p;
    char path[512];
    read_page(&p);
    tmpdir_path(&s->dir, "other.mtps", path, sizeof path);
    for (enum section_type type = SECTION_F16; type <= SECTION_I8; type++) {
        bundle_sample_write(s, path, type);
        check_bundle(&p, path);
    }
    bundle_sample_write_whole(s, path);
    check_bundle(&p, path);
    for (size_t j = 0; j < p.n; j++)
        if (!p.met[j]) fail_msg("no bundle has a section %s", p.name[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_page_has_every_section, bundle_sample_setup, bundle_sample_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
