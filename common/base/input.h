/* Files that are read as input: regular files only. A pipe, socket or device would
 * keep its reader waiting for ever, and nobody else could read the same bytes:
 * ranks, the second pass, the next run. */
#ifndef MTPS_BASE_INPUT_H
#define MTPS_BASE_INPUT_H

/* Open for reading, without waiting. -1: it cannot be, and *why says why. */
int input_open(const char *path, const char **why);

#endif
