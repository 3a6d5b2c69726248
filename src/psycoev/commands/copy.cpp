#include "commands/copy.h"

#include <cstdlib>
#include <cstring>

#include "commands/failure.h"
#include "commands/turn.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev::commands {

using session::Outcome;
using values::exceptions;

namespace {

// Rows that were received are given to write() in blocks of about this many bytes.
constexpr std::size_t kBlockBytes = 1 << 16;

// One COPY under way. Every method is false with an exception set, and has then brought the
// connection back into step or closed it.
class Copying {
 public:
  Copying(ConnectionObject* connection, CursorObject* cursor, const CopyFile& file,
          std::int64_t deadline)
      : connection_(connection),
        session_(connection->session),
        cursor_(cursor),
        file_(file),
        deadline_(deadline) {}
  Copying(const Copying&) = delete;
  Copying& operator=(const Copying&) = delete;
  ~Copying() { std::free(block_); }

  bool send_all() {
    for (;;) {
      const Ref data(next_data());
      if (!data) return end_with_error();
      const Py_ssize_t size = PyBytes_GET_SIZE(data.get());
      if (size == 0) break;
      if (!put(PyBytes_AS_STRING(data.get()), size)) return false;
    }
    return end(nullptr);
  }

  bool receive_all() {
    for (bool is_lost = false;;) {
      char* data = nullptr;
      const int size = PQgetCopyData(connection_->pg, &data, 1);
      if (size > 0) {
        const LibpqText row(data);
        if (!append(row.get(), static_cast<std::size_t>(size))) return false;
        continue;
      }
      // What is there goes out before a wait, and at the end.
      if (!write_block()) return false;
      if (size == -1) return true;
      if (size == -2 || is_lost) return fail(Outcome::kFailed);
      const Outcome outcome = session_->wait_and_read(COEV_READABLE, deadline_);
      // Rows, and what the server said last, may have come before the connection was lost.
      is_lost = outcome == Outcome::kFailed;
      if (!is_lost && outcome != Outcome::kDone) return fail(outcome);
    }
  }

 private:
  bool fail(Outcome outcome) {
    raise_outcome(connection_, cursor_, session_->conclude(outcome));
    return false;
  }

  // ---- to the server ----

  PyObject* next_data() {
    Ref data(PyObject_CallFunction(file_.read, "n", file_.block));
    if (!data) return nullptr;
    if (PyBytes_Check(data.get())) return data.release();
    if (PyUnicode_Check(data.get())) return values::encode(data.get(), connection_);
    PyErr_Format(PyExc_TypeError, ".read() returned %.100s, not bytes or a string",
                 Py_TYPE(data.get())->tp_name);
    return nullptr;
  }

  bool put(const char* data, Py_ssize_t size) {
    while (size > 0) {
      if (connection_->pg == nullptr) return fail(Outcome::kClosed);
      const int part = static_cast<int>(size < (1 << 20) ? size : (1 << 20));
      const int taken = PQputCopyData(connection_->pg, data, part);
      if (taken < 0) return fail(Outcome::kFailed);
      if (taken > 0) {
        data += part;
        size -= part;
      }
      // libpq's buffer would grow without limit.
      const Outcome outcome = session_->flush(deadline_);
      if (outcome != Outcome::kDone) return fail(outcome);
    }
    return true;
  }

  bool end(const char* error) {
    if (connection_->pg == nullptr) return fail(Outcome::kClosed);
    for (;;) {
      const int taken = PQputCopyEnd(connection_->pg, error);
      if (taken < 0) return fail(Outcome::kFailed);
      const Outcome outcome = session_->flush(deadline_);
      if (outcome != Outcome::kDone) return fail(outcome);
      if (taken > 0) return true;
    }
  }

  // read() failed: the server ends the COPY with an error that quotes the exception.
  bool end_with_error() {
    if (connection_->pg == nullptr) return fail(Outcome::kClosed);
    // A kill and a timeout are for whoever asked for them, not for the server to quote.
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_TimeoutError)) {
      return fail(Outcome::kInterrupted);
    }
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != nullptr) PyException_SetTraceback(value, traceback);
    const Ref cause(value);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    char message[512] = "error in .read() call";
    const Ref text(PyObject_Str(cause.get()));
    const char* utf8 = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
    PyErr_Clear();
    PyOS_snprintf(message, sizeof message, "error in .read() call: %s %s",
                  Py_TYPE(cause.get())->tp_name, utf8 != nullptr ? utf8 : "");
    cut_character(message);
    ResultPtr result;
    if (!end(message)) return false;
    const Outcome outcome = session_->conclude(session_->collect(deadline_, &result));
    if (outcome != Outcome::kDone) {
      raise_outcome(connection_, cursor_, outcome);
    } else {
      values::raise_from_result(connection_, cursor_, result.release());
    }
    set_cause(cause.get());
    return false;
  }

  // A message that was cut must not end within a character of UTF-8.
  static void cut_character(char* message) {
    std::size_t size = std::strlen(message);
    if (size < 511) return;
    while (size > 0 && (static_cast<unsigned char>(message[size - 1]) & 0xC0) == 0x80) --size;
    if (size > 0) --size;
    message[size] = '\0';
  }

  static void set_cause(PyObject* cause) {
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != nullptr) PyException_SetCause(value, Py_NewRef(cause));
    PyErr_Restore(type, value, traceback);
  }

  // ---- from the server ----

  bool append(const char* data, std::size_t size) {
    if (used_ + size > room_ && !grow(size)) return false;
    std::memcpy(block_ + used_, data, size);
    used_ += size;
    return used_ < kBlockBytes || write_block();
  }

  bool grow(std::size_t size) {
    const std::size_t room = used_ + size > 2 * kBlockBytes ? used_ + size : 2 * kBlockBytes;
    auto* larger = static_cast<char*>(std::realloc(block_, room));
    if (larger == nullptr) {
      PyErr_NoMemory();
      return fail(Outcome::kInterrupted);
    }
    block_ = larger;
    room_ = room;
    return true;
  }

  bool write_block() {
    if (used_ == 0) return true;
    const auto size = static_cast<Py_ssize_t>(std::exchange(used_, 0));
    const Ref data(file_.is_text ? values::decode(block_, size, connection_)
                                 : PyBytes_FromStringAndSize(block_, size));
    const Ref done(data ? PyObject_CallOneArg(file_.write, data.get()) : nullptr);
    if (connection_->pg == nullptr) return done ? fail(Outcome::kClosed) : false;
    return done ? true : fail(Outcome::kInterrupted);
  }

  ConnectionObject* connection_;
  session::Session* session_;
  CursorObject* cursor_;
  const CopyFile& file_;
  std::int64_t deadline_;
  char* block_ = nullptr;
  std::size_t used_ = 0;
  std::size_t room_ = 0;
};

bool require_method(PyObject* found, const char* name, ConnectionObject* connection) {
  if (found != nullptr) return true;
  PyErr_Format(PyExc_TypeError, "the file needs a .%s() method for this COPY", name);
  connection->session->conclude(Outcome::kInterrupted);
  return false;
}

}  // namespace

bool copy(ConnectionObject* connection, CursorObject* cursor, const char* sql, const CopyFile& file,
          std::int64_t deadline, ResultPtr* result) {
  session::Session* session = connection->session;
  Outcome outcome = session->query(sql, deadline, result);
  if (outcome != Outcome::kDone) {
    raise_outcome(connection, cursor, outcome);
    return false;
  }
  if (!follow_settings(connection)) return false;
  const ExecStatusType status = PQresultStatus(result->get());
  if (status != PGRES_COPY_IN && status != PGRES_COPY_OUT) return true;
  Copying copying(connection, cursor, file, deadline);
  const bool done = status == PGRES_COPY_IN
                        ? require_method(file.read, "read", connection) && copying.send_all()
                        : require_method(file.write, "write", connection) && copying.receive_all();
  if (!done) return false;
  outcome = session->conclude(session->collect(deadline, result));
  if (outcome == Outcome::kDone) return true;
  raise_outcome(connection, cursor, outcome);
  return false;
}

}  // namespace psycoev::commands
