/* The report of a hot start: every table and tensor with what happens to it and why, and
 * what share of the data the loaded rows cover. For people as lines, for programs as JSON:
 *
 *   {"from":…,"mode":…,"step":…,"loaded":N,
 *    "targets":[{"name":…,"kind":"table"|"tensor","action":"loaded"|"initialised"|"skipped",
 *                "reason":…,"source":…,"shape":[r,c],"source_shape":[r,c],"state":"kept"|"fresh"}…],
 *    "coverage":{"features":{NAME:{"table":…,"distinct":…,"distinct_found":…,"lookups":…,
 *                "lookups_found":…}},"tables":{NAME:{"rows":…, …}}}}
 *
 * The shape of a table is its rows (in the checkpoint; loaded, behind the filters) and dim. */
#ifndef MTPS_WORKER_HOT_REPORT_H
#define MTPS_WORKER_HOT_REPORT_H

#include <jansson.h>

#include "worker/hot_coverage.h"

/* coverage may be NULL. New reference, NULL when out of memory. */
json_t *hot_report_json(const struct hot_start *h, const struct hot_coverage *coverage);
/* Lines; tensors of one unit with one fate share a line. mem_free. */
enum status hot_report_text(const struct hot_start *h, const struct hot_coverage *coverage,
                            char **out, struct error *err) MUST_USE;
/* The start of a training: RUN/hot_start.json, and the lines into the log. Problems with the
 * file are warnings, as with all reports. */
enum status hot_report_run(const struct hot_start *h, const struct hot_coverage *coverage,
                           const char *run_dir, struct error *err) MUST_USE;

#endif
