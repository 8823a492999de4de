/* Scores from a bundle, in one process, without preparing anything. */
#ifndef MTPS_CLI_PREDICT_BUNDLE_H
#define MTPS_CLI_PREDICT_BUNDLE_H

#include <jansson.h>

#include "cli/cli.h"
#include "serve/loaded.h"
#include "serve/score_rows.h"
#include "worker/score_text.h"

/* The model, and its configuration with -c and --set applied: ST_MISMATCH when they
 * change the model. */
enum status predict_bundle_open(const char *path, const struct common_args *common,
                                struct mtps_model **model, struct settings **settings,
                                struct error *err) MUST_USE;

struct predict_bundle_spec {
    struct score_rows_spec rows; /* all but take and arg */
    const char *path;            /* output; "-" is stdout */
    enum score_format format;
    bool json; /* the result as JSON on stdout, with metrics where there are labels */
};
enum status predict_bundle(const struct predict_bundle_spec *spec, struct error *err) MUST_USE;

#endif
