#include "core/import_table.h"

#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

namespace coev {
namespace {

#if defined(__x86_64__)
constexpr std::uint64_t kJumpSlot = R_X86_64_JUMP_SLOT;
constexpr std::uint64_t kGlobalData = R_X86_64_GLOB_DAT;
constexpr bool kKnownMachine = true;
#elif defined(__aarch64__)
constexpr std::uint64_t kJumpSlot = R_AARCH64_JUMP_SLOT;
constexpr std::uint64_t kGlobalData = R_AARCH64_GLOB_DAT;
constexpr bool kKnownMachine = true;
#else
constexpr std::uint64_t kJumpSlot = 0;
constexpr std::uint64_t kGlobalData = 0;
constexpr bool kKnownMachine = false;
#endif

// What the dynamic section says, and where pages are read-only after relocation.
struct Tables {
  const ElfW(Sym) * symbols = nullptr;
  const char* names = nullptr;
  const ElfW(Rela) * relocations[2] = {};
  std::size_t counts[2] = {};
  std::uintptr_t read_only_begin = 0;
  std::uintptr_t read_only_end = 0;

  [[nodiscard]] bool whole() const noexcept { return symbols != nullptr && names != nullptr; }
};

// musl leaves addresses relative, glibc makes them absolute.
template <typename Pointer>
Pointer resolve(std::size_t base, ElfW(Addr) address) noexcept {
  const std::uintptr_t place = address < base ? base + address : address;
  return reinterpret_cast<Pointer>(place);  // NOLINT(performance-no-int-to-ptr)
}

void read_dynamic(const dl_phdr_info& info, const ElfW(Dyn) * entry, Tables* tables) noexcept {
  const std::size_t base = info.dlpi_addr;
  for (; entry->d_tag != DT_NULL; ++entry) {
    switch (entry->d_tag) {
      case DT_SYMTAB:
        tables->symbols = resolve<const ElfW(Sym)*>(base, entry->d_un.d_ptr);
        break;
      case DT_STRTAB:
        tables->names = resolve<const char*>(base, entry->d_un.d_ptr);
        break;
      case DT_JMPREL:
        tables->relocations[0] = resolve<const ElfW(Rela)*>(base, entry->d_un.d_ptr);
        break;
      case DT_PLTRELSZ:
        tables->counts[0] = entry->d_un.d_val / sizeof(ElfW(Rela));
        break;
      case DT_RELA:
        tables->relocations[1] = resolve<const ElfW(Rela)*>(base, entry->d_un.d_ptr);
        break;
      case DT_RELASZ:
        tables->counts[1] = entry->d_un.d_val / sizeof(ElfW(Rela));
        break;
      default:
        break;
    }
  }
}

Tables read_tables(const dl_phdr_info& info) noexcept {
  Tables tables;
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info.dlpi_phdr[i];
    const std::uintptr_t begin = info.dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_DYNAMIC) {
      read_dynamic(info, reinterpret_cast<const ElfW(Dyn)*>(begin),  // NOLINT
                   &tables);
    } else if (header.p_type == PT_GNU_RELRO) {
      tables.read_only_begin = begin;
      tables.read_only_end = begin + header.p_memsz;
    }
  }
  return tables;
}

std::uintptr_t page_of(const void* address) noexcept {
  static const auto bytes = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  return reinterpret_cast<std::uintptr_t>(address) & ~(bytes - 1);
}

// Makes the page of a slot writable for as long as it lives.
class WritablePage {
 public:
  WritablePage(const Tables& tables, void** slot) noexcept
      : page_(page_of(static_cast<const void*>(slot))) {
    const auto place = reinterpret_cast<std::uintptr_t>(slot);
    if (place < page_of_read_only_begin(tables) || place >= tables.read_only_end) return;
    was_read_only_ = true;
    writable_ = protect(PROT_READ | PROT_WRITE);
  }
  WritablePage(const WritablePage&) = delete;
  WritablePage& operator=(const WritablePage&) = delete;
  ~WritablePage() {
    if (was_read_only_ && writable_) static_cast<void>(protect(PROT_READ));
  }
  [[nodiscard]] bool writable() const noexcept { return writable_; }

 private:
  static std::uintptr_t page_of_read_only_begin(const Tables& tables) noexcept {
    return page_of(reinterpret_cast<void*>(tables.read_only_begin));  // NOLINT
  }
  [[nodiscard]] bool protect(int protection) const noexcept {
    void* page = reinterpret_cast<void*>(page_);  // NOLINT(performance-no-int-to-ptr)
    return mprotect(page, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), protection) == 0;
  }

  std::uintptr_t page_;
  bool was_read_only_ = false;
  bool writable_ = true;
};

void store(void** slot, void* function) noexcept {
  std::atomic_ref<void*>(*slot).store(function, std::memory_order_release);
}

// Calls `use(slot, name)` for each imported function, until it says false.
template <typename Use>
void for_each_import(const dl_phdr_info& info, const Tables& tables, Use use) noexcept {
  for (int table = 0; table < 2; ++table) {
    const ElfW(Rela)* relocation = tables.relocations[table];
    for (std::size_t i = 0; relocation != nullptr && i < tables.counts[table]; ++i) {
      const std::uint64_t type = ELF64_R_TYPE(relocation[i].r_info);
      if (type != kJumpSlot && type != kGlobalData) continue;
      const ElfW(Sym)& symbol = tables.symbols[ELF64_R_SYM(relocation[i].r_info)];
      const std::uintptr_t place = info.dlpi_addr + relocation[i].r_offset;
      if (!use(reinterpret_cast<void**>(place), tables.names + symbol.st_name)) return;  // NOLINT
    }
  }
}

struct Redirection {
  LoadedObject* object;
  const std::vector<ImportedFunction>* functions;
  const char* problem = nullptr;
  bool found = false;
};

int redirect_one(dl_phdr_info* info, std::size_t, void* data) {
  auto* wanted = static_cast<Redirection*>(data);
  if (info->dlpi_addr != wanted->object->base || wanted->object->path != info->dlpi_name) return 0;
  wanted->found = true;
  const Tables tables = read_tables(*info);
  if (!tables.whole()) {
    wanted->problem = "its dynamic section is of an unknown form";
    return 1;
  }
  for_each_import(*info, tables, [&](void** slot, const char* name) {
    for (const ImportedFunction& function : *wanted->functions) {
      if (std::strcmp(function.name, name) != 0 || *slot == function.replacement) continue;
      const WritablePage page(tables, slot);
      if (!page.writable()) {
        wanted->problem = "the kernel refuses to make its import table writable";
        return false;
      }
      wanted->object->slots.push_back({slot, *slot, function.name});
      store(slot, function.replacement);
    }
    return true;
  });
  return 1;
}

int restore_one(dl_phdr_info* info, std::size_t, void* data) {
  auto* wanted = static_cast<Redirection*>(data);
  if (info->dlpi_addr != wanted->object->base || wanted->object->path != info->dlpi_name) return 0;
  const Tables tables = read_tables(*info);
  for (const Slot& slot : wanted->object->slots) {
    const bool ours = std::any_of(
        wanted->functions->begin(), wanted->functions->end(),
        [&](const ImportedFunction& function) { return function.replacement == *slot.place; });
    const WritablePage page(tables, slot.place);
    if (ours && page.writable()) store(slot.place, slot.original);
  }
  return 1;
}

int note_object(dl_phdr_info* info, std::size_t, void* data) {
  if (info->dlpi_name != nullptr && *info->dlpi_name != '\0') {
    static_cast<std::vector<LoadedObject>*>(data)->push_back(
        {info->dlpi_name, info->dlpi_addr, {}});
  }
  return 0;
}

bool contains(const dl_phdr_info& info, std::uintptr_t address) noexcept {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info.dlpi_phdr[i];
    const std::uintptr_t begin = info.dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && address >= begin && address < begin + header.p_memsz) {
      return true;
    }
  }
  return false;
}

struct Search {
  std::uintptr_t address;
  LoadedObject* object;
};

int find_one(dl_phdr_info* info, std::size_t, void* data) {
  auto* search = static_cast<Search*>(data);
  if (!contains(*info, search->address)) return 0;
  *search->object = {info->dlpi_name, info->dlpi_addr, {}};
  return 1;
}

int note_count(dl_phdr_info* info, std::size_t, void* data) {
  *static_cast<unsigned long long*>(data) = info->dlpi_adds + info->dlpi_subs;
  return 1;
}

}  // namespace

std::vector<LoadedObject> loaded_objects() noexcept {
  std::vector<LoadedObject> all;
  dl_iterate_phdr(note_object, &all);
  return all;
}

bool find_object(const void* address, LoadedObject* object) noexcept {
  Search search{reinterpret_cast<std::uintptr_t>(address), object};
  return dl_iterate_phdr(find_one, &search) != 0;
}

unsigned long long load_count() noexcept {
  unsigned long long count = 0;
  dl_iterate_phdr(note_count, &count);
  return count;
}

const char* redirect(LoadedObject& object,
                     const std::vector<ImportedFunction>& functions) noexcept {
  if (!kKnownMachine) return "the relocations of this machine are not known";
  Redirection wanted{&object, &functions};
  dl_iterate_phdr(redirect_one, &wanted);
  if (!wanted.found) return "it is not loaded any more";
  // All or nothing: a library that waits in two ways must not find one of them changed.
  if (wanted.problem != nullptr) {
    dl_iterate_phdr(restore_one, &wanted);
    object.slots.clear();
  }
  return wanted.problem;
}

void restore(const LoadedObject& object, const std::vector<ImportedFunction>& functions) noexcept {
  LoadedObject copy = object;
  Redirection wanted{&copy, &functions};
  dl_iterate_phdr(restore_one, &wanted);
}

}  // namespace coev
