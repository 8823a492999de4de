/* A checkpoint as a bundle, DIR/VERSION/{model.mtps, MODEL_CARD.md, SHA256SUMS}, or as
 * ONNX, DIR/VERSION/{model.onnx, ...}. The folder appears by one rename when everything in it is written and synced; rows are
 * streamed, so memory is bounded by the dense part and by 1/1024 of the largest table. */
#ifndef MTPS_SERVE_EXPORT_H
#define MTPS_SERVE_EXPORT_H

#include "serve/bundle.h"

struct export_spec {
    const char *ckpt; /* checkpoint or run directory */
    void (*warn)(void *, const char *); /* of checkpoints passed over and items left out, or NULL */
    const char *dir;
    uint64_t version;       /* 0: the step */
    enum section_type rows; /* SECTION_F32, SECTION_F16 or SECTION_I8 */
    uint64_t min_count;     /* rows of ids that occurred less often are left out */
    uint64_t max_age;       /* and those last changed more steps ago than this; 0: any age */
    const char *delta_from; /* only rows that differ from this complete version in dir are written: a bundle, its
                               folder, a folder of versions (the newest complete one), or the checkpoint or run
                               that it was exported from */
    bool project;           /* rows x layer 1 go into it: faster, larger, within 1e-6; f32 only */
    bool with_joins;        /* side tables go into the bundle */
    bool onnx;              /* model.onnx in place of the bundle */
    bool triton;            /* and DIR/config.pbtxt, so that DIR is a model of Triton's repository */
    uint64_t onnx_rows;     /* tables go inside up to so many rows in all; else files beside it */
    const char *const *item_files; /* two_tower: the items' vectors, too, of the rows of these files ... */
    size_t n_item_files;
    const char *item_key;   /* ... and this column of them */
    const char *build;      /* that exports */
};

struct export_result {
    char *path; /* of the version's folder; mem_free */
    char id[BUNDLE_ID]; /* of the bundle; empty for ONNX, whose SHA-256 is in SHA256SUMS */
    uint64_t version, step, bytes;
    uint64_t rows, rows_all; /* kept, of the checkpoint */
};

/* ST_CANTCREATE when the version is there already. */
enum status export_bundle(const struct export_spec *spec, struct export_result *out,
                          struct error *err) MUST_USE;

#endif
