#include "common/store/h5_why.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void h5_why_add(struct h5_why *w, unsigned n, const char *desc)
{
    if (!desc) desc = "unknown";
    if (n == 0)
        snprintf(w->outer, sizeof w->outer, "%s", desc);
    else
        snprintf(w->inner, sizeof w->inner, "%s", desc);
    const char *number = strstr(desc, "errno = ");
    if (number) w->system = atoi(number + strlen("errno = "));
}

void h5_why_text(const struct h5_why *w, char *out, size_t size)
{
    if (w->system > 0)
        snprintf(out, size, ": %s", strerror(w->system));
    else
        snprintf(out, size, "%s%s%s%s", *w->outer ? ": " : "", w->outer, *w->inner ? ": " : "",
                 w->inner);
}
