/* mtps version: what this program is and what it was built with. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "build_id.h"
#include "cli/cli.h"
#include "common/base/mem.h"
#include "common/math/blas.h"

enum { KEY_JSON = 1000 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    if (key == KEY_JSON) {
        *(bool *)state->input = true;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"json", KEY_JSON, NULL, 0, "print the result as JSON", 0}, {0}};
static const struct argp argp = {options, parse, NULL,
                                 "Print version, build and libraries.", NULL, NULL, NULL};

/* "AMD EPYC 7R13, avx2" */
static void describe_cpu(char *out, size_t size)
{
    char line[512], name[200] = "unknown";
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "model name", 10) != 0 || !strchr(line, ':')) continue;
        snprintf(name, sizeof name, "%.199s", strchr(line, ':') + 2);
        name[strcspn(name, "\n")] = '\0';
        break;
    }
    if (f) fclose(f);
    const char *vectors = "";
#ifdef __x86_64__
    vectors = __builtin_cpu_supports("avx512f") ? ", avx512f"
              : __builtin_cpu_supports("avx2")  ? ", avx2"
                                                : ", sse";
#endif
    snprintf(out, size, "%s%s", name, vectors);
}

static enum status print_json(const char *cpu, struct error *err)
{
    json_t *libraries = json_object();
#define ADD_LIBRARY(name, version) json_object_set_new(libraries, name, json_string(version));
    MTPS_LIBRARIES(ADD_LIBRARY)
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s}", "version", MTPS_VERSION,
                            "build", MTPS_BUILD_ID, "commit", MTPS_COMMIT, "compiler",
                            MTPS_COMPILER, "build_type", MTPS_BUILD_TYPE, "libraries", libraries,
                            "blas", blas_describe(), "cpu", cpu);
    if (!doc) return mem_error(err, "version", 0);
    int failed = json_dumpf(doc, stdout, JSON_COMPACT);
    json_decref(doc);
    if (failed) return cli_not_written(err);
    putchar('\n');
    return ST_OK;
}

int cmd_version(int argc, char **argv)
{
    bool json = false;
    struct error err = {0};
    enum status st = cli_parse(&argp, argc, argv, &json, NULL, &err);
    char cpu[256];
    describe_cpu(cpu, sizeof cpu);
    if (st == ST_OK && json) st = print_json(cpu, &err);
    if (st == ST_OK && !json) {
        printf("mtps %s\nbuild        %s (%s %s, %s)\n", MTPS_VERSION, MTPS_BUILD_ID,
               MTPS_COMMIT[0] ? MTPS_COMMIT : "no commit", MTPS_BUILD_TYPE, MTPS_COMPILER);
#define PRINT_LIBRARY(name, version) printf("%-12s %s\n", name, version);
        MTPS_LIBRARIES(PRINT_LIBRARY)
        printf("BLAS kernel  %s\nCPU          %s\n", blas_describe(), cpu);
    }
    return cli_finish(st, &err);
}
