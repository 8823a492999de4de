/* mtps verify-export: the same rows scored by the trainer and by the inference library. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/predict_bundle.h"
#include "cli/scoring.h"
#include "cli/verify_onnx.h"
#include "common/base/mem.h"
#include "common/store/ckpt.h"
#include "worker/predictor.h"

enum { EXIT_BEYOND = 1 }; /* beyond the promise: no failure of the program */
#define ONNX_PROMISE 1e-5

struct args {
    struct scoring_args scoring;
    const char *bundle;
    double tolerance; /* negative: what the bundle promises */
};

/* What one way of scoring gives for one task. */
struct difference {
    double most;
    uint64_t n_different; /* rows */
};

struct verifying {
    struct mtps_model *model;
    struct mtps_scorer *scorer;
    FILE *trainer; /* its scores as tsv */
    char *line;
    size_t line_room;
    float *want, *again; /* [SCORE_ROWS_BLOCK, n_tasks] */
    size_t n_tasks;
    struct difference *library; /* [n_tasks] */
    struct verify_onnx *onnx;   /* NULL: not compared, `why` */
    double *by_onnx;            /* [n_tasks] largest differences */
    uint64_t onnx_rows;
    char why[256];
    uint64_t rows;
    const char *path; /* of the trainer's scores */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    char *end;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->scoring;
        return 0;
    case 'u':
        a->bundle = arg;
        return 0;
    case 't':
        a->tolerance = strtod(arg, &end);
        if (!*arg || *end || !(a->tolerance >= 0)) argp_error(state, "--tolerance: '%s' is not a number of at least 0", arg);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    case ARGP_KEY_END:
        if (!a->bundle) argp_error(state, "--bundle is missing: name what 'mtps export' wrote");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"bundle", 'u', "DIR", 0, "bundle, folder of a version, or folder of versions", 0},
    {"tolerance", 't', "X", 0, "largest difference that is well (default: what the bundle promises)", 0},
    {0}};
static const struct argp_child children[] = {{&scoring_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    options, parse, NULL,
    "Score the rows of data.eval with the checkpoint and with the inference library, in batches of many sizes, and print "
    "the largest difference for each task. Exits 1 when it is larger than the bundle promises: 0 for f32 rows, 1e-6 when rows are projected; bundles "
    "with rounded or left-out rows promise nothing. Exits 78 when the bundle was exported from another checkpoint. "
    "Where python3 (or what MTPS_PYTHON names) has onnxruntime, its scores of the model as ONNX are compared too, within 1e-5.",
    children, NULL, NULL};

/* A difference says something only about a bundle and the checkpoint that it was made of. */
static enum status check_checkpoint(const struct mtps_model *model, const char *path, struct error *err)
{
    const char *of;
    struct ckpt *ckpt;
    struct digest digest;
    char hex[33];
    TRY(bundle_text(model->bundle, "checkpoint", &of, err));
    TRY(ckpt_open(path, false, &ckpt, err));
    ckpt_digest(ckpt, &digest);
    ckpt_close(ckpt);
    digest_hex(&digest, hex);
    if (!strcmp(of, hex)) return ST_OK;
    error_set(err, ST_MISMATCH, "%s was exported from another checkpoint: from %s, and %s is %s", model->info.path, of, path, hex);
    return error_hint(err, ST_MISMATCH, "name the checkpoint of step %llu ('mtps ckpt digest' shows which it is), or export this one",
                      (unsigned long long)model->info.step);
}

/* ---- the trainer ---- */

static enum status score_with_trainer(struct job *j, const char *ckpt, const char *path,
                                      struct error *err)
{
    struct session_spec data = {.settings = j->settings, .net = j->net, .uses = SESSION_EVAL};
    if (!j->settings->data.eval.files.n) {
        error_set(err, ST_USAGE, "data.eval is not given: its rows are what is compared");
        return error_hint(err, ST_USAGE, "name its files: --set 'data.eval={files: [FILE]}'");
    }
    TRY(scoring_open(j, &data, ckpt, err));
    if (j->is_server) return ST_OK;
    struct predict_spec spec = {.scorer = {j->session, j->session->eval, j->client, &j->crew, j->threads},
                                .format = SCORE_TSV,
                                .path = path};
    uint64_t rows;
    return predict(&spec, &rows, err);
}

/* Next line of the trainer's scores: want[n_tasks]. An empty field is no number. */
static enum status next_line(struct verifying *v, float *want, struct error *err)
{
    if (getline(&v->line, &v->line_room, v->trainer) <= 0)
        return error_set(err, ST_MISMATCH, "the library scores more rows than the checkpoint, %llu",
                         (unsigned long long)v->rows);
    const char *at = v->line;
    for (size_t k = 0; k < v->n_tasks; k++) {
        char *end;
        want[k] = strtof(at, &end);
        if (end == at) want[k] = NAN;
        at = end + (*end == '\t');
    }
    return ST_OK;
}

/* ---- comparing ---- */

static void compare(struct verifying *v, const float *got, const float *want)
{
    for (size_t k = 0; k < v->n_tasks; k++) {
        double d = verify_difference(got[k], want[k]);
        struct difference *x = &v->library[k];
        if (d == 0) continue;
        if (d > x->most) x->most = d;
        x->n_different++;
    }
}

/* Batches of 1, 2, 3, ... rows through the C interface. */
static enum status score_again(struct verifying *v, const struct scored_block *b, struct error *err)
{
    struct mtps_error api;
    size_t n_inputs = mtps_n_inputs(v->model);
    for (size_t first = 0, n = 1; first < b->n; first += n, n++) {
        if (n > b->n - first) n = b->n - first;
        enum mtps_status st = mtps_score(v->scorer, b->values + first * n_inputs, n, v->again + first * v->n_tasks, &api);
        if (st != MTPS_OK) return error_set(err, ST_INTERNAL, "mtps_score: %s", api.text);
    }
    return ST_OK;
}

static enum status take_block(void *arg, const struct scored_block *b, struct error *err)
{
    struct verifying *v = arg;
    TRY(score_again(v, b, err));
    for (size_t i = 0; i < b->n; i++) {
        TRY(next_line(v, v->want, err));
        compare(v, v->again + i * v->n_tasks, v->want);
        if (v->onnx)
            TRY(verify_onnx_add(v->onnx, v->scorer, b->values + i * mtps_n_inputs(v->model), v->want, err));
        /* The block's own scores went through in other batches. */
        if (memcmp(b->scores + i * v->n_tasks, v->again + i * v->n_tasks, v->n_tasks * sizeof(float)) != 0)
            return error_set(err, ST_INTERNAL, "row %llu: its scores depend on the batch",
                             (unsigned long long)(v->rows + i));
    }
    v->rows += b->n;
    return ST_OK;
}

static enum status open_verifying(struct verifying *v, struct mtps_model *model, const char *path,
                                  struct error *err)
{
    *v = (struct verifying){.model = model, .n_tasks = mtps_n_tasks(model), .path = path};
    v->want = mem_array(v->n_tasks, sizeof *v->want);
    v->again = mem_array(SCORE_ROWS_BLOCK * v->n_tasks, sizeof *v->again);
    v->library = mem_zeroed(v->n_tasks, sizeof *v->library);
    v->by_onnx = mem_zeroed(v->n_tasks, sizeof *v->by_onnx);
    if (!v->want || !v->again || !v->library || !v->by_onnx) return mem_error(err, "scores", v->n_tasks);
    struct mtps_error api;
    if (mtps_scorer_create(model, &v->scorer, &api) != MTPS_OK) return error_set(err, ST_NOMEM, "%s", api.text);
    v->trainer = fopen(path, "re");
    if (!v->trainer || getline(&v->line, &v->line_room, v->trainer) < 0)
        return error_set(err, ST_IO, "%s: cannot read it", path);
    return verify_onnx_open(model, &v->onnx, v->why, err);
}

static void close_verifying(struct verifying *v)
{
    if (v->trainer) fclose(v->trainer);
    free(v->line);
    verify_onnx_close(v->onnx);
    mtps_scorer_destroy(v->scorer);
    mem_free(v->by_onnx);
    mem_free(v->want);
    mem_free(v->again);
    mem_free(v->library);
}

static enum status score_with_library(struct verifying *v, const struct settings *s, struct error *err)
{
    struct bad_rows bad;
    uint64_t rows;
    struct score_rows_spec spec = {.settings = s,
                                   .source = &s->data.eval,
                                   .model = v->model,
                                   .values = true,
                                   .take = take_block,
                                   .arg = v};
    TRY(score_rows(&spec, &bad, &rows, err));
    if (getline(&v->line, &v->line_room, v->trainer) < 0) return ST_OK;
    return error_set(err, ST_MISMATCH, "the checkpoint scores more rows than the library, %llu", (unsigned long long)rows);
}

/* ---- the result ---- */

/* Negative: nothing is promised. */
static double promise_of(const struct args *a, const struct mtps_model *model)
{
    uint64_t min_count = 0, max_age = 0;
    if (a->tolerance >= 0) return a->tolerance;
    bool known = bundle_number(model->bundle, "min_count", &min_count, NULL) == ST_OK &&
                 bundle_number(model->bundle, "max_age", &max_age, NULL) == ST_OK;
    if (!known || min_count || max_age || strcmp(model->info.rows, "f32") != 0) return -1;
    return model->info.projected ? 1e-6 : 0;
}

/* A graph adds up in other orders: it is promised less. It is also promised where rows are
 * left out, as only those are compared whose ids are there. */
static bool onnx_is_kept(const struct verifying *v, double promise)
{
    bool kept = true;
    for (size_t k = 0; k < v->n_tasks; k++) kept &= v->by_onnx[k] <= fmax(promise, ONNX_PROMISE);
    return kept;
}

static bool is_kept(const struct verifying *v, double promise)
{
    bool kept = true;
    for (size_t k = 0; k < v->n_tasks; k++) kept &= promise < 0 || v->library[k].most <= promise;
    return kept && onnx_is_kept(v, promise);
}

static void print_verdict(const struct verifying *v, double promise, const char *verb)
{
    bool kept = is_kept(v, promise);
    if (promise >= 0)
        printf("%s: at most %g is %s\n", kept ? "well" : "NOT WELL", promise, verb);
    else
        puts(kept ? "nothing is promised of the library's scores: rows are rounded or left out"
                  : "NOT WELL: ONNX Runtime's scores differ by more than is promised");
}

static void print_library(const struct verifying *v)
{
    printf("%llu rows; largest difference of the library's scores from the checkpoint's\n", (unsigned long long)v->rows);
    for (size_t k = 0; k < v->n_tasks; k++)
        printf("%-13s %.3g in %llu rows%s\n", mtps_task(v->model, k)->name, v->library[k].most,
               (unsigned long long)v->library[k].n_different, v->library[k].n_different ? "" : ": the same bits");
    fflush(stdout);
}

/* verb: what the limit is, promised or allowed. */
static void print_onnx(const struct verifying *v, double promise, const char *verb)
{
    if (*v->why) {
        printf("ONNX Runtime is not compared: %s\n", v->why);
        return;
    }
    printf("of ONNX Runtime's, in the %llu rows whose ids all have rows (at most %g is %s)\n",
           (unsigned long long)v->onnx_rows, fmax(promise, ONNX_PROMISE), promise > ONNX_PROMISE ? verb : "promised");
    for (size_t k = 0; k < v->n_tasks; k++) printf("%-13s %.3g\n", mtps_task(v->model, k)->name, v->by_onnx[k]);
}

/* failed: what ONNX Runtime did, or NULL. */
static void print_json(const struct verifying *v, double promise, const char *failed)
{
    json_t *tasks = json_object();
    for (size_t k = 0; k < v->n_tasks; k++)
        json_object_set_new(tasks, mtps_task(v->model, k)->name,
                            json_pack("{s:f, s:I}", "library", v->library[k].most, "different",
                                      (json_int_t)v->library[k].n_different));
    json_t *doc = json_pack("{s:I, s:b, s:o}", "rows", (json_int_t)v->rows, "ok", !failed && is_kept(v, promise), "tasks", tasks);
    if (promise >= 0) json_object_set_new(doc, "promise", json_real(promise));
    bool compared = !failed && !*v->why;
    if (failed) json_object_set_new(doc, "onnx_failed", json_string(failed));
    if (*v->why) json_object_set_new(doc, "onnx_skipped", json_string(v->why));
    if (compared) json_object_set_new(doc, "onnx_rows", json_integer((json_int_t)v->onnx_rows));
    for (size_t k = 0; k < v->n_tasks && compared; k++)
        json_object_set_new(json_object_get(tasks, mtps_task(v->model, k)->name), "onnx", json_real(v->by_onnx[k]));
    json_dumpf(doc, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(doc);
}

/* What the library gave, first: it stands whatever ONNX Runtime does. */
static enum status show(const struct args *a, struct verifying *v, double promise, struct error *err)
{
    const char *verb = a->tolerance >= 0 ? "allowed" : "promised";
    bool json = a->scoring.common.json;
    struct error why;
    enum status st = ST_OK;
    if (!json) print_library(v);
    if (v->onnx) st = verify_onnx_run(v->onnx, v->by_onnx, &v->onnx_rows, v->why, &why);
    if (st != ST_OK) *err = why;
    if (json) print_json(v, promise, st == ST_OK ? NULL : why.text);
    if (json || st != ST_OK) return st;
    print_onnx(v, promise, verb);
    print_verdict(v, promise, verb);
    return ST_OK;
}

static enum status verify(struct args *a, struct mtps_model *model, const struct settings *s, const char *path,
                          bool *kept, struct error *err)
{
    struct verifying v;
    double promise = promise_of(a, model);
    enum status st = open_verifying(&v, model, path, err);
    if (st == ST_OK) st = score_with_library(&v, s, err);
    if (st == ST_OK) st = show(a, &v, promise, err);
    *kept = st != ST_OK || is_kept(&v, promise);
    close_verifying(&v);
    return st;
}

static enum status temp_file(char *out, size_t size, struct error *err)
{
    const char *dir = getenv("TMPDIR");
    snprintf(out, size, "%s/mtps-verify-XXXXXX", dir && *dir ? dir : "/tmp");
    int fd = mkstemp(out);
    if (fd < 0) {
        *out = '\0';
        return error_set(err, ST_CANTCREATE, "cannot make a temporary file in %s", dir && *dir ? dir : "/tmp");
    }
    close(fd);
    return ST_OK;
}

int cmd_verify_export(int argc, char **argv)
{
    static struct args a = {.scoring = {.servers = SIZE_MAX}, .tolerance = -1};
    struct settings *settings = NULL, *own = NULL;
    struct mtps_model *model = NULL;
    struct error err = {0};
    struct job job;
    char *path = NULL, scores[4096] = "";
    bool kept = true;
    enum status st = cli_parse(&argp, argc, argv, &a, NULL, &err);
    if (st == ST_OK) st = predict_bundle_open(a.bundle, &a.scoring.common, &model, &own, &err);
    if (st == ST_OK) st = scoring_settings(&a.scoring, &path, &settings, &err);
    if (st == ST_OK) st = check_checkpoint(model, path, &err);
    if (st == ST_OK) st = temp_file(scores, sizeof scores, &err);
    st = job_open(&job, settings, a.scoring.servers, st, &err);
    if (st == ST_OK) st = score_with_trainer(&job, path, scores, &err);
    if (st == ST_OK && job.leader) st = verify(&a, model, settings, scores, &kept, &err);
    int code = job_close(&job, st, &err);
    if (*scores) unlink(scores);
    settings_destroy(settings);
    settings_destroy(own);
    mtps_close(model);
    mem_free(path);
    free(a.scoring.common.sets);
    return code ? code : kept ? 0 : EXIT_BEYOND;
}
