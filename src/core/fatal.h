// Impossible states end the process with a sentence, in release builds too.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace coev {

[[noreturn]] inline void fatal(const char* what) noexcept {
  std::fprintf(stderr, "coev: fatal: %s\n", what);
  std::abort();
}

}  // namespace coev
