// A list as an array constructor: ARRAY[...].
#include "values/adapter.h"
#include "values/literals.h"

namespace psycoev::values {
namespace {

// Bounds what a list that contains itself can do.
class Recursion {
 public:
  Recursion() : entered_(Py_EnterRecursiveCall(" while quoting a list") == 0) {}
  Recursion(const Recursion&) = delete;
  Recursion& operator=(const Recursion&) = delete;
  ~Recursion() {
    if (entered_) Py_LeaveRecursiveCall();
  }
  explicit operator bool() const { return entered_; }

 private:
  bool entered_;
};

// The server has no type for ARRAY[NULL]; the string '{NULL}' takes any. 1, 0, or -1 with an
// exception set.
int is_all_null(PyObject* list) {
  const Recursion level;
  if (!level) return -1;
  if (PyList_GET_SIZE(list) == 0) return 0;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
    const Ref item = Ref::borrowed(PyList_GET_ITEM(list, i));
    if (item.get() == Py_None) continue;
    const int inner =
        PyList_Check(item.get()) && is_adapted_as_list(item.get()) ? is_all_null(item.get()) : 0;
    if (inner != 1) return inner;
  }
  return 1;
}

// "{NULL,{NULL}}", of a list that is_all_null() has seen.
void append_nulls(PyObject* list, Buffer& out) {
  out.push_back('{');
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
    if (i > 0) out.push_back(',');
    PyObject* item = PyList_GET_ITEM(list, i);
    if (item != Py_None && PyList_Check(item)) {
      append_nulls(item, out);
    } else {
      out.append("NULL");
    }
  }
  out.push_back('}');
}

bool write_array(PyObject* list, const LiteralScope& scope, Buffer& out);

bool write_item(PyObject* item, const LiteralScope& scope, Buffer& out) {
  if (item == Py_None) {
    out.append("NULL");
    return true;
  }
  if (PyList_Check(item) && is_adapted_as_list(item)) {
    if (PyList_GET_SIZE(item) > 0) return write_list(item, scope, out);
    out.append("ARRAY[]");
    return true;
  }
  return write_adapted(item, scope.connection, out);
}

bool write_array(PyObject* list, const LiteralScope& scope, Buffer& out) {
  out.append("ARRAY[");
  // Adapters of the items may change the list.
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
    if (i > 0) out.push_back(',');
    const Ref item = Ref::borrowed(PyList_GET_ITEM(list, i));
    if (!write_item(item.get(), scope, out)) return false;
  }
  out.push_back(']');
  return true;
}

}  // namespace

bool write_list(PyObject* value, const LiteralScope& scope, Buffer& out) {
  const Recursion level;
  if (!level) return false;
  if (PyList_GET_SIZE(value) == 0) {
    // The server finds a type for this one, unlike for ARRAY[].
    out.append("'{}'");
    return true;
  }
  const int nulls = is_all_null(value);
  if (nulls < 0) return false;
  if (nulls == 0) return write_array(value, scope, out);
  out.push_back('\'');
  append_nulls(value, out);
  out.push_back('\'');
  return true;
}

}  // namespace psycoev::values
