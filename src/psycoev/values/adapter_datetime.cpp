// Adapters of datetime's objects, and DB-API's constructors (PEP 249, "Type Objects and
// Constructors"), which give such adapters.

#include <cmath>
#include <ctime>

#include "members.h"
#include "values/adapter.h"
#include "values/adapter_object.h"
#include "values/datetime_api.h"
#include "values/error.h"

namespace psycoev::values {
namespace {

enum Kind { kTime, kDate, kTimestamp, kInterval };

constexpr WriteLiteral kWriters[] = {write_time, write_date, write_timestamp, write_interval};

PyTypeObject* datetime_adapter_type;

PyObject* wrap(PyObject* object, Kind kind) {
  Ref adapted(object);
  if (!adapted) return nullptr;
  PyObject* adapter = datetime_adapter_type->tp_alloc(datetime_adapter_type, 0);
  if (adapter == nullptr) return nullptr;
  as_adapter(adapter)->write = kWriters[kind];
  as_adapter(adapter)->kind = kind;
  as_adapter(adapter)->adapted = adapted.release();
  return adapter;
}

PyObject* adapter_make(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject* object;
  int kind = -1;
  if (!PyArg_ParseTuple(args, "O|i", &object, &kind)) return nullptr;
  PyObject* adapter = type->tp_alloc(type, 0);
  if (adapter == nullptr) return nullptr;
  as_adapter(adapter)->write = kWriters[kind >= kTime && kind <= kInterval ? kind : kTimestamp];
  as_adapter(adapter)->kind = kind;
  as_adapter(adapter)->adapted = Py_NewRef(object);
  return adapter;
}

PyMethodDef methods[] = {{"getquoted", adapter_getquoted, METH_NOARGS,
                          "getquoted() -> bytes\n\nThe literal of the wrapped object."},
                         {"__conform__", adapter_conform, METH_VARARGS, nullptr},
                         {nullptr}};
PyMemberDef members[] = {{"adapted", T_OBJECT, offsetof(AdapterObject, adapted), READONLY, nullptr},
                         {"type", T_INT, offsetof(AdapterObject, kind), READONLY, nullptr},
                         {nullptr}};
PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>("An adapter of datetime's objects.")},
                       {Py_tp_new, reinterpret_cast<void*>(adapter_make)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(adapter_dealloc)},
                       {Py_tp_traverse, reinterpret_cast<void*>(adapter_traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(adapter_clear)},
                       {Py_tp_str, reinterpret_cast<void*>(adapter_str)},
                       {Py_tp_methods, methods},
                       {Py_tp_members, members},
                       {0, nullptr}};
PyType_Spec spec = {"psycoev._psycopg.datetime", sizeof(AdapterObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, slots};

PyTypeObject* type_of(Kind kind) {
  switch (kind) {
    case kTime:
      return PyDateTimeAPI->TimeType;
    case kDate:
      return PyDateTimeAPI->DateType;
    case kTimestamp:
      return PyDateTimeAPI->DateTimeType;
    case kInterval:
      break;
  }
  return PyDateTimeAPI->DeltaType;
}

template <Kind kind>
PyObject* from_python(PyObject*, PyObject* args) {
  PyObject* object;
  if (!PyArg_ParseTuple(args, "O!", type_of(kind), &object)) return nullptr;
  return wrap(Py_NewRef(object), kind);
}

// 3.25 -> 3 and 250000; 1000000 where the fraction rounds up to a whole second.
void split_seconds(double seconds, double& whole, int& microseconds) {
  whole = std::floor(seconds);
  microseconds = static_cast<int>(std::round((seconds - whole) * 1e6));
}

bool to_second(double seconds, int& second, int& microsecond) {
  double whole;
  split_seconds(seconds, whole, microsecond);
  if (!(std::fabs(whole) < 1e9)) {
    PyErr_SetString(PyExc_ValueError, "second must be in 0..59");
    return false;
  }
  second = static_cast<int>(whole);
  return true;
}

PyObject* make_date_object(PyObject*, PyObject* args) {
  int year;
  int month;
  int day;
  if (!PyArg_ParseTuple(args, "iii", &year, &month, &day)) return nullptr;
  return wrap(PyDate_FromDate(year, month, day), kDate);
}

PyObject* make_time_object(PyObject*, PyObject* args) {
  int hour;
  int minute;
  double seconds;
  PyObject* zone = Py_None;
  if (!PyArg_ParseTuple(args, "iid|O", &hour, &minute, &seconds, &zone)) return nullptr;
  int second;
  int microsecond;
  if (!to_second(seconds, second, microsecond)) return nullptr;
  return wrap(PyDateTimeAPI->Time_FromTime(hour, minute, second, microsecond, zone,
                                           PyDateTimeAPI->TimeType),
              kTime);
}

PyObject* make_timestamp_object(PyObject*, PyObject* args) {
  int year;
  int month;
  int day;
  int hour = 0;
  int minute = 0;
  double seconds = 0;
  PyObject* zone = Py_None;
  if (!PyArg_ParseTuple(args, "iii|iidO", &year, &month, &day, &hour, &minute, &seconds, &zone)) {
    return nullptr;
  }
  int second;
  int microsecond;
  if (!to_second(seconds, second, microsecond)) return nullptr;
  return wrap(
      PyDateTimeAPI->DateTime_FromDateAndTime(year, month, day, hour, minute, second, microsecond,
                                              zone, PyDateTimeAPI->DateTimeType),
      kTimestamp);
}

// Local time of seconds since 1970 UTC.
bool local_time(PyObject* args, std::tm& local, int& microsecond) {
  double ticks;
  if (!PyArg_ParseTuple(args, "d", &ticks)) return false;
  double whole;
  split_seconds(ticks, whole, microsecond);
  if (microsecond == 1000000) {
    microsecond = 0;
    whole += 1;
  }
  // 1e17 seconds are three billion years: no time_t overflows, localtime_r() says no by itself.
  const std::time_t seconds = std::fabs(whole) < 1e17 ? static_cast<std::time_t>(whole) : 0;
  if (!(std::fabs(whole) < 1e17) || localtime_r(&seconds, &local) == nullptr) {
    raise(exceptions.interface_error, nullptr, "failed localtime call");
    return false;
  }
  return true;
}

PyObject* date_from_ticks(PyObject*, PyObject* args) {
  std::tm local;
  int microsecond;
  if (!local_time(args, local, microsecond)) return nullptr;
  return wrap(PyDate_FromDate(local.tm_year + 1900, local.tm_mon + 1, local.tm_mday), kDate);
}

PyObject* time_from_ticks(PyObject*, PyObject* args) {
  std::tm local;
  int microsecond;
  if (!local_time(args, local, microsecond)) return nullptr;
  return wrap(PyTime_FromTime(local.tm_hour, local.tm_min, local.tm_sec, microsecond), kTime);
}

PyObject* timestamp_from_ticks(PyObject*, PyObject* args) {
  std::tm local;
  int microsecond;
  if (!local_time(args, local, microsecond)) return nullptr;
  const Ref offset(PyDelta_FromDSU(0, static_cast<int>(local.tm_gmtoff), 0));
  const Ref name(offset ? PyUnicode_FromString(local.tm_zone) : nullptr);
  const Ref zone(name ? PyTimeZone_FromOffsetAndName(offset.get(), name.get()) : nullptr);
  if (!zone) return nullptr;
  return wrap(PyDateTimeAPI->DateTime_FromDateAndTime(
                  local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour,
                  local.tm_min, local.tm_sec, microsecond, zone.get(), PyDateTimeAPI->DateTimeType),
              kTimestamp);
}

PyMethodDef functions[] = {
    {"DateFromPy", from_python<kDate>, METH_VARARGS,
     "DateFromPy(date) -> adapter of a datetime.date"},
    {"TimeFromPy", from_python<kTime>, METH_VARARGS,
     "TimeFromPy(time) -> adapter of a datetime.time"},
    {"TimestampFromPy", from_python<kTimestamp>, METH_VARARGS,
     "TimestampFromPy(datetime) -> adapter of a datetime.datetime"},
    {"IntervalFromPy", from_python<kInterval>, METH_VARARGS,
     "IntervalFromPy(timedelta) -> adapter of a datetime.timedelta"},
    {"Date", make_date_object, METH_VARARGS, "Date(year, month, day) -> adapter"},
    {"Time", make_time_object, METH_VARARGS, "Time(hour, minute, second, tzinfo=None) -> adapter"},
    {"Timestamp", make_timestamp_object, METH_VARARGS,
     "Timestamp(year, month, day, hour=0, minute=0, second=0, tzinfo=None) -> adapter"},
    {"DateFromTicks", date_from_ticks, METH_VARARGS,
     "DateFromTicks(ticks) -> adapter\n\n*ticks*: seconds since 1970 UTC; the local day."},
    {"TimeFromTicks", time_from_ticks, METH_VARARGS,
     "TimeFromTicks(ticks) -> adapter\n\n*ticks*: seconds since 1970 UTC; the local time."},
    {"TimestampFromTicks", timestamp_from_ticks, METH_VARARGS,
     "TimestampFromTicks(ticks) -> adapter\n\n"
     "*ticks*: seconds since 1970 UTC; local time with its zone."},
    {nullptr}};

}  // namespace

bool add_datetime_adapters(PyObject* module) {
  if (!import_datetime() || !prepare_datetime_literals()) return false;
  datetime_adapter_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return datetime_adapter_type != nullptr && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace psycoev::values
