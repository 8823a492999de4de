/* Element types that may be stored in a file or named in a message. */
#ifndef MTPS_BASE_DTYPE_H
#define MTPS_BASE_DTYPE_H

#include <stddef.h>

enum dtype { DTYPE_U8, DTYPE_U32, DTYPE_U64, DTYPE_I64, DTYPE_F32, DTYPE_F64, DTYPE_COUNT };

static inline size_t dtype_bytes(enum dtype t)
{
    static const size_t bytes[DTYPE_COUNT] = {1, 4, 8, 8, 4, 8};
    return bytes[t];
}

/* DTYPE_COUNT is a type that is none of these. */
static inline const char *dtype_name(enum dtype t)
{
    static const char *const names[] = {"u8", "u32", "u64", "i64", "f32", "f64", "another type"};
    return names[t];
}

#endif
