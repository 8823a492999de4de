/* The plots of a comparison as SVG, for its page and for documents. Each adds nothing when there is
 * nothing to draw. */
#ifndef MTPS_CLI_COMPARE_PLOTS_H
#define MTPS_CLI_COMPARE_PLOTS_H

#include "cli/compare_summary.h"
#include "common/config/buffer.h"

/* Colours and strokes of all plots: the inside of a <style>, for light and dark pages. */
extern const char plot_style[];

/* Mean, deviation and every seed of a metric: a row per cell. */
enum status plot_bars(const struct compare *c, enum compare_on on, const char *task,
                      const char *metric, struct buffer *out, struct error *err) MUST_USE;

/* The same of every task's first metric on the first rows, one below the other: a picture
 * that stands alone, compare.svg. */
enum status plot_bars_file(const struct compare *c, struct buffer *out,
                           struct error *err) MUST_USE;

/* A value over steps: the mean of a cell's seeds, and each seed thinly. kind and
 * path name it in metrics.jsonl: ("train", {"loss", "click"}) or ("valid",
 * {"tasks", "click", "auc"}). */
struct plot_path {
    const char *kind;
    const char *key[3]; /* NULL ends */
};
enum status plot_curves(const struct compare *c, const struct plot_path *path,
                        const char *title, struct buffer *out,
                        struct error *err) MUST_USE;

/* Every task's first metric on validation rows over steps, side by side, with a legend: a
 * picture that stands alone, curves.svg. Nothing when there was no validation. */
enum status plot_curves_file(const struct compare *c, struct buffer *out,
                             struct error *err) MUST_USE;

/* True when some run has mean gate weights ("gates" in the evaluation lines). */
bool plot_has_gates(const struct compare *c);
/* Mean gate weights of a cell at its last evaluation: rows LEVEL/TASK, columns experts.
 */
enum status plot_gates(const struct compare *c, size_t cell, struct buffer *out,
                       struct error *err) MUST_USE;

#endif
