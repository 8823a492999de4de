#include "cli/job.h"

#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_id.h"
#include "cli/cli.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/math/blas.h"
#include "worker/signals.h"

/* Beyond these a step's shards are too small to be worth a wake-up. */
enum { MOST_SERVER_THREADS = 8 };

/* ---- ranks and roles ---- */

enum status job_agree(struct job *j, enum status mine, const char *what, struct error *err)
{
    return j->net ? transport_agree(j->net, mine, what, err) : mine;
}

/* Number the hosts in order of first appearance. */
static enum status number_hosts(const struct transport *t, int **out, struct error *err)
{
    int n = transport_size(t), *host = mem_array((size_t)n, sizeof *host), n_hosts = 0;
    if (!host) return mem_error(err, "hosts", (size_t)n * sizeof *host);
    for (int r = 0; r < n; r++) {
        int same = 0;
        while (same < r && strcmp(transport_host(t, same), transport_host(t, r))) same++;
        host[r] = same < r ? host[same] : n_hosts++;
    }
    *out = host;
    return ST_OK;
}

static void name_ranks(struct job *j)
{
    char name[64];
    for (size_t i = 0; i < j->topology.n_servers; i++) {
        snprintf(name, sizeof name, "server %zu", i);
        transport_name(j->net, j->topology.server_rank[i], name);
    }
    for (size_t i = 0; i < j->topology.n_workers; i++) {
        snprintf(name, sizeof name, "worker %zu", i);
        transport_name(j->net, j->topology.worker_rank[i], name);
    }
}

static enum status make_topology(struct job *j, size_t n_servers, struct error *err)
{
    int *host = NULL;
    TRY(number_hosts(j->net, &host, err));
    enum status st = topology_make(transport_size(j->net), transport_rank(j->net), host, n_servers,
                                   &j->topology, err);
    mem_free(host);
    if (st == ST_OK) name_ranks(j);
    return st;
}

/* Cores this process may use, shared out among the ranks of its role on its host:
 * servers work while workers wait, and the other way round. A rank that the
 * launcher bound to some cores has its share already. */
static size_t auto_threads(const struct job *j)
{
    cpu_set_t set;
    size_t allowed = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0) allowed = (size_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (!j->net || (long)allowed < online) return allowed;
    size_t here = 0;
    const char *host = transport_host(j->net, transport_rank(j->net));
    size_t n = j->is_server ? j->topology.n_servers : j->topology.n_workers;
    const int *rank = j->is_server ? j->topology.server_rank : j->topology.worker_rank;
    for (size_t i = 0; i < n; i++) here += !strcmp(host, transport_host(j->net, rank[i]));
    return here && allowed > here ? allowed / here : 1;
}

static enum status handshake(struct job *j, struct error *err)
{
    char *config, hash[SHA256_HEX], servers[32];
    TRY(settings_print(j->settings, false, &config, err));
    bytes_sha256(config, strlen(config), hash);
    mem_free(config);
    snprintf(servers, sizeof servers, "%zu", j->topology.n_servers);
    const struct handshake_item items[] = {
        {"build", MTPS_BUILD_ID}, {"configuration", hash}, {"number of servers", servers}};
    return transport_handshake(j->net, items, sizeof items / sizeof *items, err);
}

static enum status open_ranks(struct job *j, size_t n_servers, struct error *err)
{
    if (!j->net) {
        j->crew = (struct crew){.n_workers = 1};
        j->leader = true;
        return ST_OK;
    }
    transport_deadline(j->net, j->settings->cluster.deadline_s);
    enum status st = make_topology(
        j, n_servers == SIZE_MAX ? j->settings->cluster.servers : n_servers, err);
    TRY(job_agree(j, st, "roles", err));
    TRY(handshake(j, err));
    j->is_server = j->topology.is_server;
    j->crew = (struct crew){j->net, &j->topology, j->topology.index, j->topology.n_workers};
    j->leader = !j->is_server && j->topology.index == 0;
    return ST_OK;
}

static enum status setup_server(struct job *j, struct error *err)
{
    size_t threads = j->settings->cluster.server_threads, share = auto_threads(j);
    if (!threads) threads = share < MOST_SERVER_THREADS ? share : MOST_SERVER_THREADS;
    return threads_create(threads, &j->threads, err);
}

static enum status setup_worker(struct job *j, struct error *err)
{
    const struct settings *s = j->settings;
    size_t threads = s->cluster.threads ? s->cluster.threads : auto_threads(j);
    TRY(blas_setup(err));
    TRY(threads_create(threads, &j->threads, err));
    if (!j->leader) return ST_OK;
    if (j->net)
        log_line(LOG_INFO, "job", "%zu servers, %zu workers x %zu threads, %zu lanes  %s",
                 j->topology.n_servers, j->crew.n_workers, threads, s->train.lanes, blas_describe());
    else
        log_line(LOG_INFO, "job", "one process, %zu threads, %zu lanes  %s", threads,
                 s->train.lanes, blas_describe());
    if (j->crew.n_workers > s->train.lanes)
        log_line(LOG_WARN, "job", "%zu workers share %zu lanes: some have nothing to do",
                 j->crew.n_workers, s->train.lanes);
    return ST_OK;
}

enum status job_open(struct job *j, struct settings *settings, size_t n_servers, enum status mine,
                     struct error *err)
{
    *j = (struct job){.settings = settings, .leader = true};
    if (transport_mpi_launched()) {
        double deadline = settings ? settings->cluster.deadline_s : 0;
        TRY(transport_mpi_open(deadline, &j->net, err));
        j->leader = transport_rank(j->net) == 0; /* speaks until roles are known */
    }
    TRY(job_agree(j, mine, "configuration", err));
    TRY(open_ranks(j, n_servers, err));
    int number = j->is_server ? (int)j->topology.index : (int)j->crew.worker;
    enum log_level level = (enum log_level)settings->log.level;
    log_setup(j->is_server ? "s" : "w", number, level);
    log_quiet_terminal(!j->leader);
    enum status st = j->is_server ? setup_server(j, err) : setup_worker(j, err);
    return job_agree(j, st, "starting", err);
}

enum status job_tell(struct job *j, char **text, struct error *err)
{
    if (!j->net) return ST_OK;
    int root = j->topology.worker_rank[0];
    void *data = j->leader && *text ? *text : "";
    size_t bytes = j->leader && *text ? strlen(*text) + 1 : 1;
    TRY(transport_bcast(j->net, root, &data, &bytes, err));
    if (j->leader) return ST_OK;
    mem_free(*text);
    *text = data;
    if (bytes == 1) {
        mem_free(*text);
        *text = NULL;
    }
    return ST_OK;
}

/* ---- data ---- */

enum status job_data(struct job *j, const struct session_spec *spec, struct error *err)
{
    enum status st = ST_OK;
    if (j->leader) st = session_open(spec, &j->session, err);
    TRY(job_agree(j, st, "preparing data", err));
    if (!j->leader && !j->is_server) st = session_open(spec, &j->session, err);
    return job_agree(j, st, "opening data", err);
}

/* ---- servers ---- */

/* What servers must know and only workers can tell, as JSON. */
static char *plan_text(const struct job *j)
{
    const struct session *s = j->session;
    json_t *tables = json_array();
    for (size_t t = 0; t < s->tables->n; t++)
        json_array_append_new(tables, json_pack("{s:s, s:I}", "name", s->tables->name[t], "dim",
                                                (json_int_t)s->tables->dim[t]));
    uint64_t steps = s->train ? session_total_steps(s) : 0;
    size_t first, n;
    model_direct_params(s->model, &first, &n);
    json_t *doc = json_pack("{s:I, s:I, s:[I, I], s:o}", "n_dense",
                            (json_int_t)model_n_params(s->model), "total_steps",
                            (json_int_t)steps, "wide", (json_int_t)first,
                            (json_int_t)(first + n), "tables", tables);
    char *dumped = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    char *text = dumped ? mem_strdup(dumped) : NULL;
    free(dumped);
    json_decref(doc);
    return text;
}

/* First (0) and end (1) of the floats of the wide part. */
static size_t range_end(const json_t *plan, size_t i)
{
    return (size_t)json_integer_value(json_array_get(json_object_get(plan, "wide"), i));
}

static enum status make_server(struct job *j, const json_t *plan, struct error *err)
{
    const struct settings *s = j->settings;
    const json_t *tables = json_object_get(plan, "tables");
    size_t n = json_array_size(tables);
    struct table_spec *specs = mem_zeroed(n + 1, sizeof *specs);
    if (!specs) return mem_error(err, "tables", n * sizeof *specs);
    for (size_t t = 0; t < n; t++) {
        const json_t *item = json_array_get(tables, t);
        const char *name = json_string_value(json_object_get(item, "name"));
        struct table_cfg cfg = model_tables_cfg(s, name);
        specs[t] = (struct table_spec){
            .name = name,
            .dim = (size_t)json_integer_value(json_object_get(item, "dim")),
            .init = cfg.init,
            .optimizer = cfg.optimizer,
            .l2 = (float)cfg.l2,
            .admit = cfg.admit.min_count};
    }
    struct server_spec spec = {
        .index = j->net ? j->topology.index : 0,
        .n_servers = j->net ? j->topology.n_servers : 1,
        .n_workers = j->crew.n_workers,
        .n_lanes = s->train.lanes,
        .n_shards = j->threads ? threads_size(j->threads) : 1,
        .seed = s->seed,
        .tables = specs,
        .n_tables = n,
        .n_dense = (size_t)json_integer_value(json_object_get(plan, "n_dense")),
        .dense_optimizer = s->train.optimizer,
        .dense_part = {{range_end(plan, 0), range_end(plan, 1)}, s->model.wide_optimizer},
        .schedule = s->train.schedule,
        .total_steps = (uint64_t)json_integer_value(json_object_get(plan, "total_steps")),
        .clip_norm = s->train.clip_norm};
    enum status st = server_create(&spec, &j->server, err);
    mem_free(specs);
    return st;
}

static enum status make_client(struct job *j, struct error *err)
{
    const struct session *s = j->session;
    struct client_spec spec = {.worker = j->crew.worker,
                               .n_tables = s->tables->n,
                               .dim = s->tables->dim,
                               .n_dense = model_n_params(s->model),
                               .max_parts = j->settings->train.lanes};
    if (j->net) return client_create_remote(&spec, j->net, &j->topology, &j->client, err);
    j->port = server_port(j->server);
    return client_create_local(&spec, &j->port, &j->client, err);
}

static enum status make_ends(struct job *j, const char *plan, struct error *err)
{
    enum status st = ST_OK;
    if (j->is_server || !j->net) {
        json_t *doc = json_loads(plan, 0, NULL);
        st = doc ? make_server(j, doc, err) : mem_error(err, "plan", strlen(plan));
        json_decref(doc);
    }
    if (st == ST_OK && !j->is_server) st = make_client(j, err);
    return st;
}

enum status job_make_model(struct job *j, struct ckpt *ckpt, struct error *err)
{
    enum status st = j->is_server ? ST_OK : session_model(j->session, ckpt, err);
    return job_agree(j, st, "making the model", err);
}

enum status job_model(struct job *j, struct ckpt *ckpt, struct error *err)
{
    TRY(job_make_model(j, ckpt, err));
    return job_serve(j, err);
}

enum status job_serve(struct job *j, struct error *err)
{
    char *plan = j->leader ? plan_text(j) : NULL;
    enum status st = job_tell(j, &plan, err);
    if (st == ST_OK) st = plan ? make_ends(j, plan, err) : mem_error(err, "plan", 1024);
    mem_free(plan);
    TRY(job_agree(j, st, "starting servers", err));
    j->serving = true;
    if (!j->is_server) return ST_OK;
    return server_run(j->server, j->net, &j->topology, j->threads, signals_take, err);
}

/* ---- the end ---- */

static bool orderly(enum status st)
{
    return st == ST_OK || st == ST_STOPPED;
}

bool job_aborts(const struct job *j, enum status st)
{
    return j->net && (st == ST_PEER || (j->serving && !orderly(st)));
}

enum status job_outcome(struct job *j, enum status st, struct error *err)
{
    if (!j->net || st == ST_PEER || !transport_ended(j->net)) return st;
    return error_set(err, ST_PEER, "another rank has ended the job");
}

/* One rank says why. */
NORETURN static void give_up(struct job *j, enum status st, const struct error *err)
{
    transport_take_word(j->net);
    transport_abort(j->net, cli_finish(st, err));
}

static enum status say_bye(struct job *j, enum status st, struct error *err)
{
    if (!j->serving || j->is_server || !orderly(st)) return st;
    struct error why;
    enum status left = client_bye(j->client, &why);
    if (left == ST_OK) return st;
    *err = why;
    return left;
}

static void free_all(struct job *j)
{
    client_destroy(j->client);
    session_close(j->session);
    server_destroy(j->server);
    threads_destroy(j->threads);
    topology_close(&j->topology);
}

/* The exit code that all have agreed on. Servers come with ST_OK: a stop is known
 * to workers only. */
static int leave_together(struct job *j, enum status st, int code)
{
    struct error err;
    if (j->serving) {
        st = transport_agree(j->net, st, "leaving", &err);
        if (st == ST_PEER) give_up(j, st, &err);
        code = status_exit_code(st);
    }
    free_all(j);
    if (transport_close(j->net, &err) == ST_OK) return code;
    if (!orderly(st)) transport_abort(j->net, code); /* the reason has been said */
    give_up(j, ST_PEER, &err);
}

int job_close(struct job *j, enum status st, struct error *err)
{
    st = say_bye(j, job_outcome(j, st, err), err);
    if (j->leader) st = cli_flush(st, err);
    if (job_aborts(j, st)) give_up(j, st, err);
    int code = j->leader || !j->net ? cli_finish(st, err) : status_exit_code(st);
    if (j->net) return leave_together(j, st, code);
    free_all(j);
    return code;
}
