/* Bodies of requests for scores. The first byte says which form and whether tensors follow
 * the JSON, whose length the next two bytes then are. A body is refused in one line, or its
 * rows are scored and the answer is JSON. */
#include <stdlib.h>
#include <string.h>

#include "serve/http/kserve.h"
#include "serve/http/rows_json.h"
#include "serve/http/served.h"
#include "tests/fuzz/fuzz.h"

enum { TENSORS = 1, BEHIND = 2 };

/* Opened once: the bundle of another target's corpus. */
static struct served *model(void)
{
    static struct served *v;
    static const struct served_spec spec = {.n_scorers = 1};
    struct error err;
    if (!v) FUZZ_CHECK(served_open(FUZZ_BUNDLE, 0, &spec, &v, &err) == ST_OK);
    return v;
}

static void check_answer(struct ask *a, bool tensors)
{
    struct jsonout out;
    struct jsonin in;
    jsonout_open(&out, a->pad);
    size_t json = tensors ? kserve_write(a, "m", 1, &out) : (rows_json_write(a, &out), out.n);
    if (out.failed) return;
    char *text = fuzz_text((const uint8_t *)out.text, json);
    jsonin_open(&in, text, json);
    jsonin_skip(&in);
    FUZZ_CHECK(jsonin_end(&in));
    free(text);
}

static void take(const struct ask_body *body, bool tensors)
{
    static const struct ask_limits limits = {64, 4096};
    struct served *v = model();
    struct budget budget = {0, 4 << 20};
    struct pad pad;
    struct error err = {.text = ""};
    pad_open(&pad, &budget);
    struct ask ask = {.names = &v->names, .limits = &limits, .pad = &pad};
    enum ask_status st = tensors ? kserve_read(&ask, body, &err) : rows_json_read(&ask, body, &err);
    if (st != ASK_OK) {
        FUZZ_CHECK(err.text[0] && !strchr(err.text, '\n'));
    } else {
        enum mtps_status scored = served_score(v, ask.values, ask.n_rows, ask.scores, NULL);
        FUZZ_CHECK(scored == MTPS_OK || scored == MTPS_DATA);
        if (scored == MTPS_OK) check_answer(&ask, tensors);
    }
    pad_close(&pad);
    FUZZ_CHECK(budget.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0) return 0;
    uint8_t form = data[0];
    size_t skip = form & BEHIND ? 3 : 1;
    if (n < skip) return 0;
    char *text = fuzz_text(data + skip, n - skip);
    struct ask_body body = {text, n - skip, n - skip};
    size_t json = form & BEHIND ? data[1] + ((size_t)data[2] << 8) : body.n;
    if (json < body.n) body.json = json;
    take(&body, form & TENSORS);
    free(text);
    return 0;
}
