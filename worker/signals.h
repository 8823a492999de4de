/* Requests by signal, of a training: SIGUSR1 commit and go on; SIGUSR2 and the first
 * SIGTERM, SIGINT (Ctrl-C) or SIGHUP (the terminal is gone) finish the step, commit, leave
 * with 75; before the first step there is nothing to commit. The same one again ends the
 * process the default way. SIGINT and SIGHUP stay ignored where they are. Any rank may get them, a server as well. Handlers only set flags. */
#ifndef MTPS_WORKER_SIGNALS_H
#define MTPS_WORKER_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

void signals_install(void);
/* Is a stop requested? Says so in the log once. */
bool signals_stopping(void);
/* Requests since the last call, as wire_flags (WIRE_CHECKPOINT, WIRE_STOP).
 * WIRE_STOP stays set once requested. */
uint32_t signals_take(void);

#endif
