// Compiled with exceptions, unlike the rest: see the header.
#include "core/allocation.h"

#include <new>

namespace coev::allocation {

bool succeeds(Function function, void* argument) noexcept {
  try {
    function(argument);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

}  // namespace coev::allocation
