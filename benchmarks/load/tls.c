// The load of a TLS echo server: many connections, each with one message under way.
//
// Usage: tls PORT CONNECTIONS WARM_UP_S TURN_S SERVER_PID
// Every message differs from the last and every reply is compared. A turn (see turns.h)
// goes on for TURN_S seconds. Tells replies a second, and the server's CPU time for each.
// In C, so that the server is what is busy all the time, whichever it is.
// Compile with: -lssl -lcrypto

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "../harness/clock.h"
#include "turns.h"

enum { kMessageBytes = 1024, kEvents = 64 };

typedef struct {
    SSL *secure;
    int received_bytes;
    char sent[kMessageBytes];
    char received[kMessageBytes];
} Connection;

static uint64_t replies;
static uint64_t under_way;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void connect_one(Connection *connection, SSL_CTX *context, int port, int poller) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    connection->secure = SSL_new(context);
    if (!connection->secure || !SSL_set_fd(connection->secure, fd)) fail("SSL_new");
    if (SSL_connect(connection->secure) != 1) fail("handshake");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

static void send_next(Connection *connection) {
    static uint64_t serial;
    serial++;
    for (size_t at = 0; at < kMessageBytes; at += sizeof serial)
        memcpy(connection->sent + at, &serial, sizeof serial);
    connection->received_bytes = 0;
    under_way++;
    if (SSL_write(connection->secure, connection->sent, kMessageBytes) != kMessageBytes)
        fail("SSL_write");
}

// Returns whether the reply is complete. Session tickets may come first; OpenSSL then
// waits for the data behind them.
static int take_reply(Connection *connection) {
    int size = SSL_read(connection->secure, connection->received + connection->received_bytes,
                        kMessageBytes - connection->received_bytes);
    if (size <= 0) fail("SSL_read");
    connection->received_bytes += size;
    if (connection->received_bytes < kMessageBytes) return 0;
    if (memcmp(connection->sent, connection->received, kMessageBytes)) fail("reply");
    replies++;
    under_way--;
    return 1;
}

// Keeps a message under way on each connection for so long; then waits for the replies.
static void run(int poller, Connection *connections, int wanted, double seconds) {
    struct epoll_event events[kEvents];
    int64_t until_ns = now_ns(CLOCK_MONOTONIC) + (int64_t)(seconds * 1e9);
    replies = 0;
    for (int at = 0; at < wanted; at++) send_next(&connections[at]);
    while (under_way) {
        int go_on = now_ns(CLOCK_MONOTONIC) < until_ns;
        int count = epoll_wait(poller, events, kEvents, 100);
        for (int at = 0; at < count; at++) {
            if (take_reply(events[at].data.ptr) && go_on) send_next(events[at].data.ptr);
        }
    }
}

int main(int count, char **words) {
    if (count != 6) {
        fputs("usage: tls PORT CONNECTIONS WARM_UP_S TURN_S SERVER_PID\n", stderr);
        return 2;
    }
    int port = atoi(words[1]), wanted = atoi(words[2]);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());  // verifies nothing
    int poller = epoll_create1(0);
    Connection *connections = calloc((size_t)wanted, sizeof *connections);
    if (!context || poller < 0 || !connections) fail("start");
    // A reply is read whole, in one system call: the load costs the server nothing.
    SSL_CTX_set_read_ahead(context, 1);
    for (int at = 0; at < wanted; at++) connect_one(&connections[at], context, port, poller);
    run(poller, connections, wanted, atof(words[3]));
    Turns turns = {.server = atoi(words[5])};
    puts("ready");
    while (next_turn()) {
        begin_turn(&turns);
        run(poller, connections, wanted, atof(words[4]));
        end_turn(&turns, replies);
        print_turns(&turns, "");
    }
    return 0;
}
