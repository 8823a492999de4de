/* Small drawings inside a page: text that is safe in HTML, axes, colours. Numbers
 * are in pixels of the drawing's own size; it shrinks with the window. */
#ifndef MTPS_CLI_COMPARE_SVG_H
#define MTPS_CLI_COMPARE_SVG_H

#include <stddef.h>

#include "common/config/buffer.h"

/* Text with & < > " ' as entities and without control characters. */
void svg_text(struct buffer *out, const char *text);
/* The same, cut to so many characters (UTF-8) with an ellipsis. */
void svg_text_cut(struct buffer *out, const char *text, size_t chars);

void svg_open(struct buffer *out, double width, double height, const char *title);
void svg_close(struct buffer *out);

/* A colour per cell: eight that differ for everybody, then hues. */
const char *svg_colour(size_t i, size_t n, char *out, size_t size);

/* Values low to high over pixels from to to, with ticks at round numbers. */
struct svg_axis {
    double low, high, from, to;
    double step, first; /* of ticks */
    int decimals;
};
/* About `ticks` ticks; a range of nothing is widened. */
struct svg_axis svg_axis_make(double low, double high, double from, double to, int ticks);
double svg_place(const struct svg_axis *a, double value);
/* Ticks with labels and lines across: below the box, or left of it. */
void svg_axis_below(struct buffer *out, const struct svg_axis *x, double top,
                    double bottom);
void svg_axis_left(struct buffer *out, const struct svg_axis *y, double left,
                   double right);

#endif
