// getaddrinfo and gethostbyname*: asked on a thread of the offload pool, because they wait
// in libc's own code, for name servers and files.

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "core/offload.h"
#include "python/monkey/libraries/calls.h"
#include "python/monkey/libraries/native_wait.h"

namespace coev::python::libraries {
namespace {

// Runs `job` and waits for it. The job is the caller's again if this says true; else it
// was given up, and frees itself. ERRORS: errno is ECANCELED, or ENOMEM.
bool run_elsewhere(offload::Job& job) noexcept {
  if (offload::submit(job) != Status::kOk) {
    errno = ENOMEM;
    return false;
  }
  if (wait_natively([&] { return offload::wait(job, Deadline::never()); }) == Status::kOk) {
    return true;
  }
  offload::abandon(job);
  errno = ECANCELED;
  return false;
}

class Optional {
 public:
  explicit Optional(const char* text) noexcept
      : given_(text != nullptr), text_(given_ ? text : "") {}
  [[nodiscard]] const char* get() const noexcept { return given_ ? text_.c_str() : nullptr; }

 private:
  bool given_;
  std::string text_;
};

class AddressJob final : public offload::Job {
 public:
  AddressJob(const char* node, const char* service, const addrinfo* hints) noexcept
      : node_(node), service_(service), has_hints_(hints != nullptr) {
    if (has_hints_) hints_ = *hints;
  }
  void run() noexcept override {
    result = ::getaddrinfo(node_.get(), service_.get(), has_hints_ ? &hints_ : nullptr, &found);
    error = errno;
  }
  void discard() noexcept override {
    if (result == 0 && found != nullptr) freeaddrinfo(found);
    delete this;
  }

  int result = EAI_AGAIN;
  int error = 0;
  addrinfo* found = nullptr;

 private:
  Optional node_;
  Optional service_;
  bool has_hints_;
  addrinfo hints_{};
};

bool is_number(const char* host) noexcept {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

int our_getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                    addrinfo** found) {
  const bool immediate = node == nullptr || is_number(node) ||
                         (hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0);
  if (immediate || !may_wait_here()) return ::getaddrinfo(node, service, hints, found);
  auto* job = new (std::nothrow) AddressJob(node, service, hints);
  if (job == nullptr) return EAI_MEMORY;
  if (!run_elsewhere(*job)) return EAI_SYSTEM;
  const int result = job->result;
  const int error = job->error;
  *found = std::exchange(job->found, nullptr);
  job->discard();
  if (result == EAI_SYSTEM) errno = error;
  return result;
}

class HostJob final : public offload::Job {
 public:
  HostJob(const char* name, int family, std::size_t bytes) noexcept
      : buffer(new (std::nothrow) char[bytes]), name_(name), family_(family), bytes_(bytes) {}
  void run() noexcept override {
    status =
        ::gethostbyname2_r(name_.c_str(), family_, &entry, buffer.get(), bytes_, &found, &error);
  }
  void discard() noexcept override { delete this; }

  std::unique_ptr<char[]> buffer;
  hostent entry{};
  hostent* found = nullptr;
  int status = ENOMEM;
  int error = TRY_AGAIN;

 private:
  std::string name_;
  int family_;
  std::size_t bytes_;
};

// Moves what the job found into the caller's buffer, whose addresses it then has.
int our_gethostbyname2_r(const char* name, int family, hostent* entry, char* buffer,
                         std::size_t bytes, hostent** found, int* error) {
  const auto libc = [=] {
    return ::gethostbyname2_r(name, family, entry, buffer, bytes, found, error);
  };
  if (name == nullptr || is_number(name) || !may_wait_here()) return libc();
  auto* job = new (std::nothrow) HostJob(name, family, bytes);
  if (job == nullptr) return ENOMEM;
  if (job->buffer == nullptr || !run_elsewhere(*job)) {
    *found = nullptr;
    *error = TRY_AGAIN;
    return errno;
  }
  const int status = job->status;
  *error = job->error;
  *found = job->found == nullptr ? nullptr : entry;
  if (job->found != nullptr) {
    *entry = job->entry;
    std::memcpy(buffer, job->buffer.get(), bytes);
    const auto moved = [&](auto* pointer) {
      return pointer == nullptr
                 ? nullptr
                 : reinterpret_cast<decltype(pointer)>(
                       buffer + (reinterpret_cast<char*>(pointer) - job->buffer.get()));
    };
    entry->h_name = moved(entry->h_name);
    entry->h_aliases = moved(entry->h_aliases);
    entry->h_addr_list = moved(entry->h_addr_list);
    for (char** each = entry->h_aliases; each != nullptr && *each != nullptr; ++each) {
      *each = moved(*each);
    }
    for (char** each = entry->h_addr_list; each != nullptr && *each != nullptr; ++each) {
      *each = moved(*each);
    }
  }
  job->discard();
  return status;
}

int our_gethostbyname_r(const char* name, hostent* entry, char* buffer, std::size_t bytes,
                        hostent** found, int* error) {
  return our_gethostbyname2_r(name, AF_INET, entry, buffer, bytes, found, error);
}

// Its result lives until the next call, as that of libc.
hostent* our_gethostbyname(const char* name) {
  if (name == nullptr || is_number(name) || !may_wait_here()) return ::gethostbyname(name);
  static hostent entry;
  static char buffer[8192];
  hostent* found = nullptr;
  int error = 0;
  our_gethostbyname2_r(name, AF_INET, &entry, buffer, sizeof buffer, &found, &error);
  if (found == nullptr) h_errno = error;
  return found;
}

}  // namespace

void add_name_calls(std::vector<ImportedFunction>& functions) noexcept {
  functions.insert(functions.end(), {imported("getaddrinfo", our_getaddrinfo),
                                     imported("gethostbyname", our_gethostbyname),
                                     imported("gethostbyname_r", our_gethostbyname_r),
                                     imported("gethostbyname2_r", our_gethostbyname2_r)});
}

}  // namespace coev::python::libraries
