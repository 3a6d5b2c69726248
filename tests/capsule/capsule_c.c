/* A C extension that uses every function of coev.h; tests/test_capsule.py builds it
 * against the installed coev. capsule_cython.pyx has the same functions in Cython.
 *
 * MODULE_NAME is given on the command line: the same source is built against
 * headers of other versions, too. */
#define PY_SSIZE_T_CLEAN
#include <coev/coev.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

static const coev_api* coev;

static PyObject* outcome(int result) {
  return result < 0 ? NULL : PyLong_FromLong(result);
}

static PyObject* table(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return Py_BuildValue("iinn", coev->abi_major, coev->abi_minor, (Py_ssize_t)coev->size,
                       (Py_ssize_t)sizeof(coev_api));
}

/* --- coroutines --------------------------------------------------------------------- */

static PyObject* current(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return coev->current();
}

static PyObject* spawn(PyObject* self, PyObject* arguments) {
  PyObject *callable, *positional = NULL, *named = NULL;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "O|OO", &callable, &positional, &named)) return NULL;
  return coev->spawn(callable, positional, named);
}

/* What spawn_native() runs: callable(), a Python object that it owns. */
static int run_callable(void* argument) {
  PyObject* result = PyObject_CallNoArgs((PyObject*)argument);
  Py_XDECREF(result);
  return result == NULL ? -1 : 0;
}

static void release_callable(void* argument) { Py_DECREF((PyObject*)argument); }

static PyObject* spawn_native(PyObject* self, PyObject* callable) {
  (void)self;
  return coev->spawn_native(run_callable, Py_NewRef(callable), release_callable);
}

static int fail_silently(void* argument) {
  (void)argument;
  return -1;
}

static PyObject* spawn_failing_silently(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return coev->spawn_native(fail_silently, NULL, NULL);
}

static PyObject* join(PyObject* self, PyObject* arguments) {
  PyObject* coroutine;
  double timeout = -1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "O|d", &coroutine, &timeout)) return NULL;
  return outcome(coev->join(coroutine, timeout));
}

static PyObject* yield_now(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return outcome(coev->yield_now());
}

static PyObject* sleep_for(PyObject* self, PyObject* arguments) {
  double seconds;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "d", &seconds)) return NULL;
  return outcome(coev->sleep(seconds));
}

static PyObject* switch_to(PyObject* self, PyObject* arguments) {
  PyObject *target, *value = NULL;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "O|O", &target, &value)) return NULL;
  return coev->switch_to(target, value);
}

static PyObject* throw_into(PyObject* self, PyObject* arguments) {
  PyObject *target, *exception;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "OO", &target, &exception)) return NULL;
  return outcome(coev->throw_into(target, exception));
}

/* --- file descriptors ------------------------------------------------------------------ */

static PyObject* wait_fd(PyObject* self, PyObject* arguments) {
  int fd, events;
  double timeout = -1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "ii|d", &fd, &events, &timeout)) return NULL;
  return outcome(coev->wait_fd(fd, events, timeout));
}

static PyObject* forget_fd(PyObject* self, PyObject* arguments) {
  int fd;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "i", &fd)) return NULL;
  coev->forget_fd(fd);
  Py_RETURN_NONE;
}

/* Owners are addresses; here a number stands for one. */
static const void* owner_of(Py_ssize_t number) { return number == 0 ? NULL : (char*)NULL + number; }

static PyObject* wait_fd_owned(PyObject* self, PyObject* arguments) {
  int fd, events;
  double timeout = -1;
  Py_ssize_t owner = 1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "ii|dn", &fd, &events, &timeout, &owner)) return NULL;
  return outcome(coev->wait_fd_owned(fd, events, timeout, owner_of(owner)));
}

static PyObject* wait_fd_until(PyObject* self, PyObject* arguments) {
  int fd, events;
  long long deadline_ns = COEV_NEVER;
  Py_ssize_t owner = 1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "ii|Ln", &fd, &events, &deadline_ns, &owner)) return NULL;
  return outcome(coev->wait_fd_until(fd, events, deadline_ns, owner_of(owner)));
}

static PyObject* disown_fd(PyObject* self, PyObject* arguments) {
  int fd;
  Py_ssize_t owner;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "in", &fd, &owner)) return NULL;
  coev->disown_fd(fd, owner_of(owner));
  Py_RETURN_NONE;
}

static PyObject* deadline_after(PyObject* self, PyObject* seconds) {
  (void)self;
  return PyLong_FromLongLong(coev->deadline_after(PyFloat_AsDouble(seconds)));
}

/* --- who runs ----------------------------------------------------------------------------- */

static PyObject* current_id(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return PyLong_FromUnsignedLongLong(coev->current_id());
}

static PyObject* fork_generation(PyObject* self, PyObject* none) {
  uint32_t generation;
  (void)self, (void)none;
  Py_BEGIN_ALLOW_THREADS;
  generation = coev->fork_generation();
  Py_END_ALLOW_THREADS;
  return PyLong_FromUnsignedLong(generation);
}

/* --- parking ------------------------------------------------------------------------------ */

static PyObject* park(PyObject* self, PyObject* arguments) {
  double timeout = -1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "|d", &timeout)) return NULL;
  return outcome(coev->park(timeout));
}

static PyObject* unpark(PyObject* self, PyObject* coroutine) {
  (void)self;
  return outcome(coev->unpark(coroutine));
}

struct alarm {
  coev_waker* waker;
  unsigned delay_us;
};

static void* ring(void* argument) { /* no GIL, no thread state */
  struct alarm* alarm = argument;
  usleep(alarm->delay_us);
  coev->waker_wake(alarm->waker);
  coev->waker_free(alarm->waker);
  free(alarm);
  return NULL;
}

/* Has a thread that knows nothing of Python unpark the current coroutine. */
static PyObject* unpark_from_pthread(PyObject* self, PyObject* arguments) {
  double seconds;
  pthread_t thread;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "d", &seconds)) return NULL;
  struct alarm* alarm = malloc(sizeof(struct alarm));
  alarm->delay_us = (unsigned)(seconds * 1e6);
  alarm->waker = coev->waker_new();
  if (alarm->waker == NULL) {
    free(alarm);
    return NULL;
  }
  pthread_create(&thread, NULL, ring, alarm);
  pthread_detach(thread);
  Py_RETURN_NONE;
}

/* --- locks ----------------------------------------------------------------------------------- */

static coev_lock* lock_in(PyObject* capsule) { return PyCapsule_GetPointer(capsule, "lock"); }

static void free_lock(PyObject* capsule) { coev->lock_free(lock_in(capsule)); }

static PyObject* lock_new(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  coev_lock* lock = coev->lock_new();
  return lock == NULL ? NULL : PyCapsule_New(lock, "lock", free_lock);
}

static PyObject* lock_acquire(PyObject* self, PyObject* arguments) {
  PyObject* lock;
  double timeout = -1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "O|d", &lock, &timeout)) return NULL;
  return outcome(coev->lock_acquire(lock_in(lock), timeout));
}

static PyObject* lock_release(PyObject* self, PyObject* lock) {
  (void)self;
  return outcome(coev->lock_release(lock_in(lock)));
}

/* --- coroutine-local storage: Python objects, owned by their coroutine ----------------------- */

static void run_value(void* value) {
  PyObject* result = PyObject_CallNoArgs((PyObject*)value);
  if (result == NULL) PyErr_WriteUnraisable((PyObject*)value);
  Py_XDECREF(result);
  Py_DECREF((PyObject*)value);
}

static PyObject* local_key(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return outcome(coev->local_key(run_value));
}

static PyObject* local_get(PyObject* self, PyObject* arguments) {
  int key;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "i", &key)) return NULL;
  PyObject* value = coev->local_get(key);
  return Py_NewRef(value == NULL ? Py_None : value);
}

/* The value is called when its coroutine ends. */
static PyObject* local_set(PyObject* self, PyObject* arguments) {
  int key;
  PyObject* value;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "iO", &key, &value)) return NULL;
  PyObject* old = coev->local_get(key);
  if (coev->local_set(key, value == Py_None ? NULL : value) < 0) return NULL;
  if (value != Py_None) Py_INCREF(value);
  Py_XDECREF(old);
  Py_RETURN_NONE;
}

/* --- buffered input and output ---------------------------------------------------------------- */

static coev_stream* stream_in(PyObject* capsule) { return PyCapsule_GetPointer(capsule, "stream"); }

static void free_stream(PyObject* capsule) { coev->stream_free(stream_in(capsule)); }

static PyObject* stream_new(PyObject* self, PyObject* arguments) {
  int fd;
  Py_ssize_t bytes = 0;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "i|n", &fd, &bytes)) return NULL;
  coev_stream* stream = coev->stream_new(fd, (size_t)bytes);
  return stream == NULL ? NULL : PyCapsule_New(stream, "stream", free_stream);
}

/* None where the time was up. */
static PyObject* bytes_read(int result, const char* data, size_t size) {
  if (result < 0) return NULL;
  if (result == 0) Py_RETURN_NONE;
  return PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
}

static PyObject* stream_read_some(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  Py_ssize_t at_most;
  double timeout = -1;
  const char* data;
  size_t size;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "On|d", &stream, &at_most, &timeout)) return NULL;
  int result = coev->stream_read_some(stream_in(stream), (size_t)at_most, timeout, &data, &size);
  return bytes_read(result, data, size);
}

static PyObject* stream_read_exactly(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  Py_ssize_t count;
  double timeout = -1;
  const char* data;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "On|d", &stream, &count, &timeout)) return NULL;
  int result = coev->stream_read_exactly(stream_in(stream), (size_t)count, timeout, &data);
  return bytes_read(result, data, (size_t)count);
}

static PyObject* stream_read_until(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  const char* delimiter;
  Py_ssize_t delimiter_size, limit = 1 << 16;
  double timeout = -1;
  const char* data;
  size_t size;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "Oy#|dn", &stream, &delimiter, &delimiter_size, &timeout,
                        &limit)) {
    return NULL;
  }
  int result = coev->stream_read_until(stream_in(stream), delimiter, (size_t)delimiter_size,
                                       (size_t)limit, timeout, &data, &size);
  return bytes_read(result, data, size);
}

static PyObject* stream_write(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  const char* data;
  Py_ssize_t size;
  double timeout = -1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "Oy#|d", &stream, &data, &size, &timeout)) return NULL;
  return outcome(coev->stream_write(stream_in(stream), data, (size_t)size, timeout));
}

static PyObject* stream_flush(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  double timeout = -1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "O|d", &stream, &timeout)) return NULL;
  return outcome(coev->stream_flush(stream_in(stream), timeout));
}

static PyObject* stream_new_owned(PyObject* self, PyObject* arguments) {
  int fd;
  Py_ssize_t bytes = 0, owner = 1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "i|nn", &fd, &bytes, &owner)) return NULL;
  coev_stream* stream = coev->stream_new_owned(fd, (size_t)bytes, owner_of(owner));
  return stream == NULL ? NULL : PyCapsule_New(stream, "stream", free_stream);
}

static PyObject* stream_read_some_until(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  Py_ssize_t at_most;
  long long deadline_ns = COEV_NEVER;
  const char* data;
  size_t size;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "On|L", &stream, &at_most, &deadline_ns)) return NULL;
  int result = coev->stream_read_some_until(stream_in(stream), (size_t)at_most, deadline_ns, &data,
                                            &size);
  return bytes_read(result, data, size);
}

static PyObject* stream_read_exactly_until(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  Py_ssize_t count;
  long long deadline_ns = COEV_NEVER;
  const char* data;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "On|L", &stream, &count, &deadline_ns)) return NULL;
  int result =
      coev->stream_read_exactly_until(stream_in(stream), (size_t)count, deadline_ns, &data);
  return bytes_read(result, data, (size_t)count);
}

static PyObject* stream_read_delimited_until(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  const char* delimiter;
  Py_ssize_t delimiter_size, limit = 1 << 16;
  long long deadline_ns = COEV_NEVER;
  const char* data;
  size_t size;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "Oy#|Ln", &stream, &delimiter, &delimiter_size, &deadline_ns,
                        &limit)) {
    return NULL;
  }
  int result =
      coev->stream_read_delimited_until(stream_in(stream), delimiter, (size_t)delimiter_size,
                                        (size_t)limit, deadline_ns, &data, &size);
  return bytes_read(result, data, size);
}

static PyObject* stream_write_until(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  const char* data;
  Py_ssize_t size;
  long long deadline_ns = COEV_NEVER;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "Oy#|L", &stream, &data, &size, &deadline_ns)) return NULL;
  return outcome(coev->stream_write_until(stream_in(stream), data, (size_t)size, deadline_ns));
}

static PyObject* stream_flush_until(PyObject* self, PyObject* arguments) {
  PyObject* stream;
  long long deadline_ns = COEV_NEVER;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "O|L", &stream, &deadline_ns)) return NULL;
  return outcome(coev->stream_flush_until(stream_in(stream), deadline_ns));
}

/* --- long loops --------------------------------------------------------------------------------- */

/* Computes for so long, in C, and offers to give way after every `rounds` rounds (0: never).
 * Returns how often it was asked. */
static PyObject* compute(PyObject* self, PyObject* arguments) {
  double seconds;
  long rounds = 0, asked = 0;
  struct timespec now;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "d|l", &seconds, &rounds)) return NULL;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const double end = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 + seconds;
  for (long round = 1; (double)now.tv_sec + (double)now.tv_nsec * 1e-9 < end; ++round) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (rounds == 0 || round % rounds != 0) continue;
    ++asked;
    if (coev->give_way_if_due() < 0) return NULL;
  }
  return PyLong_FromLong(asked);
}

/* --- offload ------------------------------------------------------------------------------------ */

struct nap {
  unsigned us;
};
static int naps_taken; /* both atomic: written on other threads */
static int naps_released;

static void take_nap(void* argument) {
  usleep(((struct nap*)argument)->us);
  __atomic_add_fetch(&naps_taken, 1, __ATOMIC_SEQ_CST);
}

static void release_nap(void* argument) {
  free(argument);
  __atomic_add_fetch(&naps_released, 1, __ATOMIC_SEQ_CST);
}

/* Sleeps on a real thread. */
static PyObject* offload_nap(PyObject* self, PyObject* arguments) {
  double seconds, timeout = -1;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "d|d", &seconds, &timeout)) return NULL;
  struct nap* nap = malloc(sizeof(struct nap));
  nap->us = (unsigned)(seconds * 1e6);
  return outcome(coev->offload(take_nap, nap, release_nap, timeout));
}

/* Sleeps like offload_nap(); returns the outcome, and frees what is the caller's. */
static PyObject* offload_call(PyObject* self, PyObject* arguments) {
  double seconds, timeout = -1;
  int flags = 0;
  (void)self;
  if (!PyArg_ParseTuple(arguments, "d|di", &seconds, &timeout, &flags)) return NULL;
  struct nap* nap = malloc(sizeof(struct nap));
  nap->us = (unsigned)(seconds * 1e6);
  int result = coev->offload_call(take_nap, nap, release_nap, timeout, flags);
  if (result == 1 && (flags & COEV_KEEP) != 0) free(nap);
  return outcome(result);
}

static PyObject* naps(PyObject* self, PyObject* none) {
  (void)self, (void)none;
  return Py_BuildValue("ii", __atomic_load_n(&naps_taken, __ATOMIC_SEQ_CST),
                       __atomic_load_n(&naps_released, __ATOMIC_SEQ_CST));
}

/* --- a callback that takes the GIL itself ------------------------------------------------------ */

static PyObject* call_back(PyObject* self, PyObject* callable) {
  PyObject* result;
  (void)self;
  Py_BEGIN_ALLOW_THREADS;
  PyGILState_STATE state = PyGILState_Ensure();
  result = PyObject_CallNoArgs(callable);
  PyGILState_Release(state);
  Py_END_ALLOW_THREADS;
  return result;
}

static PyMethodDef functions[] = {
    {"table", table, METH_NOARGS, NULL},
    {"current", current, METH_NOARGS, NULL},
    {"spawn", spawn, METH_VARARGS, NULL},
    {"spawn_native", spawn_native, METH_O, NULL},
    {"spawn_failing_silently", spawn_failing_silently, METH_NOARGS, NULL},
    {"join", join, METH_VARARGS, NULL},
    {"yield_now", yield_now, METH_NOARGS, NULL},
    {"sleep", sleep_for, METH_VARARGS, NULL},
    {"switch_to", switch_to, METH_VARARGS, NULL},
    {"throw_into", throw_into, METH_VARARGS, NULL},
    {"wait_fd", wait_fd, METH_VARARGS, NULL},
    {"forget_fd", forget_fd, METH_VARARGS, NULL},
    {"wait_fd_owned", wait_fd_owned, METH_VARARGS, NULL},
    {"wait_fd_until", wait_fd_until, METH_VARARGS, NULL},
    {"disown_fd", disown_fd, METH_VARARGS, NULL},
    {"deadline_after", deadline_after, METH_O, NULL},
    {"current_id", current_id, METH_NOARGS, NULL},
    {"fork_generation", fork_generation, METH_NOARGS, NULL},
    {"park", park, METH_VARARGS, NULL},
    {"unpark", unpark, METH_O, NULL},
    {"unpark_from_pthread", unpark_from_pthread, METH_VARARGS, NULL},
    {"lock_new", lock_new, METH_NOARGS, NULL},
    {"lock_acquire", lock_acquire, METH_VARARGS, NULL},
    {"lock_release", lock_release, METH_O, NULL},
    {"local_key", local_key, METH_NOARGS, NULL},
    {"local_get", local_get, METH_VARARGS, NULL},
    {"local_set", local_set, METH_VARARGS, NULL},
    {"stream_new", stream_new, METH_VARARGS, NULL},
    {"stream_read_some", stream_read_some, METH_VARARGS, NULL},
    {"stream_read_exactly", stream_read_exactly, METH_VARARGS, NULL},
    {"stream_read_until", stream_read_until, METH_VARARGS, NULL},
    {"stream_write", stream_write, METH_VARARGS, NULL},
    {"stream_flush", stream_flush, METH_VARARGS, NULL},
    {"stream_new_owned", stream_new_owned, METH_VARARGS, NULL},
    {"stream_read_some_until", stream_read_some_until, METH_VARARGS, NULL},
    {"stream_read_exactly_until", stream_read_exactly_until, METH_VARARGS, NULL},
    {"stream_read_delimited_until", stream_read_delimited_until, METH_VARARGS, NULL},
    {"stream_write_until", stream_write_until, METH_VARARGS, NULL},
    {"stream_flush_until", stream_flush_until, METH_VARARGS, NULL},
    {"compute", compute, METH_VARARGS, NULL},
    {"offload_nap", offload_nap, METH_VARARGS, NULL},
    {"offload_call", offload_call, METH_VARARGS, NULL},
    {"naps", naps, METH_NOARGS, NULL},
    {"call_back", call_back, METH_O, NULL},
    {NULL, NULL, 0, NULL}};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, TEXT(MODULE_NAME), NULL, -1, functions,
                                 NULL, NULL, NULL, NULL};

PyMODINIT_FUNC JOIN(PyInit_, MODULE_NAME)(void) {
  coev = coev_import();
  return coev == NULL ? NULL : PyModule_Create(&definition);
}
