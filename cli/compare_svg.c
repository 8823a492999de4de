#include "cli/compare_svg.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

static void put_char(struct buffer *out, char c)
{
    switch (c) {
    case '&':
        buffer_puts(out, "&amp;");
        break;
    case '<':
        buffer_puts(out, "&lt;");
        break;
    case '>':
        buffer_puts(out, "&gt;");
        break;
    case '"':
        buffer_puts(out, "&quot;");
        break;
    case '\'':
        buffer_puts(out, "&#39;");
        break;
    default:
        if ((unsigned char)c >= ' ') buffer_add(out, &c, 1);
    }
}

void svg_text(struct buffer *out, const char *text)
{
    for (; *text; text++) put_char(out, *text);
}

void svg_text_cut(struct buffer *out, const char *text, size_t chars)
{
    size_t n = 0, total = 0;
    for (const char *t = text; *t; t++) total += (*t & 0xc0) != 0x80;
    for (; *text; text++) {
        bool starts = (*text & 0xc0) != 0x80;
        if (starts && total > chars && n + 1 >= chars) {
            buffer_puts(out, "…");
            return;
        }
        n += starts;
        put_char(out, *text);
    }
}

void svg_open(struct buffer *out, double width, double height, const char *title)
{
    buffer_printf(
        out,
        "<svg viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" role=\"img\">"
        "<title>",
        width, height, width, height);
    svg_text(out, title);
    buffer_puts(out, "</title>\n");
}

void svg_close(struct buffer *out)
{
    buffer_puts(out, "</svg>\n");
}

const char *svg_colour(size_t i, size_t n, char *out, size_t size)
{
    static const char *const palette[] = {"#4477aa", "#ee6677", "#228833", "#ccbb44",
                                          "#66ccee", "#aa3377", "#ee7733", "#777777"};
    enum { N_PALETTE = sizeof palette / sizeof *palette };
    if (n <= N_PALETTE)
        snprintf(out, size, "%s", palette[i % N_PALETTE]);
    else /* the golden angle: neighbours differ */
        snprintf(out, size, "hsl(%d,60%%,%d%%)", (int)fmod((double)i * 137.508, 360),
                 i % 2 ? 55 : 42);
    return out;
}

/* ---- axes ---- */

struct svg_axis svg_axis_make(double low, double high, double from, double to, int ticks)
{
    static const double round_steps[] = {1, 2, 5, 10};
    if (!(high > low)) {
        double half = fmax(fabs(low) * 1e-3, 1e-6);
        low -= half;
        high += half;
    }
    struct svg_axis a = {.low = low, .high = high, .from = from, .to = to};
    double rough = (high - low) / ticks, power = pow(10, floor(log10(rough)));
    a.step = 10 * power;
    for (size_t i = 4; i-- > 0;)
        if (round_steps[i] * power >= rough * (1 - 1e-9)) a.step = round_steps[i] * power;
    a.first = ceil(low / a.step - 1e-9) * a.step;
    a.decimals = (int)fmin(fmax(-floor(log10(a.step) + 1e-9), 0), 9);
    return a;
}

double svg_place(const struct svg_axis *a, double value)
{
    return a->from + (value - a->low) / (a->high - a->low) * (a->to - a->from);
}

static size_t n_ticks(const struct svg_axis *a)
{
    double n = floor((a->high - a->first) / a->step + 1e-9) + 1;
    return n > 0 && n < 100 ? (size_t)n : 0;
}

void svg_axis_below(struct buffer *out, const struct svg_axis *x, double top,
                    double bottom)
{
    for (size_t i = 0; i < n_ticks(x); i++) {
        double value = x->first + (double)i * x->step, at = svg_place(x, value);
        buffer_printf(
            out,
            "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
            "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"middle\">%.*f</text>\n",
            at, at, top, bottom, at, bottom + 15, x->decimals, value);
    }
}

void svg_axis_left(struct buffer *out, const struct svg_axis *y, double left,
                   double right)
{
    for (size_t i = 0; i < n_ticks(y); i++) {
        double value = y->first + (double)i * y->step, at = svg_place(y, value);
        buffer_printf(
            out,
            "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
            "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" "
            "text-anchor=\"end\">%.*f</text>\n",
            left, right, at, at, left - 5, at + 4, y->decimals, value);
    }
}
