/* cli: what all commands share: options, usage errors in one line, exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "common/base/mem.h"

struct args {
    struct common_args common;
    const char *word;
    uint64_t number;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case 'w':
        if (!strcmp(arg, "bad")) argp_error(state, "--word: '%s' is no word", arg);
        a->word = arg;
        return 0;
    case 'n':
        a->number = cli_whole(state, "--number", arg, 1, 20);
        return 0;
    case 's':
        a->number = cli_servers(state, arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {{"word", 'w', "W", 0, "a word", 0},
                                              {"number", 'n', "N", 0, "a number", 0},
                                              {"servers", 's', "S", 0, "servers", 0},
                                              {0}};
static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {options, parse, "", "Test.", children, NULL, NULL};

enum { MAX_ARGS = 16 };

/* Parse "mtps test" and these words (ending with NULL). */
static enum status parsed(struct args *a, int *first, struct error *err, const char *const *words)
{
    static char copies[MAX_ARGS][256];
    char *argv[MAX_ARGS + 2] = {"mtps test"};
    int argc = 1;
    for (; words[argc - 1]; argc++) {
        snprintf(copies[argc], sizeof copies[argc], "%s", words[argc - 1]);
        argv[argc] = copies[argc];
    }
    *a = (struct args){0};
    *err = (struct error){0};
    return cli_parse(&argp, argc, argv, a, first, err);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Common options arrive; --seed and --run-dir are assignments. */
static void common_options_are_parsed(void **state)
{
    (void)state;
    struct args a;
    struct error err;
    assert_int_equal(parsed(&a, NULL, &err,
                            WORDS("-c", "f.yaml", "--set", "x=1", "--seed", "7", "--set=y=2",
                                  "--run-dir", "runs/\"a\" ${b}", "--json", "-v", "-w", "hi")),
                     ST_OK);
    assert_string_equal(a.common.config, "f.yaml");
    assert_int_equal(a.common.n_sets, 4);
    assert_string_equal(a.common.sets[0], "x=1");
    assert_string_equal(a.common.sets[1], "seed=7");
    assert_string_equal(a.common.sets[2], "y=2");
    assert_string_equal(a.common.sets[3], "run_dir=\"runs/\\\"a\\\" $${b}\"");
    assert_true(a.common.json);
    assert_int_equal(a.common.verbosity, 1);
    assert_string_equal(a.word, "hi");
    mem_free(a.common.sets);
}

/* Words that are no options are left to the command when it asks for them. */
static void positions_are_left_to_the_command(void **state)
{
    (void)state;
    struct args a;
    struct error err;
    int first;
    assert_int_equal(parsed(&a, &first, &err, WORDS("-q", "one", "two")), ST_OK);
    assert_int_equal(first, 2);
    mem_free(a.common.sets);
    assert_int_equal(parsed(&a, NULL, &err, WORDS("one")), ST_USAGE);
    assert_string_equal(err.text, "mtps test: unexpected argument 'one'");
    mem_free(a.common.sets);
}

static void refused(const char *const *words, const char *message, const char *hint)
{
    struct args a;
    struct error err;
    assert_int_equal(parsed(&a, NULL, &err, words), ST_USAGE);
    assert_string_equal(err.text, message);
    assert_string_equal(err.hint, hint);
    mem_free(a.common.sets);
}

/* A wrong command line is one line and a hint, like any other error. */
static void usage_errors_are_one_line(void **state)
{
    (void)state;
    refused(WORDS("--sett", "x"), "mtps test: unrecognized option '--sett'",
            "did you mean '--set'?");
    refused(WORDS("--zebra"), "mtps test: unrecognized option '--zebra'",
            "see 'mtps test --help'");
    refused(WORDS("--config"), "mtps test: option '--config' requires an argument",
            "see 'mtps test --help'");
    refused(WORDS("-Z"), "mtps test: invalid option -- 'Z'", "see 'mtps test --help'");
    refused(WORDS("-w", "bad"), "mtps test: --word: 'bad' is no word", "see 'mtps test --help'");
    refused(WORDS("--seed", "x"), "mtps test: --seed: 'x' is not a whole number",
            "see 'mtps test --help'");
}

/* A number is digits within its limits: no sign, no space, and nothing wraps around. */
static void whole_numbers_have_limits(void **state)
{
    (void)state;
    struct args a;
    struct error err;
    static const char *const bad[] = {"0",  "21", "-1", "+1", " 1", "1 ", "",
                                      "1x", "x",  "18446744073709551617", "1e1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char message[128];
        snprintf(message, sizeof message,
                 "mtps test: --number: '%s' is not a whole number from 1 to 20", bad[i]);
        refused(WORDS("--number", bad[i]), message, "see 'mtps test --help'");
    }
    refused(WORDS("-s", "18446744073709551617"),
            "mtps test: --servers: '18446744073709551617' is not a whole number from 1 to 65536",
            "see 'mtps test --help'");
    assert_int_equal(parsed(&a, NULL, &err, WORDS("-n", "20")), ST_OK);
    assert_int_equal(a.number, 20);
    mem_free(a.common.sets);
}

/* Without -c there is nothing to load. */
static void a_configuration_must_be_named(void **state)
{
    (void)state;
    struct common_args args = {0};
    struct settings *s;
    struct error err;
    assert_int_equal(cli_settings(&args, &s, &err), ST_USAGE);
    assert_string_equal(err.text, "no configuration is given");
    assert_string_equal(err.hint, "name one with -c FILE");
}

/* -q and -v move the level of the log. */
static void verbosity_moves_the_level(void **state)
{
    (void)state;
    struct common_args args = {.config = "configs/kuairand-w2.yaml", .verbosity = -1};
    struct settings *s;
    struct error err;
    assert_int_equal(cli_settings(&args, &s, &err), ST_OK);
    assert_int_equal(s->log.level, 1);
    settings_destroy(s);
    args.verbosity = 1;
    assert_int_equal(cli_settings(&args, &s, &err), ST_OK);
    assert_int_equal(s->log.level, 3);
    settings_destroy(s);
}

/* The exit code is the status's own. */
static void the_end_gives_the_exit_code(void **state)
{
    (void)state;
    struct error err = {.text = "what: where: why", .hint = "do this"};
    assert_int_equal(cli_finish(ST_OK, &err), 0);
    assert_int_equal(cli_finish(ST_USAGE, &err), 64);
    assert_int_equal(cli_finish(ST_MISMATCH, &err), 78);
}

static int run_config(const char *const *words)
{
    static char copies[MAX_ARGS][256];
    char *argv[MAX_ARGS + 2] = {"mtps config"};
    int argc = 1;
    for (; words[argc - 1]; argc++) {
        snprintf(copies[argc], sizeof copies[argc], "%s", words[argc - 1]);
        argv[argc] = copies[argc];
    }
    return cmd_config(argc, argv);
}

/* `mtps config` ends with the documented exit codes. */
static void config_ends_with_documented_codes(void **state)
{
    (void)state;
    assert_int_equal(run_config(WORDS("check", "-c", "configs/census-mmoe.yaml")), 0);
    assert_int_equal(run_config(WORDS("check", "-c", "nowhere.yaml")), 66);
    assert_int_equal(run_config(WORDS("check")), 64);
    assert_int_equal(run_config(WORDS("check", "configs/census-mmoe.yaml")), 64);
    assert_int_equal(run_config(WORDS("chekc")), 64);
    assert_int_equal(run_config(WORDS("explain", "train.nothing")), 64);
    assert_int_equal(run_config(WORDS("check", "-c", "configs/census-mmoe.yaml", "--set",
                                      "train.lanes=3")), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_options_are_parsed),
        cmocka_unit_test(positions_are_left_to_the_command),
        cmocka_unit_test(usage_errors_are_one_line),
        cmocka_unit_test(whole_numbers_have_limits),
        cmocka_unit_test(a_configuration_must_be_named),
        cmocka_unit_test(verbosity_moves_the_level),
        cmocka_unit_test(the_end_gives_the_exit_code),
        cmocka_unit_test(config_ends_with_documented_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
