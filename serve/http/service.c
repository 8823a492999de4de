#include "serve/http/service.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "data/raw_text.h"
#include "serve/http/describe.h"
#include "serve/http/kserve.h"
#include "serve/http/page.h"
#include "serve/http/rows_json.h"

enum {
    MAX_ERROR = 600, /* bytes of an error's text */
    SHOWN = 64       /* characters of a name in it */
};

static const char json_type[] = "application/json";

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static enum metrics_form form_of(const struct call *call)
{
    if (!call->route) return METRICS_OTHER;
    return call->route->operation == ROUTE_INFER     ? METRICS_INFER
           : call->route->operation == ROUTE_PREDICT ? METRICS_PREDICT
                                                     : METRICS_OTHER;
}

static void count(struct service *s, const struct call *call)
{
    metrics_answer(&s->metrics, form_of(call), call->status, call->began ? now_ns() - call->began : 0);
}

/* ---- answers ---- */

static void answer(struct call *call, int status, const char *type, const struct jsonout *out)
{
    static const char none[] = "{\"error\":\"the requests of this moment take all memory that requests may take\"}";
    call->status = out->failed ? 503 : status;
    call->retry = call->status == 503;
    call->type = out->failed ? json_type : type;
    call->text = out->failed ? raw_text_of(none) : (struct text){out->text, out->n};
    if (out->failed) call->json = call->version = 0;
}

static void fail(struct call *call, int status, const char *text, const char *hint)
{
    struct jsonout out;
    char whole[MAX_ERROR];
    snprintf(whole, sizeof whole, "%s%s%s", text, *hint ? "; " : "", hint);
    jsonout_open(&out, call->pad);
    jsonout_begin(&out, '{');
    jsonout_text_of(&out, "error", whole);
    jsonout_finish(&out, '}');
    answer(call, status, json_type, &out);
}

void service_refuse(struct service *s, struct call *call, int status, const char *fmt, ...)
{
    char text[MAX_ERROR];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fail(call, status, text, "");
    count(s, call);
}

/* ---- the model of a call ---- */

/* False: it has been answered. */
static bool find_model(struct service *s, struct call *call)
{
    const struct text *m = &call->names.model, *v = &call->names.version;
    uint64_t version = 0;
    call->item = models_find(s->models, m->s, m->n);
    for (size_t i = 0; i < v->n && version < UINT64_MAX / 16; i++)
        version = v->s[i] >= '0' && v->s[i] <= '9' ? version * 10 + (uint64_t)(v->s[i] - '0') : UINT64_MAX;
    if (call->item && !(v->n && !version)) call->served = models_hold(call->item, version);
    if (call->served) return true;
    char text[MAX_ERROR], model[4 * SHOWN + 8], number[4 * SHOWN + 8];
    raw_text_print(*m, SHOWN, model, sizeof model);
    raw_text_print(*v, SHOWN, number, sizeof number);
    if (call->item)
        snprintf(text, sizeof text, "version %s of model %s is not open", number, model);
    else
        snprintf(text, sizeof text, "there is no model %s", model);
    fail(call, 404, text, "");
    return false;
}

static void let_go(struct call *call)
{
    served_release(call->served);
    call->served = NULL;
}

/* ---- scores ---- */

static void write_scores(struct call *call)
{
    struct jsonout out;
    jsonout_open(&out, call->pad);
    bool tensors = false;
    if (call->route->operation == ROUTE_INFER) {
        size_t json = kserve_write(&call->ask, call->item->name, call->served->version, &out);
        tensors = json != out.n;
        if (tensors) call->json = json;
    } else {
        rows_json_write(&call->ask, &out);
    }
    call->version = call->served->version;
    answer(call, 200, tensors ? "application/octet-stream" : json_type, &out);
    if (call->status != 200) return;
    atomic_fetch_add_explicit(&call->item->rows, call->ask.n_rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&call->item->requests, 1, memory_order_relaxed);
}

void service_finish(struct service *s, struct call *call)
{
    const struct mtps_error *e = &call->job.error;
    if (call->job.status == MTPS_OK)
        write_scores(call);
    else if (call->job.status == MTPS_DATA)
        fail(call, 400, e->text, e->hint);
    else /* not the request's fault, and its text not the client's business */
        fail(call, call->job.status == MTPS_NOMEM ? 503 : 500, "scoring failed", "");
    let_go(call);
    count(s, call);
}

static void wake(struct batch_job *job)
{
    struct call *call = (struct call *)((char *)job - offsetof(struct call, job));
    call->wake(call);
}

static enum ask_status read_ask(struct service *s, struct call *call, struct error *err)
{
    call->ask = (struct ask){.names = &call->served->names, .limits = &s->limits, .pad = call->pad};
    if (call->route->operation == ROUTE_INFER) return kserve_read(&call->ask, &call->body, err);
    return rows_json_read(&call->ask, &call->body, err);
}

/* False: it has been answered. */
static bool prepare(struct service *s, struct call *call)
{
    struct error err = {.hint = ""};
    if (!find_model(s, call)) return false;
    enum ask_status st = read_ask(s, call, &err);
    if (st != ASK_OK) {
        fail(call, st, err.text, err.hint);
        let_go(call);
        return false;
    }
    call->job = (struct batch_job){.served = call->served,
                                   .rows = call->ask.values,
                                   .n_rows = call->ask.n_rows,
                                   .scores = call->ask.scores,
                                   .done = wake};
    return true;
}

static enum service_step score(struct service *s, struct call *call)
{
    if (!prepare(s, call)) {
        count(s, call);
        return SERVICE_DONE;
    }
    if (s->batcher) return SERVICE_WAIT;
    struct batch_job *job = &call->job;
    job->status = served_score(call->served, job->rows, job->n_rows, job->scores, &job->error);
    service_finish(s, call);
    return SERVICE_DONE;
}

enum service_step service_submit(struct service *s, struct call *call)
{
    if (batcher_submit(s->batcher, &call->job)) return SERVICE_WAIT;
    let_go(call);
    service_refuse(s, call, 503, "too many requests wait");
    return SERVICE_DONE;
}

/* ---- everything else ---- */

static void put_flag(struct jsonout *out, const char *name, bool yes)
{
    jsonout_key(out, name);
    jsonout_word(out, yes ? "true" : "false");
}

static void put_server(const struct service *s, struct jsonout *out)
{
    jsonout_begin(out, '{');
    jsonout_text_of(out, "name", "mtps");
    jsonout_text_of(out, "version", s->version);
    jsonout_key(out, "extensions");
    jsonout_begin(out, '[');
    jsonout_string(out, raw_text_of("binary_tensor_data"));
    jsonout_finish(out, ']');
    jsonout_finish(out, '}');
}

static void put_health(struct service *s, struct call *call, struct jsonout *out)
{
    bool ready = !atomic_load(&s->draining);
    jsonout_begin(out, '{');
    if (call->route->operation == ROUTE_LIVE) {
        put_flag(out, "live", true);
    } else {
        if (call->item) jsonout_text_of(out, "name", call->item->name);
        put_flag(out, "ready", ready);
    }
    jsonout_finish(out, '}');
    answer(call, ready || call->route->operation == ROUTE_LIVE ? 200 : 503, json_type, out);
}

/* The body may say {"ready": true}: all that is listed is. */
static bool index_body_is_json(struct call *call)
{
    struct jsonin r;
    if (!call->body.n) return true;
    jsonin_open(&r, call->body.bytes, call->body.n);
    struct text key;
    bool ready;
    jsonin_object(&r);
    while (jsonin_key(&r, &key))
        if (raw_text_equal(key, raw_text_of("ready")))
            jsonin_bool(&r, &ready);
        else
            jsonin_skip(&r);
    return jsonin_end(&r);
}

static void tell(struct service *s, struct call *call)
{
    struct jsonout out;
    const char *type = json_type;
    jsonout_open(&out, call->pad);
    switch (call->route->operation) {
    case ROUTE_PAGE:
        jsonout_raw(&out, page_html, page_html_bytes);
        type = "text/html; charset=utf-8";
        break;
    case ROUTE_METRICS:
        metrics_write(&s->metrics, s->models, s->batcher, &s->memory, &out);
        type = "text/plain; version=0.0.4";
        break;
    case ROUTE_SERVER:
        put_server(s, &out);
        break;
    case ROUTE_INDEX:
        if (!index_body_is_json(call)) {
            fail(call, 400, "the body is no JSON object", "");
            return;
        }
        describe_index(s->models, &out);
        break;
    case ROUTE_MODEL:
        describe_model(call->item, call->served, &out);
        break;
    case ROUTE_STATUS:
        describe_status(call->item, call->names.version.n ? call->served->version : 0, &out);
        break;
    case ROUTE_METADATA:
        describe_metadata(call->item, call->served, &out);
        break;
    default:
        put_health(s, call, &out);
        return;
    }
    answer(call, 200, type, &out);
}

enum service_step service_begin(struct service *s, struct call *call)
{
    enum route_operation op = call->route->operation;
    call->began = now_ns();
    if (op == ROUTE_INFER || op == ROUTE_PREDICT) return score(s, call);
    if (!call->names.model.n || find_model(s, call)) {
        tell(s, call);
        let_go(call);
    }
    count(s, call);
    return SERVICE_DONE;
}
