#include "python/monkey/sockets/select_methods.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <optional>
#include <unordered_set>
#include <vector>

#include "core/readiness.h"
#include "core/scheduler.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/polling.h"

namespace coev::python::select_methods {
namespace {

Original g_select;
Original g_poll;
Original g_epoll_poll;
Original g_epoll_close;
destructor g_epoll_dealloc = nullptr;

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kNsPerUs = 1'000;

// --- timeouts -----------------------------------------------------------------------

// A timeout in nanoseconds, rounded away from zero. Nothing for what is no number
// here, or not in range: the original says what is wrong with it.
std::optional<std::int64_t> to_ns(PyObject* timeout, double unit_ns) noexcept {
  constexpr double kMostNs = 9.223372036e18;
  if (!PyFloat_Check(timeout) && !PyIndex_Check(timeout)) return {};
  const double ns = PyFloat_AsDouble(timeout) * unit_ns;
  const bool failed = PyErr_Occurred() != nullptr;
  PyErr_Clear();
  if (failed || !(ns >= -kMostNs && ns <= kMostNs)) return {};
  return static_cast<std::int64_t>(ns < 0 ? std::floor(ns) : std::ceil(ns));
}

std::int64_t round_up(std::int64_t ns, std::int64_t step) noexcept {
  return ns / step + (ns % step > 0 ? 1 : 0);
}

std::int64_t round_away_from_zero(std::int64_t ns, std::int64_t step) noexcept {
  return ns < 0 ? -round_up(-ns, step) : round_up(ns, step);
}

// poll(2) and epoll_wait(2) count milliseconds. False: not in range.
bool set_milliseconds(std::int64_t ms, Deadline* deadline) noexcept {
  if (ms < INT_MIN || ms > INT_MAX) return false;
  *deadline = ms < 0 ? Deadline::never() : Deadline::after(ms * kNsPerMs);
  return true;
}

// --- asking and waiting -------------------------------------------------------------

// Natively each of the calls gives up the GIL, so a loop of them that never has to
// wait lets the other threads run. False with an exception set.
bool give_way() noexcept {
  if (!can_block()) {  // but it may look
    PyErr_Clear();
    return true;
  }
  return yield_now();
}

// Asks until there is an answer or the time is over, and parks in between. `ask`
// does not block; `park` ends when it is worth asking again.
template <typename Ask, typename IsAnswer, typename Park>
PyObject* ask_and_wait(Deadline deadline, Ask ask, IsAnswer is_answer, Park park) noexcept {
  // Somebody else may be faster, or a file may tell libev what it does not tell
  // select(): no reason to spin.
  constexpr unsigned kPatience = 3;
  constexpr std::int64_t kLongestPauseNs = 10 * kNsPerMs;
  std::int64_t pause_ns = kNsPerMs;
  if (!give_way()) return nullptr;
  for (unsigned in_vain = 0;;) {
    PyObject* result = ask();
    if (result == nullptr || deadline.passed() || is_answer(result)) return result;
    Py_DECREF(result);
    if (!can_block()) return nullptr;
    Status status = Status::kOk;
    if (in_vain > kPatience) {
      Scheduler& scheduler = thread_state::scheduler();
      const Deadline pause = std::min(deadline, Deadline::after(pause_ns));
      pause_ns = std::min(2 * pause_ns, kLongestPauseNs);
      status = wait([&] { return scheduler.sleep_until(pause); });
    }
    if (status != Status::kInterrupted) status = wait(park);
    if (status == Status::kInterrupted || status == Status::kNoMemory) return raise(status);
    in_vain = status == Status::kOk ? in_vain + 1 : 0;
  }
}

// --- select.select ------------------------------------------------------------------

// One of the three sequences: the user's objects, and their descriptors. The
// original is asked about the latter, for asking the objects again and again would
// show: fileno() may do anything.
struct Sequence {
  Ref objects;
  Ref numbers;

  // False with an exception set.
  bool assign(PyObject* sequence) noexcept {
    const Ref fast = Ref::steal(PySequence_Fast(sequence, "arguments 1-3 must be sequences"));
    objects = Ref::steal(fast ? PyList_New(0) : nullptr);
    numbers = Ref::steal(objects ? PyList_New(0) : nullptr);
    if (!numbers) return false;
    // fileno() may change the sequence
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i) {
      const Ref object = Ref::borrow(PySequence_Fast_GET_ITEM(fast.get(), i));
      const int fd = PyObject_AsFileDescriptor(object.get());
      const Ref number = Ref::steal(fd < 0 ? nullptr : PyLong_FromLong(fd));
      if (!number || PyList_Append(objects.get(), object.get()) < 0 ||
          PyList_Append(numbers.get(), number.get()) < 0) {
        return false;
      }
    }
    return true;
  }

  // The objects whose numbers are in `found`, which has them in our order. New
  // reference or nullptr.
  [[nodiscard]] PyObject* pick(PyObject* found) const noexcept {
    Ref picked = Ref::steal(PyList_New(0));
    Py_ssize_t next = 0;
    for (Py_ssize_t i = 0; picked && next < PyList_GET_SIZE(found); ++i) {
      if (PyList_GET_ITEM(numbers.get(), i) != PyList_GET_ITEM(found, next)) continue;
      ++next;
      if (PyList_Append(picked.get(), PyList_GET_ITEM(objects.get(), i)) < 0) return nullptr;
    }
    return picked.release();
  }

  void want(short events, std::vector<pollfd>* wanted) const noexcept {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(numbers.get()); ++i) {
      const long fd = PyLong_AsLong(PyList_GET_ITEM(numbers.get(), i));
      wanted->push_back({static_cast<int>(fd), events, 0});
    }
  }
};

// What park_for() wants: one entry for each fd.
std::vector<pollfd> merged(const Sequence (&sequences)[3]) noexcept {
  constexpr short kEvents[] = {POLLIN, POLLOUT, POLLPRI};
  std::vector<pollfd> wanted;
  for (int i = 0; i < 3; ++i) sequences[i].want(kEvents[i], &wanted);
  std::sort(wanted.begin(), wanted.end(),
            [](const pollfd& a, const pollfd& b) { return a.fd < b.fd; });
  std::size_t kept = 0;
  for (const pollfd& each : wanted) {
    if (kept > 0 && wanted[kept - 1].fd == each.fd) {
      wanted[kept - 1].events = static_cast<short>(wanted[kept - 1].events | each.events);
    } else {
      wanted[kept++] = each;
    }
  }
  wanted.resize(kept);
  return wanted;
}

bool any_found(PyObject* lists) noexcept {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(lists); ++i) {
    if (PyList_GET_SIZE(PyTuple_GET_ITEM(lists, i)) > 0) return true;
  }
  return false;
}

PyObject* replaced_select(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  const auto original = [&] { return g_select(self, arguments, count, keywords); };
  if (!may_block() || count < 3 || count > 4 || keywords != nullptr) return original();
  Deadline deadline = Deadline::never();
  if (count == 4 && arguments[3] != Py_None) {
    const std::optional<std::int64_t> ns = to_ns(arguments[3], 1e9);
    if (!ns || *ns < 0) return original();
    deadline = Deadline::after(round_up(*ns, kNsPerUs) * kNsPerUs);
  }
  Sequence sequences[3];
  for (int i = 0; i < 3; ++i) {
    if (!sequences[i].assign(arguments[i])) return nullptr;
  }
  const Ref zero = Ref::steal(PyLong_FromLong(0));
  PyObject* looking[] = {sequences[0].numbers.get(), sequences[1].numbers.get(),
                         sequences[2].numbers.get(), zero.get()};
  const Ref found = Ref::steal(ask_and_wait(
      deadline, [&] { return g_select(self, looking, 4); }, any_found,
      [&] { return park_for(merged(sequences), deadline); }));
  if (!found) return nullptr;
  Ref picked[3];
  for (int i = 0; i < 3; ++i) {
    picked[i] = Ref::steal(sequences[i].pick(PyTuple_GET_ITEM(found.get(), i)));
    if (!picked[i]) return nullptr;
  }
  return PyTuple_Pack(3, picked[0].get(), picked[1].get(), picked[2].get());
}

// --- select.poll objects ------------------------------------------------------------

bool is_list_with_items(PyObject* result) noexcept { return PyList_GET_SIZE(result) > 0; }

// What a poll object has registered: fd to events. Borrowed.
PyObject*& registered(PyObject* poll) noexcept {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(poll) + sizeof(PyObject));
}

std::vector<pollfd> wanted_by(PyObject* poll) noexcept {
  std::vector<pollfd> wanted;
  PyObject* fd = nullptr;
  PyObject* events = nullptr;
  for (Py_ssize_t position = 0; PyDict_Next(registered(poll), &position, &fd, &events);) {
    wanted.push_back({static_cast<int>(PyLong_AsLong(fd)),
                      static_cast<short>(static_cast<unsigned short>(PyLong_AsLong(events))), 0});
  }
  return wanted;
}

// The poll objects that are in poll(), which refuse another one meanwhile. Those
// that are so in the parent of a fork are not in the child.
class Running {
 public:
  // False with RuntimeError set.
  [[nodiscard]] bool enter(PyObject* poll) noexcept {
    const std::uint32_t now = fork_generation::current.load(std::memory_order_relaxed);
    if (generation_ != now) objects_.clear();
    generation_ = now;
    if (objects_.insert(poll).second) return true;
    PyErr_SetString(PyExc_RuntimeError, "concurrent poll() invocation");
    return false;
  }
  void leave(PyObject* poll) noexcept { objects_.erase(poll); }

 private:
  std::unordered_set<PyObject*> objects_;  // borrowed
  std::uint32_t generation_ = 0;
};

Running& running() noexcept {
  static auto* const polls = new Running;
  return *polls;
}

PyObject* replaced_poll(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  const auto original = [&] { return g_poll(self, arguments, count, keywords); };
  if (!may_block() || count > 1 || keywords != nullptr) return original();
  Deadline deadline = Deadline::never();
  if (count == 1 && arguments[0] != Py_None) {
    const std::optional<std::int64_t> ns = to_ns(arguments[0], static_cast<double>(kNsPerMs));
    if (!ns || !set_milliseconds(round_away_from_zero(*ns, kNsPerMs), &deadline)) {
      return original();
    }
  }
  const Ref zero = Ref::steal(PyLong_FromLong(0));
  PyObject* looking = zero.get();
  if (!running().enter(self)) return nullptr;
  PyObject* result = ask_and_wait(
      deadline, [&] { return g_poll(self, &looking, 1); }, is_list_with_items,
      [&] { return park_for(wanted_by(self), deadline); });
  running().leave(self);
  return result;
}

// --- select.epoll -------------------------------------------------------------------

int epoll_fd(PyObject* epoll) noexcept {
  return *reinterpret_cast<int*>(reinterpret_cast<char*>(epoll) + sizeof(PyObject));
}

// An epoll descriptor is itself readable when it has something to tell. Its object
// is the owner of its registration.
Status park_for_epoll(PyObject* epoll, Deadline deadline) noexcept {
  const int fd = epoll_fd(epoll);
  if (fd < 0) return Status::kClosed;
  Readiness& readiness = thread_state::scheduler().readiness();
  return readiness.wait(fd, kReadable, deadline, epoll, nullptr);
}

PyObject* replaced_epoll_poll(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                              PyObject* keywords) {
  static constexpr const char* kNames[] = {"timeout", "maxevents", nullptr};
  const auto original = [&] { return g_epoll_poll(self, arguments, count, keywords); };
  if (!may_block()) return original();
  PyObject* values[2];
  if (!parse_arguments("poll", arguments, count, keywords, kNames, 0, values)) {
    PyErr_Clear();
    return original();
  }
  Deadline deadline = Deadline::never();
  if (values[0] != nullptr && values[0] != Py_None) {
    const std::optional<std::int64_t> ns = to_ns(values[0], 1e9);
    if (!ns || !set_milliseconds(round_up(*ns, kNsPerMs), &deadline)) return original();
  }
  const Ref zero = Ref::steal(PyLong_FromLong(0));
  PyObject* looking[] = {zero.get(), values[1]};
  const Py_ssize_t given = values[1] == nullptr ? 1 : 2;
  return ask_and_wait(
      deadline, [&] { return g_epoll_poll(self, looking, given); }, is_list_with_items,
      [&] { return park_for_epoll(self, deadline); });
}

PyObject* replaced_epoll_close(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                               PyObject* keywords) {
  if (epoll_fd(self) >= 0) Readiness::forget(epoll_fd(self));
  return g_epoll_close(self, arguments, count, keywords);
}

void replaced_epoll_dealloc(PyObject* self) {
  if (epoll_fd(self) >= 0) Readiness::forget(epoll_fd(self));
  g_epoll_dealloc(self);
}

// --- installing ---------------------------------------------------------------------

bool check(bool as_known) noexcept {
  if (!as_known && !PyErr_Occurred()) {
    PyErr_SetString(PyExc_ImportError,
                    "coev does not know how this interpreter lays out its poll objects");
  }
  return as_known;
}

bool probe_poll(PyObject* poll) noexcept {
  constexpr long kFd = 5;
  constexpr long kEvents = 4;
  const Ref result = Ref::steal(PyObject_CallMethod(poll, "register", "ll", kFd, kEvents));
  if (!result || registered(poll) == nullptr || !PyDict_CheckExact(registered(poll))) return false;
  const std::vector<pollfd> wanted = wanted_by(poll);
  return wanted.size() == 1 && wanted[0].fd == kFd && wanted[0].events == kEvents;
}

bool probe_epoll(PyObject* epoll) noexcept {
  const Ref fd = Ref::steal(PyObject_CallMethod(epoll, "fileno", nullptr));
  return fd && PyLong_AsLong(fd.get()) == epoll_fd(epoll);
}

bool retarget_epoll(PyTypeObject* type) noexcept {
  g_epoll_dealloc = type->tp_dealloc;
  type->tp_dealloc = replaced_epoll_dealloc;
  auto* object = reinterpret_cast<PyObject*>(type);
  return retarget<replaced_epoll_poll>(object, "poll", &g_epoll_poll) &&
         retarget<replaced_epoll_close>(object, "close", &g_epoll_close);
}

}  // namespace

bool install() noexcept {
  if (g_select) return true;
  const Ref module = Ref::steal(PyImport_ImportModule("select"));
  if (!module) return false;
  const Ref poll = Ref::steal(PyObject_CallMethod(module.get(), "poll", nullptr));
  const Ref epoll =
      Ref::steal(poll ? PyObject_CallMethod(module.get(), "epoll", nullptr) : nullptr);
  if (!epoll || !check(probe_poll(poll.get()) && probe_epoll(epoll.get()))) return false;
  return retarget<replaced_poll>(reinterpret_cast<PyObject*>(Py_TYPE(poll.get())), "poll",
                                 &g_poll) &&
         retarget_epoll(Py_TYPE(epoll.get())) &&
         retarget<replaced_select>(module.get(), "select", &g_select);
}

}  // namespace coev::python::select_methods
