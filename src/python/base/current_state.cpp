#include "python/base/current_state.h"

#include <limits.h>
#include <link.h>

#include <cstddef>
#include <cstdint>

namespace coev::python::current_state {
namespace {

// The calling OS thread's copy of the thread-local variables of the file that
// PyThreadState_Swap() was loaded from.
struct Locals {
  PyThreadState** begin = nullptr;
  PyThreadState** end = nullptr;
};

bool holds(const dl_phdr_info& file, std::uintptr_t address) noexcept {
  for (int i = 0; i < file.dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = file.dlpi_phdr[i];
    if (part.p_type == PT_LOAD && address - (file.dlpi_addr + part.p_vaddr) < part.p_memsz) {
      return true;
    }
  }
  return false;
}

int look_into(dl_phdr_info* file, std::size_t, void* data) noexcept {
  if (!holds(*file, reinterpret_cast<std::uintptr_t>(&PyThreadState_Swap))) return 0;
  for (int i = 0; i < file->dlpi_phnum && file->dlpi_tls_data != nullptr; ++i) {
    const ElfW(Phdr)& part = file->dlpi_phdr[i];
    if (part.p_type != PT_TLS) continue;
    constexpr std::size_t kWord = sizeof(PyThreadState*);
    auto* locals = static_cast<Locals*>(data);
    locals->begin = static_cast<PyThreadState**>(file->dlpi_tls_data);
    locals->end = locals->begin + part.p_memsz / kWord;
  }
  return 1;
}

}  // namespace

thread_local PyThreadState** t_variable __attribute__((tls_model("initial-exec"))) = nullptr;

PyThreadState** find_variable(PyThreadState* (*getter)()) noexcept {
  Locals locals;
  dl_iterate_phdr(look_into, &locals);
  PyThreadState* value = getter();
  for (PyThreadState** word = locals.begin; word != locals.end; ++word) {
    if (*word != value) continue;
    // The value might be there by chance: ours is the one that the getter reads.
    __atomic_store_n(word, nullptr, __ATOMIC_SEQ_CST);
    const bool is_read = getter() == nullptr;
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
    if (is_read) return word;
  }
  return nullptr;
}

bool find_gilstate_key(pthread_key_t* found) noexcept {
  PyThreadState* current = get();
  for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX; ++key) {
    if (pthread_getspecific(key) != current) continue;
    int probe = 0;
    pthread_setspecific(key, &probe);
    const bool decides = static_cast<void*>(PyGILState_GetThisThreadState()) == &probe;
    pthread_setspecific(key, current);
    if (!decides) continue;
    *found = key;
    return true;
  }
  return false;
}

PyThreadState** find_gil_holder(PyInterpreterState* interpreter, std::size_t offset) noexcept {
  auto** holder = reinterpret_cast<PyThreadState**>(reinterpret_cast<char*>(interpreter) + offset);
  return *holder == get() ? holder : nullptr;
}

}  // namespace coev::python::current_state
