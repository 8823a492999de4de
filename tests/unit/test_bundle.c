/* serve/bundle: what was written is read; anything else is refused in one line, before
 * it costs time or memory. */
#include "serve/bundle.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "serve/bundle_layout.h"
#include "serve/loaded.h"
#include "tests/unit/bundle_sample.h"

enum { MOST_SECONDS = 1, MOST_KIB = 64 << 10 };

/* ---- reading ---- */

/* Sections, header and id come back as they were written. */
static void what_is_written_is_read(void **state)
{
    struct bundle_sample *s = *state;
    struct bundle *b;
    assert_int_equal(bundle_open(s->path, BUNDLE_CHECK_ALL, &b, &s->err), ST_OK);
    const struct bundle_section *t = bundle_find(b, "tensor/tower/click/layer0/b");
    assert_non_null(t);
    assert_int_equal(t->type, SECTION_F32);
    assert_int_equal(t->rows, 1);
    assert_int_equal(t->cols, 5);
    assert_int_equal(t->offset % BUNDLE_ALIGN, 0);
    assert_null(bundle_find(b, "tensor/tower/click/layer0"));
    uint64_t step;
    assert_int_equal(bundle_number(b, "step", &step, &s->err), ST_OK);
    assert_int_equal(step, 12);
    assert_int_equal(bundle_number(b, "settings", &step, &s->err), ST_DATA);
    assert_int_equal(strlen(b->id), 32);
    bundle_close(b);
}

/* A file, its folder, and a folder of versions lead to the file; of versions the
 * highest number counts. */
static void paths_lead_to_the_file(void **state)
{
    struct bundle_sample *s = *state;
    char path[600], folder[600];
    struct bundle *b;
    assert_int_equal(bundle_open(s->dir.path, BUNDLE_CHECK_ALL, &b, &s->err), ST_OK);
    assert_string_equal(b->path, s->path);
    bundle_close(b);
    static const char *const versions[] = {"v", "v/9", "v/10", "v/11x", "v/.tmp-12"};
    for (size_t i = 0; i < 5; i++) {
        tmpdir_path(&s->dir, versions[i], folder, sizeof folder);
        assert_int_equal(mkdir(folder, 0755), 0);
    }
    tmpdir_path(&s->dir, "v/10/" BUNDLE_FILE, path, sizeof path);
    bundle_sample_write(s, path, SECTION_F16);
    tmpdir_path(&s->dir, "v", folder, sizeof folder);
    assert_int_equal(bundle_open(folder, BUNDLE_CHECK_ALL, &b, &s->err), ST_OK);
    assert_string_equal(b->path, path);
    bundle_close(b);
    tmpdir_path(&s->dir, "v/9", folder, sizeof folder);
    assert_int_equal(bundle_open(folder, BUNDLE_CHECK_ALL, &b, &s->err), ST_NOINPUT);
    assert_non_null(strstr(s->err.hint, "mtps export"));
}

/* ---- refusing ---- */

static enum status try_open(struct bundle_sample *s, const char *path)
{
    struct mtps_model *m;
    memset(&s->err, 0, sizeof s->err);
    enum status st = loaded_open(path, BUNDLE_CHECK_ALL, &m, &s->err);
    if (st == ST_OK) loaded_release(m);
    return st;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Most memory that the process has had, KiB. */
static long most_memory(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* Opening a file with these bytes fails with a text that names the check, within a second
 * and 64 MiB. */
static void refuses(struct bundle_sample *s, const unsigned char *bytes, size_t n, const char *why)
{
    char path[600];
    tmpdir_path(&s->dir, "hostile", path, sizeof path);
    bundle_sample_put(path, bytes, n);
    double start = seconds();
    long before = most_memory();
    enum status st = try_open(s, path);
    if (seconds() - start > MOST_SECONDS || most_memory() - before > MOST_KIB)
        fail_msg("'%s' took %g s, %ld KiB", why, seconds() - start, most_memory() - before);
    if (st != ST_DATA || !strstr(s->err.text, why) || strchr(s->err.text, '\n'))
        fail_msg("status %d, '%s' without '%s'", (int)st, s->err.text, why);
}

/* Each byte to one of four other values; to all of them where MTPS_THOROUGH is set. */
static void change_bytes(struct bundle_sample *s, const char *from)
{
    bool all = getenv("MTPS_THOROUGH") != NULL;
    size_t n;
    unsigned char *bytes = bundle_sample_read(from, &n);
    char path[600];
    tmpdir_path(&s->dir, "changed", path, sizeof path);
    bundle_sample_put(path, bytes, n);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    for (size_t i = 0; i < 4 * n; i++) {
        static const unsigned char flips[] = {0x01, 0x10, 0x80, 0xff};
        unsigned char changed = bytes[i / 4] ^ flips[i % 4];
        struct bundle *b;
        if (!all && i % 4 != i / 4 % 4) continue;
        assert_int_equal(pwrite(fd, &changed, 1, (off_t)(i / 4)), 1);
        if (bundle_open(path, BUNDLE_CHECK_ALL, &b, &s->err) != ST_DATA)
            fail_msg("byte %zu changed to %d unnoticed", i / 4, changed);
        assert_int_equal(pwrite(fd, &bytes[i / 4], 1, (off_t)(i / 4)), 1);
    }
    close(fd);
    mem_free(bytes);
}

/* Every single changed byte is noticed, wherever it stands: also of side tables and projected
 * rows. */
static void every_changed_byte_is_refused(void **state)
{
    struct bundle_sample *s = *state;
    char whole[600];
    tmpdir_path(&s->dir, "whole", whole, sizeof whole);
    bundle_sample_write_whole(s, whole);
    change_bytes(s, whole);
}

/* A file cut short, anywhere, and one with bytes behind its end are refused. */
static void other_lengths_are_refused(void **state)
{
    struct bundle_sample *s = *state;
    size_t n;
    unsigned char *bytes = bundle_sample_read(s->path, &n);
    refuses(s, bytes, 0, "shorter than");
    refuses(s, bytes, BUNDLE_PREFIX - 1, "shorter than");
    for (size_t cut = BUNDLE_PREFIX; cut < n; cut += 61) refuses(s, bytes, cut, "the prefix says");
    refuses(s, bytes, n - 1, "the prefix says");
    unsigned char *longer = mem_zeroed(n + 64, 1);
    memcpy(longer, bytes, n);
    refuses(s, longer, n + 64, "the prefix says");
    mem_free(longer);
    mem_free(bytes);
}

/* The id that belongs to a header, where the digits stand; one that does not begin as headers
 * do stays as it is. */
static void mend_id(unsigned char *header, size_t n)
{
    char id[BUNDLE_ID];
    if (bundle_header_id((const char *)header, n, id)) memcpy(header + sizeof BUNDLE_HEAD - 1, id, BUNDLE_ID - 1);
}

/* Put a text in place of another one in the header of a file, with an id and a prefix that fit. */
static void forge_file(struct bundle_sample *s, const char *path, const char *old, const char *new, const char *why)
{
    size_t n, old_n = strlen(old), new_n = strlen(new);
    unsigned char *bytes = bundle_sample_read(path, &n);
    struct bundle_prefix p;
    memcpy(&p, bytes, sizeof p);
    unsigned char *header = bytes + BUNDLE_PREFIX, *at = memmem(header, p.header_bytes, old, old_n);
    if (!at) fail_msg("the header has no %s", old);
    size_t header_n = p.header_bytes - old_n + new_n;
    uint64_t from = bundle_align(BUNDLE_PREFIX + p.header_bytes), to = bundle_align(BUNDLE_PREFIX + header_n);
    unsigned char *made = mem_zeroed(to + n, 1);
    unsigned char *out = made + BUNDLE_PREFIX;
    memcpy(out, header, (size_t)(at - header));
    memcpy(out + (at - header), new, new_n);
    memcpy(out + (at - header) + new_n, at + old_n, p.header_bytes - (size_t)(at - header) - old_n);
    mend_id(out, header_n);
    p.header_bytes = header_n;
    p.header_checksum = hash_bytes(out, header_n, 0);
    p.file_bytes = to + n - from;
    memcpy(made, &p, sizeof p);
    memcpy(made + to, bytes + from, n - from);
    refuses(s, made, p.file_bytes, why);
    mem_free(made);
    mem_free(bytes);
}

static void forge(struct bundle_sample *s, const char *old, const char *new, const char *why)
{
    forge_file(s, s->path, old, new, why);
}

/* Fields of the prefix at their edges. */
static void hostile_prefixes_are_refused(void **state)
{
    struct bundle_sample *s = *state;
    size_t n;
    unsigned char *bytes = bundle_sample_read(s->path, &n);
    struct bundle_prefix good, p;
    memcpy(&good, bytes, sizeof good);
    static const uint64_t edges[] = {0, 1, 2, 63, 64, 65, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        for (int field = 0; field < 5; field++) {
            p = good;
            uint64_t *fields[] = {&p.version, &p.header_bytes, &p.header_checksum, &p.file_bytes, &p.zero[1]};
            if (*fields[field] == edges[i]) continue;
            *fields[field] = edges[i];
            memcpy(bytes, &p, sizeof p);
            refuses(s, bytes, n, field == 0   ? "bundle version"
                                 : field == 4 ? "reserved bytes"
                                 : field == 3 ? "the prefix says"
                                              : "header");
        }
    }
    p = good;
    memcpy(p.magic, "PK\3\4", 4);
    memcpy(bytes, &p, sizeof p);
    refuses(s, bytes, n, "first 8 bytes");
    p = good;
    p.version = __builtin_bswap64(1); /* of a machine with the other byte order */
    memcpy(bytes, &p, sizeof p);
    refuses(s, bytes, n, "bundle version");
    mem_free(bytes);
}

/* Headers that say what cannot be, with checksums that fit. */
static void hostile_headers_are_refused(void **state)
{
    struct bundle_sample *s = *state;
    static const struct {
        const char *old, *new, *why;
    } cases[] = {
        {"{\"format\"", "[\"format\"", "',' or ']' is expected"},
        {"\"mtps-bundle\"", "\"mtps-bundles\"", "format: mtps-bundle"},
        {"\"mtps-bundle\"", "[]", "format: a text"},
        {"\"id\": \"", "\"id\": \"0", "id: is not that of this header"},
        {"\"id\"", "\"ID\"", "id: a text"},
        {"{\"format\"", "{ \"format\"", "id: it does not stand where it belongs"},
        {"\"id\": \"", "\"Id\": 1, \"id\": \"", "id: it does not stand where it belongs"},
        {"\"settings\"", "\"Settings\"", "settings: a text"},
        {"\"settings\": \"{", "\"settings\": \"", "settings"},
        {"type: mmoe", "type: moe", "moe"},
        {"count: 2", "count: 4096", "larger model"},
        {"model: {type: mmoe", "model: {type: mmoe, cross: {layers: 40}", "stands twice"},
        {"cross: {layers: 0", "cross: {layers: 40", "larger model"},
        {"layers: [6]", "layers: [65536, 65536, 65536]", "section tensor/"},
        {"dim: 4", "dim: 5", "another type or shape"},
        {"max_len: 3", "max_len: -3", "max_len"},
        {"floor(hourmin / 100)", "floor(hourmin / 100", "expression"},
        {"floor(hourmin / 100)", "floor(minute / 100)", "minute"},
        {"{name: color,", "{names: [u0..60000],", "larger model"},
        {"\"columns\"", "\"Columns\"", "columns: a list"},
        {"[user, -1]", "[user, 7]", "no such owner"},
        {"[user, -1]", "[user, 0x]", "no such owner"},
        {"[user, -1]", "[user, -2]", "no such owner"},
        {"[user, -1]", "[user, 18446744073709551616]", "no such owner"},
        {"[user, -1]", "[user, \"-1\"]", "no such owner"},
        {"[user, -1]", "[user]", "a name and an owner"},
        {"[user, -1]", "[uzer, -1]", "column \"user\""},
        {"\"sections\"", "\"Sections\"", "sections: a list"},
        {"\"u32\", 33, 0", "\"u31\", 33, 0", "unknown type"},
        {"\"u32\", 33, 0", "\"u32\", 34, 0", "section"},
        {"\"u32\", 33, 0", "\"u32\", 033, 0", "not a shape"},
        {"\"u32\", 33, 0", "\"u32\", -33, 0", "not a shape"},
        {"\"u32\", 33, 0", "\"u32\", 1e3, 0", "not a shape"},
        {"\"u32\", 33, 0", "\"u32\", 9223372036854775807, 0", "not a shape"},
        {"\"u32\", 33, 0", "\"u32\", 18446744073709551616, 0", "not a shape"},
        {"\"u32\", 33, 0", "\"u32\", 1099511627776, 1099511627776", "does not fit the file"},
        {"\"u32\", 33, 0", "\"u32\", 1099511627776, 4194304", "does not fit the file"},
        {"\"u32\", 33, 0", "\"u32\", 0, 0", "section"},
        {"\"table/age/keys\"", "\"table/age/keyz\"", "table/age/keys is missing"},
        {"\"table/age/keys\"", "\"table/age/directory\"", "strictly increasing"},
        {"\"table/age/keys\"", "\"a\"", "strictly increasing"},
        {"\"table/age/keys\"", "\"\"", "not a name"},
        {"\"table/age/keys\"", "\"table/age/\\u0007\"", "not a name"},
        {"\"table/age/keys\"", "\"../keys\"", "not a name"},
        {"\"table/age/keys\"", "\"table/../keys\"", "not a name"},
        {"\"table/age/keys\"", "\"table/age/..\"", "not a name"},
        {"\"table/age/keys\"", "\"table/./keys\"", "not a name"},
        {"\"table/age/keys\"", "\"/table/age/keys\"", "not a name"},
        {"\"table/age/keys\"", "\"table/age/keys/\"", "not a name"},
        {"\"table/age/keys\"", "\"table//keys\"", "not a name"},
        {"[\"table/age/keys\", ", "[", "five values"},
        {"\"step\": 12", "\"step\": 12.5", "step: a whole number"},
        {"\"step\": 12", "\"stop\": 12", "step: a whole number"},
        {"\"f32\", 1, 5,", "\"f32\", 5, 1,", "another type or shape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) forge(s, cases[i].old, cases[i].new, cases[i].why);
}

/* Parts of names end at 255 bytes, names at 1024: of sections that a file names, and of those
 * that are written. */
static void long_names_are_refused(void **state)
{
    struct bundle_sample *s = *state;
    enum { PART = 255 };
    char name[2 * BUNDLE_MAX_NAME], quoted[sizeof name + 2];
    memset(name, 'x', sizeof name);
    name[PART] = '\0';
    assert_true(bundle_good_name(name));
    name[PART] = 'x';
    name[PART + 1] = '\0';
    assert_false(bundle_good_name(name));
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    forge(s, "\"table/age/keys\"", quoted, "not a name");
    memset(name, 'x', sizeof name);
    for (size_t i = 1; i < sizeof name; i += 2) name[i] = '/';
    name[BUNDLE_MAX_NAME - 1] = '\0';
    assert_true(bundle_good_name(name));
    name[BUNDLE_MAX_NAME - 1] = '/';
    name[BUNDLE_MAX_NAME + 1] = '\0';
    assert_false(bundle_good_name(name));
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    forge(s, "\"table/age/keys\"", quoted, "not a name");
    struct bundle_plan p;
    assert_int_equal(bundle_plan_init(&p, &s->err), ST_OK);
    assert_int_equal(bundle_plan_add(&p, name, SECTION_F32, 1, 1, &s->err), ST_CANTCREATE);
    assert_int_equal(bundle_plan_add(&p, "table/../keys", SECTION_F32, 1, 1, &s->err), ST_CANTCREATE);
    bundle_plan_close(&p);
}

/* Whatever a configuration may call a feature can stand in a section's name. */
static void names_of_configurations_are_names(void **state)
{
    static const char *const good[] = {"table/\xe7\x94\xa8\xe6\x88\xb7/keys", "table/gr\xc3\xb6\xc3\x9f" "e/keys",
                                       "table/a..b/keys", "table/.../keys", "table/a b|c\"/keys", "table/..x/rows"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(bundle_good_name(good[i]));
}

/* Bytes of a file with another header text of the same length, whose checksum fits. */
static void refuses_header(struct bundle_sample *s, unsigned char *bytes, size_t n, const char *why)
{
    struct bundle_prefix p;
    memcpy(&p, bytes, sizeof p);
    p.header_checksum = hash_bytes(bytes + BUNDLE_PREFIX, p.header_bytes, 0);
    memcpy(bytes, &p, sizeof p);
    refuses(s, bytes, n, why);
}

/* An id belongs to one header: with another digit, or beside another text, it is refused. */
static void an_id_belongs_to_its_header(void **state)
{
    struct bundle_sample *s = *state;
    size_t n;
    unsigned char *bytes = bundle_sample_read(s->path, &n), *id = bytes + BUNDLE_PREFIX + sizeof BUNDLE_HEAD - 1;
    for (size_t i = 0; i < BUNDLE_ID - 1; i++) {
        unsigned char was = id[i];
        id[i] = was == '0' ? '1' : '0';
        refuses_header(s, bytes, n, "id: is not that of this header");
        id[i] = was;
    }
    unsigned char *step = memmem(bytes, n, "\"step\": 12", 10);
    memcpy(step, "\"step\": 13", 10);
    refuses_header(s, bytes, n, "id: is not that of this header");
    mem_free(bytes);
}

/* Deep and wide headers are refused before they take memory. */
static void huge_headers_are_refused(void **state)
{
    struct bundle_sample *s = *state;
    enum { BIG = 3 << 20 };
    char *text = mem_alloc(BIG + 64);
    memset(text, '[', BIG);
    strcpy(text + BIG, "");
    char *value = mem_alloc(BIG + 64);
    sprintf(value, "\"step\": %s", text);
    forge(s, "\"step\": 12", value, "nested too deep");
    for (size_t i = 0; i < BIG; i += 2) memcpy(text + i, i ? ",1" : "[1", 2);
    strcpy(text + BIG, "]");
    sprintf(value, "\"step\": %s", text);
    forge(s, "\"step\": 12", value, "more values");
    mem_free(text);
    mem_free(value);
}

/* Four bytes of a section, with checksums that fit. */
struct forgery {
    const char *section, *why;
    size_t at;
    unsigned char bytes[4];
};

static void forge_contents(struct bundle_sample *s, const char *path, const struct forgery *x)
{
    size_t n;
    struct bundle *b;
    char old[17], new[17];
    unsigned char *bytes = bundle_sample_read(path, &n);
    assert_int_equal(bundle_open(path, BUNDLE_CHECK_ALL, &b, &s->err), ST_OK);
    const struct bundle_section *at = bundle_find(b, x->section);
    assert_non_null(at);
    memcpy(bytes + at->offset + x->at, x->bytes, 4);
    snprintf(old, sizeof old, "%016" PRIx64, at->checksum);
    snprintf(new, sizeof new, "%016" PRIx64, hash_bytes(bytes + at->offset, at->bytes, 0));
    struct bundle_prefix p;
    memcpy(&p, bytes, sizeof p);
    /* Sections of equal contents have equal checksums: look behind the name. */
    unsigned char *name = memmem(bytes, p.header_bytes, x->section, strlen(x->section));
    unsigned char *checksum = memmem(name, 200, old, 16);
    assert_non_null(checksum);
    memcpy(checksum, new, 16);
    mend_id(bytes + BUNDLE_PREFIX, p.header_bytes);
    p.header_checksum = hash_bytes(bytes + BUNDLE_PREFIX, p.header_bytes, 0);
    memcpy(bytes, &p, sizeof p);
    bundle_close(b);
    refuses(s, bytes, n, x->why);
    mem_free(bytes);
}

/* Contents that are not a model's: keys out of order, a directory that does not fit,
 * a number that is none; checksums fit. */
static void hostile_contents_are_refused(void **state)
{
    struct bundle_sample *s = *state;
    static const struct forgery cases[] = {
        {"table/user/keys", "table/user: ", 8 * 20, {1, 2, 3, 4}},
        {"table/user/keys", "table/user: ", 8 * 20 + 4, {9, 9, 9, 9}},
        {"table/user/directory", "does not fit the keys", 0, {1, 0, 0, 0}},
        {"table/user/directory", "does not fit the keys", 4 * 32, {0xff, 0xff, 0xff, 0xff}},
        {"tensor/tower/click/layer0/b", "not finite", 0, {0, 0, 0xc0, 0x7f}},
        {"state/fit/feature/price/statistics", "statistics", 4, {0, 0, 0xf0, 0x7f}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) forge_contents(s, s->path, &cases[i]);
}

/* Rows that are no numbers would make scores that are none: in every form of rows. */
static void rows_that_are_not_finite_are_refused(void **state)
{
    struct bundle_sample *s = *state;
    static const char why[] = "table user holds a number that is not finite";
    static const struct {
        enum section_type rows;
        struct forgery forgery;
    } cases[] = {
        {SECTION_F32, {"table/user/rows", why, 0, {0, 0, 0xc0, 0x7f}}},                                /* NaN */
        {SECTION_F32, {"table/user/rows", why, 4 * (SAMPLE_KEYS * SAMPLE_DIM - 1), {0, 0, 0x80, 0xff}}}, /* -infinity */
        {SECTION_F16, {"table/user/rows", why, 8, {0x00, 0x7c, 0, 0}}},
        {SECTION_F16, {"table/user/rows", why, 8, {0, 0, 0x01, 0xfe}}},
        {SECTION_I8, {"table/user/scales", why, 4, {0, 0, 0x80, 0x7f}}},
    };
    char path[600];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tmpdir_path(&s->dir, "rows", path, sizeof path);
        unlink(path);
        bundle_sample_write(s, path, cases[i].rows);
        assert_int_equal(try_open(s, path), ST_OK);
        forge_contents(s, path, &cases[i].forgery);
    }
}

/* The same of side tables and projected rows. */
static void hostile_side_tables_are_refused(void **state)
{
    struct bundle_sample *s = *state;
    char whole[600];
    tmpdir_path(&s->dir, "whole", whole, sizeof whole);
    bundle_sample_write_whole(s, whole);
    assert_int_equal(try_open(s, whole), ST_OK);
    static const struct forgery contents[] = {
        {"join/0/hashes", "join/0: keys are not in order", 8 * 10 + 4, {9, 9, 9, 9}},
        {"join/0/directory", "join/0: entry", 0, {1, 0, 0, 0}},
        {"join/0/directory", "join/0: entry", 4 * 16, {0xff, 0xff, 0xff, 0xff}},
        {"join/0/offsets", "offsets are not in order at cell 1", 0, {5, 0, 0, 0}},
        {"join/0/offsets", "offsets are not in order at cell 20", 8 * 20, {0xff, 0xff, 0xff, 0xff}},
        {"join/0/offsets", "offsets are not in order", 8 * 20, {0, 0, 0, 0}},
        {"projected/user", "projected/user holds a number that is not finite", 4, {0, 0, 0x80, 0x7f}},
    };
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) forge_contents(s, whole, &contents[i]);
    static const struct {
        const char *old, *new, *why;
    } headers[] = {
        {"\"joins\": [[-1, [\"price\"]]]", "\"joins\": {}", "one of each side table"},
        {"\"joins\": [[-1, [\"price\"]]]", "\"joins\": []", "one of each side table"},
        {"\"joins\": [[-1, [\"price\"]]]", "\"joins\": [1]", "an owner and a list"},
        {"\"joins\": [[-1, ", "\"joins\": [[-2, ", "no such owner"},
        {"\"joins\": [[-1, ", "\"joins\": [[0, ", "no such owner"},
        {"\"joins\": [[-1, ", "\"joins\": [[minus, ", "no such owner"},
        {"[\"price\"]]]", "[\"prize\"]]]", "no column price"},
        {"[\"price\"]]]", "[]]]", "another type or shape"},
        {"[\"price\"]]]", "[\"price\", \"x\"]]]", "another type or shape"},
        {"[\"price\"]]]", "[[]]]]", "name is expected"},
        {"\"join/0/hashes\"", "\"join/0/hashez\"", "join/0/hashes is missing"},
        {"\"join/0/bytes\"", "\"join/0/bytez\"", "join/0/bytes is missing"},
        {"\"projected\": 1", "\"projected\": -1", "projected: a whole number"},
        {"\"projected/user\"", "\"projected/uzer\"", "projected/user is missing"},
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        forge_file(s, whole, headers[i].old, headers[i].new, headers[i].why);
    char shape[64];
    struct bundle *b;
    assert_int_equal(bundle_open(whole, BUNDLE_CHECK_ALL, &b, &s->err), ST_OK);
    const struct bundle_section *x = bundle_find(b, "projected/user");
    snprintf(shape, sizeof shape, "\"projected/user\", \"f32\", 50, %zu", x->cols);
    char other[64];
    snprintf(other, sizeof other, "\"projected/user\", \"f32\", 25, %zu", 2 * x->cols);
    bundle_close(b);
    forge_file(s, whole, shape, other, "projected/user has another type or shape");
}

/* What is no regular file is refused at once. */
static void other_files_are_refused(void **state)
{
    struct bundle_sample *s = *state;
    char path[600];
    tmpdir_path(&s->dir, "link", path, sizeof path);
    assert_int_equal(symlink(s->path, path), 0);
    assert_int_equal(try_open(s, path), ST_NOINPUT);
    tmpdir_path(&s->dir, "pipe", path, sizeof path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(try_open(s, path), ST_NOINPUT);
    assert_non_null(strstr(s->err.text, "not a regular file"));
    assert_int_equal(try_open(s, "/dev/zero"), ST_NOINPUT);
    assert_int_equal(try_open(s, "/nowhere"), ST_NOINPUT);
}

/* Every allocation of opening may fail: that is said, not that the file is bad, and nothing is
 * left behind. */
static void any_allocation_may_fail(void **state)
{
    struct bundle_sample *s = *state;
    char whole[600];
    tmpdir_path(&s->dir, "whole", whole, sizeof whole);
    bundle_sample_write_whole(s, whole);
    const char *const paths[] = {s->path, whole};
    for (size_t i = 0; i < 2; i++) {
        uint64_t before = mem_live_bytes();
        for (uint64_t k = 1;; k++) {
            mem_fail_at(k);
            enum status st = try_open(s, paths[i]);
            mem_fail_at(0);
            assert_int_equal(mem_live_bytes(), before);
            if (st == ST_OK) break;
            if (st != ST_NOMEM) fail_msg("allocation %" PRIu64 ": status %d, '%s'", k, (int)st, s->err.text);
        }
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, bundle_sample_setup, bundle_sample_teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_read),      CASE(paths_lead_to_the_file),
        CASE(every_changed_byte_is_refused), CASE(other_lengths_are_refused),
        CASE(hostile_prefixes_are_refused), CASE(hostile_headers_are_refused),
        CASE(long_names_are_refused),       CASE(names_of_configurations_are_names),
        CASE(an_id_belongs_to_its_header),  CASE(huge_headers_are_refused),     CASE(hostile_contents_are_refused),
        CASE(rows_that_are_not_finite_are_refused), CASE(hostile_side_tables_are_refused),
        CASE(other_files_are_refused),      CASE(any_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}
