#include "model/metric_pairs.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static uint64_t choose_two(uint64_t n)
{
    return n * (n - (n > 0)) / 2;
}

/* Pairs within runs of equal rows; b NULL: a alone decides. */
static uint64_t equal_pairs(size_t n, const uint32_t *a, const uint32_t *b)
{
    uint64_t sum = 0;
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && a[end] == a[first];) {
            if (b != NULL && b[end] != b[first]) break;
            end++;
        }
        sum += choose_two(end - first);
    }
    return sum;
}

/* Two sorted runs into one; the pairs in which the left one is larger. */
static uint64_t merge(const uint32_t *v, size_t mid, size_t end, uint32_t *out)
{
    uint64_t larger = 0;
    for (size_t a = 0, b = mid, o = 0; o < end; o++) {
        bool left = a < mid && (b == end || v[a] <= v[b]);
        if (!left) larger += mid - a;
        out[o] = v[left ? a++ : b++];
    }
    return larger;
}

/* Sorts v; gives the pairs i < j with v[i] > v[j]. */
static uint64_t inversions(size_t n, uint32_t *v, uint32_t *spare)
{
    uint64_t sum = 0;
    uint32_t *from = v, *to = spare;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t first = 0; first < n; first += 2 * width) {
            size_t left = n - first < width ? n - first : width;
            size_t both = n - first < 2 * width ? n - first : 2 * width;
            sum += merge(from + first, left, both, to + first);
        }
        uint32_t *t = from;
        from = to;
        to = t;
    }
    if (from != v) memcpy(v, from, n * sizeof *v);
    return sum;
}

struct metric_pairs metric_count_pairs(size_t n, const uint32_t *label, uint32_t *score,
                                       uint32_t *spare)
{
    uint64_t both = equal_pairs(n, label, score);
    uint64_t all = choose_two(n) - equal_pairs(n, label, NULL);
    /* Rows of one label are sorted by score: no inversion is among them. */
    uint64_t reversed = inversions(n, score, spare);
    uint64_t tied = equal_pairs(n, score, NULL) - both;
    return (struct metric_pairs){all, all - reversed - tied, tied};
}

double metric_pairs_share(const struct metric_pairs *p)
{
    if (p->all == 0) return (double)NAN;
    return ((double)p->ordered + 0.5 * (double)p->tied) / (double)p->all;
}
