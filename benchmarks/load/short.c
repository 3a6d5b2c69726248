// The load of short connections: connect, one message there and back, close.
//
// Usage: short PORT THREADS WARM_UP_S MEASURE_S SERVER_PID
// Every message differs from the last and every reply is compared. Each thread has a
// loopback address of its own, for a closed connection keeps its port for a minute.
// Prints one line of JSON: connections a second, and the server's CPU time for each.

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

#include "cpu_clock.h"

enum { kMessageBytes = 64, kMostThreads = 64 };

static int port;
static atomic_uint_fast64_t served;

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
    for (uint64_t serial = (uint64_t)own_address << 32;; serial++) {
        connect_once(own_address, serial);
        atomic_fetch_add_explicit(&served, 1, memory_order_relaxed);
    }
    return NULL;
}

int main(int count, char **words) {
    if (count != 6) {
        fputs("usage: short PORT THREADS WARM_UP_S MEASURE_S SERVER_PID\n", stderr);
        return 2;
    }
    port = atoi(words[1]);
    int threads = atoi(words[2]);
    double measure_s = atof(words[4]);
    pid_t server = atoi(words[5]);
    for (int at = 0; at < threads && at < kMostThreads; at++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, keep_connecting, (void *)(uintptr_t)at)) fail("thread");
    }
    usleep((useconds_t)(atof(words[3]) * 1e6));
    CpuTime cpu_before = cpu_time(server);
    uint64_t before = served;
    usleep((useconds_t)(measure_s * 1e6));
    CpuTime cpu_after = cpu_time(server);
    double connections = (double)(served - before);
    if (connections < 1) fail("no reply");
    double cpu_us = 1e6 * (cpu_after.total_s - cpu_before.total_s) / connections;
    double user_us = 1e6 * cpu_user_s(cpu_before, cpu_after) / connections;
    printf("{\"rate\": %.1f, \"cpu\": %.4f, \"user\": %.4f, \"system\": %.4f}\n",
           connections / measure_s, cpu_us, user_us, cpu_us - user_us);
    fflush(stdout);
    _exit(0);
}
