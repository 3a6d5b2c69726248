// The functions of the C API: what coev.h says of each holds here and is not repeated.
#pragma once

#include <Python.h>
#include <coev/coev.h>

#include "core/time.h"
#include "python/waiting/coroutine_object.h"

namespace coev::python {

// A timeout of the C API as a deadline: negative or NaN means never.
[[nodiscard]] Deadline deadline_of(double timeout) noexcept;
// nullptr with TypeError set for what is no coev.Coroutine. Borrowed.
[[nodiscard]] CoroutineObject* check_coroutine(PyObject* object) noexcept;

PyObject* api_current();
PyObject* api_spawn(PyObject* callable, PyObject* arguments, PyObject* keywords);
PyObject* api_spawn_native(int (*function)(void*), void* argument, void (*release)(void*));
int api_join(PyObject* coroutine, double timeout);
int api_yield_now();
int api_sleep(double seconds);
PyObject* api_switch_to(PyObject* target, PyObject* value);
int api_throw_into(PyObject* target, PyObject* exception);
uint64_t api_current_id();
uint32_t api_fork_generation();

int api_wait_fd(int fd, int events, double timeout);
void api_forget_fd(int fd);
int api_wait_fd_owned(int fd, int events, double timeout, const void* owner);
int api_wait_fd_until(int fd, int events, int64_t deadline_ns, const void* owner);
void api_disown_fd(int fd, const void* owner);
int64_t api_deadline_after(double seconds);

int api_park(double timeout);
int api_unpark(PyObject* coroutine);
coev_waker* api_waker_new();
void api_waker_wake(coev_waker* waker);
void api_waker_free(coev_waker* waker);

coev_lock* api_lock_new();
void api_lock_free(coev_lock* lock);
int api_lock_acquire(coev_lock* lock, double timeout);
int api_lock_release(coev_lock* lock);

int api_local_key(void (*destructor)(void*));
void* api_local_get(int key);
int api_local_set(int key, void* value);

coev_stream* api_stream_new(int fd, size_t buffer_bytes);
void api_stream_free(coev_stream* stream);
int api_stream_read_some(coev_stream* stream, size_t at_most, double timeout, const char** data,
                         size_t* size);
int api_stream_read_exactly(coev_stream* stream, size_t count, double timeout, const char** data);
int api_stream_read_until(coev_stream* stream, const char* delimiter, size_t delimiter_size,
                          size_t limit, double timeout, const char** data, size_t* size);
int api_stream_write(coev_stream* stream, const char* data, size_t size, double timeout);
int api_stream_flush(coev_stream* stream, double timeout);

int api_offload(void (*function)(void*), void* argument, void (*release)(void*), double timeout);
coev_stream* api_stream_new_owned(int fd, size_t buffer_bytes, const void* owner);
int api_stream_read_some_until(coev_stream* stream, size_t at_most, int64_t deadline_ns,
                               const char** data, size_t* size);
int api_stream_read_exactly_until(coev_stream* stream, size_t count, int64_t deadline_ns,
                                  const char** data);
int api_stream_read_delimited_until(coev_stream* stream, const char* delimiter,
                                    size_t delimiter_size, size_t limit, int64_t deadline_ns,
                                    const char** data, size_t* size);
int api_stream_write_until(coev_stream* stream, const char* data, size_t size, int64_t deadline_ns);
int api_stream_flush_until(coev_stream* stream, int64_t deadline_ns);

int api_give_way_if_due();
int api_offload_call(void (*function)(void*), void* argument, void (*release)(void*),
                     double timeout, int flags);

}  // namespace coev::python
