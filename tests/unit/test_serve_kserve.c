/* serve/http/kserve: tensors in JSON and as bytes, ragged and padded, and the answer. */
#include "serve/http/kserve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "serve/http/rows_json.h"
#include "tests/unit/serve_sample.h"

static void refused(struct serve_sample *f, const char *tensors, const char *part)
{
    char text[2048];
    snprintf(text, sizeof text, "{\"inputs\": [%s]}", tensors);
    serve_sample_refused(f, kserve_read, text, ASK_BAD, part);
}

static void taken(struct serve_sample *f, const char *tensors)
{
    char text[2048];
    snprintf(text, sizeof text, "{\"inputs\": [%s]}", tensors);
    if (serve_sample_read(f, kserve_read, text) != ASK_OK) fail_msg("%s: %s", tensors, f->err.text);
}

#define T(name, shape, type, data) "{\"name\":\"" name "\",\"shape\":" shape ",\"datatype\":\"" type "\",\"data\":" data "}"

/* A value a row, of every type; null is missing, other inputs are missing everywhere. */
static void single_values_are_read(void **state)
{
    struct serve_sample *f = *state;
    taken(f, T("user", "[2]", "INT64", "[-7, 8]") "," T("item", "[2,1]", "BYTES", "[[\"a\"], [null]]") ","
             T("price", "[2]", "FP32", "[1.5, 2]") "," T("age", "[2]", "UINT8", "[255, 0]") ","
             T("color", "[2]", "UINT64", "[18446744073709551615, 1]") "," T("length", "[2]", "BOOL", "[true, 0]"));
    assert_int_equal(f->ask.n_rows, 2);
    serve_sample_is(f, 0, "user", "i-7");
    serve_sample_is(f, 1, "user", "i8");
    serve_sample_is(f, 0, "item", "a");
    serve_sample_is(f, 1, "item", "missing");
    serve_sample_is(f, 0, "price", "r1.5");
    serve_sample_is(f, 1, "price", "i2");
    serve_sample_is(f, 0, "age", "i255");
    serve_sample_is(f, 0, "color", "18446744073709551615");
    serve_sample_is(f, 0, "length", "i1");
    serve_sample_is(f, 1, "length", "i0");
    serve_sample_is(f, 0, "tags", "missing");
}

/* Members of a tensor and of a request may stand in any order, others are passed over. */
static void order_does_not_matter(void **state)
{
    struct serve_sample *f = *state;
    assert_int_equal(serve_sample_read(f, kserve_read,
                                       "{\"parameters\": {\"x\": [1]}, \"inputs\": [{\"data\": [3, 4], \"parameters\": "
                                       "{\"y\": 1}, \"datatype\": \"INT32\", \"extra\": {}, \"shape\": [2], \"name\": \"user\"}], "
                                       "\"id\": \"r\\n1\"}"),
                     ASK_OK);
    serve_sample_is(f, 1, "user", "i4");
    assert_true(f->ask.has_id);
    assert_memory_equal(f->ask.id.s, "r\n1", 3);
}

/* Values one after another, with their number on each row. */
static void ragged_values_are_read(void **state)
{
    struct serve_sample *f = *state;
    taken(f, T("tags.lengths", "[3]", "INT32", "[2, 0, 1]") "," T("tags", "[3]", "BYTES", "[\"a\", \"b\", \"c\"]") ","
             T("price", "[1]", "FP64", "[2.5]") "," T("price.lengths", "[3,1]", "UINT8", "[0, 1, 0]"));
    assert_int_equal(f->ask.n_rows, 3);
    serve_sample_is(f, 0, "tags", "a|b");
    serve_sample_is(f, 1, "tags", "");
    serve_sample_is(f, 2, "tags", "c");
    serve_sample_is(f, 0, "price", "missing");
    serve_sample_is(f, 1, "price", "r2.5");
}

/* A second dimension holds a row's values, -1 and null fill it up; one dimension is a
 * value a row. */
static void padded_values_are_read(void **state)
{
    struct serve_sample *f = *state;
    taken(f, T("tags", "[2,3]", "INT64", "[[5, -1, 6], [-1, -1, -1]]"));
    serve_sample_is(f, 0, "tags", "i5|i6");
    serve_sample_is(f, 1, "tags", "");
    taken(f, T("tags", "[2,2]", "BYTES", "[\"x\", null, \"y\", \"-1\"]"));
    serve_sample_is(f, 0, "tags", "x");
    serve_sample_is(f, 1, "tags", "y|-1");
    taken(f, T("tags", "[2,0]", "BYTES", "[[], []]") "," T("user", "[2]", "INT8", "[1, -1]"));
    serve_sample_is(f, 0, "tags", "");
    serve_sample_is(f, 1, "user", "i-1");
    taken(f, T("tags", "[2]", "BYTES", "[\"x y\", \"z\"]"));
    serve_sample_is(f, 0, "tags", "x y");
    taken(f, T("user", "[0]", "BYTES", "[]"));
    assert_int_equal(f->ask.n_rows, 0);
}

/* The four ways to send a list give the same scores as rows do, bit for bit. */
static void all_forms_score_alike(void **state)
{
    struct serve_sample *f = *state;
    static const char *const forms[] = {
        T("tags", "[3]", "INT64", "[1,2,3]") "," T("tags.lengths", "[2]", "INT64", "[2,1]"),
        T("tags", "[2,2]", "INT32", "[1,2,3,-1]"),
        T("tags", "[2,2]", "BYTES", "[\"1\",\"2\",\"3\",null]"),
        T("tags", "[2]", "BYTES", "[\"1 2\",\"3\"]")};
    float want[2 * SERVE_TASKS];
    serve_sample_score(f, rows_json_read, "{\"instances\": [{\"user\": 7, \"tags\": [1, 2], \"price\": 1.25},"
                                          "{\"user\": \"8\", \"tags\": \"3\", \"price\": \"2\"}]}");
    memcpy(want, f->ask.scores, sizeof want);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char text[1024];
        snprintf(text, sizeof text, "{\"inputs\": [%s,%s,%s]}", forms[i], T("user", "[2]", "UINT16", "[7,8]"),
                 T("price", "[2]", "FP32", "[1.25,2]"));
        serve_sample_score(f, kserve_read, text);
        assert_memory_equal(f->ask.scores, want, sizeof want);
    }
}

/* ---- bytes ---- */

struct bytes {
    unsigned char v[1024];
    size_t n, json;
};

static void put(struct bytes *b, const void *v, size_t n)
{
    memcpy(b->v + b->n, v, n);
    b->n += n;
}

static struct bytes begin(const char *json)
{
    struct bytes b = {.json = strlen(json)};
    put(&b, json, b.json);
    return b;
}

static void put_text(struct bytes *b, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);
    put(b, &n, 4);
    put(b, text, n);
}

#define B(name, shape, type, size) \
    "{\"name\":\"" name "\",\"shape\":" shape ",\"datatype\":\"" type "\",\"parameters\":{\"binary_data_size\":" #size "}}"

/* Tensors as bytes hold what those in JSON hold; both may be mixed. */
static void binary_tensors_are_read(void **state)
{
    struct serve_sample *f = *state;
    struct bytes b = begin("{\"inputs\": [" B("user", "[2]", "INT16", 4) "," T("item", "[2]", "INT64", "[1,2]") ","
                           B("tags", "[3]", "BYTES", 16) "," B("price", "[2]", "FP32", 8) "," B("age", "[2]", "FP64", 16) ","
                           B("color", "[2]", "UINT64", 16) "," B("tags.lengths", "[2]", "INT32", 8) "," B("length", "[2]", "BOOL", 2) "]}");
    put(&b, (int16_t[]){-2, 300}, 4);
    put_text(&b, "a");
    put_text(&b, "");
    put_text(&b, "bcd");
    put(&b, (float[]){1.5f, 0.1f}, 8);
    put(&b, (double[]){2.5, -1}, 16);
    put(&b, (uint64_t[]){UINT64_MAX, 5}, 16);
    put(&b, (int32_t[]){1, 2}, 8);
    put(&b, "\1", 2);
    if (serve_sample_read_bytes(f, kserve_read, b.v, b.n, b.json) != ASK_OK) fail_msg("%s", f->err.text);
    serve_sample_is(f, 0, "user", "i-2");
    serve_sample_is(f, 1, "user", "i300");
    serve_sample_is(f, 1, "item", "i2");
    serve_sample_is(f, 0, "tags", "a");
    serve_sample_is(f, 1, "tags", "|bcd");
    serve_sample_is(f, 1, "price", "r0.10000000149011612");
    serve_sample_is(f, 0, "age", "r2.5");
    serve_sample_is(f, 0, "color", "18446744073709551615");
    serve_sample_is(f, 1, "color", "i5");
    serve_sample_is(f, 0, "length", "i1");
    serve_sample_is(f, 1, "length", "i0");
}

static void bytes_refused(struct serve_sample *f, const char *json, const void *v, size_t n, const char *part)
{
    struct bytes b = begin(json);
    put(&b, v, n);
    if (serve_sample_read_bytes(f, kserve_read, b.v, b.n, b.json) != ASK_BAD) fail_msg("%s: taken", json);
    if (!strstr(f->err.text, part)) fail_msg("'%s' is not in '%s'", part, f->err.text);
}

/* Bytes that do not fit their shapes are refused; none is read behind the body. */
static void damaged_bytes_are_refused(void **state)
{
    struct serve_sample *f = *state;
    const float odd[] = {NAN, INFINITY};
    bytes_refused(f, "{\"inputs\": [" B("user", "[1]", "INT64", 8) "]}", "1234567", 7, "user: the body ends inside of its bytes");
    bytes_refused(f, "{\"inputs\": [" B("user", "[1]", "INT64", 8) "]}", "123456789", 9, "1 bytes behind the last tensor");
    bytes_refused(f, "{\"inputs\": [" B("user", "[1]", "INT64", 4) "]}", "1234", 4, "user: 4 bytes for 1 elements of INT64");
    bytes_refused(f, "{\"inputs\": [" B("user", "[1]", "BYTES", 3) "]}", "\0\0", 3, "user: its bytes end inside of element 0");
    bytes_refused(f, "{\"inputs\": [" B("user", "[1]", "BYTES", 5) "]}", "\2\0\0\0x", 5, "user: its bytes end inside of element 0");
    bytes_refused(f, "{\"inputs\": [" B("user", "[1]", "BYTES", 5) "]}", "\xFF\xFF\xFF\xFFx", 5, "end inside of element 0");
    bytes_refused(f, "{\"inputs\": [" B("user", "[1]", "BYTES", 6) "]}", "\1\0\0\0xy", 6, "user: bytes behind its last element");
    bytes_refused(f, "{\"inputs\": [" B("price", "[1]", "FP32", 4) "]}", &odd[0], 4, "price: element 0 is not finite");
    bytes_refused(f, "{\"inputs\": [" B("price", "[1]", "FP32", 4) "]}", &odd[1], 4, "price: element 0 is not finite");
    bytes_refused(f, "{\"inputs\": [" B("age", "[1]", "BOOL", 1) "]}", "\2", 1, "age: element 0 is neither");
    bytes_refused(f, "{\"inputs\": [" T("user", "[1]", "INT64", "[1]") "]}", "x", 1, "1 bytes behind");
}

/* ---- faults ---- */

/* Whatever is wrong is refused, with the tensor's name. */
static void faults_are_named(void **state)
{
    struct serve_sample *f = *state;
    serve_sample_refused(f, kserve_read, "", ASK_BAD, "byte 0: an object is expected");
    serve_sample_refused(f, kserve_read, "{}", ASK_BAD, "none is given");
    serve_sample_refused(f, kserve_read, "{\"inputs\": {}}", ASK_BAD, "an array is expected");
    serve_sample_refused(f, kserve_read, "{\"inputs\": [], \"inputs\": []}", ASK_BAD, "stands twice");
    refused(f, "", "none is given");
    refused(f, "7", "an object is expected");
    refused(f, "{}", "\"name\" is missing");
    refused(f, "{\"name\": \"user\"}", "user: \"shape\" is missing");
    refused(f, "{\"name\": \"user\", \"shape\": [1]}", "user: \"datatype\" is missing");
    refused(f, "{\"name\": \"user\", \"shape\": [1], \"datatype\": \"BYTES\"}", "user: one of \"data\"");
    refused(f, T("user", "[]", "BYTES", "[]"), "a shape without dimensions");
    refused(f, T("user", "[1,1,1]", "BYTES", "[\"a\"]"), "more than two dimensions");
    refused(f, T("user", "[-1]", "BYTES", "[\"a\"]"), "not a size");
    refused(f, T("user", "[1.5]", "BYTES", "[\"a\"]"), "not a size");
    refused(f, T("user", "[9999999999]", "BYTES", "[\"a\"]"), "not a size");
    refused(f, T("user", "[1]", "FP16", "[1]"), "a datatype that is none of");
    refused(f, T("usr", "[1]", "BYTES", "[\"a\"]"), "usr: the model has no such input");
    refused(f, T("user", "[1]", "BYTES", "[\"a\"]") "," T("user", "[1]", "BYTES", "[\"a\"]"), "user: stands twice");
    refused(f, T("user", "[2]", "BYTES", "[\"a\"]"), "user: 1 elements where its shape says 2");
    refused(f, T("user", "[1]", "BYTES", "[\"a\", \"b\"]"), "user: more elements than the 1");
    refused(f, T("user", "[1]", "BYTES", "\"a\""), "an array is expected");
    refused(f, T("user", "[1]", "BYTES", "[[\"a\"]]"), "nested deeper");
    refused(f, T("user", "[1]", "BYTES", "[1]"), "user: element 0 is no BYTES");
    refused(f, T("user", "[1]", "INT64", "[\"1\"]"), "user: element 0 is no INT64");
    refused(f, T("user", "[1]", "INT64", "[1.0]"), "user: element 0 is no INT64");
    refused(f, T("user", "[1]", "INT64", "[9223372036854775808]"), "no INT64");
    refused(f, T("user", "[2]", "INT8", "[-128, 128]"), "user: element 1 is no INT8");
    refused(f, T("user", "[1]", "UINT64", "[-1]"), "no UINT64");
    refused(f, T("user", "[1]", "UINT64", "[18446744073709551616]"), "no UINT64");
    refused(f, T("price", "[1]", "FP32", "[\"1\"]"), "price: element 0 is no FP32");
    refused(f, T("price", "[1]", "FP32", "[true]"), "no FP32");
    refused(f, T("age", "[1]", "BOOL", "[2]"), "no BOOL");
    refused(f, T("user", "[1]", "BYTES", "[\"a\"]") "," T("item", "[2]", "INT8", "[1,2]"), "2 rows, the inputs before have 1");
    refused(f, T("user", "[1,2]", "BYTES", "[\"a\",\"b\"]"), "user: 2 values a row where one is expected");
    refused(f, T("tags.lengths", "[1]", "INT32", "[0]"), "lengths of an input that is not given");
    refused(f, T("tags", "[1]", "INT8", "[1]") "," T("tags.lengths", "[1]", "FP32", "[1]"), "lengths are integers");
    refused(f, T("tags", "[1]", "INT8", "[1]") "," T("tags.lengths", "[1]", "INT32", "[-1]"), "row 0: tags.lengths: not a length");
    refused(f, T("tags", "[1]", "INT8", "[1]") "," T("tags.lengths", "[1]", "INT32", "[2]"), "tags: its lengths add up to more");
    refused(f, T("tags", "[2]", "INT8", "[1,2]") "," T("tags.lengths", "[1]", "INT32", "[1]"), "tags: its lengths add up to 1, not to its 2");
    refused(f, T("tags", "[1,1]", "INT8", "[1]") "," T("tags.lengths", "[1,2]", "INT32", "[1,0]"), "have one dimension");
    refused(f, T("user", "[2]", "INT8", "[1,2]") "," T("user.lengths", "[1]", "INT32", "[2]"), "row 0: user: 2 values where one is expected");
    refused(f, T("nobody.lengths", "[1]", "INT32", "[0]"), "nobody.lengths: the model has no such input");
}

/* A number that is none, or out of its type's range, is refused with its row and its
 * tensor, whatever stands first in the tensor and however its rows are given. */
static void odd_numbers_are_named(void **state)
{
    struct serve_sample *f = *state;
    static const char *const odd[][2] = {{"NaN", "NaN and Infinity are no numbers"}, {"Infinity", "NaN and Infinity are no numbers"},
                                         {"-Infinity", "NaN and Infinity are no numbers"}, {"1e400", "too large"}, {"-1e400", "too large"}};
    char text[1024];
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        static const char *const forms[][2] = {
            {"{\"name\":\"price\",\"shape\":[3],\"datatype\":\"FP64\",\"data\":[1, ", ", 3]}"},
            {"{\"data\":[[1], [", "], [3]],\"datatype\":\"FP32\",\"shape\":[3,1],\"name\":\"price\"}"}};
        for (size_t form = 0; form < 2; form++) {
            snprintf(text, sizeof text, "%s%s%s", forms[form][0], odd[i][0], forms[form][1]);
            refused(f, text, "row 1: price: byte ");
            refused(f, text, odd[i][1]);
        }
        snprintf(text, sizeof text, "{\"name\":\"tags\",\"shape\":[2,2],\"datatype\":\"FP64\",\"data\":[1, 2, %s, 4]}", odd[i][0]);
        refused(f, text, "row 1: tags: byte ");
        snprintf(text, sizeof text, T("tags.lengths", "[3]", "INT32", "[2, 0, 1]") ",{\"name\":\"tags\",\"shape\":[3],\"datatype\":\"FP64\",\"data\":[1, 2, %s]}", odd[i][0]);
        refused(f, text, "row 2: tags: byte ");
        snprintf(text, sizeof text, T("tags", "[1]", "INT8", "[1]") ",{\"name\":\"tags.lengths\",\"shape\":[2],\"datatype\":\"INT32\",\"data\":[1, %s]}", odd[i][0]);
        refused(f, text, "row 1: tags.lengths: byte ");
    }
    refused(f, T("user", "[2]", "INT64", "[1, 123456789012345678901234567890]"), "row 1: user: element 1 is no INT64");
    refused(f, T("user", "[2]", "UINT64", "[1, 123456789012345678901234567890]"), "row 1: user: element 1 is no UINT64");
    refused(f, T("tags", "[2,2]", "INT8", "[1, 2, 3, 400]"), "row 1: tags: element 3 is no INT8");
    refused(f, T("user", "[2]", "INT64", "[1, nan]"), "byte ");
    serve_sample_refused(f, kserve_read, "{\"inputs\": [" T("user", "[1]", "INT8", "[1]") "], \"parameters\": {\"x\": NaN}}", ASK_BAD,
                         "NaN and Infinity are no numbers");
}

/* Rows and values beyond the limits are too large, whatever a shape says. */
static void limits_hold(void **state)
{
    struct serve_sample *f = *state;
    f->limits = (struct ask_limits){2, 3};
    taken(f, T("tags", "[2,1]", "INT8", "[1,2]"));
    serve_sample_refused(f, kserve_read, "{\"inputs\":[" T("user", "[3]", "INT8", "[1,2,3]") "]}", ASK_TOO_LARGE, "more than 2 rows");
    serve_sample_refused(f, kserve_read, "{\"inputs\":[" T("tags", "[2,2]", "INT8", "[1,2,3,4]") "]}", ASK_TOO_LARGE, "more than 3 values");
    serve_sample_refused(f, kserve_read, "{\"inputs\":[" T("tags", "[2147483647,2147483647]", "INT8", "[]") "]}", ASK_TOO_LARGE, "more than");
}

/* ---- answers ---- */

static size_t write_answer(struct serve_sample *f, const char *outputs, struct jsonout *out)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"id\":\"q\",\"inputs\":[%s]%s}", T("user", "[2]", "INT8", "[1,2]") "," T("length", "[2]", "INT8", "[9,9]"), outputs);
    serve_sample_score(f, kserve_read, text);
    jsonout_open(out, &f->pad);
    return kserve_write(&f->ask, "m", 3, out);
}

/* All outputs, or those asked for in their order; the id comes back. */
static void answers_hold_outputs(void **state)
{
    struct serve_sample *f = *state;
    struct jsonout out;
    char want[512];
    size_t json = write_answer(f, "", &out);
    const float *s = f->ask.scores;
    snprintf(want, sizeof want,
             "{\"model_name\":\"m\",\"model_version\":\"3\",\"id\":\"q\",\"outputs\":["
             "{\"name\":\"click\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[%.9g,%.9g]},"
             "{\"name\":\"watched\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[%.9g,%.9g]}]}",
             (double)s[0], (double)s[2], (double)s[1], (double)s[3]);
    assert_int_equal(json, out.n);
    assert_int_equal(out.n, strlen(want));
    assert_memory_equal(out.text, want, out.n);
    write_answer(f, ",\"outputs\":[{\"name\":\"watched\"}]", &out);
    assert_non_null(memmem(out.text, out.n, "[{\"name\":\"watched\"", 18));
    assert_null(memmem(out.text, out.n, "click", 5));
}

/* Scores as bytes are the bits of the scores. */
static void answers_may_be_bytes(void **state)
{
    struct serve_sample *f = *state;
    struct jsonout out;
    size_t json = write_answer(f, ",\"outputs\":[{\"name\":\"watched\",\"parameters\":{\"binary_data\":true}},{\"name\":\"click\"}]", &out);
    const float want[] = {f->ask.scores[1], f->ask.scores[3]};
    assert_int_equal(out.n - json, sizeof want);
    assert_memory_equal(out.text + json, want, sizeof want);
    assert_non_null(memmem(out.text, json, "\"parameters\":{\"binary_data_size\":8}", 35));
    json = write_answer(f, ",\"parameters\":{\"binary_data_output\":true},\"outputs\":[{\"name\":\"click\",\"parameters\":{\"binary_data\":false}},{\"name\":\"watched\"}]", &out);
    assert_int_equal(out.n - json, sizeof want);
    json = write_answer(f, ",\"parameters\":{\"binary_data_output\":true}", &out);
    assert_int_equal(out.n - json, 2 * sizeof want);
}

/* An output that the model does not have, or twice, is refused. */
static void unknown_outputs_are_refused(void **state)
{
    struct serve_sample *f = *state;
#define WITH(outputs) "{\"inputs\":[" T("user", "[1]", "INT8", "[1]") "],\"outputs\":[" outputs "]}"
    serve_sample_refused(f, kserve_read, WITH("{\"name\":\"clck\"}"), ASK_BAD, "outputs: clck: the model has no such output");
    serve_sample_refused(f, kserve_read, WITH("{}"), ASK_BAD, "without a name");
    serve_sample_refused(f, kserve_read, WITH("{\"name\":\"click\"},{\"name\":\"click\"}"), ASK_BAD, "click: stands twice");
    serve_sample_refused(f, kserve_read, WITH("7"), ASK_BAD, "an object is expected");
}

/* ---- random changes ---- */

/* Whatever is changed in a body, reading it ends well or with a fault; what is read fits. */
static void changed_bodies_are_safe(void **state)
{
    struct serve_sample *f = *state;
    struct bytes b = begin("{\"id\":\"1\",\"inputs\":[" B("user", "[2]", "INT16", 4) "," B("tags", "[3]", "BYTES", 16) ","
                           T("tags.lengths", "[2]", "INT32", "[1,2]") "," T("price", "[2]", "FP32", "[1,2.5]") "],"
                           "\"outputs\":[{\"name\":\"click\"}]}");
    put(&b, (int16_t[]){-2, 300}, 4);
    put_text(&b, "a");
    put_text(&b, "");
    put_text(&b, "bcd");
    size_t well = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        struct bytes c = b;
        for (uint64_t k = 0; k < 1 + i % 3; k++) {
            uint64_t h = hash_mix(i * 8 + k + 1);
            c.v[h % c.n] = i & 8 ? (unsigned char)(h >> 32) : c.v[(h >> 32) % c.n];
        }
        size_t cut = i % 5 ? 0 : hash_mix(i) % c.n;
        size_t json = c.json < c.n - cut ? c.json : c.n - cut;
        if (serve_sample_read_bytes(f, kserve_read, c.v, c.n - cut, json) == ASK_OK) {
            struct mtps_error error;
            enum mtps_status st = mtps_score(f->scorer, f->ask.values, f->ask.n_rows, f->ask.scores, &error);
            assert_true(st == MTPS_OK || st == MTPS_DATA);
            well++;
        } else {
            assert_true(f->err.text[0] != 0);
        }
    }
    assert_in_range(well, 100, 19900);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, serve_sample_setup, serve_sample_teardown)
    const struct CMUnitTest tests[] = {
        TEST(single_values_are_read),  TEST(order_does_not_matter),     TEST(ragged_values_are_read),
        TEST(padded_values_are_read),  TEST(all_forms_score_alike),     TEST(binary_tensors_are_read),
        TEST(damaged_bytes_are_refused), TEST(faults_are_named),        TEST(odd_numbers_are_named),
        TEST(limits_hold),
        TEST(answers_hold_outputs),    TEST(answers_may_be_bytes),      TEST(unknown_outputs_are_refused),
        TEST(changed_bodies_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
