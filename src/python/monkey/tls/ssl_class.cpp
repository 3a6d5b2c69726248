#include "python/monkey/tls/ssl_class.h"

#include "python/base/buffer_view.h"
#include "python/base/known_class.h"
#include "python/base/ref.h"
#include "python/cpython/thread_state.h"
#include "python/monkey/tls/ssl_methods.h"

namespace coev::python {
namespace {

constexpr Py_ssize_t kUsualBytes = 1024;  // what recv() asks for if nobody says

enum Method { kRecv, kRecvInto, kSend, kSendall, kMethods };

// Every object is kept until the process ends.
struct SslClass {
  KnownClass known;
  PyObject* error = nullptr;      // ssl.SSLError
  PyObject* error_eof = nullptr;  // ssl.SSL_ERROR_EOF
  PyObject* sslobj = PyUnicode_InternFromString("_sslobj");
  PyObject* usual_bytes = PyLong_FromSsize_t(kUsualBytes);
  PyObject* in_python[kMethods] = {};  // the methods that Lib/ssl.py defines
};
SslClass* g_class = nullptr;

PyObject* call_in_python(Method method, PyObject* self, PyObject* const* arguments,
                         Py_ssize_t count, PyObject* keywords) noexcept {
  const Ref bound = Ref::steal(PyMethod_New(g_class->in_python[method], self));
  return bound ? PyObject_Vectorcall(bound.get(), arguments, count, keywords) : nullptr;
}

// The SSL object of a call with one argument or less. Empty: the method in Python is to
// be called.
Ref ordinary(PyObject* self, Py_ssize_t count, PyObject* keywords) noexcept {
  if (count > 1 || keywords != nullptr || !g_class->known.is(Py_TYPE(self))) return {};
  Ref connection = Ref::steal(PyObject_GetAttr(self, g_class->sslobj));
  if (connection && ssl_methods::is_connection(Py_TYPE(connection.get()))) return connection;
  PyErr_Clear();
  return {};
}

// Whether the exception that is set says that the peer closed the connection without TLS's
// closing message, and the user has not asked to be told of that (suppress_ragged_eofs). The
// exception is cleared if so, because the stream has ended like any other.
bool is_suppressed_end(PyObject* self) noexcept {
  if (PyErr_ExceptionMatches(g_class->error) == 0) return false;
  const Ref error = Ref::steal(thread_state::take_exception());
  const Ref values = Ref::steal(PyObject_GetAttrString(error.get(), "args"));
  const Ref code = Ref::steal(values ? PySequence_GetItem(values.get(), 0) : nullptr);
  const Ref suppress = Ref::steal(PyObject_GetAttrString(self, "suppress_ragged_eofs"));
  const bool suppressed = code && suppress &&
                          PyObject_RichCompareBool(code.get(), g_class->error_eof, Py_EQ) == 1 &&
                          PyObject_IsTrue(suppress.get()) == 1;
  PyErr_Clear();
  if (!suppressed) thread_state::restore_exception(error.get());
  return suppressed;
}

PyObject* recv(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  const Ref connection = ordinary(self, count, keywords);
  if (!connection) return call_in_python(kRecv, self, arguments, count, keywords);
  PyObject* result =
      ssl_methods::read(connection.get(), count == 1 ? arguments : &g_class->usual_bytes, 1);
  if (result != nullptr || !is_suppressed_end(self)) return result;
  return PyBytes_FromStringAndSize(nullptr, 0);
}

// The size of a buffer, as recv_into() takes it if nobody says; nullptr with no exception set
// where the method in Python is to find out. Early releases of 3.11 take the length of the
// buffer, which is its size only where each item is a byte.
Ref size_of(PyObject* buffer) noexcept {
  if (!PyByteArray_Check(buffer) && !PyMemoryView_Check(buffer)) return {};
  const BufferView view(buffer, PyBUF_WRITABLE);
  const Py_ssize_t length = view ? PyObject_Size(buffer) : -1;
  PyErr_Clear();
  if (length < 0 || static_cast<std::size_t>(length) != view.size()) return {};
  return Ref::steal(PyLong_FromSsize_t(length != 0 ? length : kUsualBytes));
}

PyObject* recv_into(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  const Ref connection = count == 1 ? ordinary(self, count, keywords) : Ref();
  const Ref bytes = connection ? size_of(arguments[0]) : Ref();
  if (!bytes) return call_in_python(kRecvInto, self, arguments, count, keywords);
  PyObject* const given[] = {bytes.get(), arguments[0]};
  PyObject* result = ssl_methods::read(connection.get(), given, 2);
  return result != nullptr || !is_suppressed_end(self) ? result : PyLong_FromLong(0);
}

PyObject* send(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  const Ref connection = count == 1 ? ordinary(self, count, keywords) : Ref();
  if (!connection) return call_in_python(kSend, self, arguments, count, keywords);
  return ssl_methods::write(connection.get(), arguments[0]);
}

PyObject* sendall(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                  PyObject* keywords) {
  const bool is_bytes =
      count == 1 && PyBytes_CheckExact(arguments[0]) && PyBytes_GET_SIZE(arguments[0]) > 0;
  const Ref connection = is_bytes ? ordinary(self, count, keywords) : Ref();
  if (!connection) return call_in_python(kSendall, self, arguments, count, keywords);
  const Ref result = Ref::steal(ssl_methods::write(connection.get(), arguments[0]));
  if (!result) return nullptr;
  const Py_ssize_t sent = PyLong_AsSsize_t(result.get());
  const Py_ssize_t bytes = PyBytes_GET_SIZE(arguments[0]);
  if (sent >= bytes) Py_RETURN_NONE;
  const Ref all = Ref::steal(PyMemoryView_FromObject(arguments[0]));
  const Ref rest = Ref::steal(all ? PySequence_GetSlice(all.get(), sent, bytes) : nullptr);
  if (!rest) return nullptr;
  PyObject* const unsent = rest.get();
  return call_in_python(kSendall, self, &unsent, 1, nullptr);
}

PyMethodDef methods[kMethods] = {
    {"recv", as_method(recv), METH_FASTCALL | METH_KEYWORDS,
     "recv($self, buflen=1024, flags=0)\n--\n\n"},
    {"recv_into", as_method(recv_into), METH_FASTCALL | METH_KEYWORDS,
     "recv_into($self, buffer, nbytes=None, flags=0)\n--\n\n"},
    {"send", as_method(send), METH_FASTCALL | METH_KEYWORDS, "send($self, data, flags=0)\n--\n\n"},
    {"sendall", as_method(sendall), METH_FASTCALL | METH_KEYWORDS,
     "sendall($self, data, flags=0)\n--\n\n"}};

// Keeps the method of `type` and puts ours in its place. False with an exception set.
bool replace(PyObject* type, Method method) noexcept {
  PyMethodDef& ours = methods[method];
  g_class->in_python[method] = PyObject_GetAttrString(type, ours.ml_name);
  if (g_class->in_python[method] == nullptr) return false;
  const Ref descriptor =
      Ref::steal(PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(type), &ours));
  return descriptor && PyObject_SetAttrString(type, ours.ml_name, descriptor.get()) == 0;
}

// ssl.SSLSocket, the names that matter, ssl.SSLError, ssl.SSL_ERROR_EOF.
PyObject* patch_ssl_class(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 4 || !PyType_Check(arguments[0]) || !PyTuple_Check(arguments[1])) {
    PyErr_BadArgument();
    return nullptr;
  }
  PyObject* type = arguments[0];
  g_class = new SslClass;
  g_class->error = Py_NewRef(arguments[2]);
  g_class->error_eof = Py_NewRef(arguments[3]);
  for (const Method method : {kRecv, kRecvInto, kSend, kSendall}) {
    if (!replace(type, method)) return nullptr;
  }
  if (!g_class->known.learn(reinterpret_cast<PyTypeObject*>(type), arguments[1])) return nullptr;
  Py_RETURN_NONE;
}

}  // namespace

PyMethodDef ssl_class_functions[] = {
    {"_patch_ssl_class", as_method(patch_ssl_class), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace coev::python
