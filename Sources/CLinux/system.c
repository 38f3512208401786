// Waiting, time, threads, randomness, and what the machine allows us.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "CLinux.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int clinux_poll_new(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int control(int poll, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.data.u64 = token};
    if (events & CLINUX_READABLE) event.events |= EPOLLIN | EPOLLRDHUP;
    if (events & CLINUX_WRITABLE) event.events |= EPOLLOUT;
    return epoll_ctl(poll, operation, fd, &event) == 0 ? 0 : -errno;
}

int clinux_poll_add(int poll, int fd, uint32_t events, uint64_t token) {
    return control(poll, EPOLL_CTL_ADD, fd, events, token);
}

int clinux_poll_change(int poll, int fd, uint32_t events, uint64_t token) {
    return control(poll, EPOLL_CTL_MOD, fd, events, token);
}

int clinux_poll_remove(int poll, int fd) { return control(poll, EPOLL_CTL_DEL, fd, 0, 0); }

enum { EVENTS = 128 };

int clinux_poll_wait(int poll, clinux_event *events, int capacity, int64_t nanoseconds) {
    // epoll_wait counts milliseconds; a frame waits 1 ms at most, so ask for more precision where it exists (5.11).
    static _Thread_local int no_precise_wait;
    struct epoll_event raw[EVENTS];
    if (capacity > EVENTS) capacity = EVENTS;
    int count = -1;
    if (!no_precise_wait && nanoseconds > 0) {
        struct timespec wait = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
        count = (int)syscall(SYS_epoll_pwait2, poll, raw, capacity, &wait, NULL, 0);
        if (count < 0 && (errno == ENOSYS || errno == EPERM)) no_precise_wait = 1;
        else if (count < 0) return errno == EINTR ? 0 : -errno;
    }
    if (count < 0) {
        int64_t milliseconds = nanoseconds < 0 ? -1 : (nanoseconds + 999999) / 1000000;
        if (milliseconds > 3600000) milliseconds = 3600000;
        count = epoll_wait(poll, raw, capacity, (int)milliseconds);
        if (count < 0) return errno == EINTR ? 0 : -errno;
    }
    for (int i = 0; i < count; i++) {
        events[i].token = raw[i].data.u64;
        events[i].events = 0;
        if (raw[i].events & EPOLLIN) events[i].events |= CLINUX_READABLE;
        if (raw[i].events & EPOLLOUT) events[i].events |= CLINUX_WRITABLE;
        if (raw[i].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) events[i].events |= CLINUX_HANGUP;
    }
    return count;
}

int clinux_eventfd(void) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void clinux_eventfd_signal(int fd) {
    uint64_t one = 1;
    ssize_t n;
    do n = write(fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
}

void clinux_eventfd_clear(int fd) {
    uint64_t count;
    ssize_t n;
    do n = read(fd, &count, sizeof count);
    while (n < 0 && errno == EINTR);
}

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t clinux_monotonic_ns(void) { return now(CLOCK_MONOTONIC); }

int64_t clinux_realtime_ns(void) { return now(CLOCK_REALTIME); }

struct clinux_thread {
    pthread_t id;
    char name[16];
    int cpu;
    void (*body)(void *);
    void *context;
};

static void *run(void *argument) {
    clinux_thread *thread = argument;
    pthread_setname_np(pthread_self(), thread->name);
    if (thread->cpu >= 0 && thread->cpu < CPU_SETSIZE) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(thread->cpu, &set);
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }
    thread->body(thread->context);
    return NULL;
}

clinux_thread *clinux_thread_start(const char *name, int cpu, void (*body)(void *), void *context) {
    clinux_thread *thread = calloc(1, sizeof *thread);
    if (!thread) return NULL;
    snprintf(thread->name, sizeof thread->name, "%s", name);
    thread->cpu = cpu;
    thread->body = body;
    thread->context = context;
    // The new thread inherits the mask: signals belong to whoever started us.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread->id, NULL, run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        free(thread);
        return NULL;
    }
    return thread;
}

void clinux_thread_join(clinux_thread *thread) {
    if (!thread) return;
    pthread_join(thread->id, NULL);
    free(thread);
}

int clinux_nice(void) { return getpriority(PRIO_PROCESS, 0); }

int clinux_set_nice(int nice) { return setpriority(PRIO_PROCESS, 0, nice) == 0 ? 0 : -errno; }

int clinux_step_back_others(int nice) {
    pid_t own = (pid_t)syscall(SYS_gettid);
    // Until a look finds nothing to do: who had not stepped back yet may have started another meanwhile.
    for (int changed = 1; changed > 0;) {
        DIR *threads = opendir("/proc/self/task");
        if (!threads) return -errno;
        changed = 0;
        for (struct dirent *entry; (entry = readdir(threads));) {
            pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
            if (thread <= 0 || thread == own) continue;
            // -1 is a value and an error, of a thread that has ended; then the second call fails as well.
            if (getpriority(PRIO_PROCESS, (id_t)thread) < nice && setpriority(PRIO_PROCESS, (id_t)thread, nice) == 0) changed++;
        }
        closedir(threads);
    }
    return 0;
}

int clinux_cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

int clinux_cpu_at(int index) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set) && index-- == 0) return cpu;
    return -1;
}

int clinux_cpu_quota(void) {
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file) return 0;
    long long quota = 0, period = 0;
    int fields = fscanf(file, "%lld %lld", &quota, &period);
    fclose(file);
    if (fields != 2 || quota <= 0 || period <= 0) return 0;
    long long count = (quota + period - 1) / period;
    return count > CPU_SETSIZE ? CPU_SETSIZE : (int)count;
}

static int has_large_pages(void) {
    char text[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    if (!file) return 0;
    if (!fgets(text, sizeof text, file)) text[0] = 0;
    fclose(file);
    return strstr(text, "[madvise]") || strstr(text, "[always]");
}

void clinux_restart_on_large_pages(void) {
#ifdef __GLIBC__
    enum { longest = 1 << 17, most = 4096 };
    static char path[4096], bytes[longest];
    static char *arguments[most + 1];
    if (getenv("GLIBC_TUNABLES") || !has_large_pages()) return;
    // By its own path: under /proc/self/exe the process would be called "exe".
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    ssize_t size = 0, got;
    while (size < longest && (got = read(file, bytes + size, (size_t)(longest - size))) > 0) size += got;
    close(file);
    if (length <= 0 || size <= 0 || size == longest) return;
    path[length] = 0;
    int count = 0;
    for (char *at = bytes; at < bytes + size; at += strlen(at) + 1) {
        if (count == most) return;
        arguments[count++] = at;
    }
    arguments[count] = NULL;
    if (setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1", 1) != 0) return;
    execv(path, arguments);
    unsetenv("GLIBC_TUNABLES");
#endif
}

uint64_t clinux_random(void) {
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        value = (uint64_t)clinux_monotonic_ns() * 0x9e3779b97f4a7c15ull;
    return value;
}

const char *clinux_error_text(int error) { return strerrordesc_np(error); }
