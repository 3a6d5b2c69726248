#include "start_response_type.h"

#include <cstddef>
#include <new>

#include "runtime.h"
#include "server.h"

namespace coewsgi {
namespace {

Response& response_of(PyObject* self) noexcept {
  return reinterpret_cast<StartResponse*>(self)->response;
}

PyObject* start_response_write(PyObject* self, PyObject* object) {
  Response& response = response_of(self);
  if (response.connection == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the request is over");
    return nullptr;
  }
  std::string_view data;
  if (!as_bytes(object, &data)) return nullptr;
  const ConnectionUse use(*response.connection);
  switch (send_body(response, data, false)) {
    case Sent::kAll:
      Py_RETURN_NONE;
    case Sent::kLost:
      PyErr_SetString(exceptions.client_disconnected, "the client closed the connection");
      return nullptr;
    default:
      return nullptr;
  }
}

PyMethodDef write_definition = {"write", start_response_write, METH_O,
                                "Sends a part of the body (PEP 3333)."};

// A second call needs the exception that it is about; once the head is sent, that exception is
// raised instead.
bool check_repeated(const Response& response, PyObject* exc_info) noexcept {
  if (exc_info == Py_None) {
    if (!response.started) return true;
    PyErr_SetString(PyExc_AssertionError, "start_response() was called already");
    return false;
  }
  if (PyTuple_Check(exc_info) == 0 || PyTuple_GET_SIZE(exc_info) != 3) {
    PyErr_SetString(PyExc_TypeError, "exc_info is a tuple of three");
    return false;
  }
  if (!response.head_sent) return true;
  PyObject* traceback = PyTuple_GET_ITEM(exc_info, 2);
  PyErr_Restore(Py_NewRef(PyTuple_GET_ITEM(exc_info, 0)), Py_NewRef(PyTuple_GET_ITEM(exc_info, 1)),
                traceback == Py_None ? nullptr : Py_NewRef(traceback));
  return false;
}

bool bad_arguments() noexcept {
  PyErr_SetString(PyExc_TypeError, "start_response(status, headers, exc_info=None)");
  return false;
}

bool parse_arguments(PyObject* const* args, Py_ssize_t count, PyObject* names,
                     PyObject** exc_info) noexcept {
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  *exc_info = Py_None;
  if (count < 2 || count + named > 3) return bad_arguments();
  if (named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "exc_info") != 0)
    return bad_arguments();
  if (count + named == 3) *exc_info = args[2];
  return true;
}

PyObject* start_response_call(PyObject* self, PyObject* const* args, std::size_t flags,
                              PyObject* names) {
  Response& response = response_of(self);
  PyObject* exc_info = nullptr;
  if (!parse_arguments(args, PyVectorcall_NARGS(flags), names, &exc_info)) return nullptr;
  if (response.connection == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the request is over");
    return nullptr;
  }
  if (!check_repeated(response, exc_info) || !response.start(args[0], args[1])) return nullptr;
  return PyCFunction_New(&write_definition, self);
}

void start_response_dealloc(PyObject* self) {
  response_of(self).~Response();
  PyObject_Free(self);
}

PyTypeObject start_response_type = {
    .ob_base = PyVarObject_HEAD_INIT(nullptr, 0).tp_name = "coewsgi.StartResponse",
    .tp_basicsize = sizeof(StartResponse),
    .tp_dealloc = start_response_dealloc,
    .tp_vectorcall_offset = offsetof(StartResponse, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
};

}  // namespace

bool ready_start_response_type() noexcept { return PyType_Ready(&start_response_type) == 0; }

StartResponse* take_start_response(Connection& connection, const RequestHead& head) noexcept {
  constexpr std::size_t kUsualHead = 512;
  StartResponse* start = connection.start_response;
  if (start == nullptr || Py_REFCNT(start) != 1) {
    if (start != nullptr) release_start_response(start);
    start = connection.start_response = PyObject_New(StartResponse, &start_response_type);
    if (start == nullptr) return nullptr;
    start->vectorcall = start_response_call;
    new (&start->response) Response;
    start->response.head.reserve(kUsualHead);
  }
  Response& response = start->response;
  response.clear();
  response.connection = &connection;
  response.minor = head.minor;
  response.to_head = head.method == "HEAD";
  response.keep_alive = head.keep_alive;
  return start;
}

void release_start_response(StartResponse* start) noexcept {
  start->response.connection = nullptr;
  Py_DECREF(start);
}

}  // namespace coewsgi
