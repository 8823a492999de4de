#include "common/store/manifest.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { MANIFEST_LIMIT = 64 << 20, MAX_FILES = 100000 };

#define FORMAT_NAME "mtps-checkpoint"
/* The last line: 64 hexadecimal digits between these. */
#define TAIL_BEFORE ",\n  \"sha256\": \""
#define TAIL_AFTER "\"\n}\n"
enum { TAIL_BYTES = sizeof TAIL_BEFORE - 1 + SHA256_HEX - 1 + sizeof TAIL_AFTER - 1 };

static const char *const role_names[ROLE_COUNT] = {"sparse", "dense", "state"};

void manifest_sparse_name(size_t index, size_t n_servers, char out[64])
{
    snprintf(out, 64, "sparse-%05zu-of-%05zu.h5", index, n_servers);
}

enum file_role manifest_role(const char *name)
{
    if (!strcmp(name, "dense.h5")) return ROLE_DENSE;
    if (!strcmp(name, "train_state.h5")) return ROLE_STATE;
    return strncmp(name, "sparse-", 7) ? ROLE_COUNT : ROLE_SPARSE;
}

void manifest_sum_digest(const struct manifest *m, struct digest *out)
{
    struct digest sum = {0};
    for (size_t i = 0; i < m->n_files; i++) digest_add(&sum, &m->files[i].info.digest);
    digest_number(&sum, "step", m->meta.step);
    digest_number(&sum, "updates", m->meta.updates);
    *out = sum;
}

enum status manifest_path(const char *folder, const char *name, char *out, size_t size,
                          struct error *err)
{
    int n = snprintf(out, size, "%s/%s", folder, name);
    if (n > 0 && (size_t)n < size) return ST_OK;
    return error_set(err, ST_CANTCREATE, "%s: the path is too long", folder);
}

/* ---- writing ---- */

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *text(const char *s)
{
    return json_string(s ? s : "");
}

/* A NULL item (a text that is not UTF-8, no memory) must not vanish from its list. */
static void append(json_t *list, json_t *item, bool *ok)
{
    if (json_array_append_new(list, item)) *ok = false;
}

static json_t *print_tables(const struct manifest *m, bool *ok)
{
    json_t *list = json_array();
    for (size_t t = 0; t < m->n_tables; t++) {
        const struct ckpt_table *table = &m->tables[t];
        json_t *slots = json_array();
        for (size_t i = 0; i < table->n_slots; i++)
            append(slots,
                   json_pack("{s:o, s:o}", "name", text(table->slot_name[i]), "width",
                             number(table->slot_width[i])),
                   ok);
        append(list,
               json_pack("{s:o, s:o, s:o, s:o}", "name", text(table->name), "dim",
                         number(table->dim), "rows", number(m->table_rows[t]), "slots",
                         slots),
               ok);
    }
    return list;
}

static json_t *print_files(const struct manifest *m, bool *ok)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_files; i++) {
        const struct manifest_file *f = &m->files[i];
        char hex[33];
        digest_hex(&f->info.digest, hex);
        json_t *file =
            json_pack("{s:s, s:s, s:o, s:o, s:s, s:s}", "name", f->info.name, "role",
                      role_names[f->role], "bytes", number(f->info.bytes), "rows",
                      number(f->info.rows), "sha256", f->info.sha256, "digest", hex);
        if (f->role == ROLE_SPARSE) {
            json_t *rows = json_array();
            for (size_t t = 0; t < m->n_tables; t++) append(rows, number(f->rows[t]), ok);
            json_object_set_new(file, "table_rows", rows);
        }
        append(list, file, ok);
    }
    return list;
}

static json_t *print_tensors(const struct manifest *m, bool *ok)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct manifest_tensor *t = &m->tensors[i];
        append(list,
               json_pack("{s:o, s:o, s:o}", "name", text(t->name), "rows",
                         number(t->rows), "cols", number(t->cols)),
               ok);
    }
    return list;
}

static json_t *print_all(const struct manifest *m, bool *ok)
{
    const struct ckpt_meta *meta = &m->meta;
    const char *config = meta->config ? meta->config : "";
    char seed[24], hash[SHA256_HEX], digest[33];
    snprintf(seed, sizeof seed, "%" PRIu64, meta->seed);
    bytes_sha256(config, strlen(config), hash);
    digest_hex(&m->digest, digest);
    json_t *slots = json_array();
    for (size_t i = 0; i < m->n_slots; i++) append(slots, text(m->slots[i]), ok);
    return json_pack("{s:s, s:i, s:o, s:o, s:f, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:i, "
                     "s:i, s:i, s:s, s:s, s:o, s:o, "
                     "s:o, s:o, s:s}",
                     "format", FORMAT_NAME, "version", MANIFEST_VERSION, "step",
                     number(meta->step), "updates", number(meta->updates), "epoch",
                     meta->epoch, "seed", seed, "lanes", number(meta->lanes),
                     "batch_size", number(meta->batch_size), "attempt",
                     number(meta->attempt), "run_uuid", text(meta->run_uuid), "build",
                     text(meta->build), "data_digest", text(meta->data_digest),
                     "hash_version", HASH_VERSION, "partition_version", PARTITION_VERSION,
                     "buckets", N_BUCKETS, "config", config, "config_sha256", hash,
                     "tables", print_tables(m, ok), "tensors", print_tensors(m, ok),
                     "dense_slots", slots, "files", print_files(m, ok), "digest", digest);
}

enum status manifest_print(const struct manifest *m, char **out, size_t *bytes,
                           struct error *err)
{
    bool ok = true;
    json_t *root = isfinite(m->meta.epoch) ? print_all(m, &ok) : NULL;
    char *body = root && ok ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (!body)
        return error_set(
            err, ST_INTERNAL,
            "%s: cannot be printed (a text that is not UTF-8, or out of memory)",
            MANIFEST_NAME);
    size_t n = strlen(body) - 2; /* without the final line break and brace */
    char hex[SHA256_HEX];
    bytes_sha256(body, n, hex);
    char *whole = mem_alloc(n + TAIL_BYTES + 1);
    if (whole) {
        memcpy(whole, body, n);
        snprintf(whole + n, TAIL_BYTES + 1, "%s%s%s", TAIL_BEFORE, hex, TAIL_AFTER);
        *out = whole;
        *bytes = n + TAIL_BYTES;
    }
    free(body);
    return whole ? ST_OK : mem_error(err, MANIFEST_NAME, n + TAIL_BYTES);
}

/* ---- reading ---- */

struct reader {
    struct manifest *m;
    const char *path;
    struct error *err;
};

static enum status bad(const struct reader *r, const char *what)
{
    return error_set(r->err, ST_NOINPUT, "%s: %s", r->path, what);
}

static enum status bad_field(const struct reader *r, const char *key)
{
    return error_set(r->err, ST_NOINPUT, "%s: field \"%s\" is missing or of another kind",
                     r->path, key);
}

static enum status get_number(const struct reader *r, const json_t *o, const char *key,
                              uint64_t *out)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0) return bad_field(r, key);
    *out = (uint64_t)json_integer_value(v);
    return ST_OK;
}

static enum status get_text(const struct reader *r, const json_t *o, const char *key,
                            const char **out)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v)) return bad_field(r, key);
    char *copy = arena_strdup(r->m->arena, json_string_value(v));
    if (!copy) return mem_error(r->err, r->path, json_string_length(v));
    *out = copy;
    return ST_OK;
}

static enum status get_list(const struct reader *r, const json_t *o, const char *key,
                            const json_t **out)
{
    *out = json_object_get(o, key);
    return json_is_array(*out) ? ST_OK : bad_field(r, key);
}

static void *take(const struct reader *r, size_t n, size_t size)
{
    return arena_take(r->m->arena, n, size);
}

static bool parse_hex(const char *s, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 16; i++) {
        char c = s[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = v;
    return true;
}

static enum status get_digest(const struct reader *r, const json_t *o, struct digest *out)
{
    const char *s = json_string_value(json_object_get(o, "digest"));
    if (!s || strlen(s) != 32 || !parse_hex(s, &out->high) ||
        !parse_hex(s + 16, &out->low))
        return bad_field(r, "digest");
    return ST_OK;
}

static bool is_waiting_name(const char *name)
{
    static const char end[] = CKPT_WAITING;
    size_t n = strlen(name), m = sizeof end - 1;
    return n > m && !strcmp(name + n - m, end);
}

static enum status read_table(const struct reader *r, const json_t *o, size_t t)
{
    struct ckpt_table *table = &r->m->tables[t];
    const json_t *slots;
    uint64_t v = 0;
    TRY(get_text(r, o, "name", &table->name));
    TRY(get_number(r, o, "dim", &v));
    table->dim = v;
    TRY(get_number(r, o, "rows", &r->m->table_rows[t]));
    TRY(get_list(r, o, "slots", &slots));
    table->n_slots = json_array_size(slots);
    if (table->n_slots > 2) return bad(r, "a table has more than 2 optimiser slots");
    for (size_t i = 0; i < table->n_slots; i++) {
        TRY(get_text(r, json_array_get(slots, i), "name", &table->slot_name[i]));
        TRY(get_number(r, json_array_get(slots, i), "width", &v));
        table->slot_width[i] = v;
        if (v == 0 || v > UINT32_MAX) return bad(r, "a slot's width is out of range");
    }
    bool waiting = !table->dim && !table->n_slots && is_waiting_name(table->name);
    return (!table->dim && !waiting) || table->dim > UINT32_MAX
               ? bad(r, "a table's dim is out of range")
               : ST_OK;
}

static enum status read_tables(const struct reader *r, const json_t *root)
{
    const json_t *list;
    TRY(get_list(r, root, "tables", &list));
    size_t n = json_array_size(list);
    r->m->tables = take(r, n, sizeof *r->m->tables);
    r->m->table_rows = take(r, n, sizeof *r->m->table_rows);
    if (!r->m->tables || !r->m->table_rows) return mem_error(r->err, r->path, n);
    r->m->n_tables = n;
    for (size_t t = 0; t < n; t++) TRY(read_table(r, json_array_get(list, t), t));
    return ST_OK;
}

static enum status read_file_rows(const struct reader *r, const json_t *o,
                                  struct manifest_file *f)
{
    const json_t *list;
    TRY(get_list(r, o, "table_rows", &list));
    if (json_array_size(list) != r->m->n_tables) return bad_field(r, "table_rows");
    f->rows = take(r, r->m->n_tables, sizeof *f->rows);
    if (!f->rows) return mem_error(r->err, r->path, r->m->n_tables);
    uint64_t sum = 0;
    for (size_t t = 0; t < r->m->n_tables; t++) {
        const json_t *v = json_array_get(list, t);
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return bad_field(r, "table_rows");
        f->rows[t] = (uint64_t)json_integer_value(v);
        sum += f->rows[t];
    }
    return sum == f->info.rows ? ST_OK
                               : bad(r, "a file's rows are not the sum over its tables");
}

static enum status read_file(const struct reader *r, const json_t *o,
                             struct manifest_file *f)
{
    const char *name, *role, *sha;
    TRY(get_text(r, o, "name", &name));
    TRY(get_text(r, o, "role", &role));
    TRY(get_text(r, o, "sha256", &sha));
    TRY(get_number(r, o, "bytes", &f->info.bytes));
    TRY(get_number(r, o, "rows", &f->info.rows));
    TRY(get_digest(r, o, &f->info.digest));
    f->role = manifest_role(name);
    /* The expected names are compared in check_files(): no path can be smuggled in. */
    if (f->role == ROLE_COUNT || strcmp(role, role_names[f->role]) ||
        strlen(name) >= sizeof f->info.name || strlen(sha) != SHA256_HEX - 1)
        return bad(r, "an entry of \"files\" has an unknown name or role, or no SHA-256");
    memcpy(f->info.name, name, strlen(name) + 1);
    memcpy(f->info.sha256, sha, SHA256_HEX);
    return f->role == ROLE_SPARSE ? read_file_rows(r, o, f) : ST_OK;
}

/* n sparse files in order, then one dense and one state file. */
static enum status check_files(const struct reader *r)
{
    struct manifest *m = r->m;
    static const char *const last[2] = {"dense.h5", "train_state.h5"};
    for (size_t i = 0; i < m->n_files; i++) {
        char name[64];
        struct manifest_file *f = &m->files[i];
        if (i < m->n_sparse)
            manifest_sparse_name(i, m->n_sparse, name);
        else
            snprintf(name, sizeof name, "%s", last[i - m->n_sparse]);
        if (strcmp(name, f->info.name))
            return error_set(r->err, ST_NOINPUT, "%s: expected file %s, found %s",
                             r->path, name, f->info.name);
        if (i < m->n_sparse) f->buckets = partition_buckets(i, m->n_sparse);
    }
    return ST_OK;
}

static enum status read_files(const struct reader *r, const json_t *root)
{
    struct manifest *m = r->m;
    const json_t *list;
    TRY(get_list(r, root, "files", &list));
    m->n_files = json_array_size(list);
    if (m->n_files < 3 || m->n_files > MAX_FILES)
        return bad(r, "\"files\" has too few or too many entries");
    m->n_sparse = m->n_files - 2;
    m->files = take(r, m->n_files, sizeof *m->files);
    if (!m->files) return mem_error(r->err, r->path, m->n_files);
    for (size_t i = 0; i < m->n_files; i++)
        TRY(read_file(r, json_array_get(list, i), &m->files[i]));
    return check_files(r);
}

static enum status read_tensors(const struct reader *r, const json_t *root)
{
    struct manifest *m = r->m;
    const json_t *list, *slots;
    TRY(get_list(r, root, "tensors", &list));
    TRY(get_list(r, root, "dense_slots", &slots));
    m->n_tensors = json_array_size(list);
    m->n_slots = json_array_size(slots);
    m->tensors = take(r, m->n_tensors, sizeof *m->tensors);
    m->slots = take(r, m->n_slots, sizeof *m->slots);
    if (!m->tensors || !m->slots) return mem_error(r->err, r->path, m->n_tensors);
    for (size_t i = 0; i < m->n_tensors; i++) {
        const json_t *o = json_array_get(list, i);
        uint64_t rows, cols;
        TRY(get_text(r, o, "name", &m->tensors[i].name));
        TRY(get_number(r, o, "rows", &rows));
        TRY(get_number(r, o, "cols", &cols));
        m->tensors[i].rows = rows;
        m->tensors[i].cols = cols;
    }
    for (size_t i = 0; i < m->n_slots; i++) {
        const char *name = json_string_value(json_array_get(slots, i));
        if (!name) return bad_field(r, "dense_slots");
        m->slots[i] = arena_strdup(m->arena, name);
        if (!m->slots[i]) return mem_error(r->err, r->path, strlen(name));
    }
    return ST_OK;
}

static enum status read_meta(const struct reader *r, const json_t *root)
{
    struct ckpt_meta *meta = &r->m->meta;
    const char *seed, *config_hash;
    char *end, hash[SHA256_HEX];
    TRY(get_number(r, root, "step", &meta->step));
    TRY(get_number(r, root, "updates", &meta->updates));
    TRY(get_number(r, root, "lanes", &meta->lanes));
    TRY(get_number(r, root, "batch_size", &meta->batch_size));
    TRY(get_number(r, root, "attempt", &meta->attempt));
    TRY(get_text(r, root, "run_uuid", &meta->run_uuid));
    TRY(get_text(r, root, "build", &meta->build));
    TRY(get_text(r, root, "data_digest", &meta->data_digest));
    TRY(get_text(r, root, "config", &meta->config));
    TRY(get_text(r, root, "config_sha256", &config_hash));
    TRY(get_text(r, root, "seed", &seed));
    const json_t *epoch = json_object_get(root, "epoch");
    if (!json_is_number(epoch)) return bad_field(r, "epoch");
    meta->epoch = json_number_value(epoch);
    meta->seed = strtoull(seed, &end, 10);
    if (*seed < '0' || *seed > '9' || *end) return bad_field(r, "seed");
    bytes_sha256(meta->config, strlen(meta->config), hash);
    return strcmp(hash, config_hash) ? bad(r, "the config does not have its SHA-256")
                                     : ST_OK;
}

static enum status expect_number(const struct reader *r, const json_t *root,
                                 const char *key, uint64_t expected)
{
    uint64_t v = 0;
    TRY(get_number(r, root, key, &v));
    if (v == expected) return ST_OK;
    error_set(r->err, ST_NOINPUT, "%s: %s is %" PRIu64 ", this program reads %" PRIu64,
              r->path, key, v, expected);
    return error_hint(r->err, ST_NOINPUT, "use the version of the program that wrote it");
}

static enum status check_sums(const struct reader *r)
{
    const struct manifest *m = r->m;
    struct digest sum;
    manifest_sum_digest(m, &sum);
    if (!digest_equal(&sum, &m->digest))
        return bad(r, "the digest is not the sum over the files");
    for (size_t t = 0; t < m->n_tables; t++) {
        uint64_t rows = 0;
        for (size_t i = 0; i < m->n_sparse; i++) rows += m->files[i].rows[t];
        if (rows != m->table_rows[t])
            return bad(r, "a table's rows are not the sum over the files");
    }
    return ST_OK;
}

static enum status read_all(const struct reader *r, const json_t *root)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    if (!format || strcmp(format, FORMAT_NAME))
        return bad(r, "not a manifest of a checkpoint");
    TRY(expect_number(r, root, "version", MANIFEST_VERSION));
    TRY(expect_number(r, root, "hash_version", HASH_VERSION));
    TRY(expect_number(r, root, "partition_version", PARTITION_VERSION));
    TRY(expect_number(r, root, "buckets", N_BUCKETS));
    TRY(read_meta(r, root));
    TRY(read_tables(r, root));
    TRY(read_tensors(r, root));
    TRY(read_files(r, root));
    TRY(get_digest(r, root, &r->m->digest));
    return check_sums(r);
}

/* The last line is compared byte by byte with the one the text before it gives. */
static enum status check_hash(const char *path, const char *data, size_t bytes,
                              struct error *err)
{
    char hex[SHA256_HEX], tail[TAIL_BYTES + 1];
    if (bytes < TAIL_BYTES)
        return error_set(err, ST_NOINPUT, "%s: not complete (%zu bytes)", path, bytes);
    bytes_sha256(data, bytes - TAIL_BYTES, hex);
    snprintf(tail, sizeof tail, "%s%s%s", TAIL_BEFORE, hex, TAIL_AFTER);
    if (memcmp(tail, data + bytes - TAIL_BYTES, TAIL_BYTES))
        return error_set(
            err, ST_NOINPUT,
            "%s: changed after it was written (its own SHA-256 does not hold)", path);
    return ST_OK;
}

static enum status read_text(const struct reader *r, const char *data, size_t bytes)
{
    json_error_t at;
    TRY(check_hash(r->path, data, bytes, r->err));
    json_t *root = json_loadb(data, bytes, JSON_REJECT_DUPLICATES, &at);
    if (!root)
        return error_set(r->err, ST_NOINPUT, "%s:%d: %s", r->path, at.line, at.text);
    enum status st = read_all(r, root);
    json_decref(root);
    return st;
}

enum status manifest_read(const char *folder, struct manifest *m, struct error *err)
{
    char path[4096], *data = NULL;
    size_t bytes;
    *m = (struct manifest){0};
    TRY(manifest_path(folder, MANIFEST_NAME, path, sizeof path, err));
    TRY(file_read_all(path, &data, &bytes, MANIFEST_LIMIT, err));
    enum status st = arena_create(&m->arena, err);
    struct reader r = {m, path, err};
    if (st == ST_OK) st = read_text(&r, data, bytes);
    if (st != ST_OK) manifest_close(m);
    mem_free(data);
    return st;
}

void manifest_close(struct manifest *m)
{
    arena_destroy(m->arena);
    m->arena = NULL;
}

enum status manifest_check_file(const char *folder, struct manifest_file *f, bool hashes,
                                struct error *err)
{
    char path[4096], hex[SHA256_HEX];
    uint64_t bytes;
    TRY(manifest_path(folder, f->info.name, path, sizeof path, err));
    TRY(file_size(path, &bytes, err));
    if (bytes != f->info.bytes)
        return error_set(err, ST_NOINPUT,
                         "%s: %" PRIu64 " bytes, the manifest says %" PRIu64, path, bytes,
                         f->info.bytes);
    if (!hashes || f->hashed) return ST_OK;
    TRY(file_sha256(path, hex, NULL, NULL, err));
    if (strcmp(hex, f->info.sha256))
        return error_set(
            err, ST_NOINPUT,
            "%s: changed after it was written (SHA-256 does not match the manifest)",
            path);
    f->hashed = true;
    return ST_OK;
}
