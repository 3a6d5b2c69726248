// An echo server over TLS on bare libev and OpenSSL: the limit that no Python server
// can pass. Prints its port. Serves until killed.
//
// Usage: tls_libev [read-ahead] CERTIFICATE_AND_KEY
//
// OpenSSL reads a record in two calls, its header and its body. With read-ahead it
// reads whatever there is, in one; but then the socket does not tell any more that
// there is something to read, which is why Python's ssl cannot do it.
// Compile with: -lev -lssl -lcrypto

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *context;

static void close_connection(struct ev_loop *loop, ev_io *watcher) {
    ev_io_stop(loop, watcher);
    SSL_free(watcher->data);
    close(watcher->fd);
    free(watcher);
}

static void echo(struct ev_loop *loop, ev_io *watcher, int events) {
    (void)events;
    char message[4096];
    SSL *connection = watcher->data;
    // Until the first message comes, this goes on with the handshake, whose own
    // messages always fit into the socket's buffer, as those of the load do.
    int size = SSL_read(connection, message, sizeof message);
    if (size <= 0 && SSL_get_error(connection, size) == SSL_ERROR_WANT_READ) return;
    if (size <= 0 || SSL_write(connection, message, size) != size)
        close_connection(loop, watcher);
}

static void accept_connection(struct ev_loop *loop, ev_io *listener, int events) {
    (void)events;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    ev_io *watcher = malloc(sizeof *watcher);
    SSL *connection = SSL_new(context);
    if (!watcher || !connection || !SSL_set_fd(connection, fd)) abort();
    SSL_set_accept_state(connection);
    ev_io_init(watcher, echo, fd, EV_READ);
    watcher->data = connection;
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

int main(int count, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    context = SSL_CTX_new(TLS_server_method());
    const char *certificate = arguments[count - 1];
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, certificate, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "no certificate and key\n");
        return 1;
    }
    SSL_CTX_set_read_ahead(context, count > 2 && strcmp(arguments[1], "read-ahead") == 0);
    struct ev_loop *loop = ev_default_loop(0);
    ev_io listener;
    ev_io_init(&listener, accept_connection, listen_anywhere(), EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
