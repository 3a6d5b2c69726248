#include "application.h"

#include <ctime>

#include "error_response.h"
#include "file_wrapper_type.h"
#include "runtime.h"
#include "server.h"

namespace coewsgi {
namespace {

bool is_sequence(PyObject* object) noexcept {
  return PyList_CheckExact(object) || PyTuple_CheckExact(object);
}

Sent send_items(Response& response, PyObject* iterable) noexcept {
  const Ref iterator = Ref::steal(PyObject_GetIter(iterable));
  if (!iterator) return Sent::kRaised;
  for (;;) {
    const Ref item = Ref::steal(PyIter_Next(iterator.get()));
    if (!item) return PyErr_Occurred() != nullptr ? Sent::kRaised : finish(response);
    std::string_view data;
    if (!as_bytes(item.get(), &data)) return Sent::kRaised;
    const Sent sent = send_body(response, data, false);
    if (sent != Sent::kAll) return sent;
  }
}

// A list or tuple is all of the body, so its length is known.
Sent send_sequence(Response& response, PyObject* sequence) noexcept {
  if (Py_SIZE(sequence) == 1) {
    const Ref item = Ref::borrow(PyList_CheckExact(sequence) ? PyList_GET_ITEM(sequence, 0)
                                                             : PyTuple_GET_ITEM(sequence, 0));
    std::string_view data;
    if (!as_bytes(item.get(), &data)) return Sent::kRaised;
    const Sent sent = send_body(response, data, !response.head_sent);
    return sent == Sent::kAll ? finish(response) : sent;
  }
  // A tuple of our own: the application may change its list while others run.
  const Ref items = Ref::steal(PySequence_Tuple(sequence));
  if (!items) return Sent::kRaised;
  std::string_view data;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
    if (!as_bytes(PyTuple_GET_ITEM(items.get(), i), &data)) return Sent::kRaised;
  }
  if (response.head_sent) return send_items(response, items.get());
  const Sent sent = send_whole(response, items.get());
  return sent == Sent::kAll ? finish(response) : sent;
}

Sent send_result(Response& response, PyObject* result) noexcept {
  if (response.connection->taken_over) return Sent::kAll;
  if (is_sequence(result)) return send_sequence(response, result);
  if (is_file_wrapper(result)) {
    const int done = send_wrapped_file(response, result);
    if (done < 0) return Sent::kRaised;
    if (done > 0) return response.connection->lost ? Sent::kLost : Sent::kAll;
  }
  return send_items(response, result);
}

// close() is called in every case (PEP 3333). false: it raised; an exception that was set
// before stays.
bool close_result(PyObject* result) noexcept {
  if (is_sequence(result)) return true;
  const bool had_exception = PyErr_Occurred() != nullptr;
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  const Ref close = Ref::steal(PyObject_GetAttr(result, strings.close));
  bool closed = true;
  if (close) {
    closed = static_cast<bool>(Ref::steal(PyObject_CallNoArgs(close.get())));
  } else if (PyErr_ExceptionMatches(PyExc_AttributeError) != 0) {
    PyErr_Clear();
  } else {
    closed = false;
  }
  if (had_exception) {
    if (!closed) PyErr_WriteUnraisable(result);
    PyErr_Restore(type, value, traceback);
    return true;
  }
  return closed;
}

}  // namespace

Sent run_application(Response& response, PyObject* environ) noexcept {
  PyObject* start = reinterpret_cast<PyObject*>(response.connection->start_response);
  PyObject* application = response.connection->server.settings().application.get();
  PyObject* args[] = {nullptr, environ, start};
  const Ref result = Ref::steal(
      PyObject_Vectorcall(application, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
  if (!result) return Sent::kRaised;
  const Sent sent = send_result(response, result.get());
  return close_result(result.get()) ? sent : Sent::kRaised;
}

void report_exception(const Connection& connection, PyObject* environ) noexcept {
  const Ref exception = take_exception();
  PyObject* hook = connection.server.settings().on_error.get();
  Ref done;
  if (hook != nullptr) {
    done = Ref::steal(PyObject_CallFunctionObjArgs(hook, environ, exception.get(), nullptr));
  } else {
    const Ref module = Ref::steal(PyImport_ImportModule("traceback"));
    PyObject* errors = PyDict_GetItemWithError(environ, strings.wsgi_errors);
    const Ref keywords =
        errors == nullptr ? Ref() : Ref::steal(Py_BuildValue("{sO}", "file", errors));
    const Ref print =
        module ? Ref::steal(PyObject_GetAttrString(module.get(), "print_exception")) : Ref();
    const Ref arguments = Ref::steal(PyTuple_Pack(1, exception.get()));
    if (print && arguments)
      done = Ref::steal(PyObject_Call(print.get(), arguments.get(), keywords.get()));
  }
  if (!done && PyErr_Occurred() != nullptr && is_plain_exception()) PyErr_WriteUnraisable(hook);
}

void log_access(const Connection& connection, PyObject* environ, PyObject* status, int code,
                PyObject* fields, std::int64_t body_bytes, Nanoseconds began) noexcept {
  PyObject* hook = connection.server.settings().access_log.get();
  if (hook == nullptr || environ == nullptr) return;
  const double seconds = static_cast<double>(now_ns() - began) * 1e-9;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const double started =
      static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 - seconds;
  const Ref line = status != nullptr ? Ref::borrow(status) : Ref::steal(latin1(status_line(code)));
  const Ref list = fields != nullptr ? Ref::borrow(fields) : Ref::steal(PyList_New(0));
  if (!line || !list) {
    PyErr_Clear();
    return;
  }
  const Ref done =
      Ref::steal(PyObject_CallFunction(hook, "OOOLdd", environ, line.get(), list.get(),
                                       static_cast<long long>(body_bytes), started, seconds));
  if (!done && is_plain_exception()) PyErr_WriteUnraisable(hook);
}

}  // namespace coewsgi
