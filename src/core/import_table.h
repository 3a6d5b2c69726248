// Import tables: the places where a loaded library keeps the addresses of functions that
// it calls in other libraries (the global offset table of an ELF object). Who writes there has
// one library call our function; nobody else's calls change.
//
// THREAD: the dynamic linker's lock is held while tables are read; a slot is one word,
// written at once, so that calls of other OS threads find the old function or the new.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace coev {

struct ImportedFunction {
  const char* name;
  void* replacement;
};

template <typename Signature>
ImportedFunction imported(const char* name, Signature* replacement) noexcept {
  return {name, reinterpret_cast<void*>(replacement)};
}

// One slot that was written.
struct Slot {
  void** place;
  void* original;
  const char* name;
};

// One object that is loaded: an executable or a shared library.
struct LoadedObject {
  std::string path;  // as the dynamic linker knows it
  std::size_t base = 0;
  std::vector<Slot> slots;  // filled by redirect()
};

// All that are loaded now, without the program itself. ERRORS: an empty list.
[[nodiscard]] std::vector<LoadedObject> loaded_objects() noexcept;

// The one that contains `address`, perhaps the program itself. False if there is none.
[[nodiscard]] bool find_object(const void* address, LoadedObject* object) noexcept;

// How many objects have been loaded and unloaded so far: a change means another look.
[[nodiscard]] unsigned long long load_count() noexcept;

// Writes the replacements into the import table of `object`, and notes in its slots what
// was there. Returns why nothing was changed; nullptr: done, perhaps without one slot.
[[nodiscard]] const char* redirect(LoadedObject& object,
                                   const std::vector<ImportedFunction>& functions) noexcept;

// Writes back what was there. Slots that somebody else has written meanwhile stay.
// REQUIRES: the object is still loaded.
void restore(const LoadedObject& object, const std::vector<ImportedFunction>& functions) noexcept;

}  // namespace coev
