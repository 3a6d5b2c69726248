/* A library that waits by libc's functions, each in a function of its own. */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the last function gave back, for whoever was interrupted and did not see that. */
long last;
static int fail(long result) { return (int)(last = result < 0 ? -errno : result); }

/* Milliseconds; a negative timeout waits without limit. The result, or -errno. */
int by_poll(int fd, int timeout) {
  struct pollfd wanted = {fd, POLLIN, 0};
  return fail(poll(&wanted, 1, timeout));
}
int by_poll_of_two(int fd, int other, int timeout) {
  struct pollfd wanted[3] = {{fd, POLLIN, 0}, {other, POLLIN, 0}, {-1, POLLIN, 0}};
  int found = poll(wanted, 3, timeout);
  return found <= 0 ? fail(found) : (wanted[0].revents ? 1 : 0) | (wanted[1].revents ? 2 : 0);
}
int by_ppoll(int fd, int timeout) {
  struct pollfd wanted = {fd, POLLIN, 0};
  struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};
  return fail(ppoll(&wanted, 1, timeout < 0 ? NULL : &limit, NULL));
}
int by_select(int fd, int timeout) {
  fd_set wanted;
  struct timeval limit = {timeout / 1000, timeout % 1000 * 1000};
  FD_ZERO(&wanted);
  FD_SET(fd, &wanted);
  int found = select(fd + 1, &wanted, NULL, NULL, timeout < 0 ? NULL : &limit);
  return found > 0 && !FD_ISSET(fd, &wanted) ? -EINVAL : fail(found);
}
int by_pselect(int fd, int timeout) {
  fd_set wanted;
  struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};
  FD_ZERO(&wanted);
  FD_SET(fd, &wanted);
  return fail(pselect(fd + 1, &wanted, NULL, NULL, timeout < 0 ? NULL : &limit, NULL));
}
int by_epoll_wait(int fd, int timeout) {
  struct epoll_event event = {.events = EPOLLIN}, found;
  int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
  int result = fail(epoll_wait(set, &found, 1, timeout));
  close(set);
  return result;
}

int by_recv(int fd) { char byte; return fail(recv(fd, &byte, 1, 0)); }
int by_recv_all(int fd, char* into, size_t bytes) { return fail(recv(fd, into, bytes, MSG_WAITALL)); }
int by_recvfrom(int fd) { char byte; return fail(recvfrom(fd, &byte, 1, 0, NULL, NULL)); }
int by_recvmsg(int fd) {
  char byte;
  struct iovec buffer = {&byte, 1};
  struct msghdr message = {.msg_iov = &buffer, .msg_iovlen = 1};
  return fail(recvmsg(fd, &message, 0));
}
int by_read(int fd) { char byte; return fail(read(fd, &byte, 1)); }
int by_readv(int fd) {
  char byte;
  struct iovec buffer = {&byte, 1};
  return fail(readv(fd, &buffer, 1));
}

long by_send(int fd, const char* data, size_t bytes) {
  long sent = send(fd, data, bytes, 0);
  return last = sent < 0 ? -errno : sent;
}
long by_write(int fd, const char* data, size_t bytes) {
  long sent = write(fd, data, bytes);
  return last = sent < 0 ? -errno : sent;
}
static long in_two(const char* data, size_t bytes, struct iovec* buffers) {
  buffers[0].iov_base = (void*)data;
  buffers[0].iov_len = bytes / 3;
  buffers[1].iov_base = (void*)(data + bytes / 3);
  buffers[1].iov_len = bytes - bytes / 3;
  return 2;
}
long by_writev(int fd, const char* data, size_t bytes) {
  struct iovec buffers[2];
  long sent = writev(fd, buffers, (int)in_two(data, bytes, buffers));
  return last = sent < 0 ? -errno : sent;
}
long by_sendmsg(int fd, const char* data, size_t bytes) {
  struct iovec buffers[2];
  struct msghdr message = {.msg_iov = buffers};
  message.msg_iovlen = (size_t)in_two(data, bytes, buffers);
  long sent = sendmsg(fd, &message, 0);
  return last = sent < 0 ? -errno : sent;
}

int by_accept(int fd) {
  int accepted = accept(fd, NULL, NULL);
  if (accepted >= 0) close(accepted);
  return accepted < 0 ? -errno : 1;
}
int by_accept4(int fd) {
  int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
  if (accepted >= 0) close(accepted);
  return accepted < 0 ? -errno : 1;
}
int by_connect(int fd, const void* address, unsigned bytes) {
  return fail(connect(fd, address, bytes));
}

int by_nanosleep(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  return fail(nanosleep(&time, NULL));
}
int by_clock_nanosleep(int ms) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  time.tv_nsec += ms * 1000000L;
  time.tv_sec += time.tv_nsec / 1000000000L;
  time.tv_nsec %= 1000000000L;
  return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}
int by_usleep(int ms) { return fail(usleep((unsigned)ms * 1000)); }
int by_sleep(int ms) { return (int)sleep((unsigned)(ms + 999) / 1000); }

int by_getaddrinfo(const char* name) {
  struct addrinfo* found = NULL;
  int result = getaddrinfo(name, "80", NULL, &found);
  if (result == 0) freeaddrinfo(found);
  return result;
}
/* The first byte of the address, or a negative number. */
int by_gethostbyname(const char* name) {
  struct hostent* found = gethostbyname(name);
  return found == NULL ? -1 : (unsigned char)found->h_addr_list[0][0];
}
int by_gethostbyname_r(const char* name) {
  char buffer[4096];
  struct hostent entry, *found = NULL;
  int error = 0;
  gethostbyname_r(name, &entry, buffer, sizeof buffer, &found, &error);
  if (found == NULL) return -error;
  char* first = found->h_addr_list[0];
  return first < buffer || first >= buffer + sizeof buffer ? -1000 : (unsigned char)first[0];
}

/* A wait that happens while the library holds a mutex of its own. */
static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int inside;
static void make_recursive(void) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init(&recursive, &kind);
}
/* How many were inside at once, or -errno. */
int within_mutex(int is_recursive, int fd, int timeout) {
  pthread_once(&once, make_recursive);
  pthread_mutex_t* mutex = is_recursive ? &recursive : &plain;
  pthread_mutex_lock(mutex);
  if (is_recursive) pthread_mutex_lock(mutex);
  int together = ++inside;
  struct pollfd wanted = {fd, POLLIN, 0};
  int found = poll(&wanted, 1, timeout);
  if (inside != together) together = 100;
  --inside;
  if (is_recursive) pthread_mutex_unlock(mutex);
  pthread_mutex_unlock(mutex);
  return found < 0 ? -errno : together;
}

/* In a child that Python does not know of. Its exit status. */
int wait_in_forked_child(void) {
  pid_t child = fork();
  if (child == 0) {
    struct pollfd none = {-1, 0, 0};
    _exit(poll(&none, 1, 30) == 0 ? 7 : 8);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* On a thread that Python does not know. */
static void* poll_alone(void* fd) {
  struct pollfd wanted = {*(int*)fd, POLLIN, 0};
  return (void*)(long)poll(&wanted, 1, 3000);
}
int wait_on_foreign_thread(int fd) {
  pthread_t thread;
  void* result = NULL;
  pthread_create(&thread, NULL, poll_alone, &fd);
  pthread_join(thread, &result);
  return (int)(long)result;
}
