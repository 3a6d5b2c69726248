#include "values/row_decoder.h"

#include "values/binary_casts.h"
#include "values/typecast.h"
#include "values/typecaster.h"

namespace psycoev::values {

RowDecoder::~RowDecoder() {
  for (int i = 0; i < column_count_; ++i) Py_XDECREF(columns_[i].typecaster);
  PyMem_Free(columns_);
}

bool RowDecoder::prepare(CursorObject* cursor, const PGresult* result) {
  const int count = PQnfields(result);
  columns_ = static_cast<Column*>(PyMem_Calloc(static_cast<size_t>(count) + 1, sizeof(Column)));
  if (columns_ == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  column_count_ = count;
  atoms_ = true;
  for (int i = 0; i < count; ++i) {
    if (!choose(columns_[i], cursor, PQftype(result, i), PQfformat(result, i) == 1)) return false;
  }
  return true;
}

bool RowDecoder::choose(Column& column, CursorObject* cursor, Oid oid, bool binary) {
  const Ref key(PyLong_FromUnsignedLong(oid));
  if (!key) return false;
  PyObject* typecaster = find_typecaster(cursor, key.get(), binary);
  if (typecaster == nullptr) {
    if (PyErr_Occurred()) return false;
    if (binary) {
      const BinaryCast chosen = binary_cast_of(oid);
      column.cast = chosen.cast;
      atoms_ = atoms_ && chosen.gives_atoms;
      return true;
    }
    typecaster = default_typecaster(binary);
  }
  column.typecaster = Py_NewRef(typecaster);
  const bool is_ours = is_typecaster(typecaster);
  if (is_ours) column.cast = as_typecaster(typecaster)->cast;
  atoms_ = atoms_ && is_ours && as_typecaster(typecaster)->gives_atoms;
  return true;
}

PyObject* RowDecoder::value(CursorObject* cursor, const PGresult* result, int row,
                            int index) const {
  const Column& column = columns_[index];
  const int size = PQgetlength(result, row, index);
  const bool is_null = size == 0 && PQgetisnull(result, row, index);
  if (column.cast != nullptr) {
    if (is_null) return Py_NewRef(Py_None);
    return column.cast(PQgetvalue(result, row, index), size, cursor);
  }
  const char* data = is_null ? nullptr : PQgetvalue(result, row, index);
  return cast_value(column.typecaster, data, size, cursor);
}

PyObject* RowDecoder::build(CursorObject* cursor, const PGresult* result, int row) {
  if (cursor->row_factory != nullptr && cursor->row_factory != Py_None) {
    return fill(cursor, result, row);
  }
  const int count = column_count_;
  Ref tuple(PyTuple_New(count));
  if (!tuple) return nullptr;
  for (int i = 0; i < count; ++i) {
    PyObject* item = value(cursor, result, row, i);
    if (item == nullptr) return nullptr;
    PyTuple_SET_ITEM(tuple.get(), i, item);
  }
  // A tuple of atoms is in no cycle: the garbage collector need not walk over it.
  if (atoms_ && count > 0) PyObject_GC_UnTrack(tuple.get());
  return tuple.release();
}

PyObject* RowDecoder::fill(CursorObject* cursor, const PGresult* result, int row) {
  const Ref factory = Ref::borrowed(cursor->row_factory);
  Ref object(PyObject_CallOneArg(factory.get(), reinterpret_cast<PyObject*>(cursor)));
  if (!object) return nullptr;
  for (int i = 0; i < column_count_; ++i) {
    const Ref item(value(cursor, result, row, i));
    if (!item || PySequence_SetItem(object.get(), i, item.get()) < 0) return nullptr;
  }
  return object.release();
}

}  // namespace psycoev::values
