// Import tables: has one shared library call our function where it calls another's.
//
// Each library has a table of the addresses that it imports, which the dynamic linker has
// filled in. Nobody else's calls change. ELF of 64 bits only.
#pragma once

namespace coev {

// Has the library that contains the address `inside` call `replacement` for the function that
// it imports as `name`. False where that is not found; nothing has changed then.
// THREAD: before the library is used by another one.
[[nodiscard]] bool redirect_import(const void* inside, const char* name,
                                   const void* replacement) noexcept;

}  // namespace coev
