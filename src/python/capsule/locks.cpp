#include <new>

#include "core/lock.h"
#include "python/capsule/functions.h"
#include "python/capsule/outcome.h"

struct coev_lock {
  coev::Lock lock;
};

namespace coev::python {
coev_lock* api_lock_new() {
  auto* lock = new (std::nothrow) coev_lock;
  if (lock == nullptr) PyErr_NoMemory();
  return lock;
}

void api_lock_free(coev_lock* lock) { delete lock; }

int api_lock_acquire(coev_lock* lock, double timeout) {
  if (timeout == 0 ? lock->lock.try_acquire() : lock->lock.acquire_free()) return 1;
  const Deadline deadline = deadline_of(timeout);
  return block([&] { return lock->lock.acquire(deadline); });
}

int api_lock_release(coev_lock* lock) {
  const Status status = lock->lock.release();
  if (status == Status::kOk) return 0;
  raise(status);
  return -1;
}

}  // namespace coev::python
