/* The load generator. It has to outrun servers in Go and Rust while a broker shares its core, so it is written in C.
 *
 *   load REQUESTS saturate PORT CONNECTIONS SECONDS
 *     Closed loop: a connection sends its next request when the reply to the last has come.
 *   load REQUESTS open PORT RATE SECONDS
 *     Open loop: requests leave at scheduled times, whatever the server does, and a reply's time counts from the
 *     scheduled time. So a server that stalls is charged for everyone who came meanwhile, and so is a generator that is
 *     late. What is due while all connections wait, waits as well, and one more connection is opened at each tick of a
 *     millisecond. After two seconds without a reply it hangs up, and the request counts as one that took so long.
 *
 * REQUESTS is a file that bench/load/requests.py writes. No two requests are alike: each gets a ClientIP and a message key
 * of its own, and the signature of the second in which it leaves.
 *
 * The result is one JSON object on standard output, its times in seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 4096
#define FIRST_CONNECTIONS 64 /* of an open loop */
#define MAX_IDLE 256         /* of an open loop: what a stall has opened beyond, is closed again */
#define PATIENCE_NS 2000000000ULL /* the platform waits so long for a reply */
#define TICK_NS 1000000ULL
#define SECOND_NS 1000000000ULL
#define CONNECT_MS 5000
#define MAX_EVENTS 512
#define TIMER MAX_CONNECTIONS /* what epoll calls the timer; connections are called by their number */

#define SIGNATURE_CHARS 64
#define TIME_CHARS 10
#define KEY_CHARS 10
#define OCTETS 4
#define OCTET_VALUES 150 /* 100 to 249: three digits each, so that an address never changes its length */

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static void give_up(const char *message) {
    fprintf(stderr, "%s\n", message);
    exit(2);
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* Space for one more item. */
static void *grown(void *items, size_t count, size_t *capacity, size_t item_size) {
    if (count < *capacity) return items;
    *capacity = *capacity ? *capacity * 2 : 65536;
    items = realloc(items, *capacity * item_size);
    if (!items) fail("memory");
    return items;
}

/* ---- requests ---- */

typedef struct {
    uint32_t length;
    uint32_t client_ip, signature, request_time, key; /* where in the bytes; 0: nowhere */
} Template;

static char *pool, *pool_end, *first_template, *next_template;
static uint32_t first_second, seconds_signed;
static const char *signatures; /* of one second after the other */
static uint64_t number;        /* of the request, counted on from one run to the next */

static void open_pool(const char *path) {
    int fd = open(path, O_RDONLY);
    struct stat file;
    if (fd < 0 || fstat(fd, &file)) fail(path);
    /* Private, so what is written into a request stays in this process. */
    pool = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (pool == MAP_FAILED) fail(path);
    pool_end = pool + file.st_size;
    memcpy(&first_second, pool, 4);
    memcpy(&seconds_signed, pool + 4, 4);
    signatures = pool + 8;
    first_template = next_template = pool + 8 + (size_t)seconds_signed * SIGNATURE_CHARS;
    number = clock_ns(CLOCK_REALTIME) / 1000; /* no run sends a million in a second */
}

static void write_number(char *at, uint64_t value, int digits) {
    for (int i = digits - 1; i >= 0; i--, value /= 10) at[i] = (char)('0' + value % 10);
}

static void write_address(char *at, uint64_t value) {
    for (int octet = OCTETS - 1; octet >= 0; octet--, value /= OCTET_VALUES)
        write_number(at + octet * 4, 100 + value % OCTET_VALUES, 3);
}

/* The next request, ready to be sent, and its length. */
static const char *next_request(uint32_t *length) {
    if (next_template == pool_end) next_template = first_template;
    Template template;
    memcpy(&template, next_template, sizeof template);
    char *bytes = next_template + sizeof template;
    next_template = bytes + template.length;
    number++;
    uint32_t second = (uint32_t)(clock_ns(CLOCK_REALTIME) / SECOND_NS);
    if (second - first_second >= seconds_signed) give_up("the signatures have run out");
    memcpy(bytes + template.signature, signatures + (size_t)(second - first_second) * SIGNATURE_CHARS, SIGNATURE_CHARS);
    write_number(bytes + template.request_time, second, TIME_CHARS);
    write_address(bytes + template.client_ip, number);
    if (template.key) write_number(bytes + template.key, number, KEY_CHARS);
    *length = template.length;
    return bytes;
}

/* ---- what is counted ---- */

static uint64_t *latencies;
static size_t latency_count, latency_capacity;
static long replies, refused, in_time, lost, scheduled;

static void count_latency(uint64_t latency) {
    latencies = grown(latencies, latency_count, &latency_capacity, sizeof *latencies);
    latencies[latency_count++] = latency;
}

static int ascending(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void print_quantile(const char *name, double share) {
    size_t place = (size_t)((double)latency_count * share);
    if (!latency_count) printf("\"%s\":null,", name);
    else printf("\"%s\":%.6f,", name, (double)latencies[place < latency_count ? place : latency_count - 1] / 1e9);
}

static void print_result(uint64_t took) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
        + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    qsort(latencies, latency_count, sizeof *latencies, ascending);
    printf("{\"replies\":%ld,\"refused\":%ld,\"lost\":%ld,", replies, refused, lost);
    printf("\"scheduled\":%ld,\"in_time\":%ld,", scheduled, in_time);
    print_quantile("p50", 0.5);
    print_quantile("p99", 0.99);
    print_quantile("p99_9", 0.999);
    print_quantile("p100", 1.0);
    printf("\"seconds\":%.6f,\"cpu_seconds\":%.6f}\n", (double)took / 1e9, cpu);
}

/* ---- connections ---- */

enum State { CLOSED, OPENING, IDLE, WAITING };

typedef struct {
    int fd;
    enum State state;
    uint64_t due;  /* when the request in flight had to leave */
    uint32_t turn; /* counts its requests */
    size_t received;
    size_t usual; /* length of its last good reply: one of that length needs no parsing */
    char reply[4096];
} Connection;

static Connection connections[MAX_CONNECTIONS];
static int ever_used, opening;
static int closed[MAX_CONNECTIONS], closed_count;
static int idle[MAX_CONNECTIONS], idle_first, idle_count; /* a ring: the one that has rested longest is used next */
static struct sockaddr_in address;
static int poll_fd;

static void watch(int operation, int fd, uint32_t events, uint32_t name) {
    struct epoll_event event = {.events = events, .data.u32 = name};
    if (epoll_ctl(poll_fd, operation, fd, &event)) fail("epoll");
}

static void open_connection(void) {
    if (!closed_count && ever_used == MAX_CONNECTIONS) return;
    int which = closed_count ? closed[--closed_count] : ever_used++;
    Connection *connection = &connections[which];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    if (fd < 0) fail("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) fail("connect");
    *connection = (Connection){.fd = fd, .state = OPENING, .turn = connection->turn};
    opening++;
    watch(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT, (uint32_t)which);
}

static void forget_idle(int which) {
    int kept = 0;
    for (int i = 0; i < idle_count; i++) {
        int other = idle[(idle_first + i) % MAX_CONNECTIONS];
        if (other != which) idle[(idle_first + kept++) % MAX_CONNECTIONS] = other;
    }
    idle_count = kept;
}

static void close_connection(int which) {
    Connection *connection = &connections[which];
    opening -= connection->state == OPENING;
    if (connection->state == IDLE) forget_idle(which);
    close(connection->fd);
    connection->state = CLOSED;
    closed[closed_count++] = which;
}

static void rest(int which) {
    connections[which].state = IDLE;
    idle[(idle_first + idle_count++) % MAX_CONNECTIONS] = which;
}

static int next_idle(void) {
    int which = idle[idle_first];
    idle_first = (idle_first + 1) % MAX_CONNECTIONS;
    idle_count--;
    return which;
}

static void send_on(int which, uint64_t due) {
    Connection *connection = &connections[which];
    uint32_t length;
    const char *request = next_request(&length);
    connection->due = due;
    connection->state = WAITING;
    connection->received = 0;
    connection->turn++;
    /* One that fails has lost its connection, which is seen when it is read from. */
    if (send(connection->fd, request, length, MSG_NOSIGNAL) != (ssize_t)length) return;
}

/* Whether a connection that was to be opened is open now. */
static int is_opened(int which, uint32_t events) {
    if (events & (EPOLLERR | EPOLLHUP)) {
        lost++;
        close_connection(which);
        return 0;
    }
    opening--;
    watch(EPOLL_CTL_MOD, connections[which].fd, EPOLLIN, (uint32_t)which);
    rest(which);
    return 1;
}

/* ---- replies ---- */

static int is_complete(Connection *connection) {
    connection->reply[connection->received] = 0;
    char *end = memmem(connection->reply, connection->received, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t length = 0;
    for (char *line = connection->reply; line < end; line = strchr(line, '\n') + 1)
        if (!strncasecmp(line, "content-length:", 15)) length = (size_t)atol(line + 15);
    return connection->received >= (size_t)(end + 4 - connection->reply) + length;
}

/* Reads what has come. Whether it ends a reply; it is then counted. */
static int is_replied(int which) {
    Connection *connection = &connections[which];
    size_t space = sizeof connection->reply - 1 - connection->received;
    ssize_t count = recv(connection->fd, connection->reply + connection->received, space, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (count <= 0) {
        if (connection->state == WAITING) {
            lost++;
            count_latency(PATIENCE_NS); /* a reply that never comes is no fast one */
        }
        close_connection(which);
        return 0;
    }
    connection->received += (size_t)count;
    if (connection->state != WAITING) return 0;
    if (connection->received != connection->usual && !is_complete(connection)) return 0;
    int good = !memcmp(connection->reply + 9, "200", 3);
    connection->usual = good ? connection->received : 0;
    uint64_t latency = now_ns() - connection->due;
    count_latency(latency);
    replies++;
    refused += !good;
    in_time += good && latency <= PATIENCE_NS;
    return 1;
}

/* ---- closed loop ---- */

static void connect_all(int count) {
    struct epoll_event events[MAX_EVENTS];
    for (int i = 0; i < count; i++) open_connection();
    while (opening) {
        int ready = epoll_wait(poll_fd, events, MAX_EVENTS, CONNECT_MS);
        if (ready == 0) give_up("the server accepts no connection");
        for (int i = 0; i < ready; i++)
            if (!is_opened((int)events[i].data.u32, events[i].events)) give_up("the server refuses connections");
    }
}

static void saturate(int count, double seconds) {
    struct epoll_event events[MAX_EVENTS];
    connect_all(count);
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9);
    while (idle_count) send_on(next_idle(), now_ns());
    for (uint64_t now = began; now < end; now = now_ns()) {
        int ready = epoll_wait(poll_fd, events, MAX_EVENTS, (int)((end - now) / TICK_NS) + 1);
        for (int i = 0; i < ready; i++) {
            int which = (int)events[i].data.u32;
            if (is_replied(which)) send_on(which, now_ns());
        }
    }
    print_result(now_ns() - began);
}

/* ---- open loop ---- */

typedef struct {
    uint64_t due;
    int connection;
    uint32_t turn;
} Sent;

static Sent *sent; /* what may still be waited for, the oldest first */
static size_t sent_first, sent_count, sent_capacity;
static uint64_t *due; /* what has no connection yet */
static size_t due_first, due_count, due_capacity;

static void send_due(void) {
    while (due_first < due_count && idle_count) {
        int which = next_idle();
        send_on(which, due[due_first]);
        sent = grown(sent, sent_count, &sent_capacity, sizeof *sent);
        sent[sent_count++] = (Sent){due[due_first++], which, connections[which].turn};
    }
}

/* Hang up on what has had no reply for two seconds, and forget what is due as long. */
static void lose_patience(uint64_t now) {
    for (; due_first < due_count && due[due_first] + PATIENCE_NS < now; due_first++) count_latency(now - due[due_first]);
    for (; sent_first < sent_count; sent_first++) {
        Sent *oldest = &sent[sent_first];
        Connection *connection = &connections[oldest->connection];
        if (connection->state != WAITING || connection->turn != oldest->turn) continue;
        if (oldest->due + PATIENCE_NS > now) return;
        count_latency(now - oldest->due);
        close_connection(oldest->connection);
    }
}

static void tick(uint64_t began, double rate, long total) {
    uint64_t now = now_ns(), ticks = (now - began) / TICK_NS;
    while (scheduled < total && (double)scheduled < (double)ticks * TICK_NS / 1e9 * rate) {
        due = grown(due, due_count, &due_capacity, sizeof *due);
        /* All of the ticks so far, each at the time of its tick, however late this one comes. */
        due[due_count++] = began + (uint64_t)((double)scheduled++ / rate * 1e9) / TICK_NS * TICK_NS;
    }
    send_due();
    lose_patience(now);
    if (due_first < due_count && !opening) open_connection();
}

static int start_ticks(void) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec every = {{0, TICK_NS}, {0, TICK_NS}};
    if (timer < 0 || timerfd_settime(timer, 0, &every, NULL)) fail("timer");
    watch(EPOLL_CTL_ADD, timer, EPOLLIN, TIMER);
    return timer;
}

static void open_loop(double rate, double seconds) {
    struct epoll_event events[MAX_EVENTS];
    connect_all(FIRST_CONNECTIONS);
    int timer = start_ticks();
    long total = (long)(rate * seconds);
    uint64_t began = now_ns(), ticks;
    while (scheduled < total || sent_first < sent_count || due_first < due_count) {
        int ready = epoll_wait(poll_fd, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int which = (int)events[i].data.u32;
            if (which == TIMER) {
                if (read(timer, &ticks, sizeof ticks) > 0) tick(began, rate, total);
            } else if (connections[which].state == OPENING) {
                if (is_opened(which, events[i].events)) send_due();
            } else if (connections[which].state != CLOSED && is_replied(which)) {
                if (idle_count < MAX_IDLE) rest(which);
                else close_connection(which);
                send_due();
            }
        }
    }
    print_result(now_ns() - began);
}

int main(int argc, char **argv) {
    if (argc != 6) give_up("usage: load REQUESTS saturate|open PORT CONNECTIONS|RATE SECONDS");
    open_pool(argv[1]);
    poll_fd = epoll_create1(0);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(argv[3]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    double amount = atof(argv[4]), seconds = atof(argv[5]);
    if (!strcmp(argv[2], "open")) open_loop(amount, seconds);
    else saturate((int)amount, seconds);
    return 0;
}
