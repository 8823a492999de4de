/* What `mtps compare --vary KEY=V1,V2,...` says: the values that a key takes, and
 * how the values of several keys are combined. Values are YAML, kept as written.
 *
 *   model.type=mmoe,ple                     a list
 *   model.experts.layers=[64],[32, 32]      commas inside brackets and quotes do not
 * split train.batch_size=256..4096:log          a range (with --random): log-uniform
 *   train.optimizer.adam.lr=1e-4..1e-2      uniform
 *
 * Both ends whole numbers: the draws are whole numbers, ends included. */
#ifndef MTPS_CLI_COMPARE_VARY_H
#define MTPS_CLI_COMPARE_VARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"

struct vary {
    const char *key;
    const char **values; /* [n]; a range has none */
    size_t n;
    bool is_range, whole, log;
    double low, high;
};

/* Parse one --vary. ranges: KEY=A..B is a range, otherwise an error. Memory is
 * the arena's. ST_USAGE names the --vary. */
enum status vary_parse(struct arena *a, const char *text, bool ranges, struct vary *out,
                       struct error *err) MUST_USE;

/* Number of combinations; 1 without keys, SIZE_MAX when there are too many. */
size_t vary_grid_size(const struct vary *v, size_t n);
/* Combination i of the grid: values[n]. The last key changes fastest. */
void vary_grid(const struct vary *v, size_t n, size_t i, const char **values);

/* Draw number i: values[n]. A key's draws are a function of (seed, key, i), the
 * same whatever else is varied. */
enum status vary_draw(struct arena *a, const struct vary *v, size_t n, uint64_t seed,
                      uint64_t i, const char **values, struct error *err) MUST_USE;

#endif
