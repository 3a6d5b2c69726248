# cython: language_level=3
"""The functions of capsule_c.c in Cython, over `cimport coev`."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport PyObject, Py_DECREF, Py_INCREF
from libc.stdlib cimport free, malloc

from libc.stdint cimport int64_t

from coev cimport (
    COEV_KEEP,
    COEV_NEVER,
    coev_api,
    coev_import,
    coev_lock,
    coev_stream,
    coev_waker,
)

cdef extern from *:
    """
    #include <pthread.h>
    #include <time.h>
    #include <unistd.h>
    static void start_thread(void* (*function)(void*), void* argument) {
      pthread_t thread;
      pthread_create(&thread, NULL, function, argument);
      pthread_detach(thread);
    }
    static void add(int* counter) { __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST); }
    static double seconds_now(void) {
      struct timespec now;
      clock_gettime(CLOCK_MONOTONIC, &now);
      return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    }
    static void call(void (*callback)(void*), void* argument) { callback(argument); }
    """
    void start_thread(void* (*function)(void*) noexcept nogil, void* argument)
    void add(int* counter) nogil
    void call(void (*callback)(void*) noexcept, void* argument) nogil
    double seconds_now() nogil
    int usleep(unsigned microseconds) nogil

cdef const coev_api* api = coev_import()


def table():
    return api.abi_major, api.abi_minor, api.size, sizeof(coev_api)


# --- coroutines ---

def current():
    return api.current()


def spawn(callable, args=None, kwargs=None):
    return api.spawn(callable, NULL if args is None else <PyObject*>args,
                     NULL if kwargs is None else <PyObject*>kwargs)


cdef int run_callable(void* argument) except -1:
    (<object>argument)()
    return 0


cdef void release_callable(void* argument) noexcept:
    Py_DECREF(<object>argument)


def spawn_native(callable):
    Py_INCREF(callable)
    return api.spawn_native(run_callable, <void*>callable, release_callable)


def join(coroutine, double timeout=-1):
    return api.join(coroutine, timeout)


def yield_now():
    return api.yield_now()


def sleep(double seconds):
    return api.sleep(seconds)


def switch_to(target, *value):
    return api.switch_to(target, <PyObject*>value[0] if value else NULL)


def throw_into(target, exception):
    return api.throw_into(target, exception)


# --- file descriptors ---

def wait_fd(int fd, int events, double timeout=-1):
    return api.wait_fd(fd, events, timeout)


def forget_fd(int fd):
    api.forget_fd(fd)


def wait_fd_owned(int fd, int events, double timeout=-1, size_t owner=1):
    return api.wait_fd_owned(fd, events, timeout, <const void*>owner)


def wait_fd_until(int fd, int events, int64_t deadline_ns=COEV_NEVER, size_t owner=1):
    return api.wait_fd_until(fd, events, deadline_ns, <const void*>owner)


def disown_fd(int fd, size_t owner):
    api.disown_fd(fd, <const void*>owner)


def deadline_after(double seconds):
    return api.deadline_after(seconds)


# --- who runs ---

def current_id():
    return api.current_id()


def fork_generation():
    with nogil:
        generation = api.fork_generation()
    return generation


# --- parking ---

def park(double timeout=-1):
    return api.park(timeout)


def unpark(coroutine):
    return api.unpark(coroutine)


cdef struct Alarm:
    coev_waker* waker
    unsigned delay_us


cdef void* ring(void* argument) noexcept nogil:
    alarm = <Alarm*>argument
    usleep(alarm.delay_us)
    api.waker_wake(alarm.waker)
    api.waker_free(alarm.waker)
    free(alarm)
    return NULL


def unpark_from_pthread(double seconds):
    alarm = <Alarm*>malloc(sizeof(Alarm))
    alarm.delay_us = <unsigned>(seconds * 1e6)
    alarm.waker = api.waker_new()
    start_thread(ring, alarm)


# --- locks ---

cdef class OwnedLock:
    cdef coev_lock* lock

    def __cinit__(self):
        self.lock = api.lock_new()

    def __dealloc__(self):
        api.lock_free(self.lock)


def lock_new():
    return OwnedLock()


def lock_acquire(OwnedLock lock, double timeout=-1):
    return api.lock_acquire(lock.lock, timeout)


def lock_release(OwnedLock lock):
    return api.lock_release(lock.lock)


# --- coroutine-local storage ---

cdef void run_value(void* value) noexcept:
    (<object>value)()
    Py_DECREF(<object>value)


def local_key():
    return api.local_key(run_value)


def local_get(int key):
    value = api.local_get(key)
    return None if value == NULL else <object>value


def local_set(int key, value):
    old = api.local_get(key)
    api.local_set(key, NULL if value is None else <void*>value)
    if value is not None:
        Py_INCREF(value)
    if old != NULL:
        Py_DECREF(<object>old)


# --- buffered input and output ---

cdef class OwnedStream:
    cdef coev_stream* stream

    def __cinit__(self, int fd, size_t size):
        self.stream = api.stream_new(fd, size)

    def __dealloc__(self):
        api.stream_free(self.stream)


def stream_new(int fd, Py_ssize_t size=0):
    return OwnedStream(fd, <size_t>size)


def stream_read_some(OwnedStream stream, Py_ssize_t at_most, double timeout=-1):
    cdef const char* data
    cdef size_t size
    if api.stream_read_some(stream.stream, <size_t>at_most, timeout, &data, &size) == 1:
        return PyBytes_FromStringAndSize(data, size)


def stream_read_exactly(OwnedStream stream, Py_ssize_t count, double timeout=-1):
    cdef const char* data
    if api.stream_read_exactly(stream.stream, <size_t>count, timeout, &data) == 1:
        return PyBytes_FromStringAndSize(data, count)


def stream_read_until(OwnedStream stream, bytes delimiter, double timeout=-1,
                      Py_ssize_t limit=1 << 16):
    cdef const char* data
    cdef size_t size
    if api.stream_read_until(stream.stream, <const char*>delimiter, len(delimiter), limit,
                             timeout, &data, &size) == 1:
        return PyBytes_FromStringAndSize(data, size)


def stream_write(OwnedStream stream, bytes data, double timeout=-1):
    return api.stream_write(stream.stream, <const char*>data, len(data), timeout)


def stream_flush(OwnedStream stream, double timeout=-1):
    return api.stream_flush(stream.stream, timeout)


def stream_new_owned(int fd, Py_ssize_t size=0, size_t owner=1):
    stream = OwnedStream(fd, <size_t>size)
    api.stream_free(stream.stream)
    stream.stream = api.stream_new_owned(fd, <size_t>size, <const void*>owner)
    return stream


def stream_read_some_until(OwnedStream stream, Py_ssize_t at_most,
                           int64_t deadline_ns=COEV_NEVER):
    cdef const char* data
    cdef size_t size
    if api.stream_read_some_until(stream.stream, <size_t>at_most, deadline_ns, &data,
                                  &size) == 1:
        return PyBytes_FromStringAndSize(data, size)


def stream_read_exactly_until(OwnedStream stream, Py_ssize_t count,
                              int64_t deadline_ns=COEV_NEVER):
    cdef const char* data
    if api.stream_read_exactly_until(stream.stream, <size_t>count, deadline_ns, &data) == 1:
        return PyBytes_FromStringAndSize(data, count)


def stream_read_delimited_until(OwnedStream stream, bytes delimiter,
                                int64_t deadline_ns=COEV_NEVER, Py_ssize_t limit=1 << 16):
    cdef const char* data
    cdef size_t size
    if api.stream_read_delimited_until(stream.stream, <const char*>delimiter, len(delimiter),
                                       limit, deadline_ns, &data, &size) == 1:
        return PyBytes_FromStringAndSize(data, size)


def stream_write_until(OwnedStream stream, bytes data, int64_t deadline_ns=COEV_NEVER):
    return api.stream_write_until(stream.stream, <const char*>data, len(data), deadline_ns)


def stream_flush_until(OwnedStream stream, int64_t deadline_ns=COEV_NEVER):
    return api.stream_flush_until(stream.stream, deadline_ns)


# --- long loops ---

def compute(double seconds, long rounds=0):
    cdef long asked = 0
    cdef long round = 0
    cdef double end = seconds_now() + seconds
    while seconds_now() < end:
        round += 1
        if rounds != 0 and round % rounds == 0:
            asked += 1
            api.give_way_if_due()
    return asked


# --- offload ---

cdef int naps_taken
cdef int naps_released


cdef void take_nap(void* argument) noexcept nogil:
    usleep((<unsigned*>argument)[0])
    add(&naps_taken)


cdef void release_nap(void* argument) noexcept nogil:
    free(argument)
    add(&naps_released)


def offload_nap(double seconds, double timeout=-1):
    nap = <unsigned*>malloc(sizeof(unsigned))
    nap[0] = <unsigned>(seconds * 1e6)
    return api.offload(take_nap, nap, release_nap, timeout)


def offload_call(double seconds, double timeout=-1, int flags=0):
    nap = <unsigned*>malloc(sizeof(unsigned))
    nap[0] = <unsigned>(seconds * 1e6)
    result = api.offload_call(take_nap, nap, release_nap, timeout, flags)
    if result == 1 and flags & COEV_KEEP:
        free(nap)
    return result


def naps():
    return naps_taken, naps_released


# --- a callback that takes the GIL itself ---

cdef class Call:
    cdef object callable
    cdef object result


cdef void callback(void* argument) noexcept with gil:
    call_ = <Call>argument
    call_.result = call_.callable()


def call_back(callable):
    cdef Call call_ = Call()
    call_.callable = callable
    with nogil:
        call(callback, <void*>call_)
    return call_.result
