/* A comparison as text, CSV, JSON and one HTML page. */
#ifndef MTPS_CLI_COMPARE_WRITE_H
#define MTPS_CLI_COMPARE_WRITE_H

#include "cli/compare_summary.h"
#include "common/config/buffer.h"

/* {"runs":[{"set":…,"seed":…,"params":…,"eval":…}…],"cells":[…]}. New reference. */
enum status compare_json(const struct compare *c, json_t **out,
                         struct error *err) MUST_USE;
/* Tables for people: cells, then each task's metrics. */
enum status compare_text(const struct compare *c, struct buffer *out,
                         struct error *err) MUST_USE;
/* The cells alone: what --dry-run prints. */
void compare_text_cells(const struct compare *c, struct buffer *out);
/* A line per run, rows, task and metric. */
enum status compare_csv(const struct compare *c, struct buffer *out,
                        struct error *err) MUST_USE;
/* A page that needs nothing else (compare_html.c). */
enum status compare_html(const struct compare *c, struct buffer *out,
                         struct error *err) MUST_USE;

/* compare.json, compare.csv, compare.svg and curves.svg (compare_plots.h), and compare.html in
 * the comparison's folder. */
enum status compare_write(const struct compare *c, const json_t *doc,
                          struct error *err) MUST_USE;

/* 0.042 s, 4.20 s, 42.0 s: decimals. */
int compare_decimals_of_seconds(double s);
/* "0.74914", and fewer digits of large numbers; "" for NaN. */
const char *compare_number(double x, char *out, size_t size);

#endif
