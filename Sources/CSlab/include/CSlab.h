// Memory that the packet's road reads of each subscriber, close together and in large pages: a thousand subscribers are
// served in turn, each from memory that no cache and no page table entry of the CPU remembers. Must not know what is in it.
#ifndef CSLAB_H
#define CSLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /// Every place begins at a multiple of this, and its size is rounded up to one: a line of the cache.
    cslab_line = 64,
    /// Larger places than this are malloc's; those of half a chunk and more have large pages of their own. Bytes.
    cslab_largest = 262144,
    /// What is asked of the system at once, and of what size its large pages are, bytes.
    cslab_chunk = 2097152,
};

/// `bytes` of memory, not zeroed. From any thread. Aborts where there is none, as an allocation of Swift does.
void *cslab_take(size_t bytes);

/// Gives back what `cslab_take` gave for as many bytes; it is kept for those who take as many next. NULL is no place.
void cslab_give(void *place, size_t bytes);

/// Whether every place is malloc's, so that a sanitizer sees its bounds and its life.
bool cslab_is_plain(void);

/// Bytes that are taken at present, without those that are malloc's.
size_t cslab_taken(void);

/// Bytes of all chunks.
size_t cslab_held(void);

/// How often this thread took some, without malloc's: for who counts allocations.
uint64_t cslab_takes(void);

#endif
