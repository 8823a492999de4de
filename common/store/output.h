/* A file that a command writes where its user says. What stands there is never
 * harmed by a command that fails: a regular file appears, or is replaced, by one
 * rename when it is complete, with the permissions of the old one. A link stays a
 * link, its target is replaced. A device, pipe or standard output (by any of its
 * names) is written straight to; a folder, a block device and a link to nothing
 * are refused. */
#ifndef MTPS_STORE_OUTPUT_H
#define MTPS_STORE_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "common/base/status.h"

struct output;

/* Can it be written? Looks only: ST_CANTCREATE says why not. */
enum status output_check(const char *path, struct error *err) MUST_USE;
/* Is writing to path writing to standard output ("-", /dev/stdout, ...)? */
bool output_is_stdout(const char *path);
/* Do both names lead to one regular file? */
bool output_is_file(const char *path, const char *file);
/* Would path be a file somewhere below this folder? */
bool output_is_below(const char *path, const char *dir);

enum status output_open(const char *path, struct output **out, struct error *err) MUST_USE;
FILE *output_stream(struct output *o);
/* st: how the writing went. ST_OK completes the file, anything else leaves
 * what was there. Gives st, or what went wrong in the end; frees o. */
enum status output_close(struct output *o, enum status st, struct error *err) MUST_USE;
/* ST_IO with the reason, when something was not written. */
enum status output_status(struct output *o, struct error *err) MUST_USE;

#endif
