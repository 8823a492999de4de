/* Data that nobody has described yet: what a look at the head of its files makes
 * of it, and a commented configuration that trains on it (mtps init).
 *
 *   guess_layout.c   csv, tsv or slot text; separators, header line, names
 *   guess_profile.c  what the values of every column look like
 *   guess_task.c     labels: those asked for, or those that look like labels
 *   guess_kind.c     id, list of ids, number, time, or left out
 *   guess_leak.c     columns that give a label away
 *   guess_split.c    rows to evaluate on, when there is no file of them
 *   guess_yaml.c     all of it as text; the features in guess_features.c
 *
 * A guess is for a person to read: whatever is left out is named with the reason. In
 * doubt a column of whole numbers is an id: a number read as ids learns slowly, ids
 * read as numbers learn nothing. */
#ifndef MTPS_DATA_GUESS_H
#define MTPS_DATA_GUESS_H

#include "common/config/settings.h"

struct arena;

enum { GUESS_ROWS = 100000 }; /* rows looked at unless asked otherwise */

/* All borrowed. */
struct guess_request {
    struct list_cfg files;  /* patterns; at least one */
    struct list_cfg eval;   /* rows to evaluate on; empty: a part of files */
    struct list_cfg labels; /* each COLUMN, EXPRESSION or NAME=EXPRESSION; may be empty */
    struct list_cfg columns; /* names, for files without a header line; may be empty */
    uint64_t rows;           /* 0: GUESS_ROWS */
};

enum guess_kind {
    GUESS_ID,
    GUESS_LIST,
    GUESS_NUMBER,
    GUESS_TIME,
    GUESS_LABEL,
    GUESS_OUT
};

/* How a time is written. */
enum guess_time {
    TIME_NONE,
    TIME_SECONDS, /* since 1970 */
    TIME_MILLIS,
    TIME_DATE, /* 20220425 or 2022-04-25 */
    TIME_TEXT, /* 2022-04-25 21:05 */
    TIME_OTHER /* a number that grows, of unknown unit */
};

struct guess_column {
    const char *name;
    enum guess_kind kind;
    const char *why;   /* GUESS_OUT: the reason */
    const char *split; /* GUESS_LIST in csv: what parts the values of a cell */
    double per_row;    /* GUESS_LIST: values of a row, on average */
    uint64_t most;     /* GUESS_LIST: values of the longest */
    enum guess_time time;
    bool read; /* by the expression of a label */
    bool has_missing;
    bool log;          /* GUESS_NUMBER: not negative and far from even */
    bool whole_keys;   /* slot text: every value is a number below 2^64 */
    size_t width;      /* GUESS_NUMBER: 1, or that of a vector in slot text */
    uint64_t distinct; /* among the rows looked at; at least that many if capped */
    bool capped;
    struct guess_profile *profile;
};

struct guess_task {
    const char *name;
    const char *label; /* expression as it goes into the configuration */
    enum loss_kind loss;
    const char *note;             /* for the comment; may be NULL */
    uint64_t labelled, positives; /* rows looked at; positive: more than 0.5 */
    double sum, low, high;
};

/* What is trained and how: filled from the number of rows, changed by the caller. */
struct guess_plan {
    const char *type; /* a model type of the option table */
    const char *bottom, *expert, *gates,
        *tower;                          /* layers as "64, 32"; NULL: not written */
    size_t experts, own, shared, levels; /* 0: not written, except shared with own */
    size_t dim;
    const char *table;           /* one table for all ids; NULL: a table each */
    const char *table_optimizer; /* "adagrad: {lr: 0.05}" */
    const char *optimizer;       /* dense part */
    size_t batch_size;
    size_t lanes; /* 0: not written */
    const char *epochs;
    bool early_stop;
    const char *seed;                          /* NULL: not written */
    const char *log_every, *threads, *run_dir; /* the same */
};

struct guess {
    struct arena *arena;  /* owns every string */
    struct data_cfg data; /* train, eval, slot as they were found */
    bool names_listed;    /* `columns:` is written */
    struct guess_column *columns;
    size_t n_columns;
    struct guess_task *tasks;
    size_t n_tasks;
    const char *picked;      /* labels were chosen, not asked for: what they are */
    const char *group;       /* column, NULL = none */
    const char *when;        /* column that the split goes by, NULL = none */
    bool hours, weekdays;    /* of the time, as features */
    const char *valid_where; /* expression, NULL = none; the others are in data */
    double valid_fraction;   /* 0: none */
    const char
        *split_note; /* how rows to evaluate on were found, or why there are none */
    uint64_t rows_seen, bad_seen;
    bool whole;  /* rows_seen is all there are */
    double rows; /* training and evaluation, estimated unless whole */
    struct guess_plan plan;
    const char *origin,
        *command;          /* for the top of the file: where it is from, how to train */
    const char **unmapped; /* lines that say what was not taken over */
    size_t n_unmapped;
};

/* Look at the data. ST_NOINPUT, ST_DATA for what the files are; ST_USAGE when no
 * label is given and none stands out, with the likely ones in the text, and for
 * labels that do not fit. Caller frees with guess_destroy. */
enum status guess_read(const struct guess_request *q, struct guess **out,
                       struct error *err) MUST_USE;
/* An empty one, to be filled by hand. */
enum status guess_create(struct guess **out, struct error *err) MUST_USE;
void guess_destroy(struct guess *g);

/* Sizes and rates that follow from the number of rows and tasks. */
void guess_plan_default(struct guess *g);

/* The configuration as text; caller frees with mem_free. It parses, which is
 * checked here: ST_INTERNAL when it does not. */
enum status guess_yaml(struct guess *g, char **out, struct error *err) MUST_USE;

#endif
