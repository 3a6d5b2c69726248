#include "python/capsule/capsule.h"

#include <cmath>

#include "python/base/ref.h"
#include "python/capsule/functions.h"

namespace coev::python {
namespace {

constexpr coev_api kTable = {
    .abi_major = COEV_ABI_MAJOR,
    .abi_minor = COEV_ABI_MINOR,
    .size = sizeof(coev_api),
    .current = api_current,
    .spawn = api_spawn,
    .spawn_native = api_spawn_native,
    .join = api_join,
    .yield_now = api_yield_now,
    .sleep = api_sleep,
    .switch_to = api_switch_to,
    .throw_into = api_throw_into,
    .wait_fd = api_wait_fd,
    .forget_fd = api_forget_fd,
    .park = api_park,
    .unpark = api_unpark,
    .waker_new = api_waker_new,
    .waker_wake = api_waker_wake,
    .waker_free = api_waker_free,
    .lock_new = api_lock_new,
    .lock_free = api_lock_free,
    .lock_acquire = api_lock_acquire,
    .lock_release = api_lock_release,
    .local_key = api_local_key,
    .local_get = api_local_get,
    .local_set = api_local_set,
    .stream_new = api_stream_new,
    .stream_free = api_stream_free,
    .stream_read_some = api_stream_read_some,
    .stream_read_exactly = api_stream_read_exactly,
    .stream_read_until = api_stream_read_until,
    .stream_write = api_stream_write,
    .stream_flush = api_stream_flush,
    .offload = api_offload,
    .wait_fd_owned = api_wait_fd_owned,
    .wait_fd_until = api_wait_fd_until,
    .disown_fd = api_disown_fd,
    .deadline_after = api_deadline_after,
    .current_id = api_current_id,
    .fork_generation = api_fork_generation,
    .offload_call = api_offload_call,
    .stream_new_owned = api_stream_new_owned,
    .stream_read_some_until = api_stream_read_some_until,
    .stream_read_exactly_until = api_stream_read_exactly_until,
    .stream_read_delimited_until = api_stream_read_delimited_until,
    .stream_write_until = api_stream_write_until,
    .stream_flush_until = api_stream_flush_until,
    .give_way_if_due = api_give_way_if_due,
};

}  // namespace

Deadline deadline_of(double timeout) noexcept {
  return timeout < 0 || std::isnan(timeout) ? Deadline::never() : Deadline::after_seconds(timeout);
}

bool add_capsule(PyObject* module) noexcept {
  const Ref capsule =
      Ref::steal(PyCapsule_New(const_cast<coev_api*>(&kTable), COEV_CAPSULE_NAME, nullptr));
  return capsule && PyModule_AddObjectRef(module, "_C_API", capsule.get()) == 0;
}

}  // namespace coev::python
