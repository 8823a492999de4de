/* Rows times the weights of layer 1: from a bundle that is complete to one that has them,
 * too. */
#include "serve/export_impl.h"

#include <stdio.h>
#include <string.h>

#include "serve/loaded.h"

struct projecting {
    const struct mtps_model *from;
    struct bundle_plan plan;
    struct bundle_writer *w;
    float *out; /* one projected row */
};

static const char *section_name(const struct projecting *p, size_t feature, char *out, size_t size)
{
    snprintf(out, size, "projected/%.450s", p->from->schema->features[feature].name);
    return out;
}

static bool projects(const struct projecting *p, size_t feature)
{
    return p->from->kinds->same && infer_projects(p->from->infer, feature);
}

static enum status make_plan(struct projecting *p, struct error *err)
{
    const struct bundle *b = p->from->bundle;
    char name[BUNDLE_MAX_NAME];
    size_t width = infer_projected_width(p->from->infer), n = 0;
    for (size_t i = 0; i < b->n_sections; i++) {
        const struct bundle_section *s = &b->sections[i];
        TRY(bundle_plan_add(&p->plan, s->name, s->type, s->rows, s->cols, err));
    }
    for (size_t i = 0; i < p->from->schema->n_features; i++) {
        if (!projects(p, i)) continue;
        size_t rows = p->from->tables[p->from->schema->features[i].table].keys.n;
        TRY(bundle_plan_add(&p->plan, section_name(p, i, name, sizeof name), SECTION_F32, rows, width, err));
        n++;
    }
    if (n) return ST_OK;
    error_set(err, ST_USAGE, "--project: the model has no first layer that reads the rows of ids as they are");
    return error_hint(err, ST_USAGE, "leave --project out: lr, two_tower, wide parts, cross layers and attention pooling cannot be projected");
}

static enum status project_feature(struct projecting *p, size_t feature, struct error *err)
{
    char name[BUNDLE_MAX_NAME];
    size_t width = infer_projected_width(p->from->infer);
    const struct lookup *table = &p->from->tables[p->from->schema->features[feature].table];
    section_name(p, feature, name, sizeof name);
    for (size_t i = 0; i < table->keys.n; i++) {
        infer_project(p->from->infer, feature, (const float *)table->rows + i * table->dim, p->out);
        TRY(bundle_writer_add(p->w, name, p->out, width * sizeof *p->out, err));
    }
    return ST_OK;
}

static enum status write_all(struct projecting *p, struct error *err)
{
    const struct bundle *b = p->from->bundle;
    for (size_t i = 0; i < b->n_sections; i++)
        TRY(bundle_writer_add(p->w, b->sections[i].name, b->sections[i].data, b->sections[i].bytes, err));
    for (size_t i = 0; i < p->from->schema->n_features; i++)
        if (projects(p, i)) TRY(project_feature(p, i, err));
    return ST_OK;
}

static enum status project(struct projecting *p, const char *path, const char *head,
                           struct export_result *out, struct error *err)
{
    TRY(make_plan(p, err));
    p->out = mem_array(infer_projected_width(p->from->infer), sizeof *p->out);
    if (!p->out) return mem_error(err, "projected row", infer_projected_width(p->from->infer));
    TRY(bundle_writer_create(path, &p->plan, head, &p->w, err));
    out->bytes = bundle_writer_bytes(p->w);
    enum status st = write_all(p, err);
    if (st == ST_OK) return bundle_writer_finish(p->w, out->id, err);
    bundle_writer_destroy(p->w);
    return st;
}

enum status export_project(const char *plain, const char *path, const char *head,
                           struct export_result *out, struct error *err)
{
    struct mtps_model *from;
    struct projecting p = {0};
    TRY(loaded_open(plain, BUNDLE_CHECK_SMALL, &from, err));
    p.from = from;
    enum status st = bundle_plan_init(&p.plan, err);
    if (st == ST_OK) st = project(&p, path, head, out, err);
    bundle_plan_close(&p.plan);
    mem_free(p.out);
    loaded_release(from);
    return st;
}
