/* The parts of an export. Inside serve/. */
#ifndef MTPS_SERVE_EXPORT_IMPL_H
#define MTPS_SERVE_EXPORT_IMPL_H

#include "data/schema.h"
#include "model/tables.h"
#include "serve/bundle_write.h"
#include "serve/export.h"
#include "serve/loaded.h"

struct export {
    const struct export_spec *spec;
    struct ckpt *ckpt;
    struct settings *settings;
    struct schema *schema;
    struct model_tables *kinds; /* the model's tables */
    struct raw_columns columns; /* there were in training */
    bool *used;                 /* [schema columns] scoring reads it */
    uint64_t version;
    uint64_t steps; /* of this run and of those that it started from */
    uint64_t *kept; /* [kinds->n] rows */
    size_t *table;  /* [kinds->n] the checkpoint's number of it */
    struct mtps_model *base; /* of a delta; else NULL */
    struct export_join *joins; /* [data.n_joins] with_joins; else NULL */
};

/* Columns of the training data: those that the checkpoint names, else (older ones) those
 * of the files that its configuration names. */
enum status export_columns(struct export *e, struct error *err) MUST_USE;
/* Counts the rows that are written. */
enum status export_count_rows(struct export *e, struct error *err) MUST_USE;
enum status export_plan_tables(const struct export *e, struct bundle_plan *p,
                               struct error *err) MUST_USE;
enum status export_write_tables(const struct export *e, struct bundle_writer *w,
                                struct error *err) MUST_USE;
/* The base of a delta, with spec.delta_from: ST_MISMATCH when it is of another model. */
enum status export_open_base(struct export *e, struct error *err) MUST_USE;
/* Side tables, with spec.with_joins; else nothing. */
enum status export_read_joins(struct export *e, struct error *err) MUST_USE;
void export_close_joins(struct export *e);
enum status export_plan_joins(const struct export *e, struct bundle_plan *p, struct error *err) MUST_USE;
enum status export_write_joins(const struct export *e, struct bundle_writer *w, struct error *err) MUST_USE;
void export_put_joins(const struct export *e, struct buffer *b); /* member of the header */
bool export_has_join(const struct export *e, size_t join);       /* it is inside */
/* The bundle `plain` as FOLDER/model.onnx, with files of ids and vectors beside it when
 * there are more rows than go inside; with spec.triton DIR/config.pbtxt, too: one that is
 * there must say the same inputs and outputs (ST_MISMATCH). */
enum status export_onnx(const struct export *e, const char *plain, const char *folder, struct export_result *out,
                        struct error *err) MUST_USE;
/* Are the tables inside the graph? */
bool export_onnx_has_tables(const struct export *e);
/* Name of a table's file: part "ids" or "vectors". */
void export_onnx_file(const struct export *e, size_t table, const char *part, char *out, size_t size);
/* item_ids.txt and item_vectors.f32 in FOLDER from the bundle at `path`. */
enum status export_vectors(const struct export *e, const char *path, const char *folder, struct error *err) MUST_USE;
/* The bundle `plain` with projected rows, as a new file. */
enum status export_project(const char *plain, const char *path, const char *head, struct export_result *out,
                           struct error *err) MUST_USE;
/* MODEL_CARD.md of the bundle that is open as m; text is mem_free'd by the caller. */
enum status export_card(const struct export *e, const struct mtps_model *m, const struct export_result *r,
                        char **text, struct error *err) MUST_USE;
/* Its sections about training. */
void export_card_training(const struct export *e, struct buffer *b);
enum status export_card_metrics(const struct export *e, struct buffer *b, struct error *err) MUST_USE;
/* Text in a cell of a table, which bars would end. */
void export_put_cell(struct buffer *b, const char *text);

#endif
