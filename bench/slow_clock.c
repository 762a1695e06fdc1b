/* For a server under callgrind, which makes it some fifty times slower: its clock goes slower too, so that its timers are
 * as long, in units of its work, as they are otherwise. Loaded with LD_PRELOAD.
 *
 * Slow are the monotonic clock and the waits of epoll. The clock is also a day ahead: a deadline that a thread gives to
 * the kernel, whose clock is the true one, then never comes early.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOWNESS 100
#define SECOND_NS 1000000000LL
#define AHEAD_NS (86400 * SECOND_NS)

static long long began_ns;

static long long true_ns(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

__attribute__((constructor)) static void begin(void) { began_ns = true_ns(); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE && clock != CLOCK_MONOTONIC_RAW)
        return (int)syscall(SYS_clock_gettime, clock, now);
    long long slow_ns = began_ns + AHEAD_NS + (true_ns() - began_ns) / SLOWNESS;
    now->tv_sec = slow_ns / SECOND_NS;
    now->tv_nsec = slow_ns % SECOND_NS;
    return 0;
}

int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask) {
    int slow_ms = timeout_ms > 0 ? timeout_ms * SLOWNESS : timeout_ms;
    return (int)syscall(SYS_epoll_pwait, fd, events, count, slow_ms, mask, _NSIG / 8);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms) {
    return epoll_pwait(fd, events, count, timeout_ms, NULL);
}
