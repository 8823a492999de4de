#include <string.h>

#include "common/store/file.h"
#include "data/guess_impl.h"

/* Of more files an even choice is looked at; each gives at least some rows. */
enum { MAX_FILES = 32, LEAST_ROWS = 1000 };

struct guess_head {
    struct data_cfg data; /* of one file, without a limit of bad rows */
    const char **files;
    size_t n_files, n_chosen; /* chosen: evenly */
    const char *const *columns;
    size_t n;
    uint64_t quota; /* rows of a file */
    size_t next;    /* chosen file */
    struct raw *raw;
    uint64_t of_file, rows;
    struct bad_rows bad;
    bool cut; /* some file has more rows */
    uint64_t bytes_read, bytes_all;
};

enum status guess_head_open(const struct guess *g, uint64_t rows,
                            const char *const *columns, size_t n, struct guess_head **out,
                            struct error *err)
{
    struct guess_head *h = mem_zeroed(1, sizeof *h);
    if (!h) return mem_error(err, "head of the data", sizeof *h);
    h->data = g->data;
    h->data.bad_rows_max = 1e18;
    bad_rows_init(&h->bad, &h->data);
    h->columns = columns;
    h->n = n;
    enum status st = raw_expand(&g->data.train, &h->files, &h->n_files, err);
    if (st != ST_OK) {
        guess_head_close(h);
        return st;
    }
    h->n_chosen = h->n_files < MAX_FILES ? h->n_files : MAX_FILES;
    h->quota = rows / h->n_chosen;
    if (h->quota < LEAST_ROWS && h->n_chosen > 1) h->quota = LEAST_ROWS;
    for (size_t i = 0; i < h->n_files; i++) {
        uint64_t bytes;
        struct error unheeded;
        if (file_size(h->files[i], &bytes, &unheeded) == ST_OK) h->bytes_all += bytes;
    }
    *out = h;
    return ST_OK;
}

static void close_file(struct guess_head *h)
{
    uint64_t done, total;
    if (!h->raw) return;
    raw_progress(h->raw, &done, &total);
    h->bytes_read += done;
    raw_close(h->raw);
    h->raw = NULL;
    h->next++;
}

void guess_head_close(struct guess_head *h)
{
    if (!h) return;
    raw_close(h->raw);
    mem_free(h->files);
    mem_free(h);
}

enum status guess_head_next(struct guess_head *h, const struct raw_row **row,
                            struct error *err)
{
    *row = NULL;
    while (h->next < h->n_chosen) {
        if (!h->raw) {
            h->data.train.files.v = &h->files[h->next * h->n_files / h->n_chosen];
            h->data.train.files.n = 1;
            TRY(raw_open(&h->data, &h->data.train, h->columns, NULL, h->n, &h->bad,
                         &h->raw, err));
            h->of_file = 0;
        }
        TRY(raw_next(h->raw, row, err));
        if (*row && h->of_file < h->quota) {
            h->of_file++;
            h->rows++;
            return ST_OK;
        }
        if (*row) h->cut = true;
        close_file(h);
        *row = NULL;
    }
    return ST_OK;
}

void guess_head_count(const struct guess_head *h, struct guess *g)
{
    g->rows_seen = h->rows;
    g->bad_seen = h->bad.n_bad;
    g->whole = !h->cut && h->n_chosen == h->n_files;
    g->rows = (double)h->rows;
    if (!g->whole && h->bytes_read > 0 && h->bytes_read < h->bytes_all)
        g->rows *= (double)h->bytes_all / (double)h->bytes_read;
}
