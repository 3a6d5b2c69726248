#include "python/monkey/tls/ssl_connection.h"

#include <cstddef>
#include <functional>
#include <unordered_map>

#include "core/coroutine.h"

namespace coev::python {
namespace {

using Connections = std::unordered_map<PyObject*, SslConnection>;

Connections& connections() noexcept {
  static auto* const all = new Connections;
  return *all;
}

// The last one of each of so many slots, by the address of its SSL object: among a few
// hundred connections most are found without the table.
struct Recent {
  PyObject* ssl;
  SslConnection* connection;
};
constexpr std::size_t kRecent = 256;
Recent g_recent[kRecent];

Recent& recent(PyObject* ssl) noexcept {
  return g_recent[reinterpret_cast<std::uintptr_t>(ssl) / alignof(std::max_align_t) % kRecent];
}

destructor g_original_dealloc = nullptr;  // every copy of the module has the same

void dealloc(PyObject* ssl) {
  recent(ssl).ssl = nullptr;
  connections().erase(ssl);
  g_original_dealloc(ssl);
}

}  // namespace

void UnfinishedWrite::remember(std::string_view bytes) noexcept {
  exists_ = true;
  size_ = bytes.size();
  hash_ = std::hash<std::string_view>()(bytes);
}

bool UnfinishedWrite::is_continued_by(std::string_view bytes) const noexcept {
  return bytes.size() >= size_ && std::hash<std::string_view>()(bytes.substr(0, size_)) == hash_;
}

SslConnection& SslConnection::of(PyObject* ssl) noexcept {
  Recent& found = recent(ssl);
  if (found.ssl != ssl) [[unlikely]]
    found = {.ssl = ssl, .connection = &connections()[ssl]};
  SslConnection& connection = *found.connection;
  const std::uint32_t now = fork_generation::current.load(std::memory_order_relaxed);
  if (connection.generation != now) [[unlikely]] {
    new (&connection.inside) RecursiveLock;
    new (&connection.writing) Lock;
    connection.generation = now;
  }
  return connection;
}

void SslConnection::drop_with_objects_of(PyTypeObject* type) noexcept {
  if (type->tp_dealloc == dealloc) return;
  g_original_dealloc = type->tp_dealloc;
  type->tp_dealloc = dealloc;
}

}  // namespace coev::python
