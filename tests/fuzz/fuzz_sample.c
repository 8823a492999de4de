/* Files of samples: csv, tsv and slot text. The first byte says which, the rest is the file.
 * Every row comes out whole or is counted as bad. */
#include <string.h>

#include "data/expr.h"
#include "data/raw.h"
#include "tests/fuzz/fuzz.h"

enum { TAB = 1, TRIM = 2, LATIN1 = 4, HEADER = 8, SLOT = 16 };

static volatile uint64_t sink; /* every byte of a text is read */

static void read_rows(const struct data_cfg *data, const char *const *columns, size_t n)
{
    struct bad_rows bad;
    struct raw *r;
    const struct raw_row *row;
    struct error err;
    bad_rows_init(&bad, data);
    if (raw_open(data, &data->train, columns, NULL, n, &bad, &r, &err) != ST_OK) return;
    while (raw_next(r, &row, &err) == ST_OK && row) {
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < row->fields[i].n; k++) {
                struct value v;
                const struct text *t = &row->fields[i].v[k];
                for (size_t j = 0; j < t->n; j++) sink += (unsigned char)t->s[j];
                (void)text_number(*t, &v);
            }
    }
    raw_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const nothing[] = {""}, *const names[] = {"a", "b", "c"};
    static const char *fixed[] = {"id", "click"}, *const slots[] = {"click", "2", "3"};
    if (n == 0) return 0;
    uint8_t form = data[0];
    const char *file = fuzz_file(data + 1, n - 1);
    struct data_cfg d = {.join_memory = 1 << 20, .bad_rows_max = 1e9};
    d.train = (struct source_cfg){.files = {&file, 1, {0}},
                                  .header = (form & HEADER) != 0,
                                  .delimiter = form & TAB ? "\t" : ",",
                                  .trim = (form & TRIM) != 0,
                                  .encoding = form & LATIN1 ? ENCODING_LATIN1 : ENCODING_UTF8,
                                  .missing = {(const char **)nothing, 1, {0}}};
    if (!(form & HEADER)) d.train.columns = (struct list_cfg){(const char **)names, 3, {0}};
    if (form & SLOT) {
        d.train.format = SOURCE_SLOT;
        d.slot.separator = form & TAB ? "\t" : " ";
        d.slot.fixed = (struct list_cfg){fixed, 2, {0}};
        d.slot.order = form & TRIM ? SLOT_NAME_FIRST : SLOT_VALUE_FIRST;
    }
    read_rows(&d, form & SLOT ? slots : names, 3);
    return 0;
}
