#include "commands/large_object.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "commands/failure.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "session/deadline.h"
#include "values/error.h"

namespace psycoev::commands {

using session::Outcome;

namespace {

constexpr Py_ssize_t kBlockBytes = 1 << 18;

// Parameters in binary format: numbers in network order, and bytes as they are.
class Arguments {
 public:
  Arguments& number(Oid type, std::uint64_t value, int bytes) {
    char* place = storage_[count_];
    for (int i = bytes; i-- > 0; value >>= 8) place[i] = static_cast<char>(value & 0xFF);
    return add(type, place, bytes);
  }
  Arguments& int4(int value) { return number(kInt4, static_cast<std::uint32_t>(value), 4); }
  Arguments& int8(long long value) { return number(kInt8, static_cast<std::uint64_t>(value), 8); }
  Arguments& oid(Oid value) { return number(kOid, value, 4); }
  Arguments& bytes(const char* data, Py_ssize_t size) {
    return add(kBytea, data, static_cast<int>(size));
  }

  [[nodiscard]] session::Parameters parameters() const {
    static constexpr int kFormats[] = {1, 1, 1};
    return {count_, types_, values_, sizes_, kFormats, 1};
  }

 private:
  static constexpr Oid kBytea = 17, kInt8 = 20, kInt4 = 23, kOid = 26;

  Arguments& add(Oid type, const char* data, int size) {
    types_[count_] = type;
    values_[count_] = data;
    sizes_[count_++] = size;
    return *this;
  }

  int count_ = 0;
  Oid types_[3] = {};
  const char* values_[3] = {};
  int sizes_[3] = {};
  char storage_[3][8] = {};
};

// The one field of the one row of "select function(...)". Null with an exception set.
ResultPtr call(ConnectionObject* connection, const char* sql, const Arguments& arguments) {
  const std::int64_t deadline = statement_deadline(connection);
  const Turn turn(connection, deadline);
  if (!turn || !begin_if_needed(connection, nullptr, deadline)) return nullptr;
  session::Session* session = connection->session;
  ResultPtr result;
  const Outcome outcome = session->query_with(sql, arguments.parameters(), deadline, &result);
  if (outcome != Outcome::kDone) {
    raise_outcome(connection, nullptr, outcome);
    return nullptr;
  }
  if (!check(connection, nullptr, &result, deadline)) return nullptr;
  return result;
}

// A number in network order, of 4 or 8 bytes.
long long number_of(PGresult* result) {
  const auto* data = reinterpret_cast<const unsigned char*>(PQgetvalue(result, 0, 0));
  const int size = PQgetlength(result, 0, 0);
  std::uint64_t value = 0;
  for (int i = 0; i < size; ++i) value = value << 8 | data[i];
  if (size == 4) return static_cast<std::int32_t>(value);
  return static_cast<long long>(value);
}

// -1 with an exception set; so are the server's own answers below 0.
long long call_number(ConnectionObject* connection, const char* sql, const Arguments& arguments) {
  const ResultPtr result = call(connection, sql, arguments);
  if (result == nullptr) return -1;
  const long long number = number_of(result.get());
  if (number >= 0) return number;
  values::raise(values::exceptions.operational_error, nullptr,
                "the server's function for large objects failed");
  return -1;
}

Oid call_oid(ConnectionObject* connection, const char* sql, const Arguments& arguments) {
  const ResultPtr result = call(connection, sql, arguments);
  return result == nullptr ? InvalidOid : static_cast<Oid>(number_of(result.get()) & 0xFFFFFFFFLL);
}

// ---- local files, on a real thread ----

struct FileJob {
  int descriptor;
  bool writes;
  char* data;
  std::size_t size;  // what there is room for, or is to be written
  ssize_t done;
  int error;
  std::string path;  // opened first, where descriptor is below 0
};

void run_file_job(void* argument) {
  auto* job = static_cast<FileJob*>(argument);
  if (job->descriptor < 0) {
    const int flags = job->writes ? O_CREAT | O_WRONLY | O_TRUNC : O_RDONLY;
    job->descriptor = ::open(job->path.c_str(), flags | O_CLOEXEC, 0666);
    job->error = job->descriptor < 0 ? errno : 0;
    return;
  }
  for (std::size_t at = 0; at < job->size;) {
    const ssize_t n = job->writes ? ::write(job->descriptor, job->data + at, job->size - at)
                                  : ::read(job->descriptor, job->data + at, job->size - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      job->error = errno;
      return;
    }
    if (n == 0) break;
    at += static_cast<std::size_t>(n);
    job->done = static_cast<ssize_t>(at);
  }
}

void free_file_job(void* argument) {
  auto* job = static_cast<FileJob*>(argument);
  if (job->descriptor >= 0) ::close(job->descriptor);
  std::free(job->data);
  delete job;
}

// A local file whose calls run on a real thread; the job goes from one call to the next.
class LocalFile {
 public:
  explicit LocalFile(bool writes) : writes_(writes) {}
  LocalFile(const LocalFile&) = delete;
  LocalFile& operator=(const LocalFile&) = delete;
  ~LocalFile() {
    if (job_ != nullptr) free_file_job(job_);
  }

  bool open(const char* path) {
    job_ = new (std::nothrow) FileJob{-1, writes_, nullptr, 0, 0, 0, path};
    if (job_ == nullptr) return PyErr_NoMemory(), false;
    job_->data = static_cast<char*>(std::malloc(kBlockBytes));
    if (job_->data == nullptr) return PyErr_NoMemory(), false;
    return run(path);
  }
  // At most kBlockBytes; 0 at the end; below 0 with an exception set.
  Py_ssize_t read() {
    job_->size = kBlockBytes;
    return run(nullptr) ? job_->done : -1;
  }
  bool write(const char* data, Py_ssize_t size) {
    job_->size = static_cast<std::size_t>(size);
    std::memcpy(job_->data, data, job_->size);
    return run(nullptr);
  }
  [[nodiscard]] const char* data() const { return job_->data; }

 private:
  bool run(const char* path) {
    FileJob* job = std::exchange(job_, nullptr);
    job->done = 0;
    if (coev->offload_call(run_file_job, job, free_file_job, -1, COEV_KEEP) != 1) return false;
    job_ = job;
    if (job->error == 0) return true;
    char message[512];
    std::snprintf(message, sizeof message, "could not %s file \"%s\": %s",
                  path != nullptr ? "open"
                  : writes_       ? "write to"
                                  : "read from",
                  job->path.c_str(), std::strerror(job->error));
    values::raise(values::exceptions.operational_error, nullptr, message);
    return false;
  }

  bool writes_;
  FileJob* job_ = nullptr;
};

// Closes a descriptor of the server's on the way out, whatever happened.
bool close_after(ConnectionObject* connection, int descriptor, bool done) {
  if (done) return lo_close(connection, descriptor);
  const SavedException saved;
  // A failed statement has ended the transaction, and with it the descriptor.
  if (connection->session->transaction_status() == PQTRANS_INTRANS &&
      !lo_close(connection, descriptor)) {
    PyErr_Clear();
  }
  return false;
}

constexpr int kWrite = 0x20000;
constexpr int kRead = 0x40000;

}  // namespace

bool lo_begin(ConnectionObject* connection) {
  const std::int64_t deadline = statement_deadline(connection);
  const Turn turn(connection, deadline);
  return turn && begin_if_needed(connection, nullptr, deadline);
}

Oid lo_create(ConnectionObject* connection, Oid oid) {
  return call_oid(connection, "SELECT pg_catalog.lo_create($1)", Arguments().oid(oid));
}

int lo_open(ConnectionObject* connection, Oid oid, int mode) {
  return static_cast<int>(call_number(connection, "SELECT pg_catalog.lo_open($1, $2)",
                                      Arguments().oid(oid).int4(mode)));
}

bool lo_close(ConnectionObject* connection, int descriptor) {
  return call_number(connection, "SELECT pg_catalog.lo_close($1)", Arguments().int4(descriptor)) >=
         0;
}

PyObject* lo_read(ConnectionObject* connection, int descriptor, Py_ssize_t size) {
  // One answer of the server is at most a gigabyte.
  const int part = static_cast<int>(size < (1 << 29) ? size : (1 << 29));
  const ResultPtr result =
      call(connection, "SELECT pg_catalog.loread($1, $2)", Arguments().int4(descriptor).int4(part));
  if (result == nullptr) return nullptr;
  return PyBytes_FromStringAndSize(PQgetvalue(result.get(), 0, 0), PQgetlength(result.get(), 0, 0));
}

Py_ssize_t lo_write(ConnectionObject* connection, int descriptor, const char* data,
                    Py_ssize_t size) {
  for (Py_ssize_t at = 0; at < size;) {
    const Py_ssize_t part = size - at < kBlockBytes * 16 ? size - at : kBlockBytes * 16;
    const long long written = call_number(connection, "SELECT pg_catalog.lowrite($1, $2)",
                                          Arguments().int4(descriptor).bytes(data + at, part));
    if (written < 0) return -1;
    at += static_cast<Py_ssize_t>(written);
  }
  return size;
}

long long lo_seek(ConnectionObject* connection, int descriptor, long long offset, int whence) {
  return call_number(connection, "SELECT pg_catalog.lo_lseek64($1, $2, $3)",
                     Arguments().int4(descriptor).int8(offset).int4(whence));
}

long long lo_tell(ConnectionObject* connection, int descriptor) {
  return call_number(connection, "SELECT pg_catalog.lo_tell64($1)", Arguments().int4(descriptor));
}

bool lo_truncate(ConnectionObject* connection, int descriptor, long long size) {
  return call_number(connection, "SELECT pg_catalog.lo_truncate64($1, $2)",
                     Arguments().int4(descriptor).int8(size)) >= 0;
}

bool lo_unlink(ConnectionObject* connection, Oid oid) {
  return call_number(connection, "SELECT pg_catalog.lo_unlink($1)", Arguments().oid(oid)) >= 0;
}

Oid lo_import(ConnectionObject* connection, const char* path, Oid oid) {
  LocalFile file(false);
  if (!file.open(path)) return InvalidOid;
  const Oid created = lo_create(connection, oid);
  if (created == InvalidOid) return InvalidOid;
  const int descriptor = lo_open(connection, created, kWrite);
  if (descriptor < 0) return InvalidOid;
  Py_ssize_t size = 0;
  while ((size = file.read()) > 0) {
    if (lo_write(connection, descriptor, file.data(), size) < 0) size = -1;
    if (size < 0) break;
  }
  return close_after(connection, descriptor, size == 0) ? created : InvalidOid;
}

bool lo_export(ConnectionObject* connection, Oid oid, const char* path) {
  const int descriptor = lo_open(connection, oid, kRead);
  if (descriptor < 0) return false;
  LocalFile file(true);
  bool done = file.open(path);
  while (done) {
    const Ref data(lo_read(connection, descriptor, kBlockBytes));
    if (data && PyBytes_GET_SIZE(data.get()) == 0) break;
    done = data && file.write(PyBytes_AS_STRING(data.get()), PyBytes_GET_SIZE(data.get()));
  }
  return close_after(connection, descriptor, done);
}

}  // namespace psycoev::commands
