/* The C API of coev: waiting, parking, locks and coroutines for extensions.
 *
 *     #include <coev/coev.h>
 *     static const coev_api* coev;              one per extension
 *     coev = coev_import();                     in the module's init function
 *     if (coev == NULL) return NULL;            ImportError is set
 *
 * The table begins with its version and size and is only ever appended to: a
 * module built for 1.2 runs with any later 1.x. A module built for another
 * major version, or for a newer minor one, fails to import with a sentence that
 * names both.
 *
 * Every function needs the GIL, unless it says otherwise. "Switches" means that
 * other coroutines may run before the function returns: hold no borrowed
 * reference, no C++ mutex and no iterator across it, and read errno before.
 * A timeout is in seconds; a negative one waits without limit.
 * Whoever waits may be interrupted by an exception (a kill, a timeout scope, a
 * signal handler): the function then returns its error value with that
 * exception set, and has nothing left behind.
 */
#ifndef COEV_H
#define COEV_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COEV_ABI_MAJOR 1
#define COEV_ABI_MINOR 1
#define COEV_CAPSULE_NAME "coev._coev._C_API"

/* Events of wait_fd() and its kin. */
#define COEV_READABLE 1
#define COEV_WRITABLE 2
#define COEV_PERMIT 4 /* 1.1: unpark() ends the wait, too */
#define COEV_CLOSED 8 /* 1.1: a closed fd is an event, not OSError EBADF */

/* 1.1: the deadline that never comes. */
#define COEV_NEVER INT64_MAX

/* 1.1: flags of offload_call(). */
#define COEV_KEEP 1      /* after 1 the argument is the caller's, and release is not called */
#define COEV_UNLIMITED 2 /* not one of the few that run at a time: starts at once */

typedef struct coev_lock coev_lock;
typedef struct coev_waker coev_waker;
typedef struct coev_stream coev_stream;

typedef struct coev_api {
  int abi_major;
  int abi_minor;
  size_t size; /* of the table, in bytes */

  /* --- coroutines: objects of type coev.Coroutine ------------------------- */

  /* The running coroutine. New reference; NULL with an exception set.
   * Switches: never. */
  PyObject* (*current)(void);

  /* Starts callable(*args, **kwargs) in the next turn; args (a tuple) and kwargs
   * (a dict) may be NULL. New reference; NULL with RuntimeError set when there is
   * no memory for a stack. Switches: never. */
  PyObject* (*spawn)(PyObject* callable, PyObject* args, PyObject* kwargs);

  /* Starts function(argument) in C. It runs with the GIL and ends by returning; 0,
   * or -1 with an exception set, which is then kept as the coroutine's. It never
   * runs if the coroutine is killed before its first turn. release(argument) is
   * called once in every case, with the GIL: after the function, or instead of it,
   * also when spawn_native() fails. release may be NULL.
   * New reference or NULL. Switches: never. */
  PyObject* (*spawn_native)(int (*function)(void* argument), void* argument,
                            void (*release)(void* argument));

  /* Waits for the end of a coroutine. 1: finished; 0: timed out; -1: exception
   * (RuntimeError for the current one). Switches: only if it has not finished. */
  int (*join)(PyObject* coroutine, double timeout);

  /* Lets every ready coroutine run once. 0, or -1 with an exception set.
   * Switches: only if one is ready. */
  int (*yield_now)(void);

  /* 0, or -1 with an exception set. Switches: always. */
  int (*sleep)(double seconds);

  /* Suspends the current coroutine until somebody switches back, and runs target,
   * which receives value (borrowed; NULL means None). New reference to what is
   * passed back; NULL with an exception set. Switches: always. */
  PyObject* (*switch_to)(PyObject* target, PyObject* value);

  /* Has exception (an instance, borrowed) raised in target. 0 or -1.
   * Switches: never, but raises here when target is the current coroutine. */
  int (*throw_into)(PyObject* target, PyObject* exception);

  /* --- file descriptors ----------------------------------------------------- */

  /* Waits for COEV_READABLE and/or COEV_WRITABLE. The events seen (above 0);
   * 0: timed out; -1: exception (OSError EBADF when fd is closed meanwhile).
   * Switches: always. */
  int (*wait_fd)(int fd, int events, double timeout);

  /* Call before closing an fd that coroutines may wait on: they wake with EBADF.
   * Switches: never. */
  void (*forget_fd)(int fd);

  /* --- parking ------------------------------------------------------------------ */

  /* Waits for a permit, which unpark() or a waker gives, perhaps already has
   * given. At most one permit is kept. 1: got it; 0: timed out; -1: exception.
   * Switches: only if there is none yet. */
  int (*park)(double timeout);

  /* Gives coroutine its permit; nothing happens if it has finished. 0, or -1 with
   * TypeError set. Switches: never. */
  int (*unpark)(PyObject* coroutine);

  /* A handle on the current coroutine for threads without the GIL. NULL with an
   * exception set. Free it after its last use; the coroutine may end before, and
   * its OS thread, too. */
  coev_waker* (*waker_new)(void);
  /* As unpark(). Needs no GIL; any thread. Not safe in a signal handler. */
  void (*waker_wake)(coev_waker* waker);
  /* Needs no GIL. */
  void (*waker_free)(coev_waker* waker);

  /* --- locks -------------------------------------------------------------------- */

  /* NULL with MemoryError set. */
  coev_lock* (*lock_new)(void);
  /* The lock must be free and nobody may wait for it. */
  void (*lock_free)(coev_lock* lock);
  /* 1: acquired; 0: timed out; -1: exception. Switches: only if it is held. */
  int (*lock_acquire)(coev_lock* lock, double timeout);
  /* Hands the lock to the longest waiter. 0, or -1 with RuntimeError set when it
   * is not held. Switches: never. */
  int (*lock_release)(coev_lock* lock);

  /* --- coroutine-local storage ------------------------------------------------ */

  /* A new key, or -1 with RuntimeError set. The destructor (may be NULL) gets each
   * value that is not NULL when its coroutine ends; it runs there, with the GIL,
   * and may switch. What the main coroutine of an OS thread has set is not
   * destroyed: it ends with the OS thread, without the GIL. */
  int (*local_key)(void (*destructor)(void* value));
  /* NULL where nothing was set. Switches: never. */
  void* (*local_get)(int key);
  /* 0, or -1 with MemoryError or (no such key) ValueError set. Switches: never. */
  int (*local_set)(int key, void* value);

  /* --- buffered input and output ---------------------------------------------- */

  /* A stream over a socket that it does not own; buffer_bytes 0 means 16 KiB. NULL
   * with MemoryError set. */
  coev_stream* (*stream_new)(int fd, size_t buffer_bytes);
  void (*stream_free)(coev_stream* stream);

  /* All reads: 1: *data points to *size bytes, valid until the next read;
   * 0: timed out, nothing consumed; -1: exception (EOFError at the end of the
   * stream). Switches: only if the bytes are not there yet. One coroutine reads
   * and one writes at a time. */
  int (*stream_read_some)(coev_stream* stream, size_t at_most, double timeout, const char** data,
                          size_t* size);
  int (*stream_read_exactly)(coev_stream* stream, size_t count, double timeout, const char** data);
  /* Up to and with the delimiter; ValueError if it is not within limit bytes. */
  int (*stream_read_until)(coev_stream* stream, const char* delimiter, size_t delimiter_size,
                           size_t limit, double timeout, const char** data, size_t* size);

  /* Collects the bytes, and sends when the buffer is full; flush sends the rest.
   * 1: done; 0: timed out, a later flush goes on; -1: exception.
   * Switches: only if the kernel's buffer is full. */
  int (*stream_write)(coev_stream* stream, const char* data, size_t size, double timeout);
  int (*stream_flush)(coev_stream* stream, double timeout);

  /* --- offload -------------------------------------------------------------------- */

  /* Runs function(argument) on a real thread, without the GIL, and waits. 1: it has
   * run; 0: timed out; -1: exception. After 0 and -1 the function may still run or
   * be running: argument must live until release(argument) is called, which happens
   * exactly once in every case, on any thread, perhaps without the GIL. release may
   * be NULL.
   * Switches: always. */
  int (*offload)(void (*function)(void* argument), void* argument, void (*release)(void* argument),
                 double timeout);

  /* --- 1.1: file descriptors that have an owner ------------------------------------ */

  /* wait_fd() for whoever promises to call forget_fd() or disown_fd() before fd is
   * closed: the kernel then keeps what it was told between two waits, and a request
   * with its answer costs two system calls less. owner is an address that stands for
   * the connection; every wait for fd gives the same, and nobody else gives it. NULL
   * is wait_fd(). While other code may close fd, or put another file behind its
   * number, wait without an owner.
   * With COEV_PERMIT among the events the wait also ends when the coroutine gets its
   * permit, by unpark() or a waker, or has got it before: COEV_PERMIT is then among
   * the events seen, perhaps beside others, and the permit is used up.
   * With COEV_CLOSED an fd that is closed, or not open, is the event COEV_CLOSED
   * alone, and no exception. Both may also be asked of wait_fd().
   * Otherwise as wait_fd(). Switches: always, unless the permit is there already. */
  int (*wait_fd_owned)(int fd, int events, double timeout, const void* owner);

  /* wait_fd_owned() until a deadline that deadline_after() gave, which serves all
   * waits of an operation. One that has passed only looks. owner may be NULL. */
  int (*wait_fd_until)(int fd, int events, int64_t deadline_ns, const void* owner);

  /* forget_fd() for the waits of owner alone: nothing happens where fd is not, or not
   * any more, owner's. For whoever cannot know whether a library has closed fd, and
   * its number serves somebody else. Switches: never. */
  void (*disown_fd)(int fd, const void* owner);

  /* The deadline that is so many seconds away, in nanoseconds of coev's clock;
   * COEV_NEVER for a negative number or NaN. Needs no GIL. Switches: never. */
  int64_t (*deadline_after)(double seconds);

  /* --- 1.1: who runs ------------------------------------------------------------------ */

  /* A number of the running coroutine, or of an OS thread that has none, which no
   * other ever has in this process; it stays with the one that forked. Never 0. For
   * locks that know their owner. Allocates nothing, needs no GIL. Switches: never. */
  uint64_t (*current_id)(void);

  /* How many forks lie between the process that imported coev and this one: a
   * connection of another generation is the parent's. Needs no GIL. Switches: never. */
  uint32_t (*fork_generation)(void);

  /* --- 1.1: offload ------------------------------------------------------------------- */

  /* offload() with flags. COEV_KEEP: after 1 release is not called, and the caller
   * reads its results from argument and frees it. COEV_UNLIMITED: the function does
   * not wait for a place among the few that run at a time, and takes none from
   * others; for what may hang long, or what others that run wait for. */
  int (*offload_call)(void (*function)(void* argument), void* argument,
                      void (*release)(void* argument), double timeout, int flags);

  /* --- 1.1: buffered input and output ------------------------------------------------ */

  /* stream_new() over a socket that has an owner, as wait_fd_owned() has it: an
   * address that every wait for fd gives, with forget_fd() or disown_fd() before fd
   * is closed. Reads and writes then cost fewer system calls. NULL is stream_new(). */
  coev_stream* (*stream_new_owned)(int fd, size_t buffer_bytes, const void* owner);

  /* The functions of a stream with a deadline of deadline_after() instead of a
   * timeout: one for all the reads and writes of an operation. Bytes that are there,
   * and room that is there, serve a call also when its deadline has passed.
   * stream_read_delimited_until() is stream_read_until() so. */
  int (*stream_read_some_until)(coev_stream* stream, size_t at_most, int64_t deadline_ns,
                                const char** data, size_t* size);
  int (*stream_read_exactly_until)(coev_stream* stream, size_t count, int64_t deadline_ns,
                                   const char** data);
  int (*stream_read_delimited_until)(coev_stream* stream, const char* delimiter,
                                     size_t delimiter_size, size_t limit, int64_t deadline_ns,
                                     const char** data, size_t* size);
  int (*stream_write_until)(coev_stream* stream, const char* data, size_t size,
                            int64_t deadline_ns);
  int (*stream_flush_until)(coev_stream* stream, int64_t deadline_ns);

  /* --- 1.1: long loops ---------------------------------------------------------------- */

  /* For a loop in C that may take long, every few dozen rounds: lets the others run
   * when this coroutine has computed for a millisecond, and other OS threads have the
   * GIL when it was kept for 5 ms, CPython's usual switch interval. 0, or -1 with an
   * exception set, which ends the loop: a kill, a timeout scope, a signal handler's.
   * Most calls only read the clock. Switches: only when it is due. */
  int (*give_way_if_due)(void);
} coev_api;

/* The table of the installed coev, or NULL with ImportError set. */
static inline const coev_api* coev_import(void) {
  const coev_api* api = (const coev_api*)PyCapsule_Import(COEV_CAPSULE_NAME, 0);
  if (api == NULL) return NULL;
  if (api->abi_major != COEV_ABI_MAJOR || api->abi_minor < COEV_ABI_MINOR) {
    PyErr_Format(PyExc_ImportError,
                 "this module was built for version %d.%d of coev's C API, but the installed coev "
                 "provides version %d.%d",
                 COEV_ABI_MAJOR, COEV_ABI_MINOR, api->abi_major, api->abi_minor);
    return NULL;
  }
  return api;
}

#ifdef __cplusplus
}
#endif

#endif /* COEV_H */
