/* 16-bit floats (IEEE 754 binary16) as bits. */
#ifndef MTPS_MATH_HALF_H
#define MTPS_MATH_HALF_H

#include <stddef.h>
#include <stdint.h>

/* Nearest, ties to even; beyond the largest (65504) an infinity; NaN stays NaN. */
#define HALF_MOST 65504.0f /* the largest finite one */
uint16_t half_from_float(float x);
/* Exact. */
float half_to_float(uint16_t h);

#endif
