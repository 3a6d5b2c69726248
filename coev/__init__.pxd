# The C API of coev for Cython: coev.h, declaration for declaration.
#
#     from coev cimport coev_api, coev_import
#     cdef const coev_api* coev = coev_import()
#
# Compile with -I and the folder that coev.get_include() returns. What the
# functions do, and which of them switch, stands in coev.h. PyObject* marks what
# may be NULL; object results are new references. Functions without nogil need
# the GIL.
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "coev/coev.h":
    int COEV_ABI_MAJOR
    int COEV_ABI_MINOR
    const char* COEV_CAPSULE_NAME
    int COEV_READABLE
    int COEV_WRITABLE
    int COEV_PERMIT
    int COEV_CLOSED
    const int64_t COEV_NEVER
    int COEV_KEEP
    int COEV_UNLIMITED

    ctypedef struct coev_lock:
        pass
    ctypedef struct coev_waker:
        pass
    ctypedef struct coev_stream:
        pass

    ctypedef struct coev_api:
        int abi_major
        int abi_minor
        size_t size

        # --- coroutines ---
        object (*current)()
        object (*spawn)(object callable, PyObject* args, PyObject* kwargs)
        object (*spawn_native)(int (*function)(void* argument) except -1, void* argument,
                               void (*release)(void* argument) noexcept)
        int (*join)(object coroutine, double timeout) except -1
        int (*yield_now)() except -1
        int (*sleep)(double seconds) except -1
        object (*switch_to)(object target, PyObject* value)
        int (*throw_into)(object target, object exception) except -1

        # --- file descriptors ---
        int (*wait_fd)(int fd, int events, double timeout) except -1
        void (*forget_fd)(int fd) noexcept

        # --- parking ---
        int (*park)(double timeout) except -1
        int (*unpark)(object coroutine) except -1
        coev_waker* (*waker_new)() except NULL
        void (*waker_wake)(coev_waker* waker) noexcept nogil
        void (*waker_free)(coev_waker* waker) noexcept nogil

        # --- locks ---
        coev_lock* (*lock_new)() except NULL
        void (*lock_free)(coev_lock* lock) noexcept
        int (*lock_acquire)(coev_lock* lock, double timeout) except -1
        int (*lock_release)(coev_lock* lock) except -1

        # --- coroutine-local storage ---
        int (*local_key)(void (*destructor)(void* value) noexcept) except -1
        void* (*local_get)(int key) noexcept
        int (*local_set)(int key, void* value) except -1

        # --- buffered input and output ---
        coev_stream* (*stream_new)(int fd, size_t buffer_bytes) except NULL
        void (*stream_free)(coev_stream* stream) noexcept
        int (*stream_read_some)(coev_stream* stream, size_t at_most, double timeout,
                                const char** data, size_t* size) except -1
        int (*stream_read_exactly)(coev_stream* stream, size_t count, double timeout,
                                   const char** data) except -1
        int (*stream_read_until)(coev_stream* stream, const char* delimiter,
                                 size_t delimiter_size, size_t limit, double timeout,
                                 const char** data, size_t* size) except -1
        int (*stream_write)(coev_stream* stream, const char* data, size_t size,
                            double timeout) except -1
        int (*stream_flush)(coev_stream* stream, double timeout) except -1

        # --- offload ---
        int (*offload)(void (*function)(void* argument) noexcept nogil, void* argument,
                       void (*release)(void* argument) noexcept nogil,
                       double timeout) except -1

        # --- 1.1: file descriptors that have an owner ---
        int (*wait_fd_owned)(int fd, int events, double timeout, const void* owner) except -1
        int (*wait_fd_until)(int fd, int events, int64_t deadline_ns,
                             const void* owner) except -1
        void (*disown_fd)(int fd, const void* owner) noexcept
        int64_t (*deadline_after)(double seconds) noexcept nogil

        # --- 1.1: who runs ---
        uint64_t (*current_id)() noexcept nogil
        uint32_t (*fork_generation)() noexcept nogil

        # --- 1.1: offload ---
        int (*offload_call)(void (*function)(void* argument) noexcept nogil, void* argument,
                            void (*release)(void* argument) noexcept nogil,
                            double timeout, int flags) except -1

        # --- 1.1: buffered input and output ---
        coev_stream* (*stream_new_owned)(int fd, size_t buffer_bytes,
                                         const void* owner) except NULL
        int (*stream_read_some_until)(coev_stream* stream, size_t at_most, int64_t deadline_ns,
                                      const char** data, size_t* size) except -1
        int (*stream_read_exactly_until)(coev_stream* stream, size_t count,
                                         int64_t deadline_ns, const char** data) except -1
        int (*stream_read_delimited_until)(coev_stream* stream, const char* delimiter,
                                           size_t delimiter_size, size_t limit,
                                           int64_t deadline_ns, const char** data,
                                           size_t* size) except -1
        int (*stream_write_until)(coev_stream* stream, const char* data, size_t size,
                                  int64_t deadline_ns) except -1
        int (*stream_flush_until)(coev_stream* stream, int64_t deadline_ns) except -1

        # --- 1.1: long loops ---
        int (*give_way_if_due)() except -1

    const coev_api* coev_import() except NULL
