#include "worker/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "common/base/log.h"
#include "common/net/wire.h"

static atomic_int commit_requested, stop_requested, stop_said;

static void on_commit(int sig)
{
    (void)sig;
    atomic_store(&commit_requested, 1);
}

static void on_stop(int sig)
{
    atomic_store(&stop_requested, 1);
    if (sig != SIGUSR2) signal(sig, SIG_DFL);
}

static void handle(int sig, void (*handler)(int))
{
    struct sigaction act = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    sigaction(sig, &act, NULL);
}

/* Whoever started us may have asked to ignore it (nohup, jobs in the background). */
static bool is_ignored(int sig)
{
    struct sigaction act;
    return sigaction(sig, NULL, &act) == 0 && act.sa_handler == SIG_IGN;
}

void signals_install(void)
{
    handle(SIGUSR1, on_commit);
    handle(SIGUSR2, on_stop);
    handle(SIGTERM, on_stop);
    if (!is_ignored(SIGINT)) handle(SIGINT, on_stop);
    if (!is_ignored(SIGHUP)) handle(SIGHUP, on_stop);
}

bool signals_stopping(void)
{
    bool stop = atomic_load(&stop_requested);
    if (stop && !atomic_exchange(&stop_said, 1)) log_line(LOG_INFO, "job", "stop requested");
    return stop;
}

uint32_t signals_take(void)
{
    uint32_t flags = atomic_exchange(&commit_requested, 0) ? WIRE_CHECKPOINT : 0;
    return signals_stopping() ? flags | WIRE_STOP : flags;
}
