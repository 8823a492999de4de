/* What every subcommand shares. A command parses its own options with argp and
 * these common ones as a child parser; it prints results on stdout, logs on
 * stderr, and gives its exit code back. */
#ifndef MTPS_CLI_CLI_H
#define MTPS_CLI_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"
#include "common/config/settings.h"

struct common_args {
    const char *config;
    const char **sets; /* --set, and --seed, --run-dir as assignments */
    size_t n_sets;
    bool json;
    int verbosity; /* -q -1, -v +1 */
};

/* Child parser for -c/--config, --set, --run-dir, -q, -v, --json, --seed. Its
 * input is a struct common_args. */
extern const struct argp cli_common_argp;

/* argp_parse with usage errors as exit 64 in one line. Returns ST_OK or ST_USAGE;
 * --help prints and exits 0. first: index of the first positional argument. */
enum status cli_parse(const struct argp *argp, int argc, char **argv, void *input, int *first,
                      struct error *err) MUST_USE;

/* Load settings of common args (ST_USAGE without -c), log its warnings. */
enum status cli_settings(const struct common_args *args, struct settings **out, struct error *err) MUST_USE;

/* While parsing: an option's whole number from min to max, in digits alone; anything
 * else is a usage error that names the option. */
uint64_t cli_whole(const struct argp_state *state, const char *option, const char *arg,
                   uint64_t min, uint64_t max);
/* Value of --servers. */
size_t cli_servers(const struct argp_state *state, const char *arg);

/* -q and -v. */
void cli_verbosity(const struct common_args *args, struct settings *s);

/* Log a warning, on one rank of a job whose ranks all meet it before they know of each
 * other; fits ckpt_newest and ckpt_resolve. */
void cli_warn(void *unused, const char *text);

/* ST_OK is ST_IO when standard output did not take all that was printed. */
enum status cli_flush(enum status st, struct error *err) MUST_USE;
/* What a call that failed to write there makes of errno: ST_IO. */
enum status cli_not_written(struct error *err) MUST_USE;

/* cli_flush, then print "error: text" and "hint: ..." when st is not ST_OK; gives the exit code. */
int cli_finish(enum status st, const struct error *err);

/* argv[0] is the subcommand's name ("mtps train" in messages). */
int cmd_config(int argc, char **argv);
int cmd_data(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_importance(int argc, char **argv);
int cmd_hotstart(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_ckpt(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_verify_export(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
