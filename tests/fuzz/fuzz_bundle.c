/* Bundles: a file is refused in one line, or its model scores rows. Checksums are mended
 * first, since no fuzzer guesses them: what is behind them is what is tested. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "serve/bundle.h"
#include "serve/bundle_layout.h"
#include "serve/include/mtps.h"
#include "tests/fuzz/fuzz.h"

enum { INPUTS = 64, TASKS = 64 };

/* The checksum of each `["name", "type", rows, cols, "checksum"]` whose section lies in the
 * file, then the id, and then the header's checksum. */
static void mend(uint8_t *data, size_t n)
{
    struct bundle_prefix p;
    if (n < BUNDLE_PREFIX) return;
    memcpy(&p, data, sizeof p);
    if (p.header_bytes > n - BUNDLE_PREFIX) return;
    char *at = (char *)data + BUNDLE_PREFIX, *end = at + p.header_bytes;
    uint64_t offset = bundle_align(BUNDLE_PREFIX + p.header_bytes);
    char *list = memmem(at, (size_t)(end - at), "\"sections\"", 10);
    for (at = list; at && at < end; at++) {
        char name[256], type[8], sum[17], line[512] = "", mended[17];
        unsigned long long rows, cols;
        int sum_at = 0;
        snprintf(line, sizeof line, "%.*s", (int)(end - at < 500 ? end - at : 500), at);
        if (*at != '[' || sscanf(line, "[\"%255[^\"]\", \"%7[^\"]\", %llu, %llu, \"%n%16[0-9a-f]\"]", name, type,
                                 &rows, &cols, &sum_at, sum) != 5)
            continue;
        size_t size = strstr(type, "64") ? 8 : strstr(type, "32") ? 4 : strstr(type, "16") ? 2 : 1;
        uint64_t bytes = rows * (cols ? cols : 1) * size;
        if (rows > n || cols > n || bytes > n || offset > n - bytes) break;
        snprintf(mended, sizeof mended, "%016" PRIx64, hash_bytes(data + offset, bytes, 0));
        if (strlen(sum) == 16) memcpy(at + sum_at, mended, 16);
        offset = bundle_align(offset + bytes);
    }
    char id[BUNDLE_ID];
    if (bundle_header_id((const char *)data + BUNDLE_PREFIX, p.header_bytes, id))
        memcpy(data + BUNDLE_PREFIX + sizeof BUNDLE_HEAD - 1, id, BUNDLE_ID - 1);
    p.file_bytes = n;
    p.header_checksum = hash_bytes(data + BUNDLE_PREFIX, p.header_bytes, 0);
    memcpy(data, &p, sizeof p);
}

static void score(struct mtps_model *m)
{
    static const char *const texts[] = {"1", "", "7 8 9 10", "green", "nan", "21.5"};
    struct mtps_value row[INPUTS];
    struct mtps_scorer *s;
    struct mtps_error err;
    float scores[TASKS];
    size_t n = mtps_n_inputs(m);
    if (n > INPUTS || mtps_n_tasks(m) > TASKS) return;
    if (mtps_scorer_create(m, &s, &err) != MTPS_OK) return;
    for (size_t r = 0; r < 6; r++) {
        for (size_t i = 0; i < n; i++)
            row[i] = r == 5 ? mtps_integer((int64_t)i) : mtps_text(texts[(i + r) % 6]);
        (void)mtps_score(s, row, 1, scores, &err);
    }
    mtps_scorer_destroy(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n + !n);
    struct mtps_model *m;
    struct mtps_error err;
    FUZZ_CHECK(copy != NULL);
    if (n) memcpy(copy, data, n);
    mend(copy, n);
    for (unsigned flags = 0; flags <= MTPS_SKIP_BIG_CHECKS; flags += MTPS_SKIP_BIG_CHECKS) {
        if (mtps_open(fuzz_file(copy, n), flags, &m, &err) == MTPS_OK) {
            score(m);
            mtps_close(m);
        } else {
            FUZZ_CHECK(!strchr(err.text, '\n'));
        }
    }
    free(copy);
    return 0;
}
