// Nothing here switches or calls back into Python code, finalizers included:
// pybind11 may dispatch it.
#include "python/api/introspect.h"

#include <pybind11/pybind11.h>

#include "core/offload.h"
#include "python/base/collection_pause.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/coroutine_object.h"

namespace py = pybind11;

namespace coev::python {
namespace {

py::dict stats() {
  const CollectionPause pause;
  Scheduler& scheduler = thread_state::scheduler();
  const Stats& s = scheduler.stats();
  py::dict counters;
  counters["switches"] = s.switches;
  counters["spawned"] = s.spawned;
  counters["finished"] = s.finished;
  counters["parks"] = s.parks;
  counters["turns"] = s.turns;
  counters["polls"] = s.polls;
  counters["sleeps"] = s.sleeps;
  counters["timeouts"] = s.timeouts;
  counters["interrupts"] = s.interrupts;
  counters["quota_yields"] = s.quota_yields;
  counters["slots_created"] = s.slots_created;
  counters["alive"] = s.spawned - s.finished;
  counters["ready"] = scheduler.ready_count();
  counters["pooled"] = scheduler.pooled_count();
  counters["stacks"] = scheduler.stack_count();
  counters["stack_bytes"] = Scheduler::stack_bytes();
  counters["timers"] = scheduler.timers().size();
  counters["offload_threads"] = offload::thread_count();
  return counters;
}

py::list coroutines() {
  const CollectionPause pause;
  Scheduler& scheduler = thread_state::scheduler();
  py::list alive;
  const auto add = [&](Coroutine& coroutine) {
    CoroutineObject* object = object_of(coroutine);
    if (object == nullptr) throw py::error_already_set();
    alive.append(py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(object)));
  };
  add(scheduler.main());
  for (Coroutine* slot = scheduler.all_slots(); slot != nullptr; slot = slot->all_next) {
    if (slot->owner != nullptr && slot != &scheduler.main()) add(*slot);
  }
  return alive;
}

py::object pool_ceiling(const py::object& slots) {
  const std::size_t previous = Scheduler::pool_ceiling();
  if (!slots.is_none()) Scheduler::set_pool_ceiling(slots.cast<std::size_t>());
  return py::int_(previous);
}

py::object offload_threads(const py::object& threads) {
  const std::size_t previous = offload::thread_limit();
  if (!threads.is_none()) {
    const auto limit = threads.cast<std::size_t>();
    if (limit == 0) throw py::value_error("at least one offload thread is needed");
    offload::set_thread_limit(limit);
  }
  return py::int_(previous);
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): restoring an error throws nothing
bool add_introspection(PyObject* raw) noexcept {
  try {
    auto module = py::reinterpret_borrow<py::module_>(raw);
    module.def("stats", stats, "Counters of this OS thread's scheduler, as a dict of ints.");
    module.def("coroutines", coroutines,
               "Every live Coroutine of this OS thread, the main one first, then the newest slot "
               "first.");
    module.def("pool_ceiling", pool_ceiling, py::arg("slots") = py::none(),
               "How many finished coroutines keep the stack memory they touched; sets it if "
               "*slots* is given. Returns the previous value.");
    module.def("offload_threads", offload_threads, py::arg("limit") = py::none(),
               "How many real threads offload() may use; sets it if *limit* is given. Returns the "
               "previous value.");
    return true;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_ImportError, error.what());
  }
  return false;
}

}  // namespace coev::python
