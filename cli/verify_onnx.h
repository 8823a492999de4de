/* The scores of ONNX Runtime beside the others of verify-export: the open model as a graph,
 * the rows as keys and numbers, and a Python that has onnxruntime (python3, or what
 * MTPS_PYTHON names), in a folder of its own that is removed at the end.
 *
 * Rows are compared whose ids all have rows in the tables: a graph takes zeros for the
 * others, where this program takes their initial rows. */
#ifndef MTPS_CLI_VERIFY_ONNX_H
#define MTPS_CLI_VERIFY_ONNX_H

#include "serve/loaded.h"

struct verify_onnx;

/* *why is set, and *out NULL, when there is nothing to compare: a model that cannot be
 * written as ONNX. */
enum status verify_onnx_open(struct mtps_model *m, struct verify_onnx **out, char why[256],
                             struct error *err) MUST_USE;
void verify_onnx_close(struct verify_onnx *v);
/* The next row: its raw values, and the scores to be compared with. */
enum status verify_onnx_add(struct verify_onnx *v, struct mtps_scorer *s, const struct mtps_value *values,
                            const float *scores, struct error *err) MUST_USE;
/* After the last row: most[n_tasks] differences over *rows rows. *why is set when there is no
 * such Python, or when it fails. */
enum status verify_onnx_run(struct verify_onnx *v, double *most, uint64_t *rows, char why[256],
                            struct error *err) MUST_USE;

/* Of two scores; numbers above 1 by their size. */
double verify_difference(float got, float want);

#endif
