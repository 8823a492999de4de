/* HDF5, reduced to what this project stores: one- and two-dimensional arrays of
 * fixed-size numbers and attributes. The only file that includes hdf5.h is h5.c.
 *
 * Every file is written with version bounds 1.10, chunked and with Fletcher32;
 * the library's exit handler, plug-ins and file locks are switched off in code
 * (docs/adr). Names use "/" for groups, which are made on demand. On reading,
 * only hard links and plain chunked or contiguous data of these types are
 * accepted, with extents checked before anything is allocated.
 *
 * Thread rule: one lock inside; any thread may call. */
#ifndef MTPS_STORE_H5_H
#define MTPS_STORE_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/dtype.h"
#include "common/base/status.h"

struct h5;      /* an open file */
struct h5_data; /* an open dataset */

enum status h5_create(const char *path, struct h5 **out, struct error *err) MUST_USE; /* must not exist */
enum status h5_open(const char *path, struct h5 **out, struct error *err) MUST_USE;   /* read-only */
/* Closing a file that was written can fail (disk full). NULL is fine. Always frees. */
enum status h5_close(struct h5 *f, struct error *err) MUST_USE;

/* cols = 0: one-dimensional. Rows grow by appending. chunk_rows 0 = about 1 MiB. */
enum status h5_data_create(struct h5 *f, const char *name, enum dtype type, size_t cols,
                           size_t chunk_rows, struct h5_data **out, struct error *err) MUST_USE;
enum status h5_data_open(struct h5 *f, const char *name, enum dtype type, struct h5_data **out,
                         struct error *err) MUST_USE; /* type must match exactly */
enum status h5_data_append(struct h5_data *d, const void *values, size_t rows, struct error *err) MUST_USE;
enum status h5_data_read(struct h5_data *d, size_t first, size_t rows, void *out, struct error *err) MUST_USE;
size_t h5_data_rows(const struct h5_data *d);
size_t h5_data_cols(const struct h5_data *d); /* 0 = one-dimensional */
void h5_data_close(struct h5_data *d);

/* A whole array at once. */
enum status h5_write(struct h5 *f, const char *name, enum dtype type, size_t rows, size_t cols,
                     const void *values, struct error *err) MUST_USE;
/* Reads all of it into a new block (mem_free). */
enum status h5_read(struct h5 *f, const char *name, enum dtype type, size_t *rows, size_t *cols,
                    void **out, struct error *err) MUST_USE;
bool h5_has(struct h5 *f, const char *name);
/* Type and shape of a dataset without opening it for reading. */
enum status h5_describe(struct h5 *f, const char *name, enum dtype *type, size_t *rows,
                        size_t *cols, struct error *err) MUST_USE;

/* Attributes of the root group ("" as object) or of a named group or dataset. */
enum status h5_set_u64(struct h5 *f, const char *object, const char *name, uint64_t v, struct error *err) MUST_USE;
enum status h5_get_u64(struct h5 *f, const char *object, const char *name, uint64_t *v, struct error *err) MUST_USE;
enum status h5_set_f64(struct h5 *f, const char *object, const char *name, double v, struct error *err) MUST_USE;
enum status h5_get_f64(struct h5 *f, const char *object, const char *name, double *v, struct error *err) MUST_USE;
/* Fixed-length strings up to 60 KiB; longer texts go into a u8 dataset. */
enum status h5_set_text(struct h5 *f, const char *object, const char *name, const char *v, struct error *err) MUST_USE;
enum status h5_get_text(struct h5 *f, const char *object, const char *name, char **v, struct error *err) MUST_USE;

/* Texts of any number and length: a u8 dataset NAME/bytes and a u64 dataset
 * NAME/offsets [n + 1]. Reading gives one block with pointers and strings. */
enum status h5_write_texts(struct h5 *f, const char *name, const char *const *v, size_t n, struct error *err) MUST_USE;
enum status h5_read_texts(struct h5 *f, const char *name, const char ***v, size_t *n, struct error *err) MUST_USE;

/* Call visit for every dataset below a group ("" = all), full names, sorted. */
enum status h5_visit(struct h5 *f, const char *group,
                     enum status (*visit)(void *arg, const char *name, struct error *err), void *arg,
                     struct error *err) MUST_USE;

#endif
