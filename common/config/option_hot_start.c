/* Rows of the option table for `hot_start`. */
#include "common/config/option_rows.h"

static const char *const modes[] = {"cold", "sparse", "sparse+shared", "all", NULL};

const char *hot_mode_name(enum hot_mode mode)
{
    return modes[mode];
}

static const char *const states[] = {"keep", "reset", NULL};
static const char *const statistics[] = {"keep", "fit", NULL};
static const char *const resizes[] = {"error", "pad", "cut", NULL};

static const struct option state_rows[] = {
    {"sparse", OPTION_ENUM, .def = "keep", .names = states, AT(hot_start_cfg, state_sparse),
     .help = "Optimiser state of loaded rows. keep needs the optimiser that wrote it."},
    {"dense", OPTION_ENUM, .def_text = "keep with mode: all, else reset", .names = states,
     AT(hot_start_cfg, state_dense), .help = "Optimiser state of loaded tensors."},
};
static const struct option_group state = {ROWS(state_rows)};

static const struct option row_rows[] = {
    {"min_count", OPTION_COUNT, .def = "0", UP_TO_ANY, .unit = "occurrences",
     AT(hot_start_cfg, rows.min_count),
     .help = "Rows whose id was seen less often in training are not loaded."},
    {"max_age", OPTION_COUNT, .def = "0", UP_TO_ANY, .unit = "steps",
     AT(hot_start_cfg, rows.max_age),
     .help = "Rows not seen in so many last steps of training are not loaded; steps of the runs "
             "that the checkpoint itself was started from count. 0: any age."},
};
static const struct option_group rows = {ROWS(row_rows)};

static const struct option perturb_rows[] = {
    {"shrink", OPTION_REAL, .def = "1", .min = 0, .max = 1, AT(perturb_cfg, shrink),
     .help = "Loaded values are multiplied by this."},
    {"noise", OPTION_REAL, .def = "0", .min = 0, .max = 1e3, AT(perturb_cfg, noise),
     .help = "Then a normal number with this standard deviation is added to each."},
};
static const struct option_group perturb = {ROWS(perturb_rows), ELEMENT(perturb_cfg),
                                            .max_elements = 256, .element = "PATTERN"};

static const struct option freeze_rows[] = {
    {"names", OPTION_STRINGS, AT(freeze_cfg, names), .flags = OPTION_REQUIRED | OPTION_NOT_EMPTY,
     .help = "Patterns of the tables and tensors that do not learn."},
    {"until", OPTION_COUNT, .min = 1, .max = 1e15, .unit = "steps", .def_text = "never thaws",
     AT(freeze_cfg, until), .help = "Steps after which they learn."},
};
static const struct option_group freeze = {ROWS(freeze_rows), ELEMENT(freeze_cfg),
                                           .max_elements = 256};

static const struct option new_task_rows[] = {
    {"only_new", OPTION_COUNT, .def = "0", .max = 1e15, .unit = "steps",
     AT(hot_start_cfg, new_task.only_new),
     .help = "Steps in which nothing learns but what was not loaded."},
    {"ramp", OPTION_COUNT, .def = "0", .max = 1e15, .unit = "steps",
     AT(hot_start_cfg, new_task.ramp),
     .help = "Steps after these in which the loss weight of new tasks rises in a line from 0 to "
             "its value."},
    {"open", OPTION_COUNT, .def = "1000", .min = 1, .max = 1e15, .unit = "steps",
     AT(hot_start_cfg, new_task.open),
     .help = "Steps after only_new in which loaded gates open for experts that they did not "
             "have: the share of such an expert rises in a line from 0 to that of an even gate."},
    {"gate", OPTION_STRING, .def = "uniform", .flags = OPTION_NOT_EMPTY,
     AT(hot_start_cfg, new_task.gate),
     .help = "Gates of new tasks: uniform (all experts alike), or the name of a task whose gate "
             "is copied from the checkpoint."},
};
static const struct option_group new_task = {ROWS(new_task_rows)};

static const struct option hot_start_rows[] = {
    {"from", OPTION_STRING, .def_text = "none; an error unless mode is cold",
     AT(hot_start_cfg, from), .flags = OPTION_NOT_EMPTY,
     .help = "Checkpoint, or run directory (its best checkpoint when it stopped early, else the "
             "newest)."},
    {"mode", OPTION_ENUM, .def = "sparse", .names = modes, AT(hot_start_cfg, mode),
     .help = "What is loaded. cold: nothing. sparse: the embedding tables. sparse+shared: also "
             "every tensor that both models have, so that old tasks give the logits they gave. "
             "all: the same, with the optimiser state of the tensors."},
    {"include", OPTION_STRINGS, .def = "[]", AT(hot_start_cfg, include),
     .help = "Patterns of tables and tensors that are loaded besides what the mode loads."},
    {"exclude", OPTION_STRINGS, .def = "[]", AT(hot_start_cfg, exclude),
     .help = "Patterns of tables and tensors that are not loaded."},
    {"rename", OPTION_PAIRS, .def = "{}", AT(hot_start_cfg, rename),
     .help = "NEW: OLD takes the part that is called NEW now from what is called OLD in the "
             "checkpoint: table/T, task/T, feature/F, or the beginning of tensor names."},
    {"state", OPTION_GROUP, .group = &state, .help = "Optimiser state, kept or fresh."},
    {"perturb", OPTION_NAMED, .group = &perturb, AT(hot_start_cfg, perturb),
     N_AT(hot_start_cfg, n_perturb),
     .help = "Shrink loaded values and add noise, by pattern; the last pattern that fits counts."},
    {"freeze", OPTION_LIST, .group = &freeze, AT(hot_start_cfg, freeze),
     N_AT(hot_start_cfg, n_freeze), .def_text = "nothing",
     .help = "What does not learn at first; the last pattern that fits counts."},
    {"lr_scale", OPTION_PAIRS, .def = "{}", AT(hot_start_cfg, lr_scale),
     .help = "PATTERN: FACTOR of the learning rate, at least 0; the last pattern that fits "
             "counts."},
    {"resize", OPTION_ENUM, .def = "error", .names = resizes, AT(hot_start_cfg, resize),
     .help = "What to do when a shape differs. pad: the new part is larger; new inputs get "
             "weight 0, new outputs and dimensions their first values. cut: it is smaller; what "
             "is beyond is left out."},
    {"rows", OPTION_GROUP, .group = &rows, .help = "Which rows of tables are loaded."},
    {"new_task", OPTION_GROUP, .group = &new_task,
     .help = "How parts that the checkpoint does not have start."},
    {"statistics", OPTION_ENUM, .def_text = "keep with sparse+shared and all, else fit",
     .names = statistics, AT(hot_start_cfg, statistics),
     .help = "Statistics of transforms, bucket borders and levels: those of the checkpoint, or "
             "of the new training rows. Base rates of labels are always those of the new rows."},
};
const struct option_group option_hot_start = {ROWS(hot_start_rows)};
