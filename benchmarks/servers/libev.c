// An echo server on bare libev: the limit that no Python server can pass.
// Prints its port. Serves until killed.
// Compile with: -lev

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_connection(struct ev_loop *loop, ev_io *watcher) {
    ev_io_stop(loop, watcher);
    close(watcher->fd);
    free(watcher);
}

static void echo(struct ev_loop *loop, ev_io *watcher, int events) {
    (void)events;
    char message[4096];
    ssize_t size = recv(watcher->fd, message, sizeof message, 0);
    if (size < 0 && errno == EAGAIN) return;
    // A message of the load generator always fits into the socket's buffer.
    if (size <= 0 || send(watcher->fd, message, size, MSG_NOSIGNAL) != size)
        close_connection(loop, watcher);
}

static void accept_connection(struct ev_loop *loop, ev_io *listener, int events) {
    (void)events;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    ev_io *watcher = malloc(sizeof *watcher);
    if (!watcher) abort();
    ev_io_init(watcher, echo, fd, EV_READ);
    ev_io_start(loop, watcher);
}

static int listen_anywhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &size)) {
        perror("listen");
        exit(1);
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(void) {
    struct ev_loop *loop = ev_default_loop(0);
    ev_io listener;
    ev_io_init(&listener, accept_connection, listen_anywhere(), EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
