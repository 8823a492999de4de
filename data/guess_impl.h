/* What the stages of guessing share. Inside data/guess*.c only.
 *
 *   layout -> profile -> tasks -> kinds -> leaks -> split -> plan */
#ifndef MTPS_DATA_GUESS_IMPL_H
#define MTPS_DATA_GUESS_IMPL_H

#include "common/base/mem.h"
#include "data/expr.h"
#include "data/guess.h"
#include "data/guess_tally.h"
#include "data/raw.h"

/* ---- what a name says (guess_names.c) ---- */

enum guess_hint {
    HINT_USER = 1,
    HINT_ITEM = 2,
    HINT_ID = 4,       /* category, zip_code, os */
    HINT_NUMBER = 8,   /* price, n_days */
    HINT_TIME = 16,    /* timestamp, created_at */
    HINT_DAY = 32,     /* date, dt */
    HINT_OUTCOME = 64, /* click, is_like: what happened, 0 or 1 */
    HINT_AMOUNT = 128, /* rating, watch_time: what happened, as a number */
    HINT_ROW = 256     /* request_id: one row, or a few that were shown together */
};
unsigned guess_hints(const char *name);

/* Words that mean that a number is missing ("NULL", "nan"); index or SIZE_MAX. */
enum { GUESS_TOKENS = 13 };
extern const char *const guess_tokens[GUESS_TOKENS];
size_t guess_token(struct text t);

/* ---- what values look like (guess_profile.c) ---- */

enum { LIST_SEPARATORS = 5, SHOWN_TEXTS = 4 };
extern const char list_separators[LIST_SEPARATORS];

/* Values as lists cut at one separator. */
struct list_profile {
    uint64_t rows, cells; /* with the separator; distinct ones of these */
    uint64_t pieces;      /* of these rows */
    uint64_t fewest, most;
    uint64_t plain;  /* pieces of letters, digits, '_', '-', '\'' and '.' */
    uint64_t digits; /* pieces with a digit */
    struct tally tally;
};

struct guess_profile {
    uint64_t rows, present; /* looked at; with a value */
    uint64_t values;        /* slot text has several a row */
    uint64_t fewest, most;  /* values of a row that has some */
    uint64_t numbers, whole, zeros, negatives, zero_led, keys, tokens;
    uint64_t times[TIME_OTHER]; /* values that read as one */
    bool token_seen[GUESS_TOKENS];
    double low, high, sum; /* of the numbers */
    uint64_t bytes;
    struct tally tally;
    const char *texts[SHOWN_TEXTS]; /* the first distinct ones */
    struct list_profile lists[LIST_SEPARATORS];
};

/* Are the values numbers, apart from words for missing? A stray one may be wrong. */
bool guess_is_number(const struct guess_profile *p);
/* Words for missing stand among the numbers. */
bool guess_has_token(const struct guess_profile *p);

/* Rows to look at: as asked, fewer when the data are very wide. */
uint64_t guess_rows(const struct guess *g, uint64_t rows);

/* ---- rows of the head, from every file in turn (guess_head.c) ---- */

struct guess_head;
enum status guess_head_open(const struct guess *g, uint64_t rows,
                            const char *const *columns, size_t n, struct guess_head **out,
                            struct error *err) MUST_USE;
void guess_head_close(struct guess_head *h);
/* *row = NULL at the end. */
enum status guess_head_next(struct guess_head *h, const struct raw_row **row,
                            struct error *err) MUST_USE;
/* What was read: rows, bad rows, and an estimate of all there are. */
void guess_head_count(const struct guess_head *h, struct guess *g);

/* ---- stages ---- */

enum status guess_layout(struct guess *g, const struct guess_request *q,
                         struct error *err) MUST_USE;
enum status guess_profile(struct guess *g, uint64_t rows, struct error *err) MUST_USE;
enum status guess_tasks(struct guess *g, const struct guess_request *q,
                        struct error *err) MUST_USE;
enum status guess_kinds(struct guess *g, struct error *err) MUST_USE;
enum status guess_leaks(struct guess *g, uint64_t rows, struct error *err) MUST_USE;
enum status guess_split(struct guess *g, struct error *err) MUST_USE;

/* `features:` of the configuration, appended (guess_features.c). */
struct buffer;
void guess_features(struct guess *g, struct buffer *b);

/* ---- small things ---- */

struct guess_column *guess_find(const struct guess *g, const char *name);
const char *guess_print(struct guess *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A column's name as an expression: plain or in back quotes. */
const char *guess_quoted(struct guess *g, const char *name);
enum status guess_no_memory(struct error *err);
/* Leave a column out; why may be NULL when memory is short. */
enum status guess_leave_out(struct guess_column *c, const char *why,
                            struct error *err) MUST_USE;

#endif
