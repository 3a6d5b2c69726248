#include "python/base/library_variables.h"

#include <link.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <unordered_map>

#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
struct TlsIndex {
  std::size_t module;
  std::size_t offset;
};
// NOLINTNEXTLINE(bugprone-reserved-identifier, readability-identifier-naming): glibc's name
extern "C" void* __tls_get_addr(TlsIndex* index);
#define COEV_FINDS_VARIABLES 1
#endif

namespace coev::python::library_variables {

bool in_use = false;

namespace {

constexpr std::size_t kMostBytes = 128;
using Values = std::array<char, kMostBytes>;

struct Library {
  std::uintptr_t inside = 0;
  std::size_t module = 0;  // its number among those with thread-local variables
  std::size_t bytes = 0;
  Values initial{};  // as a new thread has them
};
Library g_library;

std::unordered_map<const void*, Values>& saved() noexcept {
  static auto* const all = new std::unordered_map<const void*, Values>;
  return *all;
}

bool contains(const dl_phdr_info& file, std::uintptr_t address) noexcept {
  for (int i = 0; i < file.dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = file.dlpi_phdr[i];
    if (part.p_type == PT_LOAD && address - (file.dlpi_addr + part.p_vaddr) < part.p_memsz) {
      return true;
    }
  }
  return false;
}

int look_into(dl_phdr_info* file, std::size_t, void* data) noexcept {
  auto& library = *static_cast<Library*>(data);
  if (!contains(*file, library.inside)) return 0;
  for (int i = 0; i < file->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = file->dlpi_phdr[i];
    if (part.p_type != PT_TLS || part.p_memsz > kMostBytes) continue;
    library.module = file->dlpi_tls_modid;
    library.bytes = part.p_memsz;
    std::memcpy(library.initial.data(),
                reinterpret_cast<const char*>(file->dlpi_addr + part.p_vaddr), part.p_filesz);
  }
  return 1;
}

// Those of this OS thread.
char* variables() noexcept {
#ifdef COEV_FINDS_VARIABLES
  TlsIndex index{g_library.module, 0};
  return static_cast<char*>(__tls_get_addr(&index));
#else
  return nullptr;
#endif
}

Values g_aside{};

void make_fresh(bool fresh) noexcept {
  if (fresh) std::memcpy(g_aside.data(), variables(), g_library.bytes);
  std::memcpy(variables(), fresh ? g_library.initial.data() : g_aside.data(), g_library.bytes);
}

}  // namespace

void switched(const void* coroutine, const void* next) noexcept {
  char* values = variables();
  const std::size_t bytes = g_library.bytes;
  const auto own = saved().find(coroutine);
  if (own != saved().end()) {
    std::memcpy(own->second.data(), values, bytes);
  } else if (std::memcmp(values, g_library.initial.data(), bytes) != 0) {
    std::memcpy(saved()[coroutine].data(), values, bytes);
  }
  const auto other = saved().find(next);
  std::memcpy(values, other == saved().end() ? g_library.initial.data() : other->second.data(),
              bytes);
}

void forget(const void* coroutine) noexcept {
  if (in_use) saved().erase(coroutine);
}

bool take(const void* inside, bool (*works)(Fresh)) noexcept {
#ifdef COEV_FINDS_VARIABLES
  if (in_use) return true;
  g_library = {};
  g_library.inside = reinterpret_cast<std::uintptr_t>(inside);
  dl_iterate_phdr(look_into, &g_library);
  in_use = g_library.bytes > 0 && works(make_fresh);
  return in_use;
#else
  static_cast<void>(inside), static_cast<void>(works);
  return false;
#endif
}

}  // namespace coev::python::library_variables
