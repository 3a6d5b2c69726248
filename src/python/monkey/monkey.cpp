#include "python/monkey/monkey.h"

#include "python/monkey/files/descriptor_io.h"
#include "python/monkey/files/file_io.h"
#include "python/monkey/files/file_locks.h"
#include "python/monkey/files/line_input.h"
#include "python/monkey/files/sqlite_methods.h"
#include "python/monkey/libraries/libraries.h"
#include "python/monkey/locks/condition_methods.h"
#include "python/monkey/locks/event_methods.h"
#include "python/monkey/locks/import_lock.h"
#include "python/monkey/locks/native_locks.h"
#include "python/monkey/locks/queue_methods.h"
#include "python/monkey/processes/processes.h"
#include "python/monkey/processes/semaphores.h"
#include "python/monkey/signals/signal_masks.h"
#include "python/monkey/signals/signal_waiting.h"
#include "python/monkey/sockets/select_methods.h"
#include "python/monkey/sockets/socket_class.h"
#include "python/monkey/sockets/socket_methods.h"
#include "python/monkey/threads/interpreters.h"
#include "python/monkey/threads/preemption.h"
#include "python/monkey/threads/thread_methods.h"
#include "python/monkey/threads/thread_module.h"
#include "python/monkey/tls/ssl_class.h"
#include "python/monkey/tls/ssl_methods.h"

namespace coev::python::monkey {
namespace {

// What import coev.monkey changes, in this order.
// clang-format off
constexpr bool (*kParts[])() noexcept = {
    native_locks::install,
    thread_module::install,
    socket_methods::install,
    ssl_methods::install,
    select_methods::install,
    processes::install,
    file_locks::install,
    import_lock::install,
    signal_waiting::install,
    signal_masks::install,
    semaphores::install,
    descriptor_io::install,
    file_io::install,
    line_input::install,
    interpreters::install,
    sqlite_methods::install,
    preemption::install,
    libraries::install,
};
// clang-format on

// Makes threads mean coroutines. Once; further calls do nothing.
PyObject* function_patch(PyObject*, PyObject*) {
  for (const auto install : kParts) {
    if (!install()) return nullptr;
  }
  Py_RETURN_NONE;
}

// The part of it that asyncio needs.
PyObject* function_patch_select(PyObject*, PyObject*) {
  if (!select_methods::install()) return nullptr;
  Py_RETURN_NONE;
}

PyObject* function_make_thread_handle(PyObject*, PyObject* ident) {
  const unsigned long number = PyLong_AsUnsignedLong(ident);
  if (number == static_cast<unsigned long>(-1) && PyErr_Occurred()) return nullptr;
  return thread_module::make_running_handle(number);
}

PyObject* function_watch_release(PyObject*, PyObject* lock) {
  if (!native_locks::watch_release(lock)) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {{"_patch", function_patch, METH_NOARGS, nullptr},
                           {"_patch_select", function_patch_select, METH_NOARGS, nullptr},
                           {"_make_thread_handle", function_make_thread_handle, METH_O, nullptr},
                           {"_watch_release", function_watch_release, METH_O, nullptr},
                           {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_functions(PyObject* module) noexcept {
  for (PyMethodDef* each :
       {functions, event_functions, thread_functions, condition_functions, socket_class_functions,
        ssl_class_functions, libraries::library_functions}) {
    if (PyModule_AddFunctions(module, each) != 0) return false;
  }
  return add_queue_methods(module) && thread_module::add_handle_type(module);
}

}  // namespace coev::python::monkey
