#include "session/dsn.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>

namespace psycoev::session {
namespace {

struct ProbeJob {
  std::string dsn;
  PQconninfoOption* options = nullptr;
  ~ProbeJob() { PQconninfoFree(options); }
};

// libpq has no function that says what a connection string means with the service file and the
// environment, except for a connection that was begun. One with an impossible option is complete
// and never goes to a server.
void run_probe(void* argument) {
  auto* job = static_cast<ProbeJob*>(argument);
  const char* keywords[] = {"dbname", "sslmode", nullptr};
  const char* values[] = {job->dsn.c_str(), "none-of-these", nullptr};
  PGconn* pg = PQconnectStartParams(keywords, values, 1);
  if (pg == nullptr) return;
  job->options = PQconninfo(pg);
  PQfinish(pg);
}

void free_probe(void* argument) { delete static_cast<ProbeJob*>(argument); }

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t comma = list.find(',', begin);
    parts.push_back(list.substr(begin, comma - begin));
    if (comma == std::string::npos) return parts;
    begin = comma + 1;
  }
}

class Options {
 public:
  explicit Options(const PQconninfoOption* options) : options_(options) {}
  [[nodiscard]] std::string get(const char* keyword) const {
    for (const PQconninfoOption* option = options_; option->keyword != nullptr; ++option) {
      if (std::strcmp(option->keyword, keyword) == 0) {
        return option->val != nullptr ? option->val : "";
      }
    }
    return "";
  }

 private:
  const PQconninfoOption* options_;
};

// As libpq pairs the three lists: an empty host beside an address, one port for all.
std::vector<Target> pair_up(const Options& options) {
  const std::vector<std::string> hosts = split(options.get("host"));
  const std::vector<std::string> addresses = split(options.get("hostaddr"));
  const std::vector<std::string> ports = split(options.get("port"));
  std::vector<Target> targets;
  for (std::size_t i = 0; i < std::max(hosts.size(), addresses.size()); ++i) {
    Target target;
    if (i < hosts.size()) target.host = hosts[i];
    if (i < addresses.size()) target.address = addresses[i];
    target.port = ports.size() == 1 ? ports[0] : i < ports.size() ? ports[i] : "";
    targets.push_back(target);
  }
  if (options.get("load_balance_hosts") == "random") {
    std::shuffle(targets.begin(), targets.end(), std::minstd_rand(std::random_device{}()));
  }
  return targets;
}

// Options that libpq itself has to refuse, with its own words: the lists do not fit together.
bool are_inconsistent(const Options& options) {
  const std::size_t hosts = split(options.get("host")).size();
  const std::size_t addresses = split(options.get("hostaddr")).size();
  const std::size_t ports = split(options.get("port")).size();
  const bool both = !options.get("host").empty() && !options.get("hostaddr").empty();
  return (both && hosts != addresses) || (ports > 1 && ports != std::max(hosts, addresses));
}

}  // namespace

bool needs_resolving(const Target& target) {
  if (!target.address.empty() || target.host.empty()) return false;
  return target.host[0] != '/' && target.host[0] != '@';
}

bool find_destination(const std::string& dsn, Destination* destination, std::string* error) {
  auto* job = new (std::nothrow) ProbeJob{dsn};
  if (job == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  if (coev->offload_call(run_probe, job, free_probe, -1, COEV_KEEP) != 1) return false;
  const std::unique_ptr<ProbeJob> finished(job);
  char* message = nullptr;
  const ConninfoPtr parsed(PQconninfoParse(dsn.c_str(), &message));
  const LibpqText owned(message);
  if (parsed == nullptr || job->options == nullptr) {
    *error = message != nullptr ? message : "out of memory";
    return false;
  }
  const Options options(job->options);
  destination->hosts = are_inconsistent(options) ? std::vector<Target>{} : pair_up(options);
  const std::string timeout = options.get("connect_timeout");
  const double seconds = std::strtod(timeout.c_str(), nullptr);
  if (seconds > 0) destination->connect_timeout = seconds;
  destination->prefers_standby = options.get("target_session_attrs") == "prefer-standby";
  return true;
}

}  // namespace psycoev::session
