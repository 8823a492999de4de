/* Runs as child processes of this same program, several side by side: `mtps train`,
 * then `mtps eval` for other rows than data.eval. What a run has done already is
 * seen from its files, so an interrupted comparison goes on where it was:
 *
 *   OUT/cells/CELL/seed-N/
 *     cell.yaml          the whole configuration: mtps train -c cell.yaml does the same
 *     result.json        written by training when it is over
 *     eval-train.json    metrics on further rows, one file each
 *     output.log         what the children said */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/compare.h"
#include "common/base/log.h"
#include "common/store/file.h"

enum { EXEC_FAILED = 127, MAX_RESULT = 16 * 1024 * 1024, MAX_ARGV = 12 };

/* What a run needs next. */
enum step { STEP_TRAIN, STEP_EVAL, STEP_NONE };
struct need {
    enum step step;
    enum compare_on on; /* STEP_EVAL */
};

struct child {
    pid_t pid; /* 0: the place is free */
    struct compare_run *run;
    struct need need;
    long log_start; /* of this child's lines in output.log */
};

struct crowd {
    struct compare *c;
    struct child *children; /* [jobs] */
    size_t jobs, threads;
    sigset_t caught, before;
    int signals; /* requests to stop so far */
    struct error *err;
    enum status worst; /* of the first run that failed */
};

const char *compare_run_file(struct compare *c, const struct compare_run *r,
                             const char *name)
{
    return arena_printf(c->arena, "%s/%s", r->dir, name);
}

static const char *eval_file(struct compare *c, const struct compare_run *r,
                             enum compare_on on)
{
    return arena_printf(c->arena, "%s/eval-%s.json", r->dir, compare_on_names[on]);
}

static bool is_there(const char *path)
{
    return path && file_exists(path);
}

static struct need next_need(struct compare *c, const struct compare_run *r)
{
    if (!is_there(compare_run_file(c, r, "result.json")))
        return (struct need){STEP_TRAIN, ON_EVAL};
    for (size_t i = 0; i < c->n_on; i++)
        if (c->on[i] != ON_EVAL && !is_there(eval_file(c, r, c->on[i])))
            return (struct need){STEP_EVAL, c->on[i]};
    return (struct need){STEP_NONE, ON_EVAL};
}

bool compare_is_finished(struct compare *c, const struct compare_run *r)
{
    return next_need(c, r).step == STEP_NONE;
}

size_t compare_count(const struct compare *c, enum run_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_runs; i++) n += c->runs[i].state == state;
    return n;
}

/* ---- a run's configuration ---- */

static const char *text_set(struct arena *a, const char *key, const char *value)
{
    char *text = arena_take(a, settings_assign_bytes(key, value), 1);
    if (text) settings_assign_text(key, value, text);
    return text;
}

static enum status write_config(struct crowd *w, const struct compare_run *r)
{
    struct compare *c = w->c;
    const struct compare_cell *cell = &c->cells[r->cell];
    size_t n = cell->n_sets;
    const char **sets = arena_take(c->arena, n + 3, sizeof *sets);
    const char *path = compare_run_file(c, r, "cell.yaml");
    if (!sets || !path) return mem_error(w->err, "run", n);
    memcpy(sets, cell->sets, n * sizeof *sets);
    sets[n++] = arena_printf(c->arena, "seed=%llu", (unsigned long long)r->seed);
    sets[n++] = text_set(c->arena, "run_dir", r->dir);
    if (!cell->threads)
        sets[n++] = arena_printf(c->arena, "cluster.threads=%zu", w->threads);
    for (size_t i = 0; i < n; i++)
        if (!sets[i]) return mem_error(w->err, "run", n);
    struct settings *s;
    char *text = NULL;
    TRY(settings_load(cell->file, sets, n, &s, w->err));
    enum status st = settings_print(s, false, &text, w->err);
    if (st == ST_OK) st = file_mkdirs(r->dir, w->err);
    if (st == ST_OK) st = file_write_atomic(path, text, strlen(text), w->err);
    mem_free(text);
    settings_destroy(s);
    return st;
}

/* ---- starting ---- */

/* Everything that the child needs, made before the fork: only calls that are safe
 * there follow it. */
struct launch {
    const char *argv[MAX_ARGV];
    const char *out, *log;
};

static enum status make_launch(struct crowd *w, const struct child *ch, struct launch *l)
{
    struct compare *c = w->c;
    const struct compare_run *r = ch->run;
    size_t n = 0;
    l->argv[n++] = "mtps";
    l->log = l->out = compare_run_file(c, r, "output.log");
    if (ch->need.step == STEP_TRAIN) {
        l->argv[n++] = "train";
        l->argv[n++] = "-c";
        l->argv[n++] = compare_run_file(c, r, "cell.yaml");
    } else {
        l->argv[n++] = "eval";
        l->argv[n++] = "--ckpt";
        l->argv[n++] = r->dir;
        l->argv[n++] = "--on";
        l->argv[n++] = compare_on_names[ch->need.on];
        const char *file = eval_file(c, r, ch->need.on);
        l->out = file ? arena_printf(c->arena, "%s.part", file) : NULL;
    }
    l->argv[n++] = "--json";
    l->argv[n] = NULL;
    for (size_t i = 0; i < n; i++)
        if (!l->argv[i]) return mem_error(w->err, "run", n);
    return l->out && l->log ? ST_OK : mem_error(w->err, "run", n);
}

static void become(const struct crowd *w, const struct launch *l, pid_t parent)
{
    setpgid(0, 0); /* Ctrl-C reaches the parent alone, which passes it on */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(EXEC_FAILED);
    int in = open("/dev/null", O_RDONLY);
    int log = open(l->log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    int out = l->out == l->log ? log : open(l->out, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (in < 0 || log < 0 || out < 0) _exit(status_exit_code(ST_CANTCREATE));
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    sigprocmask(SIG_SETMASK, &w->before, NULL);
    execv("/proc/self/exe", (char *const *)l->argv);
    _exit(EXEC_FAILED);
}

static long end_of(const char *path)
{
    uint64_t bytes = 0;
    return file_exists(path) && file_size(path, &bytes, NULL) == ST_OK ? (long)bytes : 0;
}

static enum status start(struct crowd *w, struct child *ch, struct compare_run *r,
                         struct need need)
{
    *ch = (struct child){.run = r, .need = need};
    struct launch l;
    if (need.step == STEP_TRAIN) TRY(write_config(w, r));
    TRY(make_launch(w, ch, &l));
    ch->log_start = end_of(l.log);
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return error_set(w->err, ST_INTERNAL, "%s: no process can be started: %s", r->dir,
                         strerror(errno));
    if (!pid) become(w, &l, parent);
    ch->pid = pid;
    r->state = RUN_ACTIVE;
    log_line(LOG_DEBUG, "compare", "%s: %s (process %d)", r->dir, l.argv[1], (int)pid);
    return ST_OK;
}

/* ---- ending ---- */

/* The last error line of this child, without "error: ". */
static const char *error_line(struct crowd *w, const struct child *ch)
{
    char line[2048];
    const char *found = "", *path = compare_run_file(w->c, ch->run, "output.log");
    FILE *f = path ? fopen(path, "r") : NULL;
    if (!f) return found;
    if (!fseek(f, ch->log_start, SEEK_SET))
        while (fgets(line, sizeof line, f)) {
            line[strcspn(line, "\n")] = '\0';
            if (!strncmp(line, "error: ", 7)) found = arena_strdup(w->c->arena, line + 7);
        }
    fclose(f);
    return found ? found : "";
}

static enum status status_of_code(int code)
{
    for (int st = ST_OK; st < ST_COUNT; st++)
        if (status_exit_code((enum status)st) == code) return (enum status)st;
    return ST_INTERNAL;
}

static void fail_run(struct crowd *w, const struct child *ch, enum status st,
                     const char *why)
{
    struct compare_run *r = ch->run;
    r->state = RUN_FAILED;
    r->code = status_exit_code(st);
    r->message = why;
    log_line(LOG_WARN, "compare", "%s seed %llu: exit %d: %s (%s/output.log)",
             w->c->cells[r->cell].label, (unsigned long long)r->seed, r->code, why,
             r->dir);
    if (w->worst != ST_OK) return;
    w->worst = st;
    error_set(w->err, st, "%s: %s", r->dir, why);
    error_hint(w->err, st,
               "see %s/output.log; run the same command again to go on with what is "
               "not finished",
               r->dir);
}

/* Metrics come on the child's standard output; the file appears whole or not at all. */
static enum status keep_output(struct crowd *w, const struct child *ch, struct error *err)
{
    const char *path = eval_file(w->c, ch->run, ch->need.on);
    const char *part = path ? arena_printf(w->c->arena, "%s.part", path) : NULL;
    char *text = NULL;
    size_t bytes = 0;
    if (!part) return mem_error(err, "metrics", 1);
    TRY(file_read_all(part, &text, &bytes, MAX_RESULT, err));
    enum status st = file_write_atomic(path, text, bytes, err);
    mem_free(text);
    remove(part);
    return st;
}

static void log_done(struct crowd *w, struct compare_run *r)
{
    struct compare *c = w->c;
    char text[512] = "";
    size_t n = 0;
    const char *task;
    json_t *metrics;
    json_object_foreach(r->metrics[c->on[0]], task, metrics)
    {
        void *first = json_object_iter(metrics);
        if (!first || n >= sizeof text) continue;
        n += (size_t)snprintf(text + n, sizeof text - n, "  %s %s %.5f", task,
                              json_object_iter_key(first),
                              json_number_value(json_object_iter_value(first)));
    }
    log_line(LOG_INFO, "compare", "%zu of %zu  %s seed %llu: %.1f s%s",
             compare_count(c, RUN_DONE), c->n_runs, c->cells[r->cell].label,
             (unsigned long long)r->seed, r->train_s, text);
}

/* After a child that ended well: the next step, or done. */
static enum status go_on(struct crowd *w, struct child *ch)
{
    struct compare *c = w->c;
    struct compare_run *r = ch->run;
    struct error err;
    ch->pid = 0;
    if (ch->need.step == STEP_EVAL) {
        enum status st = keep_output(w, ch, &err);
        if (st != ST_OK) {
            fail_run(w, ch, st, arena_strdup(c->arena, err.text));
            return ST_OK;
        }
    }
    struct need next = next_need(c, r);
    if (next.step == ch->need.step && next.on == ch->need.on) {
        fail_run(w, ch, ST_IO, "the run is over and its result is not there");
        return ST_OK;
    }
    if (next.step != STEP_NONE && w->signals) {
        r->state = RUN_STOPPED;
        return ST_OK;
    }
    if (next.step != STEP_NONE) return start(w, ch, r, next);
    r->state = RUN_DONE;
    TRY(compare_read_run(c, r, w->err));
    log_done(w, r);
    return ST_OK;
}

static enum status take_end(struct crowd *w, struct child *ch, int how)
{
    struct compare_run *r = ch->run;
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return go_on(w, ch);
    ch->pid = 0;
    bool stopped = WIFEXITED(how) ? WEXITSTATUS(how) == status_exit_code(ST_STOPPED)
                                  : w->signals > 0;
    if (stopped) {
        r->state = RUN_STOPPED;
        return ST_OK;
    }
    if (WIFSIGNALED(how)) {
        const char *why =
            arena_printf(w->c->arena, "the process was ended by signal %d (%s)",
                         WTERMSIG(how), strsignal(WTERMSIG(how)));
        fail_run(w, ch, ST_PEER, why ? why : "the process was ended by a signal");
        return ST_OK;
    }
    enum status st = status_of_code(WEXITSTATUS(how));
    const char *why = WEXITSTATUS(how) == EXEC_FAILED ? "the program cannot be started"
                                                      : error_line(w, ch);
    fail_run(w, ch, st, *why ? why : status_text(st));
    return ST_OK;
}

/* ---- the loop ---- */

/* First request: children finish their step, commit and leave. Second: at once. */
static void take_signal(struct crowd *w, int sig)
{
    int pass_on = sig == SIGUSR1 ? SIGUSR1 : ++w->signals > 1 ? SIGKILL : SIGTERM;
    if (sig != SIGUSR1)
        log_line(LOG_WARN, "compare", "%s: ending %zu runs%s", strsignal(sig),
                 compare_count(w->c, RUN_ACTIVE),
                 w->signals > 1 ? " at once" : " after a checkpoint each");
    for (size_t i = 0; i < w->jobs; i++)
        if (w->children[i].pid) kill(w->children[i].pid, pass_on);
}

static enum status reap(struct crowd *w)
{
    for (size_t i = 0; i < w->jobs; i++) {
        int how;
        struct child *ch = &w->children[i];
        if (ch->pid && waitpid(ch->pid, &how, WNOHANG) == ch->pid)
            TRY(take_end(w, ch, how));
    }
    return ST_OK;
}

static enum status fill(struct crowd *w, size_t *next)
{
    struct compare *c = w->c;
    for (size_t i = 0; i < w->jobs && !w->signals; i++) {
        while (*next < c->n_runs && c->runs[*next].state != RUN_WAITING) ++*next;
        if (w->children[i].pid || *next == c->n_runs) continue;
        struct compare_run *r = &c->runs[(*next)++];
        TRY(start(w, &w->children[i], r, next_need(c, r)));
    }
    return ST_OK;
}

static enum status run_all(struct crowd *w)
{
    size_t next = 0;
    for (;;) {
        TRY(fill(w, &next));
        if (!compare_count(w->c, RUN_ACTIVE)) return ST_OK;
        int sig = sigwaitinfo(&w->caught, NULL);
        if (sig > 0 && sig != SIGCHLD) take_signal(w, sig);
        TRY(reap(w));
    }
}

/* After an error of our own nobody is left behind. */
static void end_children(struct crowd *w)
{
    for (size_t i = 0; i < w->jobs; i++)
        if (w->children[i].pid) kill(w->children[i].pid, SIGTERM);
    for (size_t i = 0; i < w->jobs; i++)
        if (w->children[i].pid) waitpid(w->children[i].pid, NULL, 0);
}

/* As many runs side by side as there are cores for their threads; when there are
 * fewer runs than cores, each gets several threads. */
static void share_cores(struct crowd *w, size_t pending)
{
    cpu_set_t set;
    size_t cores = sched_getaffinity(0, sizeof set, &set) ? 1 : (size_t)CPU_COUNT(&set);
    size_t widest = 0;
    for (size_t i = 0; i < w->c->n_cells; i++)
        if (w->c->cells[i].threads > widest) widest = w->c->cells[i].threads;
    w->jobs = w->c->args->jobs ? w->c->args->jobs : widest ? cores / widest : cores;
    if (w->jobs > pending) w->jobs = pending;
    if (!w->jobs) w->jobs = 1;
    w->threads = cores / w->jobs ? cores / w->jobs : 1;
}

static size_t find_finished(struct compare *c)
{
    for (size_t i = 0; i < c->n_runs; i++)
        c->runs[i].state = compare_is_finished(c, &c->runs[i]) ? RUN_DONE : RUN_WAITING;
    return compare_count(c, RUN_DONE);
}

static enum status verdict(struct crowd *w)
{
    struct compare *c = w->c;
    if (w->worst != ST_OK) {
        size_t failed = compare_count(c, RUN_FAILED);
        return error_wrap(w->err, w->worst, "%zu of %zu runs failed, first", failed,
                          c->n_runs);
    }
    size_t done = compare_count(c, RUN_DONE);
    if (done == c->n_runs) return ST_OK;
    error_set(w->err, ST_STOPPED, "stopped with %zu of %zu runs finished", done,
              c->n_runs);
    return error_hint(w->err, ST_STOPPED, "run the same command again to go on");
}

enum status compare_train(struct compare *c, struct error *err)
{
    struct crowd w = {.c = c, .err = err, .worst = ST_OK};
    size_t done = find_finished(c);
    if (done == c->n_runs) return ST_OK;
    share_cores(&w, c->n_runs - done);
    w.children = arena_take(c->arena, w.jobs, sizeof *w.children);
    if (!w.children) return mem_error(err, "runs", w.jobs * sizeof *w.children);
    log_line(LOG_INFO, "compare",
             "%zu cells x %zu seeds, %zu finished; %zu side by side, %zu "
             "threads each",
             c->n_cells, c->n_seeds, done, w.jobs, w.threads);
    static const int caught[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
    sigemptyset(&w.caught);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        sigaddset(&w.caught, caught[i]);
    sigprocmask(SIG_BLOCK, &w.caught, &w.before);
    enum status st = run_all(&w);
    if (st != ST_OK) end_children(&w);
    sigprocmask(SIG_SETMASK, &w.before, NULL);
    return st == ST_OK ? verdict(&w) : st;
}
