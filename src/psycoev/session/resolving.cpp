#include "session/resolving.h"

#include <netdb.h>
#include <sys/socket.h>

#include <memory>
#include <new>

#include "session/deadline.h"

namespace psycoev::session {
namespace {

struct ResolveJob {
  std::string host;
  std::string port;
  int error = 0;
  std::vector<std::string> addresses;
};

void run_resolve(void* argument) {
  auto* job = static_cast<ResolveJob*>(argument);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  job->error = getaddrinfo(job->host.c_str(), job->port.c_str(), &hints, &found);
  if (job->error != 0) return;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      job->addresses.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  if (job->addresses.empty()) job->error = EAI_NONAME;
}

void free_resolve(void* argument) { delete static_cast<ResolveJob*>(argument); }

}  // namespace

Outcome resolve(const std::string& host, const std::string& port, std::int64_t deadline,
                std::vector<std::string>* addresses, std::string* error) {
  auto* job = new (std::nothrow) ResolveJob{host, port, 0, {}};
  if (job == nullptr) {
    PyErr_NoMemory();
    return Outcome::kInterrupted;
  }
  const int ran =
      coev->offload_call(run_resolve, job, free_resolve, seconds_until(deadline), COEV_KEEP);
  if (ran < 0) return Outcome::kInterrupted;
  if (ran == 0) {
    *error = "could not translate host name \"" + host + "\" to address: timeout expired";
    return Outcome::kTimedOut;
  }
  const std::unique_ptr<ResolveJob> finished(job);
  if (job->error != 0) {
    *error =
        "could not translate host name \"" + host + "\" to address: " + gai_strerror(job->error);
    return Outcome::kFailed;
  }
  addresses->swap(job->addresses);
  return Outcome::kDone;
}

}  // namespace psycoev::session
