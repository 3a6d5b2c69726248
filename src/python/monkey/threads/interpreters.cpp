#include "python/monkey/threads/interpreters.h"

#include <array>
#include <cstddef>
#include <iterator>
#include <utility>

#include "core/scheduler.h"
#include "python/base/arguments.h"
#include "python/base/module_hook.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/offloading.h"

namespace coev::python::interpreters {
namespace {

constexpr const char* kRunning[] = {"run_string", "exec", "run_func", "call"};
constexpr const char* kRunningForTests[] = {"exec_interpreter"};
constexpr const char* kWaiting[] = {"send", "send_buffer"};

template <const auto& names>
std::array<Original, std::size(names)> g_original;

bool on_main_coroutine() noexcept {
  Scheduler& scheduler = thread_state::scheduler();
  return &scheduler.current() == &scheduler.main();
}

template <const auto& names, std::size_t index>
PyObject* offloaded(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  const Original& original = g_original<names>[index];
  constexpr bool kRunsCode = static_cast<const void*>(&names) != &kWaiting;
  if ((kRunsCode && on_main_coroutine()) || !may_block()) {
    return original(self, arguments, count, keywords);
  }
  const Ref function = Ref::steal(original.as_function());
  const Ref positional = pack(arguments, count);
  const Ref named = pack_keywords(arguments + count, keywords);
  if (!function || !positional || !named) return nullptr;
  return run_offloaded(function.get(), positional.get(), named.get(), nullptr,
                       offload::Limit::kIgnored);
}

template <const auto& names, std::size_t... index>
bool retarget_all(PyObject* module, std::index_sequence<index...>) noexcept {
  return (retarget<offloaded<names, index>>(module, names[index], &g_original<names>[index]) &&
          ...);
}

template <const auto& names>
bool adopt(PyObject* module) noexcept {
  if (g_original<names>[0]) return true;  // a further copy shares the table
  return retarget_all<names>(module, std::make_index_sequence<std::size(names)>());
}

}  // namespace

bool install() noexcept {
  static bool installed = false;
  if (installed) return true;
  installed = when_loaded("_interpreters", adopt<kRunning>) &&
              when_loaded("_xxsubinterpreters", adopt<kRunning>) &&         // up to 3.12
              when_loaded("_testinternalcapi", adopt<kRunningForTests>) &&  // from 3.13 on
              when_loaded("_interpchannels", adopt<kWaiting>);
  return installed;
}

}  // namespace coev::python::interpreters
