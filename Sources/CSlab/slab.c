// Places of one size are a list, each the pointer to the next; new ones are cut from a chunk. Places are never divided or
// joined: structures of the road have few sizes, and come and go with subscribers.
#include <CSlab.h>

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

// A sanitizer sees more where each place is an allocation of its own.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CSLAB_PLAIN 1
#endif
#endif

typedef struct place {
    struct place *next;
} place;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static place *unused[cslab_largest / cslab_line + 1];
/// What is left of the newest chunk.
static char *rest;
static size_t left;
static size_t taken;
static size_t held;
static __thread uint64_t takes;

static size_t rounded(size_t bytes) { return (bytes + cslab_line - 1) / cslab_line * cslab_line; }

bool cslab_is_plain(void) {
#ifdef CSLAB_PLAIN
    return true;
#else
    return false;
#endif
}

static void *aligned(size_t alignment, size_t bytes) {
    void *memory = aligned_alloc(alignment, bytes);
    if (!memory) abort();
    return memory;
}

/// In large pages, where the system has some.
static void *large(size_t bytes) {
    bytes = (bytes + cslab_chunk - 1) / cslab_chunk * cslab_chunk;
    void *memory = aligned(cslab_chunk, bytes);
    // A wish: without them it is memory all the same.
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

static void keep(void *memory, size_t bytes) {
    place *one = memory;
    one->next = unused[bytes / cslab_line];
    unused[bytes / cslab_line] = one;
}

static void *cut(size_t bytes) {
    if (bytes > left) {
        // The end of the old chunk is a place like any other.
        if (left && left <= cslab_largest) keep(rest, left);
        rest = large(cslab_chunk);
        left = cslab_chunk;
        held += cslab_chunk;
    }
    void *memory = rest;
    rest += bytes;
    left -= bytes;
    return memory;
}

void *cslab_take(size_t bytes) {
    bytes = rounded(bytes ? bytes : 1);
    if (cslab_is_plain()) return aligned(cslab_line, bytes);
    if (bytes > cslab_largest) return bytes < cslab_chunk / 2 ? aligned(cslab_line, bytes) : large(bytes);
    pthread_mutex_lock(&lock);
    place *one = unused[bytes / cslab_line];
    void *memory = one;
    if (one) {
        unused[bytes / cslab_line] = one->next;
    } else {
        memory = cut(bytes);
    }
    taken += bytes;
    takes++;
    pthread_mutex_unlock(&lock);
    return memory;
}

void cslab_give(void *memory, size_t bytes) {
    if (!memory) return;
    bytes = rounded(bytes ? bytes : 1);
    if (cslab_is_plain() || bytes > cslab_largest) return free(memory);
    pthread_mutex_lock(&lock);
    keep(memory, bytes);
    taken -= bytes;
    pthread_mutex_unlock(&lock);
}

uint64_t cslab_takes(void) { return takes; }

static size_t read_locked(const size_t *value) {
    pthread_mutex_lock(&lock);
    size_t bytes = *value;
    pthread_mutex_unlock(&lock);
    return bytes;
}

size_t cslab_taken(void) { return read_locked(&taken); }

size_t cslab_held(void) { return read_locked(&held); }
