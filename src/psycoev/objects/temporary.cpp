#include "objects/objects.h"
namespace psycoev::objects {
PyTypeObject* lobject_type;
bool add_to_module(PyObject*) {
  lobject_type = &PyUnicode_Type;
  return true;
}
PyObject* make_description(CursorObject*, const PGresult* r) { return PyTuple_New(PQnfields(r)); }
PyObject* notify_new(ConnectionObject*, const PGnotify* n) {
  return Py_BuildValue("(iss)", n->be_pid, n->relname, n->extra);
}
PyObject* xid_ensure(PyObject* o) { return Py_NewRef(o); }
PyObject* xid_new(PyObject* a, PyObject* b, PyObject* c) { return Py_BuildValue("(OOO)", a, b, c); }
PyObject* xid_transaction_id(PyObject* x) { return PyObject_Str(x); }
PyObject* xid_recover(PyObject*) { return PyList_New(0); }
}  // namespace psycoev::objects
