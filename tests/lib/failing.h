/* Allocations that fail, for tests of what a call leaves behind. */
#ifndef MTPS_TESTS_FAILING_H
#define MTPS_TESTS_FAILING_H

#include "common/base/mem.h"

/* Each allocation of the call fails in turn, until it gets them all. What fails says so and
 * leaves no memory behind; ST_OK is left to the caller to clean up. */
#define EACH_ALLOCATION_FAILS(call)                           \
    do {                                                      \
        uint64_t live_ = mem_live_bytes(), failed_ = 0;       \
        enum status st_;                                      \
        for (;; failed_++) {                                  \
            mem_fail_at(failed_ + 1);                         \
            st_ = (call);                                     \
            mem_fail_at(0);                                   \
            if (st_ == ST_OK) break;                          \
            assert_int_equal(st_, ST_NOMEM);                  \
            assert_int_equal(mem_live_bytes(), live_);        \
        }                                                     \
        assert_true(failed_ > 0);                             \
    } while (0)

#endif
