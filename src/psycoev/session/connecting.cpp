#include "session/connecting.h"

#include <memory>
#include <new>

#include "session/deadline.h"
#include "session/dsn.h"
#include "session/resolving.h"

namespace psycoev::session {
namespace {

struct FinishConnection {
  void operator()(PGconn* pg) const noexcept { PQfinish(pg); }
};
using ConnectionPtr = std::unique_ptr<PGconn, FinishConnection>;

// StartParameters for PQconnectStartParams(): the program's string first, what follows overrides.
struct StartParameters {
  std::string dsn;
  std::string replication;
  std::string session_attributes;
  Target target;
  bool has_target = false;

  [[nodiscard]] PGconn* start() const {
    const char* keywords[8] = {"dbname"};
    const char* values[8] = {dsn.c_str()};
    int count = 1;
    const auto add = [&](const char* keyword, const std::string& value) {
      if (value.empty()) return;
      keywords[count] = keyword;
      values[count++] = value.c_str();
    };
    if (has_target) {
      add("host", target.host);
      add("hostaddr", target.address);
      add("port", target.port);
    }
    add("replication", replication);
    add("target_session_attrs", session_attributes);
    return PQconnectStartParams(keywords, values, 1);
  }
};

// One step of libpq on a real thread: it reads files (passwords, certificates), and computes for
// milliseconds (TLS, SCRAM). The job owns the PGconn while its coroutine may give up.
struct Step {
  StartParameters parameters;
  PGconn* pg = nullptr;
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  bool started = false;
};

void run_step(void* argument) {
  auto* step = static_cast<Step*>(argument);
  if (step->started) {
    step->state = PQconnectPoll(step->pg);
  } else {
    step->pg = step->parameters.start();
    step->started = true;
  }
}

void free_step(void* argument) {
  auto* step = static_cast<Step*>(argument);
  PQfinish(step->pg);
  delete step;
}

struct FreeStep {
  void operator()(Step* step) const noexcept { free_step(step); }
};
using StepPtr = std::unique_ptr<Step, FreeStep>;

// SWITCHES: always. *step is gone unless kDone is returned.
Outcome offload_step(StepPtr* step, std::int64_t deadline) {
  Step* job = step->release();
  const int ran = coev->offload_call(run_step, job, free_step, seconds_until(deadline), COEV_KEEP);
  if (ran == 0) return Outcome::kTimedOut;
  if (ran < 0) return Outcome::kInterrupted;
  step->reset(job);
  return Outcome::kDone;
}

bool computes_long(PGconn* pg) noexcept {
  const ConnStatusType status = PQstatus(pg);
  return status == CONNECTION_SSL_STARTUP || status == CONNECTION_AWAITING_RESPONSE;
}

// Drives a started connection. kDone: connected; kFailed: PQerrorMessage() says why.
Outcome drive(StepPtr* step, std::int64_t deadline) {
  if ((*step)->pg == nullptr) {
    PyErr_NoMemory();
    return Outcome::kInterrupted;
  }
  if (PQstatus((*step)->pg) == CONNECTION_BAD) return Outcome::kFailed;
  for (;;) {
    PGconn* pg = (*step)->pg;
    const PostgresPollingStatusType state = (*step)->state;
    if (state == PGRES_POLLING_OK) return Outcome::kDone;
    if (state == PGRES_POLLING_FAILED) return Outcome::kFailed;
    // The socket may be another one after each step, and libpq has closed the former one already:
    // a wait that keeps nothing in the kernel is the only safe one.
    const int events = state == PGRES_POLLING_READING ? COEV_READABLE : COEV_WRITABLE;
    const int seen = coev->wait_fd_until(PQsocket(pg), events, deadline, nullptr);
    if (seen < 0) return Outcome::kInterrupted;
    if (seen == 0) return Outcome::kTimedOut;
    if (!computes_long(pg)) {
      (*step)->state = PQconnectPoll(pg);
      continue;
    }
    const Outcome outcome = offload_step(step, deadline);
    if (outcome != Outcome::kDone) return outcome;
  }
}

std::string place(const Target& target) {
  const std::string port = target.port.empty() ? "5432" : target.port;
  if (target.host.empty() && target.address.empty()) return "connection to server";
  if (!target.host.empty() && (target.host[0] == '/' || target.host[0] == '@')) {
    return "connection to server on socket \"" + target.host + "/.s.PGSQL." + port + "\"";
  }
  std::string text =
      "connection to server at \"" + (target.host.empty() ? target.address : target.host) + "\"";
  if (!target.address.empty() && target.address != target.host) {
    text += " (" + target.address + ")";
  }
  return text + ", port " + port;
}

class Attempt {
 public:
  Attempt(StartParameters parameters, double timeout, std::string* error)
      : parameters_(std::move(parameters)), timeout_(timeout), error_(error) {}

  // kFailed and kTimedOut: the next target may do better; *error_ has grown.
  Outcome run(const Target* target, ConnectionPtr* connected) {
    if (target != nullptr && needs_resolving(*target)) return run_each_address(*target, connected);
    return run_one(target, connected);
  }

  void set_session_attributes(const char* value) { parameters_.session_attributes = value; }

 private:
  Outcome run_each_address(const Target& target, ConnectionPtr* connected) {
    std::vector<std::string> addresses;
    std::string why;
    Outcome outcome =
        resolve(target.host, target.port, coev->deadline_after(timeout_), &addresses, &why);
    if (outcome == Outcome::kInterrupted) return outcome;
    if (outcome != Outcome::kDone) add_error(why + "\n");
    for (const std::string& address : addresses) {
      const Target numeric{target.host, address, target.port};
      outcome = run_one(&numeric, connected);
      if (outcome == Outcome::kDone || outcome == Outcome::kInterrupted) return outcome;
    }
    return outcome;
  }

  Outcome run_one(const Target* target, ConnectionPtr* connected) {
    StepPtr step(new (std::nothrow) Step);
    if (step == nullptr) {
      PyErr_NoMemory();
      return Outcome::kInterrupted;
    }
    step->parameters = parameters_;
    if (target != nullptr) {
      step->parameters.target = *target;
      step->parameters.has_target = true;
    }
    const std::int64_t deadline = coev->deadline_after(timeout_);
    Outcome outcome = offload_step(&step, deadline);
    if (outcome == Outcome::kDone) outcome = drive(&step, deadline);
    if (outcome == Outcome::kDone) {
      connected->reset(std::exchange(step->pg, nullptr));
    } else if (outcome == Outcome::kTimedOut) {
      add_error((target != nullptr ? place(*target) : std::string("connection to server")) +
                " failed: timeout expired\n");
    } else if (outcome == Outcome::kFailed) {
      add_error(PQerrorMessage(step->pg));
    }
    return outcome;
  }

  void add_error(const std::string& text) { *error_ += text; }

  StartParameters parameters_;
  double timeout_;
  std::string* error_;
};

StartParameters base_parameters(const std::string& dsn, const ConnectOptions& options) {
  StartParameters parameters;
  parameters.dsn = dsn;
  if (options.replication != nullptr) parameters.replication = options.replication;
  return parameters;
}

Outcome try_all(Attempt& attempt, const Destination& destination, ConnectionPtr* connected) {
  Outcome outcome = Outcome::kFailed;
  for (const Target& target : destination.hosts) {
    outcome = attempt.run(&target, connected);
    if (outcome == Outcome::kDone || outcome == Outcome::kInterrupted) return outcome;
  }
  return outcome;
}

}  // namespace

PGconn* connect(const std::string& dsn, const ConnectOptions& options, std::string* error) {
  Destination destination;
  if (!find_destination(dsn, &destination, error)) return nullptr;
  Attempt attempt(base_parameters(dsn, options), destination.connect_timeout, error);
  ConnectionPtr connected;
  Outcome outcome = Outcome::kFailed;
  if (destination.hosts.empty()) {
    outcome = attempt.run(nullptr, &connected);  // libpq says what is wrong with the lists
  } else if (destination.prefers_standby) {
    attempt.set_session_attributes("standby");
    outcome = try_all(attempt, destination, &connected);
    if (outcome == Outcome::kFailed || outcome == Outcome::kTimedOut) {
      attempt.set_session_attributes("any");
      outcome = try_all(attempt, destination, &connected);
    }
  } else {
    outcome = try_all(attempt, destination, &connected);
  }
  if (outcome == Outcome::kInterrupted) error->clear();
  return outcome == Outcome::kDone ? connected.release() : nullptr;
}

PGconn* begin_connecting(const std::string& dsn, const ConnectOptions& options,
                         std::string* error) {
  Destination destination;
  if (!find_destination(dsn, &destination, error)) return nullptr;
  StartParameters parameters = base_parameters(dsn, options);
  // libpq walks over a list of addresses by itself, without asking for names.
  Target& joined = parameters.target;
  for (const Target& target : destination.hosts) {
    std::vector<std::string> addresses{target.address};
    if (needs_resolving(target)) {
      const Outcome outcome =
          resolve(target.host, target.port, coev->deadline_after(destination.connect_timeout),
                  &addresses, error);
      if (outcome == Outcome::kInterrupted) return error->clear(), nullptr;
      if (outcome != Outcome::kDone) continue;
    }
    for (const std::string& address : addresses) {
      const char* comma = parameters.has_target ? "," : "";
      joined.host += comma + target.host;
      joined.address += comma + address;
      joined.port += comma + target.port;
      parameters.has_target = true;
    }
  }
  if (!parameters.has_target && !destination.hosts.empty()) return nullptr;
  error->clear();
  PGconn* pg = parameters.start();
  if (pg == nullptr) PyErr_NoMemory();
  return pg;
}

}  // namespace psycoev::session
