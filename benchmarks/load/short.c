// The load of short connections: connect, one message there and back, close.
//
// Usage: short PORT THREADS WARM_UP_S TURN_S SERVER_PID
// Every message differs from the last and every reply is compared. Each thread has a
// loopback address of its own, for a closed connection keeps its port for a minute.
// A turn (see turns.h) goes on for TURN_S seconds. Tells connections a second, and the
// server's CPU time for each.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "turns.h"

enum { kMessageBytes = 64, kMostThreads = 64 };

// The server closes its end after the load did: time for the last ones.
enum { kCloseUs = 20000 };

static int port;
static atomic_uint_fast64_t served;
static atomic_int keeps_on;
static pthread_barrier_t begun, ended;  // by all threads and by main

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static void connect_once(uint32_t own_address, uint64_t serial) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(own_address)};
    uint64_t sent[kMessageBytes / 8], received[kMessageBytes / 8];
    for (size_t at = 0; at < kMessageBytes / 8; at++) sent[at] = serial;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own)) fail("bind");
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (send(fd, sent, kMessageBytes, MSG_NOSIGNAL) != kMessageBytes) fail("send");
    errno = 0;
    if (recv(fd, received, kMessageBytes, MSG_WAITALL) != kMessageBytes) fail("recv");
    if (memcmp(sent, received, kMessageBytes)) fail("reply");
    close(fd);
}

static void *keep_connecting(void *number) {
    uint32_t own_address = INADDR_LOOPBACK + 1 + (uint32_t)(uintptr_t)number;
    for (uint64_t serial = (uint64_t)own_address << 32;;) {
        pthread_barrier_wait(&begun);
        while (keeps_on) {
            connect_once(own_address, serial++);
            atomic_fetch_add_explicit(&served, 1, memory_order_relaxed);
        }
        pthread_barrier_wait(&ended);
    }
    return NULL;
}

static void run(double seconds) {
    served = 0;
    keeps_on = 1;
    pthread_barrier_wait(&begun);
    usleep((useconds_t)(seconds * 1e6));
    keeps_on = 0;
    pthread_barrier_wait(&ended);
    usleep(kCloseUs);
    if (!served) fail("no reply");
}

int main(int count, char **words) {
    if (count != 6) {
        fputs("usage: short PORT THREADS WARM_UP_S TURN_S SERVER_PID\n", stderr);
        return 2;
    }
    port = atoi(words[1]);
    int threads = atoi(words[2]);
    if (threads < 1 || threads > kMostThreads) fail("threads");
    pthread_barrier_init(&begun, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&ended, NULL, (unsigned)threads + 1);
    for (int at = 0; at < threads; at++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, keep_connecting, (void *)(uintptr_t)at)) fail("thread");
    }
    run(atof(words[3]));
    Turns turns = {.server = atoi(words[5])};
    puts("ready");
    while (next_turn()) {
        begin_turn(&turns);
        run(atof(words[4]));
        end_turn(&turns, served);
        turns.taken_ns -= kCloseUs * INT64_C(1000);
        print_turns(&turns, "");
    }
    _exit(0);
}
