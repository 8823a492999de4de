/* Files that survive: whole-file writes are temp + fsync + rename + fsync of the
 * folder, so that a reader sees the old or the new contents and a crash loses
 * neither. */
#ifndef MTPS_STORE_FILE_H
#define MTPS_STORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

enum { SHA256_HEX = 65 }; /* with the final 0 */

enum status file_read_all(const char *path, char **data, size_t *bytes, size_t limit, struct error *err) MUST_USE;
enum status file_write_atomic(const char *path, const void *data, size_t bytes, struct error *err) MUST_USE;
enum status file_fsync(const char *path, struct error *err) MUST_USE;     /* file or folder */
enum status file_mkdirs(const char *path, struct error *err) MUST_USE;    /* like mkdir -p */
enum status file_remove_tree(const char *path, struct error *err) MUST_USE; /* gone already = ST_OK */
/* After error_set: what to do about a write that failed with this errno, where
 * something is known (a full disk). Gives st back. */
enum status file_hint(struct error *err, enum status st, int why);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
enum status file_size(const char *path, uint64_t *bytes, struct error *err) MUST_USE;
/* Names in a folder, sorted; one block (mem_free). */
enum status file_list(const char *dir, const char ***names, size_t *n, struct error *err) MUST_USE;
/* Streamed SHA-256 of a file, and of memory. progress is called now and then. */
enum status file_sha256(const char *path, char hex[SHA256_HEX], void (*progress)(void *, uint64_t bytes),
                        void *arg, struct error *err) MUST_USE;
void bytes_sha256(const void *data, size_t bytes, char hex[SHA256_HEX]);

/* Lock of a run directory: flock on DIR/LOCK plus an owner record {host, pid,
 * attempt, start}. ST_BUSY names the owner. The lock dies with the process. */
struct lock;
enum status lock_take(const char *dir, double wait_s, struct lock **out, struct error *err) MUST_USE;
uint64_t lock_attempt(const struct lock *l);
bool lock_is_ours(const struct lock *l); /* re-reads the owner record */
void lock_release(struct lock *l);

#endif
