// Counts the heap allocations of the calling thread and the bytes in use, for tests that promise none, or few.
#ifndef SFU_ALLOCATION_COUNTER_H
#define SFU_ALLOCATION_COUNTER_H

#include <stdint.h>

/// Allocations of this thread since it started; 0 under a sanitizer, which has an allocator of its own.
uint64_t sfu_allocation_count(void);

/// Bytes of the heap that are in use, of all threads; 0 where the allocator does not tell.
uint64_t sfu_heap_bytes(void);

#endif
