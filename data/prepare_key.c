#include "data/prepare_key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/input.h"
#include "common/base/mem.h"
#include "common/store/file.h"
#include "data/raw.h"

enum {
    HASH_CHUNK = 1 << 20,
    REMEMBER_BYTES = 64 << 20, /* smaller files are hashed every time */
    SETTLED_S = 3              /* a file changed later than this might change unseen */
};

/* Two independent 64-bit hashes of everything added, in order. */
struct mix {
    uint64_t a, b;
};

/* Files that are hashed, as their reader sees it. */
struct hashing {
    const struct prepare_options *opt;
    uint64_t done; /* bytes */
    double told;
};

static void mix_add(struct mix *m, const void *data, size_t n)
{
    m->a = hash_bytes(data, n, m->a + n);
    m->b = hash_bytes(data, n, m->b ^ UINT64_C(0x9e3779b97f4a7c15));
}

static void mix_text(struct mix *m, const char *text)
{
    mix_add(m, text, strlen(text) + 1);
}

static enum status cannot_read(const char *path, const char *why, struct error *err)
{
    return error_set(err, ST_NOINPUT, "%s: cannot be read: %s", path, why);
}

static enum status hash_contents(struct hashing *h, const char *path, struct mix *m,
                                 struct error *err)
{
    const char *why;
    int fd = input_open(path, &why);
    if (fd < 0) return cannot_read(path, why, err);
    char *buf = mem_alloc(HASH_CHUNK);
    enum status st = buf ? ST_OK : mem_error(err, "reading a file", HASH_CHUNK);
    *m = (struct mix){1, 2};
    while (st == ST_OK) {
        size_t n = 0;
        ssize_t got = 1;
        while (n < HASH_CHUNK && (got = read(fd, buf + n, HASH_CHUNK - n)) > 0)
            n += (size_t)got;
        if (got < 0) st = cannot_read(path, strerror(errno), err);
        if (st != ST_OK || !n) break;
        mix_add(m, buf, n);
        h->done += n;
        st = prepare_tell(h->opt, &h->told, h->done, 0, 0, "hashing", err);
    }
    mem_free(buf);
    close(fd);
    return st;
}

/* ---- contents that were hashed before ---- */

/* What a file's state was when it was hashed. ctime moves with any change of
 * contents and cannot be set back. */
static void state_text(const struct stat *s, char *out, size_t size)
{
    snprintf(out, size,
             "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 ".%09ld %" PRId64 ".%09ld",
             (uint64_t)s->st_dev, (uint64_t)s->st_ino, (uint64_t)s->st_size,
             (int64_t)s->st_mtim.tv_sec, s->st_mtim.tv_nsec, (int64_t)s->st_ctim.tv_sec,
             s->st_ctim.tv_nsec);
}

static void memo_path(const char *cache, const char *path, char *out, size_t size)
{
    snprintf(out, size, "%s/contents-%016" PRIx64, cache,
             hash_bytes(path, strlen(path), 0));
}

static bool recall(const char *memo, const char *state, struct mix *m)
{
    char *text;
    size_t n;
    if (file_read_all(memo, &text, &n, 4096, NULL) != ST_OK) return false;
    size_t at = strlen(state);
    bool ok = n > at && !strncmp(text, state, at) &&
              sscanf(text + at, " %" SCNx64 " %" SCNx64, &m->a, &m->b) == 2;
    mem_free(text);
    return ok;
}

static void remember(const char *memo, const char *state, const struct mix *m)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s %016" PRIx64 " %016" PRIx64 "\n", state, m->a,
                     m->b);
    /* Only a help for the next time: failing to write it does not matter. */
    if (file_write_atomic(memo, text, (size_t)n, NULL) != ST_OK) unlink(memo);
}

static enum status contents(struct hashing *h, const char *cache, const char *path,
                            struct mix *m, struct error *err)
{
    struct stat s;
    if (stat(path, &s)) return cannot_read(path, strerror(errno), err);
    if (s.st_size < REMEMBER_BYTES) return hash_contents(h, path, m, err);
    char memo[4200], state[256];
    memo_path(cache, path, memo, sizeof memo);
    state_text(&s, state, sizeof state);
    if (recall(memo, state, m)) return ST_OK;
    TRY(hash_contents(h, path, m, err));
    if (s.st_ctim.tv_sec + SETTLED_S < time(NULL)) remember(memo, state, m);
    return ST_OK;
}

/* ---- the key ---- */

static enum status add_files(struct hashing *h, const char *cache,
                             const struct source_cfg *source, struct mix *m,
                             struct error *err)
{
    const char **files;
    size_t n;
    TRY(raw_expand(source, &files, &n, err));
    enum status st = ST_OK;
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        struct mix one;
        uint64_t bytes = 0;
        st = contents(h, cache, files[i], &one, err);
        if (st == ST_OK) st = file_size(files[i], &bytes, err);
        mix_text(m, files[i]);
        mix_add(m, &bytes, sizeof bytes);
        mix_add(m, &one, sizeof one);
    }
    mem_free(files);
    return st;
}

static void add_source(struct mix *m, const struct source_cfg *s)
{
    char text[256];
    snprintf(text, sizeof text, "source %d %d %zu %d %d", (int)s->format, s->header,
             s->skip_lines, s->trim, (int)s->encoding);
    mix_text(m, text);
    mix_text(m, s->delimiter ? s->delimiter : "");
    for (size_t i = 0; i < s->columns.n; i++) mix_text(m, s->columns.v[i]);
    mix_text(m, "missing");
    for (size_t i = 0; i < s->missing.n; i++) mix_text(m, s->missing.v[i]);
}

enum status prepare_key(const struct schema *s, const struct source_cfg *source,
                        const struct prepare_options *opt, char key[PREPARE_KEY_HEX], struct error *err)
{
    const struct data_cfg *data = &s->settings->data;
    struct hashing h = {.opt = opt};
    struct mix m = {PREPARED_VERSION, HASH_VERSION};
    mix_text(&m, s->plan->text);
    add_source(&m, source);
    TRY(add_files(&h, data->cache, source, &m, err));
    for (size_t j = 0; j < data->n_joins; j++)
        TRY(add_files(&h, data->cache, &data->joins[j].source, &m, err));
    snprintf(key, PREPARE_KEY_HEX, "%016" PRIx64 "%016" PRIx64, m.a, m.b);
    return ST_OK;
}
