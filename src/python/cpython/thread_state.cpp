#include "python/cpython/thread_state.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/fatal.h"
#include "core/offload.h"
#include "python/base/current_state.h"
#include "python/base/library_variables.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"

#if PY_VERSION_HEX < 0x030B0000
#error "coev needs CPython 3.11 or newer"
#endif
#ifdef Py_GIL_DISABLED
#error "coev does not support the free-threaded build of CPython"
#endif

#if PY_VERSION_HEX < 0x030D0000
extern "C" void _PyErr_WriteUnraisableMsg(const char* message, PyObject* object);  // exported
#endif

#if PY_VERSION_HEX >= 0x030E0000
// Added in 3.14.1; weak, so that 3.14.0 can be told apart at run time.
extern "C" __attribute__((weak)) int PyUnstable_ThreadState_SetStackProtection(PyThreadState*,
                                                                               void*, size_t);
#endif

#if PY_VERSION_HEX >= 0x030D0000
// _PyRuntime begins with offsets for debuggers, laid out alike in all of a version.
struct DebugOffsets {
  char cookie[8];
  std::uint64_t before[PY_VERSION_HEX < 0x030E0000 ? 17 : 18];
  std::uint64_t gil_runtime_state_holder;  // of an interpreter's own GIL
};
extern "C" __attribute__((weak)) const DebugOffsets _PyRuntime;
#endif

namespace coev::python::thread_state {
namespace {

PyInterpreterState* g_interpreter = nullptr;
std::atomic<Scheduler*> g_main_scheduler{nullptr};
std::atomic<PyThreadState*> g_running_on_main{nullptr};  // on the main OS thread
std::atomic<std::uint64_t> g_next_state_id{std::uint64_t{1} << 62};
int (*g_call_on_main)(void*) = nullptr;  // what call_on_main() was asked for
bool g_forked = false;                   // and since then CPython may have another gilstate key
thread_local PyThreadState* t_saved __attribute__((tls_model("initial-exec"))) = nullptr;
thread_local bool t_on_main __attribute__((tls_model("initial-exec"))) = false;

PyThreadState* state_of(const Coroutine& coroutine) noexcept {
  return static_cast<PyThreadState*>(coroutine.thread_state);
}

// The Python frame that runs, or nullptr.
const void* current_frame(const PyThreadState* state) noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return state->current_frame;
#else
  return state->cframe->current_frame;
#endif
}

bool is_native(const Coroutine& coroutine) noexcept { return coroutine.annex == nullptr; }
bool is_main(const Coroutine& coroutine) noexcept {
  return &coroutine == &coroutine.scheduler->main();
}

PyThreadState* running_state() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return PyThreadState_GetUnchecked();
#else
  return _PyThreadState_UncheckedGet();
#endif
}

void add_call_on_main() noexcept {
  // With CPython's queue full it is tried again at the next switch.
  if (Py_AddPendingCall(g_call_on_main, nullptr) == 0) g_call_on_main = nullptr;
}

// --- pending signals from 3.13 on -------------------------------------------------

#if PY_VERSION_HEX >= 0x030D0000

constexpr std::uintptr_t kSignalsPending = 1U << 1;  // _PY_SIGNALS_PENDING_BIT, 3.13 to 3.15
PyThreadState* g_main_state = nullptr;               // where CPython itself sets the bit

std::uintptr_t pending(PyThreadState* state) noexcept {
  return __atomic_load_n(&state->eval_breaker, __ATOMIC_RELAXED) & kSignalsPending;
}
void set_pending(PyThreadState* state) noexcept {
  __atomic_fetch_or(&state->eval_breaker, kSignalsPending, __ATOMIC_RELAXED);
}
void clear_pending(PyThreadState* state) noexcept {
  __atomic_fetch_and(&state->eval_breaker, ~kSignalsPending, __ATOMIC_RELAXED);
}

void move_pending_signals(PyThreadState* from, PyThreadState* to) noexcept {
  if ((pending(from) | pending(g_main_state)) == 0) [[likely]]
    return;
  if (from != to) clear_pending(from);
  if (g_main_state != to) clear_pending(g_main_state);
  set_pending(to);
}

void remember_main_state() noexcept { g_main_state = PyThreadState_Get(); }

#else

[[maybe_unused]] void move_pending_signals(PyThreadState*, PyThreadState*) noexcept {}
void remember_main_state() noexcept {}

#endif

// --- recursion --------------------------------------------------------------------

#if PY_VERSION_HEX >= 0x030E0000

// Without this CPython would compare our stack pointer with the OS thread's
// bounds: overflow unnoticed, and no container ever freed in a coroutine.
bool limit_recursion(PyThreadState* state, const Stack& stack) noexcept {
  return PyUnstable_ThreadState_SetStackProtection(state, stack.low,
                                                   stack.bytes - Coroutine::kAnnexBytes) == 0;
}
void restore_recursion(PyThreadState* state, const Stack&) noexcept {
  state->py_recursion_remaining = state->py_recursion_limit;
  state->recursion_headroom = 0;
}
bool prepare_version() noexcept {
  if (PyUnstable_ThreadState_SetStackProtection != nullptr) return true;
  PyErr_SetString(PyExc_ImportError,
                  "coev needs CPython 3.14.1 or newer: 3.14.0 cannot run on a stack of ours");
  return false;
}

#elif PY_VERSION_HEX >= 0x030C0000

// Each counted level of C recursion may take this much of the stack (nested
// list.sort with a Python key, the deepest of all).
constexpr std::size_t kBytesPerLevel = 1750;
constexpr std::size_t kReservedBytes = 16 * 1024 + Coroutine::kAnnexBytes;

void restore_recursion(PyThreadState* state, const Stack& stack) noexcept {
  static const int standard = PyThreadState_Get()->c_recursion_remaining;
  const auto fitting = static_cast<int>(
      std::min<std::size_t>(1'000'000, (stack.bytes - kReservedBytes) / kBytesPerLevel));
  state->c_recursion_remaining = std::min(std::max(standard, 1000), fitting);
  state->py_recursion_remaining = state->py_recursion_limit;
  state->recursion_headroom = 0;
}
bool limit_recursion(PyThreadState* state, const Stack& stack) noexcept {
  restore_recursion(state, stack);
  return true;
}
bool prepare_version() noexcept { return true; }

#else

void restore_recursion(PyThreadState* state, const Stack&) noexcept {
  state->recursion_remaining = state->recursion_limit;
  state->recursion_headroom = 0;
}
bool limit_recursion(PyThreadState*, const Stack&) noexcept { return true; }

// Here one limit counts levels of Python and of C alike, so it cannot be lowered
// for a small stack. All but list.sort take so little a level that a thousand of
// them fit; that one, also inside sorted(), looks at the stack itself.
constexpr std::ptrdiff_t kSortBytes = 128 * 1024;
Original g_sort;

PyObject* sort_if_it_fits(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  Scheduler* scheduler = Scheduler::find();
  const char* low =
      scheduler == nullptr ? nullptr : static_cast<char*>(scheduler->current().stack.low);
  const auto* here = static_cast<const char*>(__builtin_frame_address(0));
  if (low != nullptr && here - low < kSortBytes && here > low) {
    PyErr_SetString(PyExc_RecursionError,
                    "maximum recursion depth exceeded while calling a Python object");
    return nullptr;
  }
  return g_sort(self, arguments, count, keywords);
}

bool prepare_version() noexcept {
  return retarget<sort_if_it_fits>(reinterpret_cast<PyObject*>(&PyList_Type), "sort", &g_sort);
}

#endif

// --- the swap -------------------------------------------------------------------------

// For PyGILState: up to 3.14 under a key, then in a variable of each OS thread.
#if PY_VERSION_HEX >= 0x030F0000
thread_local PyThreadState** t_gilstate __attribute__((tls_model("initial-exec"))) = nullptr;

bool find_gilstate() noexcept {
  t_gilstate = current_state::find_variable(PyGILState_GetThisThreadState);
  return t_gilstate != nullptr;
}
void set_gilstate(PyThreadState* state) noexcept { *t_gilstate = state; }
#else
pthread_key_t g_gilstate_key;

bool find_gilstate() noexcept { return current_state::find_gilstate_key(&g_gilstate_key); }
void set_gilstate(PyThreadState* state) noexcept { pthread_setspecific(g_gilstate_key, state); }
#endif

// Offers the GIL to other OS threads, with a pause long enough to be taken. From 3.12 on
// PyThreadState_Swap() counts as a hand-over, so whoever waits for the GIL never asks; and on
// every version nobody who asks is heard while code in C runs.
class Fairness {
 public:
  void on_switch() noexcept {
    if (!others_ && ++switches_ % kSwitchesPerLook != 0) [[likely]]
      return;
    offer_if_due();
  }
  void offer_if_due() noexcept {
    const std::int64_t now = monotonic_ns();
    if (now >= next_look_ns_) look_for_others(now);
    if (others_ && now - last_offer_ns_ >= kOfferIntervalNs) offer();
  }
  void offered() noexcept { last_offer_ns_ = monotonic_ns(); }

 private:
  static constexpr unsigned kSwitchesPerLook = 256;
  static constexpr std::int64_t kLookIntervalNs = 50'000'000;
  static constexpr std::int64_t kOfferIntervalNs = 5'000'000;

  static std::int64_t monotonic_ns() noexcept {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }

  // Counts thread states that are no slot of this scheduler. A long list makes
  // the looks rarer, so that they never cost more than some per cent.
  void look_for_others(std::int64_t now) noexcept {
    std::size_t states = 0;
    for (PyThreadState* s = PyInterpreterState_ThreadHead(g_interpreter); s != nullptr;
         s = PyThreadState_Next(s)) {
      ++states;
    }
    const Scheduler* scheduler = Scheduler::find();
    others_ = states > (scheduler == nullptr ? 0 : scheduler->stack_count()) + 1;
    next_look_ns_ = now + std::max(kLookIntervalNs, 50 * (monotonic_ns() - now));
  }

  void offer() noexcept {
    constexpr timespec kPause{0, 1000};
    PyThreadState* state = PyEval_SaveThread();
    nanosleep(&kPause, nullptr);
    PyEval_RestoreThread(state);
    offered();
  }

  bool others_ = false;
  unsigned switches_ = 0;
  std::int64_t next_look_ns_ = 0;
  std::int64_t last_offer_ns_ = 0;
};

thread_local Fairness t_fairness __attribute__((tls_model("initial-exec")));

#if PY_VERSION_HEX < 0x030C0000

bool prepare_swap() noexcept {
  if (find_gilstate()) return true;
  PyErr_SetString(PyExc_ImportError, "coev cannot find PyGILState's thread-specific key");
  return false;
}
void prepare_os_thread() noexcept {}
void note_offer() noexcept {}

void swap(PyThreadState*, PyThreadState* to) noexcept {
  if (g_forked) [[unlikely]] {
    g_forked = false;
    static_cast<void>(find_gilstate());
  }
  set_gilstate(to);  // first: a debug build checks it in the swap
  PyThreadState_Swap(to);
}

#else

void note_offer() noexcept {
  if (!current_state::is_found()) t_fairness.offered();
}

void swap_by_gil(PyThreadState* from, PyThreadState* to) noexcept {
  t_fairness.on_switch();
  PyThreadState_Swap(to);
  if (t_on_main) move_pending_signals(from, to);
}

// What PyThreadState_Swap() writes, and nothing of what it does with the GIL.
bool g_swap_known = false;  // whether all was found that OS threads share

void set_active(PyThreadState* state, bool active) noexcept {
  state->_status.bound_gilstate = active ? 1 : 0;
  state->_status.active = active ? 1 : 0;
#if PY_VERSION_HEX >= 0x030E0000
  state->holds_gil = active ? 1 : 0;
#elif PY_VERSION_HEX >= 0x030D0000
  state->_status.holds_gil = active ? 1 : 0;
#endif
}

#if PY_VERSION_HEX >= 0x030D0000

// Who wants the GIL asks the thread state that took it last, by one of these bits.
PyThreadState** g_gil_holder = nullptr;
constexpr std::uintptr_t kGilDropRequest = 1U << 0;  // _PY_GIL_DROP_REQUEST_BIT
constexpr std::uintptr_t kCallsToDo = 1U << 2;       // _PY_CALLS_TO_DO_BIT
constexpr std::uintptr_t kEvents = 0xFF;             // above: the version of sys.monitoring

bool find_gil_holder() noexcept {
  if (&_PyRuntime == nullptr || std::memcmp(_PyRuntime.cookie, "xdebugpy", 8) != 0) return false;
  g_gil_holder = current_state::find_gil_holder(g_interpreter, _PyRuntime.gil_runtime_state_holder);
  return g_gil_holder != nullptr;
}

// What is asked of whoever runs goes on to `to`, as it does when `to` takes the GIL.
// A request of `from` that `from` has left unheard must not stay: it would wait for
// a thread to take the GIL when none wants it any more. One that comes between the
// first two lines is made again after 5 ms.
void pass_on(PyThreadState* from, PyThreadState* to) noexcept {
  __atomic_store_n(g_gil_holder, to, __ATOMIC_RELAXED);
  const std::uintptr_t old = __atomic_load_n(&from->eval_breaker, __ATOMIC_RELAXED);
  std::uintptr_t now = __atomic_load_n(&to->eval_breaker, __ATOMIC_RELAXED);
  constexpr std::uintptr_t kOfThread = kSignalsPending | kCallsToDo;
  const std::uintptr_t of_main =
      t_on_main ? __atomic_load_n(&g_main_state->eval_breaker, __ATOMIC_RELAXED) & kOfThread : 0;
  const std::uintptr_t moved = (old & (kOfThread | kGilDropRequest)) | of_main;
  if (old == now && moved == 0) [[likely]]
    return;
  __atomic_fetch_and(&from->eval_breaker, ~moved, __ATOMIC_RELAXED);
  __atomic_fetch_and(&g_main_state->eval_breaker, ~of_main, __ATOMIC_RELAXED);
  std::uintptr_t next = 0;
  do {
    next = (old & ~kEvents) | (now & kEvents & ~kGilDropRequest) | moved;
  } while (!__atomic_compare_exchange_n(&to->eval_breaker, &now, next, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
}

void move_attachment(PyThreadState* from, PyThreadState* to) noexcept {
  std::swap(from->state, to->state);
  pass_on(from, to);
}

#else

bool find_gil_holder() noexcept { return true; }  // giving the GIL up mends it itself
void move_attachment(PyThreadState*, PyThreadState*) noexcept {}

#endif

// COEV_SWAP_BY_GIL=1 leaves the swap to CPython, as where its variables are not found.
bool prepare_swap() noexcept {
  const char* by_gil = std::getenv("COEV_SWAP_BY_GIL");
  g_swap_known = (by_gil == nullptr || *by_gil == '\0' || *by_gil == '0') &&
                 PY_VERSION_HEX < 0x03100000 && find_gil_holder();
  return true;
}

void prepare_os_thread() noexcept {
  current_state::t_variable =
      g_swap_known && find_gilstate() ? current_state::find_variable(running_state) : nullptr;
}

void swap(PyThreadState* from, PyThreadState* to) noexcept {
  if (g_forked) [[unlikely]] {
    g_forked = false;
    prepare_os_thread();
  }
  if (!current_state::is_found()) [[unlikely]] {
    swap_by_gil(from, to);
    return;
  }
  set_active(from, false);
  set_active(to, true);
  current_state::set(to);
  set_gilstate(to);
  move_attachment(from, to);
}

#endif

// --- reset ----------------------------------------------------------------------------

void stop_tracing(PyThreadState* state) noexcept {
  // CPython counts who traces: the fields must not be cleared by hand.
  if (state->c_tracefunc != nullptr) PyEval_SetTrace(nullptr, nullptr);
  if (state->c_profilefunc != nullptr) PyEval_SetProfile(nullptr, nullptr);
}

void clear_error(const PyThreadState* state) noexcept {  // most often there is none
#if PY_VERSION_HEX >= 0x030C0000
  if (state->current_exception != nullptr) PyErr_Clear();
#else
  if (state->curexc_type != nullptr) PyErr_Clear();
#endif
}

void clear_hooks(PyThreadState* state) noexcept {
  Py_CLEAR(state->async_gen_firstiter);
  Py_CLEAR(state->async_gen_finalizer);
  Py_CLEAR(state->async_exc);
  state->coroutine_origin_tracking_depth = 0;
}

void clear_running_loop() noexcept {
#if PY_VERSION_HEX >= 0x030D0000  // before, it lives in state->dict
  static PyObject* name = PyUnicode_InternFromString("_asyncio");
  PyObject* modules = PyImport_GetModuleDict();
  PyObject* asyncio = PyDict_GetItemWithError(modules, name);
  if (asyncio == nullptr) return;
  const Ref loop = Ref::steal(PyObject_CallMethod(asyncio, "_get_running_loop", nullptr));
  if (loop && loop.get() != Py_None) {
    Ref::steal(PyObject_CallMethod(asyncio, "_set_running_loop", "O", Py_None));
  }
  PyErr_Clear();
#endif
}

void clear_thread_locals(PyThreadState* state) noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  Py_CLEAR(state->threading_local_key);  // in this order, as a dying thread does
  Py_CLEAR(state->threading_local_sentinel);
#endif
  Py_CLEAR(state->dict);
}

// The OS thread that forked is the main one of the child.
void after_fork_in_child() noexcept {
  t_on_main = true;
  g_forked = true;
  g_call_on_main = nullptr;
  g_main_scheduler.store(Scheduler::find());
  g_running_on_main.store(running_state());
}

bool has_thread_locals(const PyThreadState* state) noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  if (state->threading_local_key != nullptr) return true;
#endif
  return state->dict != nullptr;
}

// Gives a new thread state its first chunk for Python frames in the slot's annex,
// which spares each coroutine a page. CPython never frees the first chunk but
// with the state, by a munmap() that fails: the annex begins inside a page.
void place_frames(PyThreadState* state, void* annex) noexcept {
  auto* chunk = static_cast<_PyStackChunk*>(annex);
  chunk->previous = nullptr;
  chunk->size = Coroutine::kAnnexBytes;
  chunk->top = 0;
  state->datastack_chunk = chunk;
  state->datastack_top = &chunk->data[1];  // the first one stays free, as CPython leaves it
  state->datastack_limit =
      reinterpret_cast<PyObject**>(static_cast<char*>(annex) + Coroutine::kAnnexBytes);
}

}  // namespace

std::size_t default_stack_bytes() noexcept {
#if PY_VERSION_HEX < 0x030C0000
  // 3.11 has one limit for all recursion, 1,000 levels, that cannot be lowered for
  // C alone; a codec's error handler takes 1,360 bytes a level.
  return std::size_t{1536} * 1024;
#else
  return StackPool::kDefaultBytes;
#endif
}

bool initialize() noexcept {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError, "coev does not support subinterpreters");
    return false;
  }
  g_interpreter = PyInterpreterState_Get();
  if (!prepare_version() || !prepare_swap()) return false;
  remember_main_state();
  Scheduler::set_stack_bytes(default_stack_bytes());
  t_on_main = true;
  g_running_on_main.store(PyThreadState_Get());
  pthread_atfork(nullptr, nullptr, after_fork_in_child);
  return true;
}

Scheduler& scheduler() noexcept {
  Scheduler* found = Scheduler::find();
  if (found != nullptr) [[likely]]
    return *found;
  Scheduler& made = Scheduler::get();
  made.main().thread_state = PyThreadState_Get();
  prepare_os_thread();
  if (t_on_main) g_main_scheduler.store(&made);
  return made;
}

Scheduler* main_scheduler() noexcept { return g_main_scheduler.load(std::memory_order_relaxed); }

bool slot_created(Coroutine& slot) noexcept {
  PyThreadState* state = PyThreadState_New(g_interpreter);
  if (state == nullptr) return false;
  slot.thread_state = state;
  library_variables::forget(&slot);
  if (state->datastack_chunk == nullptr) place_frames(state, slot.annex);
  if (limit_recursion(state, slot.stack)) return true;
  PyErr_Clear();
  fatal("CPython refuses the bounds of a stack");  // its minimum is below StackPool's
}

void switching(Coroutine& from, Coroutine& to) noexcept {
  // An OS thread may come with another thread state each time (PyGILState).
  if (is_native(from)) from.thread_state = current_state::get();
  from.note_frame(current_frame(state_of(from)));
  if (library_variables::in_use) [[unlikely]]
    library_variables::switched(&from, &to);
  PyThreadState* state = state_of(to);
  if (t_on_main) {
    g_running_on_main.store(state, std::memory_order_relaxed);
    if (g_call_on_main != nullptr && is_main(to)) [[unlikely]]
      add_call_on_main();
  }
  swap(state_of(from), state);
}

void before_sleep(Scheduler&) noexcept { t_saved = PyEval_SaveThread(); }

void after_sleep(Scheduler&) noexcept {
  PyEval_RestoreThread(t_saved);
  note_offer();
}

void forget_locals() noexcept {
  PyThreadState* state = current_state::get();
  // A finalizer may set new locals, as at the end of a thread.
  for (int round = 0; round < 4 && (has_thread_locals(state) || state->context != nullptr);
       ++round) {
    clear_thread_locals(state);
    Py_CLEAR(state->context);
    ++state->context_ver;
  }
}

void reset_current() noexcept {
  PyThreadState* state = current_state::get();
  clear_error(state);
  Py_CLEAR(state->exc_state.exc_value);
  stop_tracing(state);
  clear_running_loop();
  forget_locals();
  clear_hooks(state);
  clear_error(state);
  restore_recursion(state, Scheduler::get().current().stack);
  // contextvars and asyncio cache by these two: reuse would find freed objects.
  ++state->context_ver;
  state->id = g_next_state_id.fetch_add(1, std::memory_order_relaxed);
}

void set_ident(Coroutine& slot, unsigned long ident) noexcept { state_of(slot)->thread_id = ident; }

unsigned long ident() noexcept { return current_state::get()->thread_id; }

bool keep(Coroutine& coroutine, const char* name, PyObject* object) noexcept {
  PyThreadState* state = state_of(coroutine);
  if (coroutine.state == CoroutineState::kRunning) state = current_state::get();
  if (state->dict == nullptr) state->dict = PyDict_New();
  return state->dict != nullptr && PyDict_SetItemString(state->dict, name, object) == 0;
}

PyFrameObject* frame_of(const Coroutine& coroutine) noexcept {
  PyThreadState* state = state_of(coroutine);
  if (coroutine.state == CoroutineState::kRunning) state = current_state::get();
  return state == nullptr ? nullptr : PyThreadState_GetFrame(state);
}

void mark_signal_pending() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  PyThreadState* running = g_running_on_main.load(std::memory_order_relaxed);
  if (running != nullptr) set_pending(running);
#endif
}

void call_on_main(int (*function)(void*)) noexcept {
  g_call_on_main = function;
  if (is_main(Scheduler::get().current())) add_call_on_main();
}

bool on_main_os_thread() noexcept { return t_on_main; }

void offer_gil_if_due() noexcept { t_fairness.offer_if_due(); }

bool swaps_by_gil() noexcept { return PY_VERSION_HEX >= 0x030C0000 && !current_state::is_found(); }

bool finalizing() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

void forget_interpreter() noexcept {
  g_main_scheduler.store(nullptr);
  g_running_on_main.store(nullptr);
}

bool refuses_threads_at_exit() noexcept {
  return PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000;
}

namespace {

// New, and PyGILState's for this OS thread; nullptr without memory.
#if PY_VERSION_HEX >= 0x030C0000
PyThreadState* make_state() noexcept { return PyThreadState_New(g_interpreter); }
bool knows_gilstate() noexcept { return true; }
#else
PyThreadState* make_state() noexcept {
  PyThreadState* state = _PyThreadState_Prealloc(g_interpreter);  // PyThreadState_New() crashes
  if (state == nullptr) return nullptr;
  state->gilstate_counter = 1;
  set_gilstate(state);
  return state;
}
bool knows_gilstate() noexcept { return !g_forked; }  // until the first switch in a child
#endif

}  // namespace

Attachment::Attachment() noexcept
    : is_known_(!knows_gilstate() || PyGILState_GetThisThreadState() != nullptr) {
  if (is_known_) {
    gil_ = PyGILState_Ensure();
    return;
  }
  made_ = make_state();
  if (made_ != nullptr) PyEval_RestoreThread(made_);
}

Attachment::~Attachment() {
  if (is_known_) PyGILState_Release(gil_);
  if (made_ == nullptr) return;
  PyThreadState_Clear(made_);
  PyThreadState_DeleteCurrent();
}

LockLayout lock_layout() noexcept {
#if PY_VERSION_HEX >= 0x030E0000
  return {.lock_word = 16, .rlock_owner = 24, .count_offset = 1};
#else
  return {.lock_word = 32, .rlock_owner = 24, .count_offset = 0};
#endif
}

PyObject* take_exception() noexcept {
#if PY_VERSION_HEX >= 0x030C0000
  return PyErr_GetRaisedException();
#else
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return value;
#endif
}

void set_exception(PyObject* exception) noexcept {
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception)), exception);
}

void restore_exception(PyObject* exception) noexcept {
  PyErr_Restore(Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(exception))), Py_NewRef(exception),
                PyException_GetTraceback(exception));
}

void report_thread_exception(PyObject* function) noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  PyErr_FormatUnraisable("Exception ignored in thread started by %R", function);
#else
  _PyErr_WriteUnraisableMsg("in thread started by", function);
#endif
}

PyObject* take_sentinel() noexcept {
#if PY_VERSION_HEX < 0x030D0000
  PyThreadState* state = current_state::get();
  if (state->on_delete == nullptr) return nullptr;
  state->on_delete = nullptr;
  auto* reference = static_cast<PyObject*>(state->on_delete_data);
  state->on_delete_data = nullptr;
  return reference;
#else
  return nullptr;
#endif
}

void leave_sentinel([[maybe_unused]] Coroutine& slot, PyObject* reference,
                    [[maybe_unused]] void (*release)(void*)) noexcept {
#if PY_VERSION_HEX < 0x030D0000
  PyThreadState* state = state_of(slot);
  state->on_delete = release;
  state->on_delete_data = reference;
#else
  Py_DECREF(reference);  // a thread has a handle instead
#endif
}

}  // namespace coev::python::thread_state
