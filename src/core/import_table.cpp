#include "core/import_table.h"

#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace coev {
namespace {

// What the dynamic section of a library tells.
struct Imports {
  std::uintptr_t base = 0;
  const ElfW(Sym) * symbols = nullptr;
  const char* names = nullptr;
  const ElfW(Rela) * relocations[2] = {};  // of functions called lazily, and of all others
  std::size_t bytes[2] = {};

  explicit Imports(const dl_phdr_info& library) noexcept : base(library.dlpi_addr) {
    for (int i = 0; i < library.dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = library.dlpi_phdr[i];
      if (segment.p_type != PT_DYNAMIC) continue;
      const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(base + segment.p_vaddr);
      for (; entry->d_tag != DT_NULL; ++entry) note(*entry);
    }
  }

  // The address of the slot that `name` is called through; nullptr if there is none.
  [[nodiscard]] const void** find(const char* name) const noexcept {
    if (symbols == nullptr || names == nullptr) return nullptr;
    for (int table = 0; table < 2; ++table) {
      const ElfW(Rela)* each = relocations[table];
      for (std::size_t left = bytes[table] / sizeof *each; each != nullptr && left > 0;
           --left, ++each) {
        const ElfW(Sym)& symbol = symbols[ELF64_R_SYM(each->r_info)];
        if (std::strcmp(names + symbol.st_name, name) != 0 || symbol.st_shndx != SHN_UNDEF) {
          continue;
        }
        return reinterpret_cast<const void**>(base + each->r_offset);
      }
    }
    return nullptr;
  }

 private:
  // glibc has made the addresses absolute, other C libraries have not.
  template <typename Table>
  void set(const Table** table, ElfW(Addr) address) const noexcept {
    *table = reinterpret_cast<const Table*>(address < base ? base + address : address);
  }

  void note(const ElfW(Dyn) & entry) noexcept {
    switch (entry.d_tag) {
      case DT_SYMTAB:
        return set(&symbols, entry.d_un.d_ptr);
      case DT_STRTAB:
        return set(&names, entry.d_un.d_ptr);
      case DT_JMPREL:
        return set(&relocations[0], entry.d_un.d_ptr);
      case DT_RELA:
        return set(&relocations[1], entry.d_un.d_ptr);
      case DT_PLTRELSZ:
        bytes[0] = entry.d_un.d_val;
        return;
      case DT_RELASZ:
        bytes[1] = entry.d_un.d_val;
        return;
      default:
        return;
    }
  }
};

bool contains(const dl_phdr_info& library, std::uintptr_t address) noexcept {
  for (int i = 0; i < library.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = library.dlpi_phdr[i];
    const std::uintptr_t begin = library.dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD && address >= begin && address < begin + segment.p_memsz) {
      return true;
    }
  }
  return false;
}

struct Search {
  std::uintptr_t inside;
  const char* name;
  const void** slot;

  static int look(dl_phdr_info* library, std::size_t, void* search) noexcept {
    auto& self = *static_cast<Search*>(search);
    if (!contains(*library, self.inside)) return 0;
    self.slot = Imports(*library).find(self.name);
    return 1;
  }
};

// The linker may have made the table read-only.
bool write(const void** slot, const void* value) noexcept {
  const auto page_bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto page = reinterpret_cast<std::uintptr_t>(slot) & ~(page_bytes - 1);
  if (mprotect(reinterpret_cast<void*>(page), page_bytes, PROT_READ | PROT_WRITE) != 0) {
    return false;
  }
  __atomic_store_n(slot, value, __ATOMIC_RELEASE);
  return true;
}

}  // namespace

bool redirect_import(const void* inside, const char* name, const void* replacement) noexcept {
  if constexpr (sizeof(void*) != 8) return false;
  Search search{reinterpret_cast<std::uintptr_t>(inside), name, nullptr};
  dl_iterate_phdr(Search::look, &search);
  return search.slot != nullptr && write(search.slot, replacement);
}

}  // namespace coev
