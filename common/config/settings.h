/* The configuration as one typed tree: what the YAML file, --set and the
 * defaults say together (DESIGN section 8). Plain data: every string and array
 * lives in the settings' arena and stays valid until settings_destroy().
 * Filled and range-checked by settings_load(); references that need no data
 * (table names, task names) are resolved there; those that need a header line
 * (globs, columns) are resolved by schema_build() in data/.
 *
 * Read-only after loading; may be read by any thread. */
#ifndef MTPS_CONFIG_SETTINGS_H
#define MTPS_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* Where a value was written; file is "--set" or "default" otherwise. */
struct origin {
    const char *file;
    unsigned line, column; /* from 1; 0 = none */
};

/* ST_USAGE with the place, "FILE:LINE:COLUMN" or "--set", in front of a text. */
enum status config_fail(struct error *err, struct origin at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* An expression or other text that is parsed later: errors point into it. */
struct text_cfg {
    const char *text; /* NULL = not given */
    struct origin at;
};

struct list_cfg {
    const char **v;
    size_t n;
    struct origin at;
};

struct sizes_cfg {
    size_t *v;
    size_t n;
};

/* ---- data ---- */

enum source_format { SOURCE_CSV, SOURCE_TSV, SOURCE_SLOT };
enum encoding { ENCODING_UTF8, ENCODING_LATIN1 };
enum slot_order { SLOT_NAME_FIRST, SLOT_VALUE_FIRST };

/* One of train, eval, valid, or a join. Keys not written are inherited from
 * `data`, already filled in here. */
struct source_cfg {
    struct list_cfg files; /* globs; empty = source not given */
    bool as_listed;        /* in this order, repeats too; else sorted, each file once */
    struct text_cfg where;
    enum source_format format;
    struct list_cfg columns; /* names; empty = from the header line */
    bool header;             /* the first line (after skip_lines) is a header */
    const char *delimiter;   /* any non-empty string; "," for csv, tab for tsv */
    size_t skip_lines;
    bool trim; /* cut blanks around every value */
    enum encoding encoding;
    struct list_cfg missing; /* texts that mean missing; default [""] */
    struct origin at;
};

struct join_cfg {
    struct source_cfg source;
    struct text_cfg key; /* column present in the main rows and in the side table */
};

/* Validation rows leave training: a source of its own, or a part of training. */
struct valid_cfg {
    bool given;
    struct source_cfg source; /* source.files.n > 0: rows of these files */
    struct text_cfg where;    /* else: training rows for which this holds */
    double fraction;          /* else: this share of training rows, by hash ... */
    struct text_cfg by;       /* ... of this expression, or of the row number when NULL */
};

struct slot_cfg {
    enum slot_order order;
    const char *separator; /* between items of a row */
    struct list_cfg fixed; /* names of leading plain columns */
};

struct data_cfg {
    struct source_cfg train, eval;
    struct valid_cfg valid;
    struct join_cfg *joins;
    size_t n_joins;
    struct slot_cfg slot;
    struct text_cfg group;    /* column for per-user metrics */
    double bad_rows_max;      /* absolute count, or a share when bad_rows_is_share */
    bool bad_rows_is_share;
    const char *cache;        /* folder of prepared files */
    uint64_t join_memory;     /* bytes that side tables may take */
    size_t dictionary_limit;  /* distinct keys per table beyond which codes are not stored */
    size_t shuffle_window;    /* rows permuted together, 65,536 */
};

/* ---- features and tables ---- */

enum feature_kind { FEATURE_ID, FEATURE_DENSE, FEATURE_ONE_HOT };
enum keep_side { KEEP_FIRST, KEEP_LAST };
enum pool { POOL_SUM, POOL_MEAN, POOL_SQRTN, POOL_ATTENTION };
enum activation { ACT_RELU, ACT_GELU, ACT_SILU, ACT_TANH };
/* How a list is pooled against another feature (model/attention.h). */
struct attention_cfg {
    const char *target; /* name of a single-valued id feature */
    struct sizes_cfg layers;
    enum activation activation;
};

enum key_kind { KEY_HASH, KEY_UINT64 };

enum transform_kind { TRANSFORM_LOG1P, TRANSFORM_STANDARDIZE, TRANSFORM_MINMAX, TRANSFORM_CLIP };
struct transform_cfg {
    enum transform_kind kind;
    double low, high; /* clip */
};
enum { MAX_TRANSFORMS = 8 };

/* One entry of `features:`. names holds more than one name, or patterns, for a
 * group (`names:`); numeric ranges (a0..17) are expanded already, globs (*, ?)
 * are expanded by schema_build() against the header. */
struct feature_cfg {
    struct list_cfg names;
    bool is_group;
    struct list_cfg except; /* patterns taken out of a group */
    enum feature_kind kind;
    const char *column;   /* NULL = the feature's name */
    struct text_cfg expr; /* instead of a column */
    struct list_cfg cross; /* instead: names of two id features; empty = not a cross */
    size_t bucketize;      /* N quantile buckets; 0 = not bucketized */
    const char *split;     /* multi-valued: separator; NULL = single-valued */
    bool multi;            /* slot format: every id feature is multi-valued */
    enum keep_side keep;
    size_t max_len; /* 0 = no limit */
    enum pool pool;
    struct attention_cfg attention; /* of pool: attention */
    const char *table; /* NULL = the feature's name */
    size_t dim;        /* of its table, copied into settings.tables; 0 = the table says */
    enum key_kind key;
    size_t width; /* dense vector; 1 otherwise */
    struct transform_cfg transform[MAX_TRANSFORMS];
    size_t n_transforms;
    double default_value; /* dense, when missing, before transforms */
    bool default_mean;
    size_t max_levels; /* one_hot */
    bool has_missing;
    struct list_cfg missing;
    struct origin at;
};

enum init_kind { INIT_ZERO, INIT_NORMAL, INIT_UNIFORM, INIT_CONSTANT };
struct init_cfg {
    enum init_kind kind;
    double scale; /* standard deviation; bound; value */
};

enum optimizer_kind { OPT_SGD, OPT_ADAGRAD, OPT_ROWWISE_ADAGRAD, OPT_ADAM, OPT_FTRL };
struct optimizer_cfg {
    enum optimizer_kind kind;
    double lr;
    double initial_accumulator; /* adagrad, rowwise_adagrad */
    double beta1, beta2;        /* adam */
    double eps;
    double beta, l1, l2; /* ftrl */
    double weight_decay; /* decoupled; dense part only */
};

/* `tables:` after merging `default`; one entry per name written. Tables used by
 * features and not written take `default`. */
struct table_cfg {
    const char *name; /* "default" for the default entry, always element 0 */
    size_t dim;
    struct init_cfg init;
    struct optimizer_cfg optimizer;
    double l2; /* of used rows */
    struct {
        size_t min_count; /* occurrences with which an id gets a row */
    } admit;
    struct {
        size_t unseen_days; /* a hot start leaves such rows behind; 0: none */
    } evict;
    struct origin at;
};

/* ---- tasks and model ---- */

enum loss_kind {
    LOSS_BCE,
    LOSS_MSE,
    LOSS_HUBER,
    LOSS_WEIGHTED_LOGISTIC, /* the last three are watch times: common/math/target.h */
    LOSS_COMPLETION,
    LOSS_LOG_MSE
};
enum norm { NORM_NONE, NORM_LAYER };

/* A stack of layers; the parts a task or the model may set. */
struct mlp_cfg {
    bool given;
    struct sizes_cfg layers;
    enum activation activation;
    enum norm norm; /* of what goes into the activation */
    double dropout; /* share of what comes out of it */
};

struct task_cfg {
    const char *name;
    struct text_cfg label, present, row_weight; /* present, row_weight may be NULL */
    struct text_cfg duration;                   /* of completion, else NULL */
    double weight;
    enum loss_kind loss;
    double huber_delta;
    struct mlp_cfg tower; /* own or the model's, filled in */
    struct mlp_cfg gate;
    size_t own; /* experts of its own (cgc, ple), filled in */
    bool has_own; /* 0 is a value of its own */
    struct origin at;
};

enum model_type {
    MODEL_LR,
    MODEL_FM,
    MODEL_DNN,
    MODEL_WIDE_DEEP,
    MODEL_DEEPFM,
    MODEL_SHARE_BOTTOM,
    MODEL_OMOE,
    MODEL_MMOE,
    MODEL_CGC,
    MODEL_PLE,
    MODEL_TWO_TOWER,
    MODEL_ESMM,
    MODEL_AITM
};
/* As it is written: "lr". */
const char *model_type_name(enum model_type type);

/* The two sides of two_tower. */
enum model_side { SIDE_USER, SIDE_ITEM, N_SIDES };
struct side_cfg {
    struct list_cfg features; /* names and patterns; ranges are expanded */
    struct mlp_cfg mlp;       /* its last layer is the vector */
};

/* How the losses of several tasks become one gradient (docs/models.md, Balancing). */
enum balance_kind { BALANCE_FIXED, BALANCE_UNCERTAINTY, BALANCE_DWA, BALANCE_PCGRAD, BALANCE_MGDA };
struct balance_cfg {
    enum balance_kind kind;
    uint64_t window;    /* dwa: steps of one mean loss */
    double temperature; /* dwa */
};

struct model_cfg {
    enum model_type type;
    struct mlp_cfg bottom;  /* share_bottom, esmm, aitm, dnn and what builds on it */
    size_t expert_count;    /* omoe, mmoe */
    size_t expert_own;      /* cgc, ple */
    size_t expert_shared;   /* cgc, ple */
    bool has_expert_own, has_expert_shared; /* 0 is a value of its own */
    size_t expert_levels;   /* ple */
    struct list_cfg wide_features; /* wide_deep: names and patterns, ranges expanded */
    struct list_cfg wide_only;     /* those of them that nothing else reads ... */
    bool has_wide_only;            /* ... false: the crosses */
    struct optimizer_cfg wide_optimizer; /* fm, deepfm, wide_deep: of direct inputs */
    struct mlp_cfg experts; /* layers of one expert */
    struct mlp_cfg gates;   /* hidden layers; none = one linear layer */
    struct mlp_cfg towers;
    size_t cross_layers; /* every type but lr and fm */
    size_t cross_rank;   /* 0 = full matrices */
    struct balance_cfg balance;
    struct side_cfg user, item; /* two_tower */
    double temperature;         /* two_tower: divides the cosine */
    struct list_cfg funnel; /* names of tasks in order, two or more; empty: none */
    struct sizes_cfg steps; /* the same as indices of tasks, filled in */
    double aitm_constraint; /* weight of the label constraint */
    bool aitm_stop_gradient;
};

/* What is predicted and measured: a task, or a later step of the funnel given the step
 * before it ("buy|click"). */
enum { SCORE_OF_TASK = -1 };
struct score_cfg {
    const char *name;
    size_t task;
    ptrdiff_t given; /* task of the step before; SCORE_OF_TASK: the task itself */
};

/* ---- training ---- */

enum decay_kind { DECAY_NONE, DECAY_COSINE, DECAY_STEP };
struct schedule_cfg {
    uint64_t warmup_steps; /* linear from lr/warmup to lr */
    enum decay_kind decay;
    double decay_floor;       /* cosine: lr ends at floor * lr */
    uint64_t decay_every;     /* step: every N updates ... */
    double decay_factor;      /* ... lr *= factor */
};

/* A period: any of the three may be set (0 = not). */
struct every_cfg {
    uint64_t steps;
    double epochs;
    double seconds;
};

enum layer1_form { FORM_AUTO, FORM_GATHER, FORM_PROJECT };

struct train_cfg {
    size_t batch_size; /* global */
    size_t lanes;      /* power of two dividing batch_size; auto is resolved at load */
    double epochs;
    uint64_t max_steps;
    bool has_max_steps; /* false = epochs alone decide */
    struct optimizer_cfg optimizer; /* dense part */
    struct schedule_cfg schedule;
    double clip_norm; /* global norm of the dense gradient; 0 = off */
    enum layer1_form form;
    struct every_cfg eval_every; /* on data.valid */
    bool early_stop;
    const char *early_stop_task; /* a score's name or "mean" (of the tasks) */
    const char *early_stop_metric; /* auc | logloss | gauc | mae | rmse | xauc | gxauc */
    size_t early_stop_patience;
};

struct checkpoint_cfg {
    struct every_cfg every;
    size_t keep;
};

struct cluster_cfg {
    size_t servers;
    size_t threads;        /* of a worker; 0 = auto */
    size_t server_threads; /* 0 = auto */
    double deadline_s;
};

struct log_cfg {
    int level; /* 0 error, 1 warning, 2 info, 3 debug */
    struct every_cfg every;
};

/* ---- hot start: docs/hot-start.md ---- */

enum hot_mode { HOT_COLD, HOT_SPARSE, HOT_SPARSE_SHARED, HOT_ALL };
const char *hot_mode_name(enum hot_mode mode); /* as in a configuration */
enum hot_state { HOT_KEEP, HOT_RESET };
enum hot_statistics { HOT_STATISTICS_KEEP, HOT_STATISTICS_FIT };
enum hot_resize { HOT_RESIZE_ERROR, HOT_RESIZE_PAD, HOT_RESIZE_CUT };

/* `NAME: value` each. */
struct pairs_cfg {
    const char **key, **value;
    struct origin *where; /* [n] of the keys */
    size_t n;
};

/* Loaded values become shrink * value + noise * a normal number. */
struct perturb_cfg {
    const char *name; /* pattern */
    double shrink, noise;
    struct origin at;
};

struct freeze_cfg {
    struct list_cfg names; /* patterns */
    uint64_t until;        /* step from which they learn; UINT64_MAX = never */
    struct origin at;
};

struct new_task_cfg {
    uint64_t only_new, ramp, open; /* steps */
    const char *gate;              /* "uniform", or a task's name */
};

struct hot_start_cfg {
    bool given;
    const char *from; /* NULL only when nothing is loaded */
    enum hot_mode mode;
    struct list_cfg include, exclude; /* patterns */
    struct pairs_cfg rename;          /* new: old */
    enum hot_state state_sparse, state_dense; /* filled in by mode */
    enum hot_statistics statistics;           /* filled in by mode */
    enum hot_resize resize;
    struct {
        uint64_t min_count, max_age; /* max_age 0 = any */
    } rows;
    struct perturb_cfg *perturb;
    size_t n_perturb;
    struct freeze_cfg *freeze;
    size_t n_freeze;
    struct pairs_cfg lr_scale; /* pattern: factor */
    double *lr_factor;         /* [lr_scale.n] */
    struct new_task_cfg new_task;
};

struct settings {
    const char *name;
    uint64_t seed;
    const char *run_dir; /* default runs/NAME */
    struct data_cfg data;
    struct feature_cfg *features;
    size_t n_features;
    struct table_cfg *tables; /* [0] is the default */
    size_t n_tables;
    struct task_cfg *tasks;
    size_t n_tasks;
    struct score_cfg *scores; /* the tasks in their order, then conditional ones */
    size_t n_scores;
    struct model_cfg model;
    struct train_cfg train;
    struct checkpoint_cfg checkpoint;
    struct cluster_cfg cluster;
    struct log_cfg log;
    struct hot_start_cfg hot_start;

    struct arena *arena;  /* owns everything above */
    struct config *tree;  /* the merged tree, for printing and comparing (config.h) */
};

/* Read FILE, merge includes, substitute vars, apply n --set assignments
 * ("KEY=VALUE", value is YAML), check every key, type and range, fill defaults.
 *   sets   borrowed; later ones win
 * ST_USAGE with "file:line:column: ..." for whatever is wrong, with the nearest
 * known key in the hint; ST_NOINPUT when the file cannot be read. Warnings (a
 * feature reads a label's column, a key the model type does not use) are
 * collected: see settings_warnings(). */
enum status settings_load(const char *file, const char *const *sets, size_t n_sets,
                          struct settings **out, struct error *err) MUST_USE;

/* The same from text in memory (the config kept in a checkpoint); name is used
 * in messages instead of a file name. Relative includes are not allowed. */
enum status settings_parse(const char *text, const char *name, const char *const *sets,
                           size_t n_sets, struct settings **out, struct error *err) MUST_USE;

void settings_destroy(struct settings *s);

/* An assignment KEY="VALUE" for sets, in which YAML and variables leave the value alone.
 * out: so many bytes. */
size_t settings_assign_bytes(const char *key, const char *value);
void settings_assign_text(const char *key, const char *value, char *out);

/* The side of each of n features of a two_tower model. ST_USAGE with "file:line:column:
 * ..." when a feature is in neither list or in both, or when a list names something that
 * none of them is. settings_load() has called it when the configuration names all
 * features itself, without patterns. */
enum status settings_sides(const struct settings *s, const char *const *features, size_t n,
                           enum model_side *out, struct error *err) MUST_USE;
/* Does the name stand in the list, or fit a pattern of it? */
bool settings_names_fit(const struct list_cfg *list, const char *name);
/* The error of an entry of the list, which is `key`, that fits none of these names. */
enum status settings_unknown_name(const struct list_cfg *list, const char *key,
                                  const char *entry, const char *const *names, size_t n,
                                  struct error *err);

/* Warnings found while loading, one line each. Valid until settings_destroy. */
const struct list_cfg *settings_warnings(const struct settings *s);

/* The effective configuration as YAML: every key with its value, defaults
 * included, includes and vars resolved, in a fixed order; loading it again gives
 * the same settings. `origins` adds "# file:line" or "# default" comments and
 * marks keys that the model type does not use. Caller frees with mem_free. */
enum status settings_print(const struct settings *s, bool origins, char **out,
                           struct error *err) MUST_USE;

/* The same as one line of flow text (common/config/flow.h), which loads without a YAML
 * library: what bundles carry. name is used in messages. ST_USAGE when it says what
 * the option table does not allow. */
enum status settings_print_flow(const struct settings *s, char **out, struct error *err) MUST_USE;
enum status settings_parse_flow(const char *text, size_t n, const char *name, struct settings **out,
                                struct error *err) MUST_USE;

/* The model's type as it is written. */
const char *settings_model_name(const struct settings *s);

/* Compare for resume (DESIGN section 8 "Files and runs"): keys that may differ
 * are skipped. Appends each differing key as "key: OLD (checkpoint) != NEW
 * (config)" to out (one line, "; " between), n_diff counts them. */
enum status settings_diff_resume(const struct settings *checkpoint, const struct settings *now,
                                 char **out, size_t *n_diff, struct error *err) MUST_USE;

/* The same for scoring (eval, predict -c): only keys that define the model and
 * its features are compared. */
enum status settings_diff_model(const struct settings *checkpoint, const struct settings *now,
                                char **out, size_t *n_diff, struct error *err) MUST_USE;

#endif
