/* A comparison: the same data, several configurations, several seeds each.
 *
 *   cell   one combination of the varied values; its model is the same for all seeds
 *   run    a cell with a seed: one training, in a folder of its own
 *
 *   compare_plan     which cells there are, their widths and parameters; prepares data
 *   compare_train    a child process per run, side by side
 *   compare_read     results and curves from the run directories
 *   compare_summary.h  means, tests, who is best
 *   compare_write.h    compare.csv, compare.json, compare.svg, curves.svg, compare.html
 *
 * All strings live in the comparison's arena. */
#ifndef MTPS_CLI_COMPARE_H
#define MTPS_CLI_COMPARE_H

#include <jansson.h>

#include "cli/compare_widths.h"
#include "common/base/mem.h"

/* Rows on which runs are measured. */
enum compare_on { ON_EVAL, ON_VALID, ON_TRAIN, N_ON };
extern const char *const compare_on_names[N_ON];

enum { COMPARE_MAX_SEEDS = 1000 };

struct compare_args {
    const char *const *sets; /* KEY=VALUE for every cell */
    size_t n_sets;
    const char **files; /* configurations; more than one is a key of its own, "config" */
    size_t n_files;
    const char **vary; /* texts of --vary */
    size_t n_vary;
    size_t draws;       /* --random; 0 = a grid */
    size_t seeds, jobs; /* jobs 0: as many as fit */
    bool equal_params, dry_run;
    const char *out; /* NULL: runs/NAME-compare */
    bool on_given;
    enum compare_on on[N_ON]; /* the first one decides who is best */
    size_t n_on;
};

struct compare_cell {
    const char *file;
    const char **values; /* [n_keys] YAML */
    const char **sets;   /* for settings_load: --set, varied values, solved widths, log */
    size_t n_sets;
    struct widths widths; /* solved ones; n = 0: as configured */
    const char *label;    /* the varied values, for people */
    const char *id; /* names the folder: a label and a hash of all that makes the model */
    size_t params;  /* dense */
    double deviation; /* of params from the first cell's, relative */
    size_t threads;   /* as configured; 0 = auto */
};

enum run_state { RUN_WAITING, RUN_ACTIVE, RUN_DONE, RUN_STOPPED, RUN_FAILED };

struct compare_run {
    size_t cell;
    uint64_t seed;
    const char *dir;
    enum run_state state;
    int code;            /* exit code of a failed one */
    const char *message; /* its error line */
    double train_s;
    uint64_t steps;
    json_t *metrics[N_ON]; /* {TASK: {METRIC: x}}; NULL when not measured */
    json_t *lines;         /* metrics.jsonl, an array in order of steps */
};

struct compare {
    const struct compare_args *args;
    struct arena *arena;
    const char *name, *out;
    const char **keys; /* [n_keys] what is varied */
    size_t n_keys;
    struct compare_cell *cells;
    size_t n_cells;
    struct compare_run *runs; /* [n_cells * n_seeds], cell by cell */
    size_t n_runs, n_seeds;
    uint64_t first_seed;
    enum compare_on on[N_ON];
    size_t n_on;
};

/* Reads the configurations, prepares every data set that they name, solves
 * widths. Cells that would train the same model are left out but for the first.
 * compare_close frees what there is, also after an error. */
enum status compare_plan(const struct compare_args *args, struct compare *c,
                         struct error *err) MUST_USE;
void compare_close(struct compare *c);

/* Trains and measures what is not finished yet. Ends children and gives ST_STOPPED
 * on SIGINT or SIGTERM. Runs that fail do not stop the others; the first one's
 * error and exit code are given at the end. */
enum status compare_train(struct compare *c, struct error *err) MUST_USE;

/* A run's files: result.json (training's own) and eval-SET.json. */
const char *compare_run_file(struct compare *c, const struct compare_run *r,
                             const char *name);
/* True when everything that is asked of the run is there. */
bool compare_is_finished(struct compare *c, const struct compare_run *r);

/* Fill in metrics, train_s and steps of a finished run. */
enum status compare_read_run(struct compare *c, struct compare_run *r,
                             struct error *err) MUST_USE;
/* The same for all finished runs, and the lines of every run that has some. */
enum status compare_read(struct compare *c, struct error *err) MUST_USE;

/* Number of runs in a state. */
size_t compare_count(const struct compare *c, enum run_state state);

#endif
