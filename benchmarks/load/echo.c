// The load of an echo server: many connections, each with one message under way.
//
// Usage: echo PORT CONNECTIONS WARM_UP_S TURN_S REQUESTS SERVER_PID
// Every message differs from the last and every reply is compared. A turn (see turns.h)
// goes on for TURN_S seconds; or, if REQUESTS is not 0, until so many replies have come,
// and some more that are under way. Tells replies a second, the server's CPU time for
// each, and latencies.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../harness/clock.h"
#include "turns.h"

enum { kMessageBytes = 64, kLatencyBuckets = 1 << 20, kEvents = 256 };

typedef struct {
    int fd;
    uint32_t received_bytes;
    int64_t sent_ns;
    char sent[kMessageBytes];
    char received[kMessageBytes];
} Connection;

static Connection *connections;
static uint32_t latency_us[kLatencyBuckets];
static uint64_t replies;
static uint64_t under_way;

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static void connect_one(Connection *connection, int port, int poller) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
    connection->fd = fd;
}

static void send_next(Connection *connection) {
    static uint64_t serial;
    serial++;
    for (size_t at = 0; at < kMessageBytes; at += sizeof serial)
        memcpy(connection->sent + at, &serial, sizeof serial);
    connection->received_bytes = 0;
    connection->sent_ns = now_ns(CLOCK_MONOTONIC);
    under_way++;
    if (send(connection->fd, connection->sent, kMessageBytes, MSG_NOSIGNAL) != kMessageBytes)
        fail("send");
}

// Returns whether the reply is complete.
static int take_reply(Connection *connection) {
    errno = 0;
    ssize_t size = recv(connection->fd, connection->received + connection->received_bytes,
                        kMessageBytes - connection->received_bytes, MSG_DONTWAIT);
    if (size <= 0) fail(size ? "recv" : "closed by the server");
    connection->received_bytes += (uint32_t)size;
    if (connection->received_bytes < kMessageBytes) return 0;
    if (memcmp(connection->sent, connection->received, kMessageBytes)) fail("reply");
    int64_t us = (now_ns(CLOCK_MONOTONIC) - connection->sent_ns) / 1000;
    latency_us[us < kLatencyBuckets ? us : kLatencyBuckets - 1]++;
    replies++;
    under_way--;
    return 1;
}

// Keeps a message under way on each connection until `until_ns`, or until there were `limit`
// replies; then waits for those that are missing.
static void run(int poller, int wanted, int64_t until_ns, uint64_t limit) {
    struct epoll_event events[kEvents];
    replies = 0;
    for (int at = 0; at < wanted; at++) send_next(&connections[at]);
    while (under_way) {
        int go_on = now_ns(CLOCK_MONOTONIC) < until_ns && replies < limit;
        int count = epoll_wait(poller, events, kEvents, 100);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int at = 0; at < count; at++) {
            if (take_reply(events[at].data.ptr) && go_on) send_next(events[at].data.ptr);
        }
    }
}

static unsigned latency_quantile_us(double quantile, uint64_t count) {
    uint64_t seen = 0;
    for (unsigned us = 0; us < kLatencyBuckets; us++) {
        seen += latency_us[us];
        if ((double)seen >= quantile * (double)count) return us;
    }
    return kLatencyBuckets;
}

int main(int count, char **words) {
    if (count != 7) {
        fputs("usage: echo PORT CONNECTIONS WARM_UP_S TURN_S REQUESTS SERVER_PID\n", stderr);
        return 2;
    }
    int port = atoi(words[1]), wanted = atoi(words[2]);
    double warm_up_s = atof(words[3]), turn_s = atof(words[4]);
    uint64_t requests = strtoull(words[5], NULL, 10);
    Turns turns = {.server = atoi(words[6])};
    int poller = epoll_create1(0);
    connections = calloc((size_t)wanted, sizeof *connections);
    if (poller < 0 || !connections) fail("start");
    for (int at = 0; at < wanted; at++) connect_one(&connections[at], port, poller);
    run(poller, wanted, now_ns(CLOCK_MONOTONIC) + (int64_t)(warm_up_s * 1e9), UINT64_MAX);
    memset(latency_us, 0, sizeof latency_us);
    puts("ready");
    while (next_turn()) {
        begin_turn(&turns);
        int64_t until_ns = requests ? INT64_MAX : turns.began_ns + (int64_t)(turn_s * 1e9);
        run(poller, wanted, until_ns, requests ? requests : UINT64_MAX);
        end_turn(&turns, replies);
        char latencies[64];
        snprintf(latencies, sizeof latencies, ", \"p50\": %u, \"p99\": %u",
                 latency_quantile_us(0.5, turns.replies), latency_quantile_us(0.99, turns.replies));
        print_turns(&turns, latencies);
    }
    return 0;
}
