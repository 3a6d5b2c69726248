#include "python/api/queue_types.h"

#include <structmember.h>

#include <cstdint>
#include <deque>
#include <new>

#include "core/allocation.h"
#include "core/event.h"
#include "core/scheduler.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/timeouts.h"

namespace coev::python {
namespace {

PyObject* g_empty = nullptr;   // queue.Empty
PyObject* g_full = nullptr;    // queue.Full
PyObject* g_closed = nullptr;  // coev.ChannelClosed

PyObject* as_object(std::uint64_t value) noexcept {
  return reinterpret_cast<PyObject*>(static_cast<std::uintptr_t>(value));
}
std::uint64_t as_value(PyObject* object) noexcept {
  return reinterpret_cast<std::uintptr_t>(object);
}

// A bounded row of objects with waiters at both ends. An object goes straight to
// the longest waiting taker; a giver that waits brings its object along. Both
// hand-offs beat a later deadline or interrupt: no object is lost.
// OWNS: the objects in it, and those that waiting givers brought.
// THREAD: any with the GIL, which guards everything here.
class Mailbox {
 public:
  explicit Mailbox(std::size_t capacity) noexcept : capacity_(capacity) {}
  ~Mailbox() { clear(); }

  // SWITCHES: only if `block` and it is full. ERRORS: kTimedOut (also without
  // `block`), kInterrupted, kClosed. Steals `object` on kOk only.
  Status give(PyObject* object, bool block, Deadline deadline) noexcept {
    if (closed_) return Status::kClosed;
    if (Coroutine* taker = takers_.claim_first()) {
      taker->park_value = as_value(object);
      Scheduler::wake(*taker);
      return Status::kOk;
    }
    if (objects_.size() < capacity_) return push(object);
    if (!block || deadline.passed()) return Status::kTimedOut;
    Scheduler& scheduler = thread_state::scheduler();
    scheduler.current().park_value = as_value(object);
    return scheduler.park(givers_, deadline);
  }

  // SWITCHES: only if `block` and it is empty. ERRORS: as give().
  Status take(PyObject** object, bool block, Deadline deadline) noexcept {
    if (!objects_.empty()) {
      *object = objects_.front();
      objects_.pop_front();
      if (Coroutine* giver = givers_.claim_first()) {
        const Status pushed = push(as_object(giver->park_value));
        Scheduler::wake(*giver, pushed);
      }
      return Status::kOk;
    }
    if (Coroutine* giver = givers_.claim_first()) {
      *object = as_object(giver->park_value);
      Scheduler::wake(*giver);
      return Status::kOk;
    }
    if (closed_) return Status::kClosed;
    if (!block || deadline.passed()) return Status::kTimedOut;
    Scheduler& scheduler = thread_state::scheduler();
    const Status status = scheduler.park(takers_, deadline);
    if (status == Status::kOk) *object = as_object(scheduler.current().park_value);
    return status;
  }

  // What is in it stays to be taken; whoever waits is told.
  void close() noexcept {
    closed_ = true;
    while (Coroutine* c = takers_.claim_first()) Scheduler::wake(*c, Status::kClosed);
    while (Coroutine* c = givers_.claim_first()) Scheduler::wake(*c, Status::kClosed);
  }

  void clear() noexcept {
    std::deque<PyObject*> objects;
    objects.swap(objects_);
    for (PyObject* object : objects) Py_DECREF(object);
  }

  int traverse(visitproc visit, void* arg) noexcept {
    for (PyObject* object : objects_) Py_VISIT(object);
    return 0;
  }

  [[nodiscard]] std::size_t size() const noexcept { return objects_.size(); }
  [[nodiscard]] bool full() const noexcept { return objects_.size() >= capacity_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool closed() const noexcept { return closed_; }

 private:
  Status push(PyObject* object) noexcept {
    const bool added = allocation::try_to([&] { objects_.push_back(object); });
    return added ? Status::kOk : Status::kNoMemory;
  }

  const std::size_t capacity_;
  bool closed_ = false;
  std::deque<PyObject*> objects_;
  WaitQueue takers_;
  WaitQueue givers_;
};

struct QueueObject {
  PyObject_HEAD PyObject* weak_references;
  Mailbox mailbox;
  std::int64_t unfinished;  // put and not yet task_done()
  Event all_done;
};

QueueObject* cast(PyObject* object) noexcept { return reinterpret_cast<QueueObject*>(object); }

PyObject* create(PyTypeObject* type, std::size_t capacity) noexcept {
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  new (&cast(object)->mailbox) Mailbox(capacity);
  new (&cast(object)->all_done) Event;
  cast(object)->all_done.set();
  return object;
}

void dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (cast(object)->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  cast(object)->mailbox.~Mailbox();
  cast(object)->all_done.~Event();
  type->tp_free(object);
  Py_DECREF(type);
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  return cast(object)->mailbox.traverse(visit, arg);
}

int clear(PyObject* object) {
  cast(object)->mailbox.clear();
  return 0;
}

// --- giving and taking, for both types ------------------------------------------------

PyObject* give(PyObject* object, PyObject* value, bool block, Deadline deadline,
               PyObject* when_timed_out) noexcept {
  Mailbox& mailbox = cast(object)->mailbox;
  if (block && mailbox.full() && !can_block()) return nullptr;
  const Ref keep = Ref::borrow(object);
  Ref given = Ref::borrow(value);
  const Status status = wait([&] { return mailbox.give(value, block, deadline); });
  if (status == Status::kOk) {
    static_cast<void>(given.release());
    Py_RETURN_NONE;
  }
  if (status == Status::kTimedOut) {
    PyErr_SetNone(when_timed_out);
    return nullptr;
  }
  if (status == Status::kClosed) {
    PyErr_SetString(g_closed, "the channel is closed");
    return nullptr;
  }
  return raise(status);
}

PyObject* take(PyObject* object, bool block, Deadline deadline, PyObject* when_timed_out) noexcept {
  Mailbox& mailbox = cast(object)->mailbox;
  if (block && mailbox.size() == 0 && !can_block()) return nullptr;
  const Ref keep = Ref::borrow(object);
  PyObject* taken = nullptr;
  const Status status = wait([&] { return mailbox.take(&taken, block, deadline); });
  if (status == Status::kOk) return taken;
  if (status == Status::kTimedOut) {
    PyErr_SetNone(when_timed_out);
    return nullptr;
  }
  if (status == Status::kClosed) {
    PyErr_SetString(g_closed, "the channel is closed");
    return nullptr;
  }
  return raise(status);
}

// --- Queue ----------------------------------------------------------------------------

PyObject* queue_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"maxsize", nullptr};
  Py_ssize_t maxsize = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|n:Queue", const_cast<char**>(names),
                                   &maxsize)) {
    return nullptr;
  }
  return create(type, maxsize <= 0 ? SIZE_MAX : static_cast<std::size_t>(maxsize));
}

bool parse_block(PyObject* flag, PyObject* timeout, bool* block, Deadline* deadline) noexcept {
  const int truth = flag == nullptr ? 1 : PyObject_IsTrue(flag);
  *block = truth > 0;
  return truth >= 0 && parse_timeout(timeout, deadline);
}

PyObject* queue_put(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  static constexpr const char* kNames[] = {"item", "block", "timeout", nullptr};
  PyObject* values[3];
  bool block = true;
  Deadline deadline = Deadline::never();
  if (!parse_arguments("put", arguments, count, keywords, kNames, 1, values) ||
      !parse_block(values[1], values[2], &block, &deadline)) {
    return nullptr;
  }
  // Counted first: a taker may call task_done() before we run again.
  if (++cast(object)->unfinished == 1) cast(object)->all_done.clear();
  PyObject* result = give(object, values[0], block, deadline, g_full);
  if (result == nullptr && --cast(object)->unfinished == 0) cast(object)->all_done.set();
  return result;
}

PyObject* queue_get(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  static constexpr const char* kNames[] = {"block", "timeout", nullptr};
  PyObject* values[2];
  bool block = true;
  Deadline deadline = Deadline::never();
  if (!parse_arguments("get", arguments, count, keywords, kNames, 0, values) ||
      !parse_block(values[0], values[1], &block, &deadline)) {
    return nullptr;
  }
  return take(object, block, deadline, g_empty);
}

PyObject* queue_put_nowait(PyObject* object, PyObject* item) {
  PyObject* arguments[] = {item, Py_False};
  return queue_put(object, arguments, 2, nullptr);
}

PyObject* queue_get_nowait(PyObject* object, PyObject*) {
  return take(object, false, Deadline::never(), g_empty);
}

PyObject* queue_qsize(PyObject* object, PyObject*) {
  return PyLong_FromSize_t(cast(object)->mailbox.size());
}
PyObject* queue_empty(PyObject* object, PyObject*) {
  return PyBool_FromLong(cast(object)->mailbox.size() == 0);
}
PyObject* queue_full(PyObject* object, PyObject*) {
  return PyBool_FromLong(cast(object)->mailbox.full());
}

PyObject* queue_task_done(PyObject* object, PyObject*) {
  QueueObject* self = cast(object);
  if (self->unfinished <= 0) {
    PyErr_SetString(PyExc_ValueError, "task_done() called too many times");
    return nullptr;
  }
  if (--self->unfinished == 0) self->all_done.set();
  Py_RETURN_NONE;
}

PyObject* queue_join(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords) {
  static constexpr const char* kNames[] = {"timeout", nullptr};
  PyObject* timeout = nullptr;
  Deadline deadline = Deadline::never();
  if (!parse_arguments("join", arguments, count, keywords, kNames, 0, &timeout) ||
      !parse_timeout(timeout, &deadline)) {
    return nullptr;
  }
  QueueObject* self = cast(object);
  if (!self->all_done.is_set() && !can_block()) return nullptr;
  const Ref keep = Ref::borrow(object);
  const Status status = wait([&] { return self->all_done.wait(deadline); });
  if (status != Status::kOk) return raise(status);
  Py_RETURN_NONE;
}

PyObject* queue_maxsize(PyObject* object, void*) {
  const std::size_t capacity = cast(object)->mailbox.capacity();
  return PyLong_FromSize_t(capacity == SIZE_MAX ? 0 : capacity);
}

PyMethodDef queue_methods[] = {
    {"put", as_method(queue_put), METH_FASTCALL | METH_KEYWORDS,
     "put($self, item, block=True, timeout=None)\n--\n\n"
     "Add *item*; the longest waiting get() receives "
     "it at once.\n\nSwitches: only if the queue is full.\n\n"
     ":raises queue.Full: it is full and *block* is false, or the timeout passed."},
    {"get", as_method(queue_get), METH_FASTCALL | METH_KEYWORDS,
     "get($self, block=True, timeout=None)\n--\n\nRemove and return the oldest item.\n\n"
     "Switches: only if the queue is empty.\n\n"
     ":raises queue.Empty: it is empty and *block* is false, or the timeout passed."},
    {"put_nowait", queue_put_nowait, METH_O,
     "put_nowait($self, item, /)\n--\n\n"
     "put(item, block=False)."},
    {"get_nowait", queue_get_nowait, METH_NOARGS, "get_nowait($self)\n--\n\nget(block=False)."},
    {"qsize", queue_qsize, METH_NOARGS, "qsize($self)\n--\n\nHow many items are in the queue."},
    {"empty", queue_empty, METH_NOARGS, "empty($self)\n--\n\nWhether it is empty."},
    {"full", queue_full, METH_NOARGS, "full($self)\n--\n\nWhether it is full."},
    {"task_done", queue_task_done, METH_NOARGS,
     "task_done($self)\n--\n\nSay that an item taken earlier has been dealt with.\n\n"
     ":raises ValueError: more often than items were put."},
    {"join", as_method(queue_join), METH_FASTCALL | METH_KEYWORDS,
     "join($self, timeout=None)\n--\n\nWait until every item has been dealt with.\n\n"
     "Switches: only if one has not.\n\n:raises TimeoutError: the timeout passed first."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "Queue[T], for annotations: its items are of type T."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef queue_attributes[] = {
    {"maxsize", queue_maxsize, nullptr, "How many items fit; 0 for no limit.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

// --- Channel --------------------------------------------------------------------------

PyObject* channel_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"capacity", nullptr};
  Py_ssize_t capacity = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|n:Channel", const_cast<char**>(names),
                                   &capacity)) {
    return nullptr;
  }
  if (capacity < 0) {
    PyErr_SetString(PyExc_ValueError, "capacity must be >= 0");
    return nullptr;
  }
  return create(type, static_cast<std::size_t>(capacity));
}

PyObject* channel_send(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords) {
  static constexpr const char* kNames[] = {"value", "timeout", nullptr};
  PyObject* values[2];
  Deadline deadline = Deadline::never();
  if (!parse_arguments("send", arguments, count, keywords, kNames, 1, values) ||
      !parse_timeout(values[1], &deadline)) {
    return nullptr;
  }
  return give(object, values[0], true, deadline, PyExc_TimeoutError);
}

PyObject* channel_receive(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  static constexpr const char* kNames[] = {"timeout", nullptr};
  PyObject* timeout = nullptr;
  Deadline deadline = Deadline::never();
  if (!parse_arguments("receive", arguments, count, keywords, kNames, 0, &timeout) ||
      !parse_timeout(timeout, &deadline)) {
    return nullptr;
  }
  return take(object, true, deadline, PyExc_TimeoutError);
}

PyObject* channel_close(PyObject* object, PyObject*) {
  cast(object)->mailbox.close();
  Py_RETURN_NONE;
}

PyObject* channel_next(PyObject* object) {
  PyObject* value = take(object, true, Deadline::never(), PyExc_TimeoutError);
  if (value == nullptr && PyErr_ExceptionMatches(g_closed)) PyErr_Clear();  // the end
  return value;
}

PyObject* channel_closed(PyObject* object, void*) {
  return PyBool_FromLong(cast(object)->mailbox.closed());
}

Py_ssize_t channel_length(PyObject* object) {
  return static_cast<Py_ssize_t>(cast(object)->mailbox.size());
}

PyMethodDef channel_methods[] = {
    {"send", as_method(channel_send), METH_FASTCALL | METH_KEYWORDS,
     "send($self, value, timeout=None)\n--\n\n"
     "Hand *value* over; with capacity 0 it waits until somebody "
     "has received it.\n\nSwitches: only if nobody waits and there is no room.\n\n"
     ":raises TimeoutError: nobody took it in time; it is not sent.\n"
     ":raises ChannelClosed: the channel is closed."},
    {"receive", as_method(channel_receive), METH_FASTCALL | METH_KEYWORDS,
     "receive($self, timeout=None)\n--\n\n"
     "Return the next value.\n\nSwitches: only if there is none.\n\n"
     ":raises TimeoutError: none came in time.\n"
     ":raises ChannelClosed: the channel is closed and empty."},
    {"close", channel_close, METH_NOARGS,
     "close($self)\n--\n\n"
     "End the channel; what is in it can still be received.\n\nSwitches: never."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "Channel[T], for annotations: its values are of type T."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef channel_attributes[] = {
    {"closed", channel_closed, nullptr, "Whether close() was called.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

// --------------------------------------------------------------------------------------

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(QueueObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot queue_slots[] = {
    {Py_tp_doc, const_cast<char*>("Queue(maxsize=0)\n--\n\nA queue as queue.Queue, first in, first "
                                  "out; waiters are served longest first.")},
    {Py_tp_new, reinterpret_cast<void*>(queue_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, queue_methods},
    {Py_tp_getset, queue_attributes},
    {Py_tp_members, members},
    {0, nullptr}};

PyType_Slot channel_slots[] = {
    {Py_tp_doc, const_cast<char*>("Channel(capacity=0)\n--\n\nValues from senders to receivers, "
                                  "until it is closed; iterating receives to the end.")},
    {Py_tp_new, reinterpret_cast<void*>(channel_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(channel_next)},
    {Py_sq_length, reinterpret_cast<void*>(channel_length)},
    {Py_tp_methods, channel_methods},
    {Py_tp_getset, channel_attributes},
    {Py_tp_members, members},
    {0, nullptr}};

constexpr unsigned kFlags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE;
PyType_Spec queue_spec = {"coev.Queue", sizeof(QueueObject), 0, kFlags, queue_slots};
PyType_Spec channel_spec = {"coev.Channel", sizeof(QueueObject), 0, kFlags, channel_slots};

bool add_type(PyObject* module, const char* name, PyType_Spec* spec) noexcept {
  const Ref type = Ref::steal(PyType_FromSpec(spec));
  return type && PyModule_AddObjectRef(module, name, type.get()) == 0;
}

}  // namespace

bool add_queue_types(PyObject* module) noexcept {
  const Ref queue = Ref::steal(PyImport_ImportModule("queue"));
  if (!queue) return false;
  g_empty = PyObject_GetAttrString(queue.get(), "Empty");
  g_full = PyObject_GetAttrString(queue.get(), "Full");
  g_closed = PyErr_NewExceptionWithDoc("coev.ChannelClosed", "The channel was closed.",
                                       PyExc_RuntimeError, nullptr);
  return g_empty != nullptr && g_full != nullptr && g_closed != nullptr &&
         PyModule_AddObjectRef(module, "ChannelClosed", g_closed) == 0 &&
         add_type(module, "Queue", &queue_spec) && add_type(module, "Channel", &channel_spec);
}

}  // namespace coev::python
