/* mtps SUBCOMMAND: finds the command and hands over. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build_id.h"
#include "cli/cli.h"
#include "common/config/nearest.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"init", cmd_init, "draft a configuration from data"},
    {"train", cmd_train, "train a model; goes on from its newest checkpoint"},
    {"eval", cmd_eval, "metrics of a checkpoint on held-out rows"},
    {"predict", cmd_predict, "a score for every row"},
    {"export", cmd_export, "a checkpoint as a bundle for inference"},
    {"verify-export", cmd_verify_export, "the scores of a bundle against its checkpoint"},
    {"serve", cmd_serve, "answer requests for scores over HTTP"},
    {"importance", cmd_importance, "what each feature is worth to a checkpoint"},
    {"compare", cmd_compare, "train combinations of settings with several seeds, side by side"},
    {"hotstart", cmd_hotstart, "what a start from an older checkpoint would load"},
    {"bench", cmd_bench, "measure this machine"},
#ifdef MTPS_WITH_DATA
    {"data", cmd_data, "prepare data, look at rows and statistics"},
#endif
    {"ckpt", cmd_ckpt, "list, show, verify and digest checkpoints"},
    {"config", cmd_config, "check, show and explain configurations"},
    {"version", cmd_version, "version, build and libraries"},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fputs("Usage: mtps COMMAND [OPTION...]\n"
          "Multi-task recommendation models on parameter servers.\n\n", out);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].help);
    fputs("\n'mtps COMMAND --help' says more about a command.\n"
          "Exit codes: 0 done, 64 usage or configuration, 65 bad data, 66 no usable input or\n"
          "checkpoint, 70 internal or numeric failure, 71 out of memory, 73 cannot create\n"
          "output, 74 input/output, 75 stopped on request after a checkpoint, 76 a peer was\n"
          "lost, 77 run directory in use, 78 checkpoint does not fit the configuration.\n", out);
}

static int unknown_command(const char *name)
{
    const char *known[N_COMMANDS];
    for (size_t i = 0; i < N_COMMANDS; i++) known[i] = commands[i].name;
    struct error err;
    error_set(&err, ST_USAGE, "there is no command '%s'", name);
    const char *nearest = nearest_word(name, known, N_COMMANDS);
    if (nearest)
        error_hint(&err, ST_USAGE, "did you mean 'mtps %s'?", nearest);
    else
        error_hint(&err, ST_USAGE, "'mtps --help' lists the commands");
    return cli_finish(ST_USAGE, &err);
}

/* A file must never get the number of a standard stream that the caller closed:
 * what is printed would go into it. Opened for reading, so that printing fails. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd) _exit(status_exit_code(ST_IO));
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    /* Writing to a closed pipe is an error like any other, not a death. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_help(stderr);
        return status_exit_code(ST_USAGE);
    }
    const char *name = argv[1];
    if (!strcmp(name, "--help") || !strcmp(name, "-?") || !strcmp(name, "-h")) {
        print_help(stdout);
        return cli_finish(ST_OK, NULL);
    }
    if (!strcmp(name, "--version")) {
        puts("mtps " MTPS_VERSION);
        return cli_finish(ST_OK, NULL);
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) != 0) continue;
        char title[32];
        snprintf(title, sizeof title, "mtps %s", name);
        argv[1] = title;
        return commands[i].run(argc - 1, argv + 1);
    }
    return unknown_command(name);
}
