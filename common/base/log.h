/* Log lines on stderr, and in a file of the rank when one is set:
 *
 *   12:04:31.207 I w03 trainer  step=1200 loss.click=0.4312 rows/s=48211
 *
 * time, level, role and rank, topic, text. Levels say how much may be printed:
 * E the run fails, W somebody should look, I a few lines per phase, D per step.
 * The sink is the only mutable global of the project. Thread-safe. Libraries
 * below ps/ and worker/ do not log above D; they return. */
#ifndef MTPS_BASE_LOG_H
#define MTPS_BASE_LOG_H

#include "common/base/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* role: "w" worker, "s" server, "" a tool (then only level and text are
 * printed). level: lines above it are dropped. */
void log_setup(const char *role, int rank, enum log_level level);
/* Lines also go to this file (append); NULL closes. False when it cannot be opened. */
int log_file(const char *path);
/* When not the leader, INFO goes to the file only. */
void log_quiet_terminal(int quiet);

void log_line(enum log_level level, const char *topic, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
