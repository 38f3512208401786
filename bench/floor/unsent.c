// Loaded in front of libc (LD_PRELOAD) it lets a program do everything but send its media: messages of `sendmmsg` that begin
// like RTP count as sent and go nowhere, while the first byte of the file that UNSENT names is not 0. What is left of the
// program's CPU is its own. STUN, DTLS and RTCP pass always. Knows no program.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int send_function(int, struct mmsghdr *, unsigned, int);

static send_function *real;
static const volatile uint8_t *gate;

__attribute__((constructor)) static void open_gate(void) {
    *(void **)&real = dlsym(RTLD_NEXT, "sendmmsg");
    const char *path = getenv("UNSENT");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) gate = mapped;
}

/// RFC 7983 and RFC 5761: a first byte of 128 to 191, and no RTCP type in the second.
static int is_media(const struct mmsghdr *message) {
    if (message->msg_hdr.msg_iovlen < 1 || message->msg_hdr.msg_iov[0].iov_len < 12) return 0;
    const uint8_t *bytes = message->msg_hdr.msg_iov[0].iov_base;
    return bytes[0] >> 6 == 2 && (bytes[1] < 192 || bytes[1] > 223);
}

int sendmmsg(int socket, struct mmsghdr *messages, unsigned count, int flags) {
    if (!real) {
        errno = ENOSYS;
        return -1;
    }
    if (!gate || !*gate) return real(socket, messages, count, flags);
    unsigned first = 0;
    while (first < count && is_media(&messages[first])) {
        messages[first].msg_len = 0;
        for (size_t i = 0; i < messages[first].msg_hdr.msg_iovlen; i++)
            messages[first].msg_len += (unsigned)messages[first].msg_hdr.msg_iov[i].iov_len;
        first++;
    }
    if (first) return (int)first;
    unsigned last = 0;
    while (last < count && !is_media(&messages[last])) last++;
    return real(socket, messages, last, flags);
}
