#include "tests/lib/tmpdir.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void tmpdir_create(struct tmpdir *d)
{
    const char *base = getenv("TMPDIR");
    snprintf(d->path, sizeof d->path, "%s/mtps-test-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(d->path));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void tmpdir_remove(struct tmpdir *d)
{
    nftw(d->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *tmpdir_path(const struct tmpdir *d, const char *name, char *out, size_t size)
{
    assert_true((size_t)snprintf(out, size, "%s/%s", d->path, name) < size);
    return out;
}

void tmpdir_write(const struct tmpdir *d, const char *name, const char *text)
{
    char path[512];
    FILE *f = fopen(tmpdir_path(d, name, path, sizeof path), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}
