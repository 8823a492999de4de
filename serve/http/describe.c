#include "serve/http/describe.h"

#include <inttypes.h>
#include <stdio.h>

static void number_as_text(struct jsonout *out, uint64_t v)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRIu64, v);
    jsonout_string(out, (struct text){text, (size_t)n});
}

static void version_of(struct jsonout *out, const char *key, uint64_t v)
{
    jsonout_key(out, key);
    number_as_text(out, v);
}

/* ---- KServe ---- */

static void put_tensor(struct jsonout *out, const char *name, const char *type, size_t rank)
{
    jsonout_begin(out, '{');
    jsonout_text_of(out, "name", name);
    jsonout_text_of(out, "datatype", type);
    jsonout_key(out, "shape");
    jsonout_begin(out, '[');
    for (size_t i = 0; i < rank; i++) jsonout_word(out, "-1");
    jsonout_finish(out, ']');
    jsonout_finish(out, '}');
}

static void put_inputs(const struct served *v, struct jsonout *out)
{
    jsonout_key(out, "inputs");
    jsonout_begin(out, '[');
    for (size_t i = 0; i < v->names.n_inputs; i++) {
        const struct mtps_input *in = mtps_input(v->model, i);
        put_tensor(out, in->name, in->is_number ? "FP64" : "BYTES", in->is_list ? 2 : 1);
    }
    jsonout_finish(out, ']');
}

static void put_outputs(const struct served *v, struct jsonout *out)
{
    jsonout_key(out, "outputs");
    jsonout_begin(out, '[');
    for (size_t k = 0; k < v->names.n_tasks; k++) put_tensor(out, mtps_task(v->model, k)->name, "FP32", 1);
    jsonout_finish(out, ']');
}

static void release_all(struct served **v, size_t n)
{
    for (size_t i = 0; i < n; i++) served_release(v[i]);
}

void describe_model(struct models_item *item, const struct served *v, struct jsonout *out)
{
    struct served *all[MODELS_MAX_VERSIONS];
    size_t n = models_hold_all(item, all);
    jsonout_begin(out, '{');
    jsonout_text_of(out, "name", item->name);
    jsonout_key(out, "versions");
    jsonout_begin(out, '[');
    for (size_t i = 0; i < n; i++) number_as_text(out, all[i]->version);
    jsonout_finish(out, ']');
    jsonout_text_of(out, "platform", "mtps_bundle");
    put_inputs(v, out);
    put_outputs(v, out);
    jsonout_key(out, "parameters");
    jsonout_begin(out, '{');
    version_of(out, "version", v->version);
    jsonout_text_of(out, "id", v->info.id);
    jsonout_text_of(out, "rows", v->info.rows);
    jsonout_whole_of(out, "step", v->info.step);
    jsonout_finish(out, '}');
    jsonout_finish(out, '}');
    release_all(all, n);
}

void describe_index(struct models *m, struct jsonout *out)
{
    struct served *all[MODELS_MAX_VERSIONS];
    jsonout_begin(out, '[');
    for (size_t i = 0; i < m->n_items; i++) {
        size_t n = models_hold_all(&m->items[i], all);
        for (size_t k = 0; k < n; k++) {
            jsonout_begin(out, '{');
            jsonout_text_of(out, "name", m->items[i].name);
            version_of(out, "version", all[k]->version);
            jsonout_text_of(out, "state", "READY");
            jsonout_text_of(out, "reason", "");
            jsonout_finish(out, '}');
        }
        release_all(all, n);
    }
    jsonout_finish(out, ']');
}

/* ---- TensorFlow Serving ---- */

void describe_status(struct models_item *item, uint64_t version, struct jsonout *out)
{
    struct served *all[MODELS_MAX_VERSIONS];
    size_t n = models_hold_all(item, all);
    jsonout_begin(out, '{');
    jsonout_key(out, "model_version_status");
    jsonout_begin(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (version && all[i]->version != version) continue;
        jsonout_begin(out, '{');
        version_of(out, "version", all[i]->version);
        jsonout_text_of(out, "state", "AVAILABLE");
        jsonout_key(out, "status");
        jsonout_begin(out, '{');
        jsonout_text_of(out, "error_code", "OK");
        jsonout_text_of(out, "error_message", "");
        jsonout_finish(out, '}');
        jsonout_finish(out, '}');
    }
    jsonout_finish(out, ']');
    jsonout_finish(out, '}');
    release_all(all, n);
}

static void put_info(struct jsonout *out, const char *name, const char *type, size_t rank)
{
    jsonout_key(out, name);
    jsonout_begin(out, '{');
    jsonout_text_of(out, "name", name);
    jsonout_text_of(out, "dtype", type);
    jsonout_key(out, "tensor_shape");
    jsonout_begin(out, '{');
    jsonout_key(out, "dim");
    jsonout_begin(out, '[');
    for (size_t i = 0; i < rank; i++) {
        jsonout_begin(out, '{');
        jsonout_text_of(out, "size", "-1");
        jsonout_finish(out, '}');
    }
    jsonout_finish(out, ']');
    jsonout_key(out, "unknown_rank");
    jsonout_word(out, "false");
    jsonout_finish(out, '}');
    jsonout_finish(out, '}');
}

static void put_signature(const struct served *v, struct jsonout *out)
{
    jsonout_key(out, "inputs");
    jsonout_begin(out, '{');
    for (size_t i = 0; i < v->names.n_inputs; i++) {
        const struct mtps_input *in = mtps_input(v->model, i);
        put_info(out, in->name, in->is_number ? "DT_DOUBLE" : "DT_STRING", in->is_list ? 2 : 1);
    }
    jsonout_finish(out, '}');
    jsonout_key(out, "outputs");
    jsonout_begin(out, '{');
    for (size_t k = 0; k < v->names.n_tasks; k++) put_info(out, mtps_task(v->model, k)->name, "DT_FLOAT", 1);
    jsonout_finish(out, '}');
    jsonout_text_of(out, "method_name", "tensorflow/serving/predict");
}

void describe_metadata(const struct models_item *item, const struct served *v, struct jsonout *out)
{
    static const char *const around[] = {"metadata", "signature_def", "signature_def", "serving_default"};
    enum { LEVELS = sizeof around / sizeof *around };
    jsonout_begin(out, '{');
    jsonout_key(out, "model_spec");
    jsonout_begin(out, '{');
    jsonout_text_of(out, "name", item->name);
    jsonout_text_of(out, "signature_name", "");
    version_of(out, "version", v->version);
    jsonout_finish(out, '}');
    for (size_t i = 0; i < LEVELS; i++) {
        jsonout_key(out, around[i]);
        jsonout_begin(out, '{');
    }
    put_signature(v, out);
    for (size_t i = 0; i < LEVELS; i++) jsonout_finish(out, '}');
    jsonout_finish(out, '}');
}
