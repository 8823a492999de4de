#include "common/store/ckpt_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum status ckpt_mark_file(struct h5 *f, const char *format, struct error *err)
{
    TRY(h5_set_text(f, "", "format", format, err));
    TRY(h5_set_u64(f, "", "version", CKPT_FILE_VERSION, err));
    TRY(h5_set_u64(f, "", "hash_version", HASH_VERSION, err));
    return h5_set_u64(f, "", "partition_version", PARTITION_VERSION, err);
}

enum status ckpt_check_number(struct h5 *f, const char *path, const char *name,
                              uint64_t expected, struct error *err)
{
    uint64_t v;
    TRY(h5_get_u64(f, "", name, &v, err));
    if (v == expected) return ST_OK;
    return error_set(err, ST_NOINPUT,
                     "%s: attribute %s is %" PRIu64 ", expected %" PRIu64, path, name, v,
                     expected);
}

enum status ckpt_check_mark(struct h5 *f, const char *path, const char *format,
                            struct error *err)
{
    char *found;
    TRY(h5_get_text(f, "", "format", &found, err));
    bool same = strcmp(found, format) == 0;
    mem_free(found);
    if (!same)
        return error_set(err, ST_NOINPUT, "%s: attribute format is not %s", path, format);
    TRY(ckpt_check_number(f, path, "version", CKPT_FILE_VERSION, err));
    TRY(ckpt_check_number(f, path, "hash_version", HASH_VERSION, err));
    return ckpt_check_number(f, path, "partition_version", PARTITION_VERSION, err);
}

enum status ckpt_seal_file(const char *path, const char *name,
                           void (*progress)(void *, uint64_t), void *arg,
                           struct ckpt_file_info *info, struct error *err)
{
    TRY(file_size(path, &info->bytes, err));
    TRY(file_sha256(path, info->sha256, progress, arg, err));
    snprintf(info->name, sizeof info->name, "%s", name);
    return file_fsync(path, err);
}

char *ckpt_waiting_name(const char *table)
{
    size_t n = strlen(table) + sizeof CKPT_WAITING;
    char *name = mem_alloc(n);
    if (name) snprintf(name, n, "%s" CKPT_WAITING, table);
    return name;
}

size_t ckpt_columns(const struct ckpt_table *t, struct ckpt_column out[CKPT_COLUMNS])
{
    static const char *const counters[] = {"keys", "last_step", "count"};
    size_t n = 0;
    int longest = 0, used;
    for (; n < 3; n++) {
        used = snprintf(out[n].name, CKPT_NAME, "table/%s/%s", t->name, counters[n]);
        out[n].type = DTYPE_U64;
        out[n].cols = 0;
        longest = used > longest ? used : longest;
    }
    if (!t->dim) return longest < CKPT_NAME ? n : 0;
    used = snprintf(out[n].name, CKPT_NAME, "table/%s/weights", t->name);
    longest = used > longest ? used : longest;
    out[n].type = DTYPE_F32;
    out[n++].cols = t->dim;
    for (size_t i = 0; i < t->n_slots; i++, n++) {
        used = snprintf(out[n].name, CKPT_NAME, "table/%s/slot/%s", t->name,
                        t->slot_name[i]);
        longest = used > longest ? used : longest;
        out[n].type = DTYPE_F32;
        out[n].cols = t->slot_width[i];
    }
    return longest < CKPT_NAME ? n : 0;
}

size_t ckpt_order_check(struct ckpt_order *o, const uint64_t *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bucket = partition_bucket(keys[i]);
        if (bucket < o->buckets.first || bucket >= o->buckets.end) return i;
        if (o->any && !partition_before(o->last, keys[i])) return i;
        o->any = true;
        o->last = keys[i];
    }
    return n;
}

size_t ckpt_row_floats(const struct ckpt_table *t)
{
    size_t n = t->dim;
    for (size_t i = 0; i < t->n_slots; i++) n += t->slot_width[i];
    return n;
}

void ckpt_digest_rows(struct digest *d, const struct ckpt_table *t,
                      const struct ckpt_rows *rows, float *scratch)
{
    uint64_t table = hash_id(t->name, strlen(t->name));
    size_t n = ckpt_row_floats(t);
    for (size_t r = 0; r < rows->n; r++) {
        float *to = scratch;
        if (t->dim) memcpy(to, rows->weights + r * t->dim, t->dim * sizeof *to);
        to += t->dim;
        for (size_t i = 0; i < t->n_slots; i++) {
            memcpy(to, rows->slots[i] + r * t->slot_width[i],
                   t->slot_width[i] * sizeof *to);
            to += t->slot_width[i];
        }
        digest_row(d, table, rows->keys[r], rows->last_step[r], rows->count[r], scratch,
                   n);
    }
}

/* All exponent bits set. */
static bool nonfinite(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (bits & 0x7f800000u) == 0x7f800000u;
}

size_t ckpt_find_nonfinite(const float *v, size_t n)
{
    enum { BLOCK = 1024 };
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t end = n - at < BLOCK ? n : at + BLOCK;
        bool any = false;
        for (size_t i = at; i < end; i++) any |= nonfinite(v[i]);
        if (!any) continue;
        while (!nonfinite(v[at])) at++;
        return at;
    }
    return n;
}

bool ckpt_parse_name(const char *name, uint64_t *step)
{
    if (strncmp(name, "step-", 5)) return false;
    size_t n = strspn(name + 5, "0123456789");
    if (n < 12 || n > 19 || name[5 + n]) return false;
    *step = strtoull(name + 5, NULL, 10);
    return true;
}
