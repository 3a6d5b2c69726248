// What coev keeps of an SSL object, _ssl._SSLSocket, beside what OpenSSL does.
//
// OpenSSL lets nobody enter an SSL object that somebody is inside of, and one may
// be for long: a callback written in Python may wait. And it encrypts what is to
// be written before it sends it, so a write that could not send all of it has to
// be repeated with the same bytes before any other: what would happen otherwise
// is that bytes of the one are sent for those of the other.
//
// Made at the first use of an SSL object, gone with it.
// THREAD: any that holds the GIL.
#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/lock.h"

namespace coev::python {

// A write that was given up after OpenSSL had begun it.
class UnfinishedWrite {
 public:
  void remember(std::string_view bytes) noexcept;
  void forget() noexcept { exists_ = false; }
  explicit operator bool() const noexcept { return exists_; }
  // Whether writing `bytes` goes on with it.
  [[nodiscard]] bool is_continued_by(std::string_view bytes) const noexcept;

 private:
  bool exists_ = false;
  std::size_t size_ = 0;
  std::size_t hash_ = 0;
};

struct SslConnection {
  RecursiveLock inside;  // while OpenSSL runs; callbacks may come in again
  Lock writing;          // from the first attempt of a write to its last
  UnfinishedWrite unfinished;
  // The last record was short, and read whole: before the next one comes there
  // is nothing to be had, neither from OpenSSL nor, most likely, from the kernel.
  bool drained = false;
  std::size_t record_bytes = 0;  // read of the current record
  std::uint32_t generation = 0;  // of forks; locks of an older one have no owner here

  // What there is of `ssl`, an SSL object.
  static SslConnection& of(PyObject* ssl) noexcept;
  // `type` is _ssl._SSLSocket, of one copy of the module.
  static void drop_with_objects_of(PyTypeObject* type) noexcept;
};

}  // namespace coev::python
