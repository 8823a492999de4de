/* A borrowed piece of text, not ended by 0. */
#ifndef MTPS_DATA_TEXT_H
#define MTPS_DATA_TEXT_H

#include <stddef.h>

struct text {
    const char *s;
    size_t n;
};

#endif
