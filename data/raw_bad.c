/* The ledger of bad rows. */
#include <stdio.h>
#include <string.h>

#include "data/raw.h"
#include "data/raw_text.h"

enum { EXCERPT_COLUMNS = 60 };

void bad_rows_init(struct bad_rows *b, const struct data_cfg *cfg)
{
    memset(b, 0, sizeof *b);
    b->max = cfg->bad_rows_max;
    b->max_is_share = cfg->bad_rows_is_share;
}

void bad_rows_add(struct bad_rows *b, const char *file, uint64_t line, uint64_t column,
                  const char *why, struct text excerpt)
{
    b->n_bad++;
    if (b->n_shown == BAD_ROWS_SHOWN) return;
    char place[32] = "", text[4 * EXCERPT_COLUMNS + 8];
    if (column) snprintf(place, sizeof place, ":%llu", (unsigned long long)column);
    raw_text_print(excerpt, EXCERPT_COLUMNS, text, sizeof text);
    char *out = b->shown[b->n_shown++];
    /* A very long path is cut at its front, the telling end stays. */
    size_t n = strlen(file), keep = 180;
    snprintf(out, sizeof b->shown[0], "%s:%llu%s: %s: '%s'",
             n > keep ? file + n - keep : file, (unsigned long long)line, place, why,
             text);
}

enum status bad_rows_check(const struct bad_rows *b, bool at_end, struct error *err)
{
    double n_rows = (double)b->n_bad + (double)b->n_good;
    if (b->max_is_share) {
        if (b->n_bad == 0 || (double)b->n_bad <= b->max * n_rows) return ST_OK;
        if (!at_end && b->max > 0) return ST_OK;
        error_set(err, ST_DATA, "%llu of %.0f rows are bad, allowed are %g%%: first %s",
                  (unsigned long long)b->n_bad, n_rows, b->max * 100,
                  b->n_shown ? b->shown[0] : "");
    } else {
        if ((double)b->n_bad <= b->max) return ST_OK;
        error_set(err, ST_DATA, "%llu rows are bad, allowed are %.0f: first %s",
                  (unsigned long long)b->n_bad, b->max, b->n_shown ? b->shown[0] : "");
    }
    return error_hint(err, ST_DATA, "mend the data or raise data.bad_rows.max");
}
