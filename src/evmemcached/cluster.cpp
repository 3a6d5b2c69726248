#include "cluster.h"

#include <algorithm>
#include <memory>
#include <new>
#include <vector>

#include "errors.h"

namespace evmemcached {
namespace {

// The server is not what it should be; a full pool and a refusal are not its fault.
bool is_failure(Fault fault) noexcept {
  return fault == Fault::kNoServer || fault == Fault::kTimedOut || fault == Fault::kClosed ||
         fault == Fault::kSystem;
}

bool raise_no_server() noexcept {
  PyErr_SetString(errors::no_server, "All servers seem to be down right now");
  return false;
}

// A server that has just failed is left in peace for a moment.
bool raise_resting(PyObject* name) noexcept {
  PyErr_Format(errors::resting, "%U: not asked again so soon after it failed", name);
  return false;
}

}  // namespace

void Cluster::note(const Exchange& exchange, std::int64_t now) noexcept {
  if (exchange.fault == Fault::kNone) {
    exchange.pool->note_success();
  } else if (dead_seconds >= 0 && is_failure(exchange.fault)) {
    exchange.pool->note_failure(now, attempts, retry_seconds, dead_seconds);
    exchange.pool->flush_when_back |= flushes_on_return;
  }
}

bool Cluster::raise(const Exchange& exchange, std::size_t index) noexcept {
  const Ref exception = Ref::steal(fault_exception(exchange, router.names[index]));
  if (exception) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.get())), exception.get());
  }
  return false;
}

bool Cluster::ask_server(std::size_t index, Conversation& conversation) noexcept {
  Exchange exchange;
  exchange.pool = router.pools[index];
  exchange.conversation = &conversation;
  if (!converse(&exchange, 1, timeout)) return false;
  note(exchange, exchange.fault == Fault::kNone ? 0 : now_ns());
  return exchange.fault == Fault::kNone || raise(exchange, index);
}

bool Cluster::ask(const Key& key, PyObject* object, Conversation& conversation) noexcept {
  for (;;) {
    const std::int64_t now = router.pools.size() == 1 && !router.skips_dead ? 0 : now_ns();
    const int index = router.route(key, object, now);
    if (index == Router::kException) return false;
    if (index == Router::kNone) return raise_no_server();
    const auto place = static_cast<std::size_t>(index);
    Exchange exchange;
    exchange.pool = router.pools[place];
    exchange.conversation = &conversation;
    if (router.skips_dead && exchange.pool->is_resting(now)) {
      return raise_resting(router.names[place]);
    }
    if (!converse(&exchange, 1, timeout)) return false;
    const std::int64_t end = exchange.fault == Fault::kNone ? 0 : now_ns();
    note(exchange, end);
    if (exchange.fault == Fault::kNone) return true;
    const bool goes_elsewhere = exchange.fault == Fault::kNoServer && router.skips_dead &&
                                router.pools.size() > 1 && exchange.pool->is_dead(end);
    if (!goes_elsewhere) return raise(exchange, place);
  }
}

// --- many keys ---------------------------------------------------------------------------

namespace {

// Which keys are still to be asked for, and of whom.
struct Round {
  std::vector<std::uint32_t> items;  // by server
  std::vector<std::size_t> servers;  // whose turn it is, in the order of their pools
  std::vector<std::size_t> ends;     // where each server's items end
};

bool append_failure(PyObject* failures, PyObject* exception) noexcept {
  const Ref keep = Ref::steal(exception);
  return keep && PyList_Append(failures, keep.get()) == 0;
}

// Takes the exception that is set.
bool append_raised(PyObject* failures) noexcept {
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return append_failure(failures, value);
}

// Sorts `todo` by server. Keys without one become a failure, said once.
bool plan(Cluster& cluster, const Key* keys, PyObject* const* objects,
          const std::vector<std::uint32_t>& todo, PyObject* failures, Round* round) noexcept {
  const std::int64_t now = now_ns();
  const std::size_t servers = cluster.router.pools.size();
  std::vector<std::vector<std::uint32_t>> of_server(servers);
  bool said = false;
  for (const std::uint32_t item : todo) {
    const int index = cluster.router.route(keys[item], objects[item], now);
    if (index == Router::kException) return false;
    if (index >= 0) {
      of_server[static_cast<std::size_t>(index)].push_back(item);
    } else if (!said) {
      raise_no_server();
      said = true;
      if (!append_raised(failures)) return false;
    }
  }
  for (std::size_t server = 0; server < servers; ++server) {
    if (of_server[server].empty()) continue;
    if (cluster.router.skips_dead && cluster.router.pools[server]->is_resting(now)) {
      raise_resting(cluster.router.names[server]);
      if (!append_raised(failures)) return false;
    } else {
      round->servers.push_back(server);
    }
  }
  // Whoever needs several pools takes them in one order, or two would wait for each other.
  std::sort(round->servers.begin(), round->servers.end(), [&](std::size_t a, std::size_t b) {
    return std::less<>()(cluster.router.pools[a], cluster.router.pools[b]);
  });
  for (const std::size_t server : round->servers) {
    const auto& items = of_server[server];
    round->items.insert(round->items.end(), items.begin(), items.end());
    round->ends.push_back(round->items.size());
  }
  return true;
}

struct Conversations {
  std::vector<std::unique_ptr<Conversation>> owned;
  std::unique_ptr<Exchange[]> exchanges;
};

bool prepare(Cluster& cluster, const Round& round, MakeConversation make, void* context,
             Conversations* talks) noexcept {
  const std::size_t count = round.servers.size();
  talks->exchanges.reset(new (std::nothrow) Exchange[count]);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < count && talks->exchanges; ++i) {
    const Slice slice(round.items.data() + begin, round.ends[i] - begin);
    begin = round.ends[i];
    talks->owned.emplace_back(make(context, slice));
    if (talks->owned.back() == nullptr) break;
    talks->exchanges[i].pool = cluster.router.pools[round.servers[i]];
    talks->exchanges[i].conversation = talks->owned.back().get();
  }
  if (talks->exchanges && talks->owned.size() == count && talks->owned.back()) return true;
  PyErr_NoMemory();
  return false;
}

// What went wrong, and what is to be asked of other servers.
bool settle(Cluster& cluster, const Round& round, const Conversations& talks, PyObject* failures,
            std::vector<std::uint32_t>* todo) noexcept {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < round.servers.size(); ++i) {
    const Exchange& exchange = talks.exchanges[i];
    const std::int64_t now = exchange.fault == Fault::kNone ? 0 : now_ns();
    cluster.note(exchange, now);
    const auto first = round.items.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = round.items.begin() + static_cast<std::ptrdiff_t>(round.ends[i]);
    begin = round.ends[i];
    if (exchange.fault == Fault::kNone) continue;
    PyObject* name = cluster.router.names[round.servers[i]];
    if (!append_failure(failures, fault_exception(exchange, name))) return false;
    if (exchange.fault == Fault::kNoServer && cluster.router.skips_dead &&
        exchange.pool->is_dead(now)) {
      todo->insert(todo->end(), first, last);
    }
  }
  return true;
}

}  // namespace

bool ask_many(Cluster& cluster, const Key* keys, PyObject* const* objects, std::size_t count,
              MakeConversation make, void* context, PyObject* failures) noexcept {
  std::vector<std::uint32_t> todo(count);
  for (std::size_t i = 0; i < count; ++i) todo[i] = static_cast<std::uint32_t>(i);
  while (!todo.empty()) {
    Round round;
    Conversations talks;
    if (!plan(cluster, keys, objects, todo, failures, &round)) return false;
    todo.clear();
    if (round.servers.empty()) break;
    if (!prepare(cluster, round, make, context, &talks)) return false;
    if (!converse(talks.exchanges.get(), round.servers.size(), cluster.timeout)) return false;
    if (!settle(cluster, round, talks, failures, &todo)) return false;
  }
  return true;
}

}  // namespace evmemcached
