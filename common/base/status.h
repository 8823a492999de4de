/* Outcomes. A function that can fail because of the world (files, data, peers,
 * memory) returns enum status and describes the failure in *err; our own bugs
 * are assertions. Context is added on the way up, outermost first, so a text
 * reads "what: where: why". main() alone prints it and picks the exit code. */
#ifndef MTPS_BASE_STATUS_H
#define MTPS_BASE_STATUS_H

#include "common/base/compiler.h"

/* name, exit code, text. Codes are sysexits numbers: they stay clear of the
 * ones that mpirun and shells use (1, 110, 126, 127, 128+n, 205). */
#define STATUS_LIST(X)                                               \
    X(OK, 0, "done")                                                 \
    X(USAGE, 64, "command line or configuration is not valid")       \
    X(DATA, 65, "input data is not valid")                           \
    X(NOINPUT, 66, "input or checkpoint is missing or not usable")   \
    X(INTERNAL, 70, "internal or numeric failure")                   \
    X(NOMEM, 71, "out of memory")                                    \
    X(CANTCREATE, 73, "output cannot be created")                    \
    X(IO, 74, "file operation failed")                               \
    X(STOPPED, 75, "stopped on request after a committed checkpoint") \
    X(PEER, 76, "a peer was lost or made no progress")               \
    X(BUSY, 77, "run directory is in use by another job")            \
    X(MISMATCH, 78, "checkpoint does not fit the configuration")

#define STATUS_AS_ENUM(name, code, text) ST_##name,
enum status { STATUS_LIST(STATUS_AS_ENUM) ST_COUNT };

/* Failure text, on the caller's stack. NULL where an error is not wanted. */
struct error {
    char text[1536]; /* one line, no newline */
    char hint[512];  /* what to do; empty when there is nothing to say */
};

/* Exit code and fixed text of a status. */
int status_exit_code(enum status st);
const char *status_text(enum status st);

/* Set the text (and clear the hint); gives st back so that callers can write
 * `return error_set(err, ST_IO, ...)`. Newlines become spaces. */
enum status error_set(struct error *err, enum status st, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Put "context: " in front of the text. Gives st back. */
enum status error_wrap(struct error *err, enum status st, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Say what to do about it. Gives st back. */
enum status error_hint(struct error *err, enum status st, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Return from the calling function unless the expression is ST_OK. */
#define TRY(expr)                            \
    do {                                     \
        enum status try_st_ = (expr);        \
        if (try_st_ != ST_OK) return try_st_; \
    } while (0)

#endif
