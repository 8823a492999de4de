/* For the files of vec.h. */
#ifndef MTPS_MATH_VEC_IMPL_H
#define MTPS_MATH_VEC_IMPL_H

/* Before a loop whose element i reads and writes no other place than i: without it
 * a call in place (y = x) would run one by one, because the check for overlap that
 * the compiler adds sends equal pointers there. */
#if defined(__clang__)
#define ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#else
#define ELEMENTWISE _Pragma("GCC ivdep")
#endif

#endif
