// Counts the heap allocations of the calling thread, for tests that promise none.
#ifndef SFU_ALLOCATION_COUNTER_H
#define SFU_ALLOCATION_COUNTER_H

#include <stdint.h>

/// Allocations of this thread since it started; 0 under a sanitizer, which has an allocator of its own.
uint64_t sfu_allocation_count(void);

#endif
