#include <new>

#include "python/capsule/functions.h"
#include "python/capsule/outcome.h"
#include "python/waiting/coroutine_object.h"

struct coev_waker {
  std::uint64_t scheduler;
  coev::Coroutine* coroutine;
  std::uint64_t id;
};

namespace coev::python {
int api_park(double timeout) {
  const Deadline deadline = deadline_of(timeout);
  return block([&] { return thread_state::scheduler().park_for_permit(deadline); });
}

int api_unpark(PyObject* object) {
  CoroutineObject* coroutine = check_coroutine(object);
  if (coroutine == nullptr) return -1;
  if (coroutine->slot() != nullptr) Scheduler::unpark(*coroutine->slot(), coroutine->slot()->id);
  return 0;
}

coev_waker* api_waker_new() {
  Scheduler& scheduler = thread_state::scheduler();
  Coroutine& current = scheduler.current();
  auto* waker = new (std::nothrow) coev_waker{scheduler.serial(), &current, current.id};
  if (waker == nullptr) PyErr_NoMemory();
  return waker;
}

void api_waker_wake(coev_waker* waker) {
  Scheduler::unpark(waker->scheduler, *waker->coroutine, waker->id);
}
void api_waker_free(coev_waker* waker) { delete waker; }

}  // namespace coev::python
