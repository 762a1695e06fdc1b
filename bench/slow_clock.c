/* For a server under callgrind, which makes it some fifty times slower: its clock goes slower too, so that its timers are
 * as long, in units of its work, as they are otherwise. Loaded with LD_PRELOAD.
 *
 * The monotonic clock goes on while the program runs or waits in epoll, and stands still while other programs have its
 * core: how busy the machine is decides nothing. It is also a day ahead: a deadline that a thread gives to the kernel,
 * whose clock is the true one, then never comes early.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOWNESS 50
#define SECOND_NS 1000000000LL
#define AHEAD_NS (86400 * SECOND_NS)

static long long began_ns;
static _Atomic long long waited_ns;

static long long true_ns(clockid_t clock) {
    struct timespec now;
    syscall(SYS_clock_gettime, clock, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

__attribute__((constructor)) static void begin(void) { began_ns = true_ns(CLOCK_MONOTONIC); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE && clock != CLOCK_MONOTONIC_RAW)
        return (int)syscall(SYS_clock_gettime, clock, now);
    long long passed_ns = true_ns(CLOCK_PROCESS_CPUTIME_ID) + waited_ns;
    long long slow_ns = began_ns + AHEAD_NS + passed_ns / SLOWNESS;
    now->tv_sec = slow_ns / SECOND_NS;
    now->tv_nsec = slow_ns % SECOND_NS;
    return 0;
}

int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask) {
    int slow_ms = timeout_ms > 0 ? timeout_ms * SLOWNESS : timeout_ms;
    long long began = true_ns(CLOCK_MONOTONIC);
    int found = (int)syscall(SYS_epoll_pwait, fd, events, count, slow_ms, mask, _NSIG / 8);
    waited_ns += true_ns(CLOCK_MONOTONIC) - began;
    return found;
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms) {
    return epoll_pwait(fd, events, count, timeout_ms, NULL);
}
