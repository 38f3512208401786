// Stands in front of glibc's allocator: the program's own definitions win over the library's. Counts and passes on.
#include "AllocationCounter.h"

#include <CSlab.h>

#include <errno.h>
#include <stddef.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static __thread uint64_t allocations;

uint64_t sfu_allocation_count(void) { return allocations + cslab_takes(); }

// glibc 2.33 is the first with mallinfo2.
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
#define SFU_HAS_MALLINFO 1
#endif
#endif

uint64_t sfu_heap_bytes(void) {
#ifdef SFU_HAS_MALLINFO
    struct mallinfo2 info = mallinfo2();
    // What the slab holds is its chunks' to malloc.
    return info.uordblks + info.hblkhd - cslab_held() + cslab_taken();
#else
    return 0;
#endif
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SFU_HAS_SANITIZER 1
#endif
#endif

#if defined(__GLIBC__) && !defined(SFU_HAS_SANITIZER)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    allocations++;
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
    allocations++;
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    allocations++;
    void *place = __libc_memalign(alignment, size);
    if (place == NULL) return ENOMEM;
    *memory = place;
    return 0;
}

void free(void *memory) { __libc_free(memory); }

#endif
