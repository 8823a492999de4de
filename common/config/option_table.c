/* The option table: one row per key, in the order of the printed configuration. */
#include "common/config/options.h"

#include <stdint.h>

#include "common/config/option_rows.h"

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "OPTION_COUNT fills both");
_Static_assert(sizeof(enum model_type) == sizeof(int), "OPTION_ENUM fills an int");


#define ID FOR(FEATURE_ID)
#define DENSE FOR(FEATURE_DENSE)
#define ONE_HOT FOR(FEATURE_ONE_HOT)

#define DNN (FOR(MODEL_DNN) | FOR(MODEL_WIDE_DEEP) | FOR(MODEL_DEEPFM))
#define WIDE (FOR(MODEL_FM) | FOR(MODEL_WIDE_DEEP) | FOR(MODEL_DEEPFM))
#define FUNNELS (FOR(MODEL_ESMM) | FOR(MODEL_AITM))
#define BOTTOM (DNN | FOR(MODEL_SHARE_BOTTOM) | FUNNELS)
#define ONE_POOL (FOR(MODEL_OMOE) | FOR(MODEL_MMOE))
#define OWN_EXPERTS (FOR(MODEL_CGC) | FOR(MODEL_PLE))
#define EXPERTS (ONE_POOL | OWN_EXPERTS)
#define TOWERS (EXPERTS | FOR(MODEL_SHARE_BOTTOM) | FUNNELS)
#define TWO_TOWER FOR(MODEL_TWO_TOWER)
#define DEEP (BOTTOM | EXPERTS | TWO_TOWER)

static const char *const formats[] = {"csv", "tsv", "slot", NULL};
static const char *const encodings[] = {"utf-8", "latin1", NULL};
static const char *const slot_orders[] = {"name_first", "value_first", NULL};
static const char *const feature_kinds[] = {"id", "dense", "one_hot", NULL};
static const char *const keep_sides[] = {"first", "last", NULL};
static const char *const key_kinds[] = {"hash", "uint64", NULL};
static const char *const losses[] = {"bce",        "mse",     "huber", "weighted_logistic",
                                     "completion", "log_mse", NULL};
static const char *const activations[] = {"relu", "gelu", "silu", "tanh", NULL};
static const char *const norms[] = {"none", "layer", NULL};
static const char *const model_types[MODEL_AITM + 2] = { /* ends with NULL */
    [MODEL_LR] = "lr",         [MODEL_FM] = "fm",
    [MODEL_DNN] = "dnn",       [MODEL_WIDE_DEEP] = "wide_deep",
    [MODEL_DEEPFM] = "deepfm", [MODEL_SHARE_BOTTOM] = "share_bottom",
    [MODEL_OMOE] = "omoe",     [MODEL_MMOE] = "mmoe",
    [MODEL_CGC] = "cgc",       [MODEL_PLE] = "ple",
    [MODEL_TWO_TOWER] = "two_tower", [MODEL_ESMM] = "esmm",
    [MODEL_AITM] = "aitm"};
static const char *const forms[] = {"auto", "gather", "project", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

/* ---- data ---- */

static const struct option reading_rows[] = {
    {"format", OPTION_ENUM, .def = "csv", .names = formats, AT(source_cfg, format),
     .help = "Text format. csv and tsv follow RFC 4180 (quotes, doubled quotes); slot is "
             "Paddle's sparse text, see data.slot. Compression (gz, zst, lz4, xz, bz2) is "
             "found by content."},
    {"columns", OPTION_STRINGS, .def_text = "from the header line", AT(source_cfg, columns),
     .flags = OPTION_NOT_EMPTY,
     .help = "Names of the columns in file order, for files without a header line."},
    {"header", OPTION_BOOL, .def_text = "true, or false when `columns` is given",
     AT(source_cfg, header),
     .help = "The first line (after skip_lines) holds the names of the columns. With "
             "`columns` given it is skipped."},
    {"delimiter", OPTION_STRING, .def_text = "a comma for csv, a tab for tsv",
     AT(source_cfg, delimiter), .flags = OPTION_NOT_EMPTY,
     .help = "Text between two values of a line: one or more characters."},
    {"skip_lines", OPTION_COUNT, .def = "0", .max = 1e6, .unit = "lines",
     AT(source_cfg, skip_lines), .help = "Lines to skip at the start of every file."},
    {"trim", OPTION_BOOL, .def = "false", AT(source_cfg, trim),
     .help = "Cut blanks around every value before anything else reads it."},
    {"encoding", OPTION_ENUM, .def = "utf-8", .names = encodings, AT(source_cfg, encoding),
     .help = "Encoding of the text."},
    {"missing", OPTION_STRINGS, .def = "[\"\"]", AT(source_cfg, missing),
     .help = "Texts that mean that a value is missing, compared byte for byte after `trim`. "
             "\"NA\" is not one of them by default: in some data it is a real value."},
};
static const struct option_group reading = {ROWS(reading_rows)};

static const struct option source_rows[] = {
    {"files", OPTION_STRINGS, .def_text = "no such rows", AT(source_cfg, files),
     .flags = OPTION_NOT_EMPTY,
     .help = "Files, or patterns with * and ?; sorted by name. Relative paths start at the "
             "current directory."},
    {"where", OPTION_TEXT, .def_text = "every row", AT(source_cfg, where),
     .help = "Expression: only rows for which it holds are used. Missing counts as false."},
};
static const struct option_group source = {ROWS(source_rows), .shared = &reading,
                                           .shared_inherits = true,
                                           .at = offsetof(struct source_cfg, at) + 1};

static const struct option valid_rows[] = {
    {"fraction", OPTION_SHARE, .min = 0, .max = 0.9, AT(valid_cfg, fraction),
     .def_text = "no share", .flags = OPTION_ABOVE_MIN,
     .help = "This share of the training rows, chosen by a hash of `by`."},
    {"by", OPTION_TEXT, .def_text = "the row's number", AT(valid_cfg, by),
     .help = "Column or expression: rows with equal values stay on one side, for example "
             "all rows of a user."},
    {"where", OPTION_TEXT, .def_text = "no condition", AT(valid_cfg, where),
     .help = "The training rows for which this expression holds; with `files` a filter on "
             "those rows."},
    {"files", OPTION_STRINGS, .def_text = "a part of the training rows",
     AT(valid_cfg, source.files), .flags = OPTION_NOT_EMPTY,
     .help = "Rows of these files instead of a part of the training rows."},
};
static const struct option_group valid = {ROWS(valid_rows), .shared = &reading,
                                          .shared_offset = offsetof(struct valid_cfg, source),
                                          .shared_inherits = true,
                                          .at = offsetof(struct valid_cfg, source.at) + 1};

static const struct option join_rows[] = {
    {"files", OPTION_STRINGS, AT(join_cfg, source.files),
     .flags = OPTION_REQUIRED | OPTION_NOT_EMPTY,
     .help = "Files of the side table, or patterns with * and ?."},
    {"key", OPTION_TEXT, AT(join_cfg, key), .flags = OPTION_REQUIRED,
     .help = "Column that the rows and the side table have in common. A key written twice "
             "in the side table is an error; a row without a match has the side table's "
             "columns missing."},
    {"where", OPTION_TEXT, .def_text = "every row", AT(join_cfg, source.where),
     .help = "Expression: only rows of the side table for which it holds are kept."},
};
static const struct option_group join = {ROWS(join_rows), .shared = &reading,
                                         .shared_offset = offsetof(struct join_cfg, source),
                                         .shared_inherits = true,
                                         .size = sizeof(struct join_cfg),
                                         .at = offsetof(struct join_cfg, source.at) + 1,
                                         .max_elements = 256};

static const struct option slot_rows[] = {
    {"order", OPTION_ENUM, .def = "name_first", .names = slot_orders, AT(slot_cfg, order),
     .help = "name_first: items are slot:value; value_first: items are value:slot."},
    {"separator", OPTION_STRING, .def = "\" \"", AT(slot_cfg, separator),
     .flags = OPTION_NOT_EMPTY, .help = "Text between the items of a row."},
    {"fixed", OPTION_STRINGS, .def = "[]", AT(slot_cfg, fixed),
     .help = "Names of plain leading values of a row, in order, for example [id, click]."},
};
static const struct option_group slot = {ROWS(slot_rows)};

static const struct option bad_rows_rows[] = {
    {"max", OPTION_COUNT_OR_SHARE, .def = "0.1%", .max = 1e15, AT(data_cfg, bad_rows_max),
     FLAG(data_cfg, bad_rows_is_share),
     .help = "How many rows may be bad (a number), or which share of them (a percentage). "
             "Bad rows are left out, counted, and the first ten are shown; more than this "
             "ends the run with exit code 65."},
};
static const struct option_group bad_rows = {ROWS(bad_rows_rows)};

static const struct option data_rows[] = {
    {"train", OPTION_GROUP, .group = &source, AT(data_cfg, train),
     .flags = OPTION_REQUIRED | OPTION_SOURCE, .help = "Rows to train on."},
    {"eval", OPTION_GROUP, .group = &source, AT(data_cfg, eval), .flags = OPTION_SOURCE,
     .def_text = "no evaluation",
     .help = "Held-out rows for the final metrics. They never choose anything: early "
             "stopping uses data.valid."},
    {"valid", OPTION_GROUP, .group = &valid, AT(data_cfg, valid), FLAG(data_cfg, valid.given),
     .flags = OPTION_SOURCE | OPTION_REPLACED, .def_text = "no validation",
     .help = "Rows for early stopping and for choosing the best checkpoint: a `fraction` of "
             "the training rows, those `where` something holds, or other `files`. They leave "
             "training."},
    {"joins", OPTION_LIST, .group = &join, AT(data_cfg, joins), N_AT(data_cfg, n_joins),
     .flags = OPTION_JOIN, .def_text = "none",
     .help = "Side tables whose columns are added to every row, by a key column. Included "
             "files merge by `files`."},
    {"slot", OPTION_GROUP, .group = &slot, AT(data_cfg, slot),
     .help = "Details of format: slot. An absent slot is an empty list; slots that no "
             "feature names are ignored."},
    {"group", OPTION_TEXT, .def_text = "no per-user metrics", AT(data_cfg, group),
     .help = "Column whose values group rows for GAUC, usually the user."},
    {"bad_rows", OPTION_GROUP, .group = &bad_rows, .help = "What to do about unreadable rows."},
    {"cache", OPTION_STRING, .def = ".cache/mtps", AT(data_cfg, cache),
     .flags = OPTION_NOT_EMPTY,
     .help = "Folder of prepared files, found again by the raw files and the features."},
    {"join_memory", OPTION_BYTES, .def = "1 GiB", .min = 1, UP_TO_ANY, .unit = "bytes",
     AT(data_cfg, join_memory), .help = "Memory that side tables may take."},
    {"dictionary_limit", OPTION_COUNT, .def = "4M", UP_TO_ANY, .unit = "keys",
     AT(data_cfg, dictionary_limit),
     .help = "Distinct keys of a table up to which prepared data hold codes beside keys, "
             "which saves hashing in training."},
    {"shuffle_window", OPTION_COUNT, .def = "65536", .min = 1, .max = 1e9, .unit = "rows",
     AT(data_cfg, shuffle_window),
     .help = "Rows permuted together. Blocks of 4,096 rows are permuted over the whole "
             "epoch before that."},
};
static const struct option_group data = {ROWS(data_rows), .shared = &reading,
                                         .shared_offset = offsetof(struct data_cfg, train)};

/* ---- features and tables ---- */

static const struct option attention_rows[] = {
    {"target", OPTION_STRING, AT(attention_cfg, target), .flags = OPTION_REQUIRED,
     .help = "Name of an id feature with one value per row and rows of the same dim, such as "
             "the item to be scored: what the list is looked at for."},
    {"layers", OPTION_SIZES, .def = "[36]", .min = 1, .max = 65536, .unit = "units",
     AT(attention_cfg, layers),
     .help = "Widths of the hidden layers of the network that weighs a list's rows."},
    {"activation", OPTION_ENUM, .def = "relu", .names = activations,
     AT(attention_cfg, activation), .help = "Function after every hidden layer."},
};
static const struct option_group attention = {ROWS(attention_rows)};

static const struct option pool_rows[] = {
    {"sum", OPTION_NOTHING, .value = POOL_SUM, .help = "Their sum."},
    {"mean", OPTION_NOTHING, .value = POOL_MEAN, .help = "Their mean."},
    {"sqrtn", OPTION_NOTHING, .value = POOL_SQRTN,
     .help = "Their sum divided by the square root of their number."},
    {"attention", OPTION_GROUP, .group = &attention, .value = POOL_ATTENTION,
     .help = "Their sum, each times a weight that a small network gives it from the row and "
             "the target's (DIN). In type lr, whose rows are weights, the plain sum."},
};
static const struct option_group pool = {ROWS(pool_rows)};

static const struct option feature_rows[] = {
    {"name", OPTION_NAME, .def_text = "see names", AT(feature_cfg, names),
     .flags = OPTION_NOT_EMPTY | OPTION_IDENTIFIER,
     .help = "Name of the feature; also its column and its table unless these are given."},
    {"names", OPTION_STRINGS, .def_text = "see name", AT(feature_cfg, names),
     FLAG(feature_cfg, is_group), .flags = OPTION_NOT_EMPTY | OPTION_IDENTIFIER,
     .help = "Several features with the same keys. Entries may be ranges (feat0..17) and "
             "patterns (user_*) over the columns of the rows and the side tables; a pattern "
             "skips columns that a label, presence, weight or another feature reads."},
    {"except", OPTION_STRINGS, .def_text = "none", AT(feature_cfg, except),
     .help = "Names or patterns taken out of `names`."},
    {"kind", OPTION_ENUM, .def = "id", .names = feature_kinds, AT(feature_cfg, kind),
     .help = "id: a text looked up in an embedding table. dense: a number, or a vector of "
             "`width` numbers. one_hot: one input per value found in the training rows."},
    {"column", OPTION_STRING, .def_text = "the feature's name", AT(feature_cfg, column),
     .flags = OPTION_NOT_EMPTY, .help = "Column that is read."},
    {"expr", OPTION_TEXT, .def_text = "a column", AT(feature_cfg, expr),
     .help = "Expression that makes the value, instead of a column (docs/expressions.md)."},
    {"cross", OPTION_STRINGS, .def_text = "a column", AT(feature_cfg, cross), .kinds = ID,
     .flags = OPTION_NOT_EMPTY,
     .help = "Names of two id features: the id is the pair of theirs."},
    {"bucketize", OPTION_COUNT, .min = 2, .max = 65536, .unit = "buckets",
     .def_text = "no buckets", AT(feature_cfg, bucketize), .kinds = ID,
     .help = "The value is a number and the id is its quantile among the training rows."},
    {"split", OPTION_STRING, .def_text = "one value", AT(feature_cfg, split), .kinds = ID,
     .flags = OPTION_NOT_EMPTY,
     .help = "The value is a list cut at this text: a multi-valued feature."},
    {"keep", OPTION_ENUM, .def = "first", .names = keep_sides, AT(feature_cfg, keep),
     .kinds = ID, .help = "Which end of a longer list is kept when `max_len` is set."},
    {"max_len", OPTION_COUNT, .def = "0", .max = 65536, .unit = "values",
     AT(feature_cfg, max_len), .kinds = ID,
     .help = "Values of a list that are used; 0: all of them."},
    {"pool", OPTION_CHOICE, .def = "sum", .group = &pool, AT(feature_cfg, pool),
     N_AT(feature_cfg, attention), .kinds = ID,
     .help = "How the rows of a list become one vector. An empty list is the zero vector."},
    {"table", OPTION_STRING, .def_text = "the feature's name", AT(feature_cfg, table),
     .kinds = ID, .flags = OPTION_NOT_EMPTY | OPTION_IDENTIFIER,
     .help = "Embedding table. Features that name the same table share its rows."},
    {"dim", OPTION_COUNT, .min = 1, .max = 4096, .unit = "floats",
     .def_text = "the table's", AT(feature_cfg, dim), .kinds = ID,
     .help = "Short for tables.NAME.dim of the feature's table."},
    {"key", OPTION_ENUM, .def_text = "hash; uint64 for values of slots", .names = key_kinds,
     AT(feature_cfg, key), .kinds = ID,
     .help = "hash: the key of a row is a 64-bit hash of the id's text. uint64: the id is "
             "the key itself, a number from 0 to 2^64 - 1."},
    {"width", OPTION_COUNT, .def = "1", .min = 1, .max = 65536, .unit = "numbers",
     AT(feature_cfg, width), .kinds = DENSE, .help = "Numbers of a vector."},
    {"transform", OPTION_TRANSFORMS, .def = "[]", .kinds = DENSE,
     .help = "Applied in order: log1p, standardize, minmax, {clip: [low, high]}. "
             "standardize and minmax are fitted on the training rows and kept in the "
             "checkpoint."},
    {"default", OPTION_REAL, .def = "0", .word = "mean", AT(feature_cfg, default_value),
     FLAG(feature_cfg, default_mean), .kinds = DENSE,
     .help = "Stands for a missing value, before transforms: a number, or `mean` of the "
             "training rows."},
    {"max_levels", OPTION_COUNT, .def = "1000", .min = 1, .max = 65536, .unit = "values",
     AT(feature_cfg, max_levels), .kinds = ONE_HOT,
     .help = "The most frequent values that get an input of their own."},
    {"missing", OPTION_STRINGS, .def_text = "those of the source", AT(feature_cfg, missing),
     FLAG(feature_cfg, has_missing),
     .help = "Texts that mean missing for this feature, instead of the source's."},
};
static const struct option_group feature = {ROWS(feature_rows), ELEMENT(feature_cfg),
                                            .max_elements = 65536};

#define LR(default)                                                                        \
    {"lr", OPTION_REAL, .def = default, .min = 0, .max = 1e6, AT(optimizer_cfg, lr),       \
     .help = "Learning rate."}
#define EPS(default)                                                                       \
    {"eps", OPTION_REAL, .def = default, .min = 0, .max = 1, AT(optimizer_cfg, eps),       \
     .help = "Added to the divisor."}
#define ACCUMULATOR(default)                                                               \
    {"initial_accumulator", OPTION_REAL, .def = default, .min = 0, .max = 1e6,             \
     AT(optimizer_cfg, initial_accumulator),                                               \
     .help = "What the sum of squared gradients starts from."}
#define BETAS                                                                              \
    {"beta1", OPTION_REAL, .def = "0.9", .min = 0, .max = 0.999999,                        \
     AT(optimizer_cfg, beta1), .help = "Decay of the mean of gradients."},                 \
        {"beta2", OPTION_REAL, .def = "0.999", .min = 0, .max = 0.999999,                  \
         AT(optimizer_cfg, beta2), .help = "Decay of the mean of squared gradients."}
#define PENALTY(key, field, what)                                                          \
    {key, OPTION_REAL, .def = "0", .min = 0, .max = 1e6, AT(optimizer_cfg, field), .help = what}
#define FTRL(rate)                                                                         \
    LR(rate),                                                                              \
        {"beta", OPTION_REAL, .def = "1e-4", .min = 0, .max = 1e6, AT(optimizer_cfg, beta), \
         .flags = OPTION_ABOVE_MIN,                                                        \
         .help = "Added to the divisor, the root of the sum of squared gradients."},       \
        PENALTY("l1", l1, "Weights whose gradients do not outweigh this become exactly 0."), \
        PENALTY("l2", l2, "Pulls weights towards 0, without making them 0.")
#define WEIGHT_DECAY                                                                       \
    {"weight_decay", OPTION_REAL, .def = "0", .min = 0, .max = 1e6,                        \
     AT(optimizer_cfg, weight_decay),                                                      \
     .help = "Decoupled: lr times this times the weight is taken off in every update."}

static const struct option sparse_sgd_rows[] = {LR("0.1")};
static const struct option sparse_adagrad_rows[] = {LR("0.1"), ACCUMULATOR("1e-7"),
                                                    EPS("1e-10")};
static const struct option sparse_adam_rows[] = {LR("0.001"), BETAS, EPS("1e-8")};
static const struct option sparse_ftrl_rows[] = {FTRL("0.1")};
static const struct option dense_sgd_rows[] = {LR("0.01"), WEIGHT_DECAY};
static const struct option dense_adagrad_rows[] = {LR("0.01"), ACCUMULATOR("0.1"),
                                                   EPS("1e-10"), WEIGHT_DECAY};
static const struct option dense_adam_rows[] = {LR("0.001"), BETAS, EPS("1e-8"), WEIGHT_DECAY};
static const struct option dense_ftrl_rows[] = {FTRL("0.01")};
static const struct option_group sparse_sgd = {ROWS(sparse_sgd_rows)};
static const struct option_group sparse_adagrad = {ROWS(sparse_adagrad_rows)};
static const struct option_group sparse_adam = {ROWS(sparse_adam_rows)};
static const struct option_group sparse_ftrl = {ROWS(sparse_ftrl_rows)};
static const struct option_group dense_sgd = {ROWS(dense_sgd_rows)};
static const struct option_group dense_adagrad = {ROWS(dense_adagrad_rows)};
static const struct option_group dense_adam = {ROWS(dense_adam_rows)};
static const struct option_group dense_ftrl = {ROWS(dense_ftrl_rows)};

static const struct option sparse_optimizer_rows[] = {
    {"sgd", OPTION_GROUP, .group = &sparse_sgd, .value = OPT_SGD,
     .help = "Gradient descent; no state."},
    {"adagrad", OPTION_GROUP, .group = &sparse_adagrad, .value = OPT_ADAGRAD,
     .help = "A sum of squared gradients per weight."},
    {"rowwise_adagrad", OPTION_GROUP, .group = &sparse_adagrad, .value = OPT_ROWWISE_ADAGRAD,
     .help = "One sum per row, of the mean squared gradient."},
    {"adam", OPTION_GROUP, .group = &sparse_adam, .value = OPT_ADAM,
     .help = "Lazy: a row moves only in updates that hold its key."},
    {"ftrl", OPTION_GROUP, .group = &sparse_ftrl, .value = OPT_FTRL,
     .help = "FTRL-Proximal: adagrad with weights that are exactly 0 until their gradients "
             "outweigh l1. Gradients are those of a mean over a batch: beta, l1 and l2 of a "
             "text that adds rows up are divided by train.batch_size here."},
};
static const struct option_group sparse_optimizer = {ROWS(sparse_optimizer_rows)};

static const struct option dense_optimizer_rows[] = {
    {"sgd", OPTION_GROUP, .group = &dense_sgd, .value = OPT_SGD, .help = "Gradient descent."},
    {"adagrad", OPTION_GROUP, .group = &dense_adagrad, .value = OPT_ADAGRAD,
     .help = "A sum of squared gradients per weight."},
    {"adam", OPTION_GROUP, .group = &dense_adam, .value = OPT_ADAM,
     .help = "With bias correction; weight_decay makes it AdamW."},
    {"ftrl", OPTION_GROUP, .group = &dense_ftrl, .value = OPT_FTRL,
     .help = "FTRL-Proximal, as for tables."},
};
static const struct option_group dense_optimizer = {ROWS(dense_optimizer_rows)};

static const struct option init_rows[] = {
    {"zero", OPTION_NOTHING, .value = INIT_ZERO, .help = "Zeros."},
    {"normal", OPTION_REAL, .def = "1e-4", .min = 0, .max = 1e3, AT(init_cfg, scale),
     .value = INIT_NORMAL, .help = "Normal numbers with this standard deviation."},
    {"uniform", OPTION_REAL, .def = "0.01", .min = 0, .max = 1e3, AT(init_cfg, scale),
     .value = INIT_UNIFORM, .help = "Uniform numbers between minus and plus this."},
    {"constant", OPTION_REAL, .def = "0", .min = -1e3, .max = 1e3, AT(init_cfg, scale),
     .value = INIT_CONSTANT, .help = "This number."},
};
static const struct option_group init = {ROWS(init_rows)};

static const struct option admit_rows[] = {
    {"min_count", OPTION_COUNT, .def = "1", .min = 1, .max = 4294967295.0, .unit = "occurrences",
     AT(table_cfg, admit.min_count),
     .help = "Occurrences in training with which an id gets a row. Until then it has the "
             "first values that its row would have, learns nothing, and is counted."},
};
static const struct option_group admit = {ROWS(admit_rows)};

static const struct option evict_rows[] = {
    {"unseen_days", OPTION_COUNT, .def = "0", .max = 366, .unit = "days",
     AT(table_cfg, evict.unseen_days),
     .help = "A hot start leaves rows behind, and counts of ids without a row, that none of "
             "the last N days of training has seen. A day is a run: each hot start begins the "
             "next. 0: all stay."},
};
static const struct option_group evict = {ROWS(evict_rows)};

static const struct option table_rows[] = {
    {"dim", OPTION_COUNT, .def = "16", .min = 1, .max = 4096, .unit = "floats",
     AT(table_cfg, dim), .help = "Width of a row."},
    {"init", OPTION_CHOICE, .def = "{normal: 1e-4}", .group = &init, AT(table_cfg, init.kind),
     N_AT(table_cfg, init),
     .help = "First values of a row, a function of seed, table, key and place alone."},
    {"optimizer", OPTION_CHOICE, .def = "adagrad", .group = &sparse_optimizer,
     AT(table_cfg, optimizer.kind), N_AT(table_cfg, optimizer),
     .help = "How rows learn."},
    {"l2", OPTION_REAL, .def = "0", .min = 0, .max = 1e3, AT(table_cfg, l2),
     .help = "Pulls used rows to 0: in every update l2 times the weight is added to the "
             "gradient of each row that the batch holds, once however often it does. The "
             "loss that is reported is without it."},
    {"admit", OPTION_GROUP, .group = &admit, .help = "Which ids get a row."},
    {"evict", OPTION_GROUP, .group = &evict, .help = "Which rows go."},
};
static const struct option_group table = {ROWS(table_rows), ELEMENT(table_cfg),
                                          .max_elements = 4096, .element = "TABLE"};

/* ---- model and tasks ---- */

/* What stands between the layers of a stack; `where` says after which of them. */
#define BETWEEN_LAYERS(where)                                                              \
    {"activation", OPTION_ENUM, .def = "relu", .names = activations,                       \
     AT(mlp_cfg, activation),                                                              \
     .help = "Function after every " where ". gelu is the tanh form."},                    \
        {"norm", OPTION_ENUM, .def = "none", .names = norms, AT(mlp_cfg, norm),            \
         .help = "layer: before the activation of every " where " a row's values are "     \
                 "brought to mean 0 and variance 1, then multiplied by a learnt gain and " \
                 "added to a learnt bias."},                                               \
        {"dropout", OPTION_REAL, .def = "0", .min = 0, .max = 0.95, AT(mlp_cfg, dropout),  \
         .help = "Share of the values after every " where " that training sets to 0, "     \
                 "others each time; the rest is enlarged so that the mean stays. Scoring " \
                 "leaves all as they are."}

static const struct option mlp_rows[] = {
    {"layers", OPTION_SIZES, .min = 1, .max = 65536, .unit = "units",
     .def_text = "none; an error when the model type needs it", AT(mlp_cfg, layers),
     FLAG(mlp_cfg, given), .help = "Widths of the hidden layers; [] is no hidden layer."},
    BETWEEN_LAYERS("hidden layer"),
};
static const struct option_group mlp = {ROWS(mlp_rows)};

static const struct option expert_mlp_rows[] = {
    {"layers", OPTION_SIZES, .min = 1, .max = 65536, .unit = "units",
     .def_text = "none; an error when the model type needs it", AT(mlp_cfg, layers),
     FLAG(mlp_cfg, given), .help = "Widths of the layers of an expert, at least one."},
    BETWEEN_LAYERS("layer"),
};
static const struct option_group expert_mlp = {ROWS(expert_mlp_rows)};

static const struct option expert_rows[] = {
    {"count", OPTION_COUNT, .min = 1, .max = 4096, .unit = "experts",
     .def_text = "none; an error when the model type needs it", AT(model_cfg, expert_count),
     .models = ONE_POOL, .help = "Experts that all tasks share (omoe, mmoe)."},
    {"own", OPTION_COUNT, .min = 0, .max = 4096, .unit = "experts",
     .def_text = "none; an error when the model type needs it", AT(model_cfg, expert_own),
     FLAG(model_cfg, has_expert_own), .models = OWN_EXPERTS,
     .help = "Experts of every task alone, per level (cgc, ple)."},
    {"shared", OPTION_COUNT, .min = 0, .max = 4096, .unit = "experts",
     .def_text = "none; an error when the model type needs it", AT(model_cfg, expert_shared),
     FLAG(model_cfg, has_expert_shared), .models = OWN_EXPERTS,
     .help = "Experts that all tasks share, per level (cgc, ple)."},
    {"levels", OPTION_COUNT, .def = "1", .min = 1, .max = 64, .unit = "levels",
     AT(model_cfg, expert_levels), .models = FOR(MODEL_PLE),
     .help = "Extraction levels on top of each other (ple)."},
};
static const struct option_group experts = {ROWS(expert_rows), .shared = &expert_mlp,
                                            .shared_offset =
                                                offsetof(struct model_cfg, experts)};

static const struct option gate_rows[] = {
    {"layers", OPTION_SIZES, .def = "[]", .min = 1, .max = 65536, .unit = "units",
     AT(mlp_cfg, layers), FLAG(mlp_cfg, given),
     .help = "Widths of the hidden layers; [] is one linear layer from the input."},
    BETWEEN_LAYERS("hidden layer"),
};
static const struct option_group gates = {ROWS(gate_rows)};

static const struct option cross_rows[] = {
    {"layers", OPTION_COUNT, .def = "0", .min = 0, .max = 64, .unit = "layers",
     AT(model_cfg, cross_layers), .help = "Cross layers on top of each other; 0: none."},
    {"rank", OPTION_COUNT, .def = "0", .min = 0, .max = 65536, .unit = "units",
     AT(model_cfg, cross_rank),
     .help = "Width between the two factors of a layer's matrix; 0: one full matrix. A "
             "quarter of the inputs' width halves the work."},
};
static const struct option_group cross = {ROWS(cross_rows)};
static const struct option dwa_rows[] = {
    {"window", OPTION_COUNT, .def = "100", .min = 1, .max = 1e15, .unit = "steps",
     AT(balance_cfg, window), .help = "Steps over which a mean loss is taken."},
    {"temperature", OPTION_REAL, .def = "2", .min = 0, .max = 1e6,
     .flags = OPTION_ABOVE_MIN, AT(balance_cfg, temperature),
     .help = "Larger ones bring the weights nearer to each other."},
};
static const struct option_group dwa = {ROWS(dwa_rows)};

static const struct option balance_rows[] = {
    {"fixed", OPTION_NOTHING, .value = BALANCE_FIXED, .help = "The weights of the tasks alone."},
    {"uncertainty", OPTION_NOTHING, .value = BALANCE_UNCERTAINTY,
     .help = "A learnt log variance per task."},
    {"dwa", OPTION_GROUP, .group = &dwa, .value = BALANCE_DWA,
     .help = "Dynamic weight average: a task whose loss falls slowly gains weight."},
    {"pcgrad", OPTION_NOTHING, .value = BALANCE_PCGRAD,
     .help = "At the shared representation a task's gradient loses what opposes another's."},
    {"mgda", OPTION_NOTHING, .value = BALANCE_MGDA,
     .help = "At the shared representation the shortest mean of the tasks' gradients."},
};
static const struct option_group balance = {ROWS(balance_rows)};

static const struct option side_mlp_rows[] = {
    {"layers", OPTION_SIZES, .min = 1, .max = 65536, .unit = "units",
     .def_text = "none; an error when the model type needs it", AT(mlp_cfg, layers),
     FLAG(mlp_cfg, given),
     .help = "Widths of the layers. The last is the vector, of the same width on both sides: "
             "linear, and one for each task. The tasks share the others."},
    BETWEEN_LAYERS("layer but the last"),
};
static const struct option_group side_mlp = {ROWS(side_mlp_rows)};

static const struct option side_rows[] = {
    {"features", OPTION_STRINGS, .def_text = "none; an error when the model type needs it",
     AT(side_cfg, features), .flags = OPTION_NOT_EMPTY,
     .help = "Features of this side: names, ranges (a0..17), and patterns with * and ?. Each "
             "feature is on one side."},
};
static const struct option_group side = {ROWS(side_rows), .shared = &side_mlp,
                                         .shared_offset = offsetof(struct side_cfg, mlp)};
static const struct option aitm_rows[] = {
    {"constraint", OPTION_REAL, .def = "0.6", .min = 0, .max = 1e6,
     AT(model_cfg, aitm_constraint),
     .help = "Weight of the label constraint: how far a step's probability is above that of "
             "the step before is added to the step's loss."},
    {"stop_gradient", OPTION_BOOL, .def = "false", AT(model_cfg, aitm_stop_gradient),
     .help = "A step learns nothing from the later ones: what is handed on to them passes "
             "no gradient back. Their towers' input is shared all the same."},
};
static const struct option_group aitm = {ROWS(aitm_rows)};

static const struct option wide_rows[] = {
    {"features", OPTION_STRINGS, .def_text = "none; an error for wide_deep",
     AT(model_cfg, wide_features), .models = FOR(MODEL_WIDE_DEEP), .flags = OPTION_NOT_EMPTY,
     .help = "Features that the wide part reads: names, ranges (a0..17), patterns (user_*)."},
    {"only", OPTION_STRINGS, .def_text = "the crosses among `features`",
     AT(model_cfg, wide_only), FLAG(model_cfg, has_wide_only), .models = FOR(MODEL_WIDE_DEEP),
     .help = "Those of `features` that the wide part reads alone; the others have embeddings "
             "in the deep part, too. []: all of them."},
    {"optimizer", OPTION_CHOICE, .def = "ftrl", .group = &sparse_optimizer,
     AT(model_cfg, wide_optimizer.kind), N_AT(model_cfg, wide_optimizer), .models = WIDE,
     .help = "How the weights of the wide part learn, those of ids in tables wide/NAME and "
             "those of numbers and levels."},
};
static const struct option_group wide = {ROWS(wide_rows)};

static const struct option model_rows[] = {
    {"type", OPTION_ENUM, .names = model_types, AT(model_cfg, type), .flags = OPTION_REQUIRED,
     .help = "lr: one weight per id and number. fm: lr, and an interaction of every two "
             "inputs. dnn: a network of its own for every task. wide_deep: dnn, and lr of "
             "some features. deepfm: fm and dnn over the same vectors. "
             "share_bottom: one network, then a tower per task. omoe, mmoe: shared experts "
             "mixed by one gate, by one gate per task. cgc, ple: own and shared experts, on "
             "one level, on several. two_tower: a vector of the user's and one of the item's "
             "features; a task's output is their cosine. "
             "esmm, aitm: a tower per step of `funnel`; esmm's say how many go on from step to "
             "step, aitm's hand on what they know. Parts that a type does not use are checked and left "
             "alone, so that one file serves several types."},
    {"bottom", OPTION_GROUP, .group = &mlp, AT(model_cfg, bottom), .models = BOTTOM,
     .help = "The shared network of share_bottom, esmm and aitm; the network of each task of "
             "dnn, wide_deep and deepfm. Without layers the towers read the inputs, and dnn is "
             "linear. esmm and aitm do without it."},
    {"wide", OPTION_GROUP, .group = &wide, .models = WIDE,
     .help = "Weights, one per task, that go straight into the outputs: of some features in "
             "wide_deep, of all in fm and deepfm."},
    {"experts", OPTION_GROUP, .group = &experts, .models = EXPERTS,
     .help = "Number, shape and levels of experts."},
    {"gates", OPTION_GROUP, .group = &gates, AT(model_cfg, gates), .models = EXPERTS,
     .help = "Networks that mix experts."},
    {"towers", OPTION_GROUP, .group = &mlp, AT(model_cfg, towers), .models = TOWERS,
     .help = "Networks from the shared part to a task's output. With aitm they need a layer, "
             "and the last ones of the funnel's steps are equally wide."},
    {"cross", OPTION_GROUP, .group = &cross, .models = DEEP,
     .help = "Cross layers of DCN-v2 between the inputs and everything that reads them; each "
             "side of two_tower has its own."},
    {"balance", OPTION_CHOICE, .def = "fixed", .group = &balance,
     AT(model_cfg, balance.kind), N_AT(model_cfg, balance),
     .help = "How the tasks' losses become one gradient; the weights of the tasks count in "
             "each. pcgrad and mgda need a part that tasks share: share_bottom, omoe, mmoe, "
             "cgc, ple."},
    {"user", OPTION_GROUP, .group = &side, AT(model_cfg, user), .models = TWO_TOWER,
     .help = "The user's side of two_tower."},
    {"item", OPTION_GROUP, .group = &side, AT(model_cfg, item), .models = TWO_TOWER,
     .help = "The item's side of two_tower."},
    {"temperature", OPTION_REAL, .def = "0.1", .min = 0, .max = 1e3, .flags = OPTION_ABOVE_MIN,
     AT(model_cfg, temperature), .models = TWO_TOWER,
     .help = "Divides the cosine of two_tower: outputs are within the bias plus and minus one "
             "by this."},
    {"funnel", OPTION_STRINGS, .def_text = "none; an error when the model type needs it",
     AT(model_cfg, funnel), .flags = OPTION_NOT_EMPTY,
     .help = "Names of two or more bce tasks, each of which can happen only after the one "
             "before: [click, buy]. The label of a later step is its own and those of all "
             "steps before; a row where one of them is missing has none. Predictions and "
             "metrics gain the step given the one before, \"buy|click\". For every model "
             "type; esmm and aitm need it."},
    {"aitm", OPTION_GROUP, .group = &aitm, .models = FOR(MODEL_AITM),
     .help = "How the steps of aitm are tied together."},
};
static const struct option_group model = {ROWS(model_rows)};

static const struct option task_rows[] = {
    {"label", OPTION_TEXT, AT(task_cfg, label), .flags = OPTION_REQUIRED,
     .help = "Column or expression. A bce task takes numbers from 0 to 1. A missing label "
             "leaves the row out of this task alone."},
    {"present", OPTION_TEXT, .def_text = "wherever the label is", AT(task_cfg, present),
     .help = "Expression: rows for which it does not hold have no label."},
    {"weight", OPTION_REAL, .def = "1", .min = 0, .max = 1e6, AT(task_cfg, weight),
     .help = "Factor of the task's loss."},
    {"row_weight", OPTION_TEXT, .def_text = "1", AT(task_cfg, row_weight),
     .help = "Column or expression: factor of a row's loss in this task, at least 0."},
    {"loss", OPTION_ENUM, .def = "bce", .names = losses, AT(task_cfg, loss),
     .help = "bce: binary cross entropy, the output is a probability. mse, huber: "
             "regression, the output is a number. The others learn times, labels from 0 on, "
             "and predict a time. weighted_logistic: a positive of weight `label` and a "
             "negative of weight 1 in every row, so that the odds are the mean time; "
             "completion: bce of the share of `duration` that was watched, at most 1; "
             "log_mse: mse of log(1 + label)."},
    {"duration", OPTION_TEXT, .def_text = "none; an error when the loss is completion",
     AT(task_cfg, duration),
     .help = "Column or expression, in the label's unit: the length of what is watched. A "
             "row where it is missing or not above 0 has no label, and its prediction is 0. "
             "For loss: completion only."},
    {"huber_delta", OPTION_REAL, .def = "1", .min = 0, .max = 1e6, AT(task_cfg, huber_delta),
     .flags = OPTION_ABOVE_MIN, .help = "Where huber turns from squares to lines."},
    {"tower", OPTION_GROUP, .group = &mlp, AT(task_cfg, tower), .models = TOWERS,
     .flags = OPTION_INHERITS, .def_text = "model.towers", .help = "This task's tower."},
    {"gate", OPTION_GROUP, .group = &gates, AT(task_cfg, gate),
     .models = EXPERTS & ~FOR(MODEL_OMOE), .flags = OPTION_INHERITS,
     .def_text = "model.gates", .help = "This task's gate."},
    {"own", OPTION_COUNT, .min = 0, .max = 4096, .unit = "experts", AT(task_cfg, own),
     FLAG(task_cfg, has_own), .models = OWN_EXPERTS, .flags = OPTION_INHERITS, .def_text = "model.experts.own",
     .help = "Experts of this task alone."},
};
static const struct option_group task = {ROWS(task_rows), ELEMENT(task_cfg),
                                         .max_elements = 256, .element = "TASK"};

/* ---- training and the rest ---- */

static const struct option cosine_rows[] = {
    {"floor", OPTION_REAL, .def = "0", .min = 0, .max = 1, AT(schedule_cfg, decay_floor),
     .help = "The learning rate ends at this share of itself."},
};
static const struct option_group cosine = {ROWS(cosine_rows)};

static const struct option step_rows[] = {
    {"every", OPTION_COUNT, .min = 1, .max = 1e15, .unit = "updates",
     AT(schedule_cfg, decay_every), .flags = OPTION_REQUIRED,
     .help = "Updates between two reductions."},
    {"factor", OPTION_REAL, .def = "0.5", .min = 0, .max = 1, AT(schedule_cfg, decay_factor),
     .flags = OPTION_ABOVE_MIN, .help = "The learning rate is multiplied by this."},
};
static const struct option_group step_decay = {ROWS(step_rows)};

static const struct option decay_rows[] = {
    {"none", OPTION_NOTHING, .value = DECAY_NONE, .help = "The learning rate stays."},
    {"cosine", OPTION_GROUP, .group = &cosine, .value = DECAY_COSINE,
     .help = "Half a cosine from the end of the warm-up to the last update."},
    {"step", OPTION_GROUP, .group = &step_decay, .value = DECAY_STEP,
     .help = "Down by a factor at fixed distances."},
};
static const struct option_group decay = {ROWS(decay_rows)};

static const struct option schedule_rows[] = {
    {"warmup_steps", OPTION_COUNT, .def = "0", .max = 1e15, .unit = "updates",
     AT(schedule_cfg, warmup_steps),
     .help = "The learning rate rises in a line to its value over so many updates."},
    {"decay", OPTION_CHOICE, .def = "none", .group = &decay, AT(schedule_cfg, decay),
     .offset_n = 0, .help = "How the learning rate falls after the warm-up."},
};
static const struct option_group schedule = {ROWS(schedule_rows)};

static const struct option early_stop_rows[] = {
    {"task", OPTION_STRING, .def = "mean", AT(train_cfg, early_stop_task),
     .flags = OPTION_NOT_EMPTY, .help = "Name of a task, or `mean` over the tasks."},
    {"metric", OPTION_STRING, .def = "auc", AT(train_cfg, early_stop_metric),
     .flags = OPTION_NOT_EMPTY,
     .help = "auc, logloss, gauc (needs data.group); mae, rmse, xauc, gxauc (needs data.group) "
             "for the other losses."},
    {"patience", OPTION_COUNT, .def = "2", .min = 0, .max = 1e6, .unit = "evaluations",
     AT(train_cfg, early_stop_patience),
     .help = "Evaluations in a row without a better value before training stops."},
};
static const struct option_group early_stop = {ROWS(early_stop_rows)};

static const struct option train_rows[] = {
    {"batch_size", OPTION_COUNT, .def = "1024", .min = 1, .max = 1 << 24, .unit = "rows",
     AT(train_cfg, batch_size),
     .help = "Rows of one update over all workers. Adding workers does not change it."},
    {"lanes", OPTION_COUNT, .def = "4", .min = 1, .max = 65536, .word = "auto",
     .unit = "lanes", AT(train_cfg, lanes),
     .help = "Equal parts of a batch: a power of two that divides batch_size. A thread "
             "computes one lane at a time, so more threads than lanes are idle. Part of the "
             "model's identity: the same lanes give the same bits for any number of workers. "
             "auto: by this machine's cores, written into the effective configuration."},
    {"epochs", OPTION_REAL, .def = "1", .min = 0, .max = 1e6, .unit = "epochs",
     AT(train_cfg, epochs), .help = "Times that every training row is used; 0.5 is allowed."},
    {"max_steps", OPTION_COUNT, .max = 1e15, .unit = "steps", .def_text = "no limit",
     AT(train_cfg, max_steps), FLAG(train_cfg, has_max_steps),
     .help = "Stop after so many steps even when epochs are left."},
    {"staleness", OPTION_FIXED, .def = "0",
     .help = "Steps of other workers that a pull may miss. 0: none, training is "
             "synchronous."},
    {"optimizer", OPTION_CHOICE, .def = "adam", .group = &dense_optimizer,
     AT(train_cfg, optimizer.kind), N_AT(train_cfg, optimizer),
     .help = "How the dense part (all but the embedding tables) learns."},
    {"schedule", OPTION_GROUP, .group = &schedule, AT(train_cfg, schedule),
     .help = "Learning rates over time, of the dense part and the tables alike."},
    {"clip_norm", OPTION_REAL, .def = "0", .min = 0, .max = 1e9, AT(train_cfg, clip_norm),
     .help = "Largest norm of the whole dense gradient; longer ones are scaled down. 0: no "
             "limit."},
    {"form", OPTION_ENUM, .def = "auto", .names = forms, AT(train_cfg, form),
     .help = "How training computes the first layer of id features. gather: rows first, "
             "then the product; project: the product of every distinct row first; auto: "
             "chosen per feature from the statistics of the prepared data. Kept in the "
             "checkpoint."},
    {"eval_every", OPTION_PERIOD, .def_text = "1 epoch when data.valid is given",
     AT(train_cfg, eval_every), .help = "How often metrics on data.valid are computed. With early_stop give steps or "
             "epochs: after a time, the best checkpoint is chosen by the clock, too."},
    {"early_stop", OPTION_GROUP, .group = &early_stop, FLAG(train_cfg, early_stop),
     .def_text = "no early stop", .flags = OPTION_REPLACED,
     .help = "Stop when a metric on data.valid no longer gets better; the best checkpoint "
             "is kept, and is the one that is evaluated."},
};
static const struct option_group train = {ROWS(train_rows)};

static const struct option checkpoint_rows[] = {
    {"every", OPTION_PERIOD, .def = "10 min", AT(checkpoint_cfg, every),
     .help = "How often a checkpoint is saved, besides the one at the end."},
    {"keep", OPTION_COUNT, .def = "3", .min = 1, .max = 1e6, .unit = "checkpoints",
     AT(checkpoint_cfg, keep), .help = "Newest checkpoints that stay, besides the best one."},
};
static const struct option_group checkpoint = {ROWS(checkpoint_rows)};

static const struct option cluster_rows[] = {
    {"servers", OPTION_COUNT, .def = "1", .min = 1, .max = 65536, .unit = "ranks",
     AT(cluster_cfg, servers),
     .help = "Ranks that hold parameters under mpirun; the others are workers. Without "
             "mpirun one process is both."},
    {"threads", OPTION_COUNT, .def = "auto", .min = 1, .max = 4096, .word = "auto",
     .unit = "threads", AT(cluster_cfg, threads),
     .help = "Computing threads of a worker. auto: the host's cores divided by its workers."},
    {"server_threads", OPTION_COUNT, .def = "auto", .min = 1, .max = 4096, .word = "auto",
     .unit = "threads", AT(cluster_cfg, server_threads),
     .help = "Threads of a server rank. auto: the host's cores divided by its servers, at most "
             "8."},
    {"deadline", OPTION_SECONDS, .def = "120 s", .min = 0.1, .max = 604800, .unit = "s",
     AT(cluster_cfg, deadline_s),
     .help = "A rank that makes no progress for so long ends the whole job with exit code "
             "76."},
};
static const struct option_group cluster = {ROWS(cluster_rows)};

static const struct option log_rows[] = {
    {"level", OPTION_ENUM, .def = "info", .names = log_levels, AT(log_cfg, level),
     .help = "What is logged; debug prints a line per step."},
    {"every", OPTION_PERIOD, .def = "5 s", AT(log_cfg, every),
     .help = "How often a progress line is printed."},
};
static const struct option_group logging = {ROWS(log_rows)};

static const struct option root_rows[] = {
    {"version", OPTION_FIXED, .def = "1", .help = "Version of the configuration's language."},
    {"name", OPTION_STRING, .def_text = "the file's name without its ending",
     AT(settings, name), .flags = OPTION_NOT_EMPTY | OPTION_IDENTIFIER,
     .help = "Name of the training; the run directory is named after it."},
    {"seed", OPTION_COUNT, .def = "42", UP_TO_ANY, AT(settings, seed),
     .help = "Every random number follows from it: first values and the order of rows."},
    {"run_dir", OPTION_STRING, .def_text = "runs/NAME", AT(settings, run_dir),
     .flags = OPTION_NOT_EMPTY,
     .help = "Folder for everything that a training leaves. Also --run-dir."},
    {"include", OPTION_PRELUDE, .def_text = "none",
     .help = "A file, or a list of files, that this one builds on; paths start at this "
             "file's folder. Mappings are merged, `features` and `joins` merge by name and "
             "by files, other lists are replaced; null takes a key away."},
    {"vars", OPTION_PRELUDE, .def_text = "none",
     .help = "Values by name: ${name} in any text stands for one, $${ for a plain ${. "
             "${seed} is always there."},
    {"data", OPTION_GROUP, .group = &data, AT(settings, data), .flags = OPTION_REQUIRED,
     .help = "Where rows come from and how they are read. The keys on how files are read "
             "hold for every source that does not set its own."},
    {"features", OPTION_LIST, .group = &feature, AT(settings, features),
     N_AT(settings, n_features), .flags = OPTION_REQUIRED | OPTION_NOT_EMPTY,
     .help = "Inputs of the model."},
    {"tables", OPTION_NAMED, .group = &table, AT(settings, tables), N_AT(settings, n_tables),
     .help = "Embedding tables by name. `default` holds for every table, others say only "
             "what differs."},
    {"model", OPTION_GROUP, .group = &model, AT(settings, model), .flags = OPTION_REQUIRED,
     .help = "Architecture."},
    {"tasks", OPTION_NAMED, .group = &task, AT(settings, tasks), N_AT(settings, n_tasks),
     .flags = OPTION_REQUIRED | OPTION_NOT_EMPTY,
     .help = "What is learnt, by name. Keys of a task override those of the model."},
    {"train", OPTION_GROUP, .group = &train, AT(settings, train), .help = "Training."},
    {"hot_start", OPTION_GROUP, .group = &option_hot_start, AT(settings, hot_start),
     FLAG(settings, hot_start.given), .def_text = "a start from nothing",
     .help = "Start from what an older checkpoint has learned (docs/hot-start.md). A run that "
             "resumes has started already and ignores all of it."},
    {"checkpoint", OPTION_GROUP, .group = &checkpoint, AT(settings, checkpoint),
     .help = "Saving."},
    {"cluster", OPTION_GROUP, .group = &cluster, AT(settings, cluster),
     .help = "Ranks and threads. None of these changes the model."},
    {"log", OPTION_GROUP, .group = &logging, AT(settings, log), .help = "Logging."},
};
const struct option_group option_root = {ROWS(root_rows)};

const char *model_type_name(enum model_type type)
{
    return model_types[type];
}
