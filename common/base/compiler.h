/* Compiler extensions, each behind a name; nothing else in the tree spells an attribute. */
#ifndef MTPS_BASE_COMPILER_H
#define MTPS_BASE_COMPILER_H

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PREFETCH(p) __builtin_prefetch(p)
/* A function whose body must be part of its caller, such as of each VECTOR_CLONES variant. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* A vector type in place of an array: typedef float v8 VECTOR_OF(32); may alias floats. */
#define VECTOR_OF(bytes) __attribute__((vector_size(bytes), may_alias))
/* The same where only a float's alignment is sure. */
#define LOOSE_VECTOR_OF(bytes) __attribute__((vector_size(bytes), may_alias, aligned(4)))

/* One body, compiled for several instruction sets and chosen when the program
 * starts. Only for loops whose elements are computed alike in vector body and
 * tail, so that the bits do not depend on the choice. */
#if defined(__x86_64__) && !defined(MTPS_NO_CLONES)
#define VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2,fma", "default")))
#else
#define VECTOR_CLONES
#endif

#endif
