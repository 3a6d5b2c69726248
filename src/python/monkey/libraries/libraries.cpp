#include "python/monkey/libraries/libraries.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/import_table.h"
#include "python/base/module_hook.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/monkey/libraries/calls.h"
#include "python/monkey/libraries/native_wait.h"

namespace coev::python::libraries {
namespace {

// Tried, each with its own tests or its upstream's: docs/libraries.md. A name with a
// folder before it is an extension module that makes the calls itself.
constexpr std::string_view kTable[] = {
    // clang-format off
    "libpq", "psycopg2/_psycopg",
    "psycopg_c/pq", "psycopg_c/_psycopg", "psycopg_binary/pq", "psycopg_binary/_psycopg",
    "libmariadb", "libmysqlclient", "MySQLdb/_mysql",
    "libmemcached", "_pylibmc",
    "libcurl", "pycurl", "pycurl/_pycurl",
    "libzmq", "zmq/backend/cython/_zmq",
    // clang-format on
};

// Their callers are the interpreter and this module: nothing would wait any more.
constexpr std::string_view kNever[] = {"libc",     "ld-linux-x86-64", "libpthread", "libm",
                                       "libdl",    "libpython3",      "libev",      "_coev",
                                       "libgcc_s", "libstdc++"};

struct Adopted {
  std::string name;
  LoadedObject object;
  const char* problem;  // nullptr: it waits in the scheduler
};

struct State {
  std::vector<std::string> wanted;
  std::vector<Adopted> adopted;
  std::vector<ImportedFunction> functions;
  unsigned long long load_count = 0;
};

State& state() noexcept {
  static auto* const all = new State;
  return *all;
}

// Whether a file's name is `name`, perhaps with a version or a hash behind it:
// libpq.so.5, libpq-9b38f5e3.so.5.17, _psycopg.cpython-311-x86_64-linux-gnu.so.
bool is_file_of(std::string_view file, std::string_view name) noexcept {
  if (file.substr(0, name.size()) != name) return false;
  if (file.size() == name.size()) return true;
  const char next = file[name.size()];
  return next == '.' || next == '-';
}

bool matches(std::string_view path, std::string_view name) noexcept {
  for (;;) {
    const std::size_t path_cut = path.rfind('/');
    const std::size_t name_cut = name.rfind('/');
    const std::string_view file = path.substr(path_cut + 1);
    const std::string_view wanted = name.substr(name_cut + 1);
    if (!is_file_of(file, wanted)) return false;
    if (name_cut == std::string_view::npos) return true;
    if (path_cut == std::string_view::npos) return false;
    path = path.substr(0, path_cut);
    name = name.substr(0, name_cut);
  }
}

bool is_known(const LoadedObject& object) noexcept {
  return std::any_of(state().adopted.begin(), state().adopted.end(), [&](const Adopted& each) {
    return each.object.base == object.base && each.object.path == object.path;
  });
}

// Forgets what has been unloaded, and adopts what has come.
void look_again() noexcept {
  State& all = state();
  all.load_count = load_count();
  std::vector<LoadedObject> loaded = loaded_objects();
  std::erase_if(all.adopted, [&](const Adopted& each) {
    return std::none_of(loaded.begin(), loaded.end(), [&](const LoadedObject& object) {
      return each.object.base == object.base && each.object.path == object.path;
    });
  });
  for (LoadedObject& object : loaded) {
    if (is_known(object)) continue;
    for (const std::string& name : all.wanted) {
      if (!matches(object.path, name)) continue;
      const char* problem = redirect(object, all.functions);
      all.adopted.push_back({name, std::move(object), problem});
      break;
    }
  }
}

bool look_if_loaded(PyObject*) noexcept {
  if (load_count() != state().load_count) look_again();
  return true;
}

Original g_dlopen;

PyObject* replaced_dlopen(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  PyObject* result = g_dlopen(self, arguments, count, keywords);
  if (result != nullptr) static_cast<void>(look_if_loaded(nullptr));
  return result;
}

bool watch_ctypes(PyObject* module) noexcept {
  return retarget<replaced_dlopen>(module, "dlopen", &g_dlopen);
}

bool is_forbidden(std::string_view name) noexcept {
  return std::any_of(std::begin(kNever), std::end(kNever),
                     [&](std::string_view each) { return is_file_of(name, each); });
}

// COEV_LIBRARIES: "off", or names with commas between; "-NAME" takes one off the table.
void read_table() noexcept {
  State& all = state();
  all.wanted.assign(std::begin(kTable), std::end(kTable));
  const char* environment = std::getenv("COEV_LIBRARIES");
  std::string_view rest = environment == nullptr ? "" : environment;
  if (rest == "off") all.wanted.clear();
  while (!rest.empty() && rest != "off") {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view name = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (name.starts_with('-')) {
      std::erase(all.wanted, name.substr(1));
    } else if (!name.empty() && !is_forbidden(name)) {
      all.wanted.emplace_back(name);
    }
  }
}

// --- what coev/libraries.py calls -------------------------------------------------------

PyObject* function_adopt(PyObject*, PyObject* argument) {
  const char* name = PyUnicode_AsUTF8(argument);
  if (name == nullptr) return nullptr;
  if (state().functions.empty()) {
    PyErr_SetString(PyExc_RuntimeError, "libraries wait in the scheduler after import coev.monkey");
    return nullptr;
  }
  if (*name == '\0' || is_forbidden(name)) {
    return PyErr_Format(PyExc_ValueError, "%R cannot wait in the scheduler: coev waits by it",
                        argument);
  }
  State& all = state();
  if (std::find(all.wanted.begin(), all.wanted.end(), name) == all.wanted.end()) {
    all.wanted.emplace_back(name);
  }
  look_again();
  Py_RETURN_NONE;
}

PyObject* function_release(PyObject*, PyObject* argument) {
  const char* name = PyUnicode_AsUTF8(argument);
  if (name == nullptr) return nullptr;
  State& all = state();
  std::erase(all.wanted, name);
  look_again();  // what was unloaded must not be written to
  std::erase_if(all.adopted, [&](const Adopted& each) {
    if (each.name != name) return false;
    restore(each.object, all.functions);
    return true;
  });
  Py_RETURN_NONE;
}

PyObject* describe(const Adopted& each) noexcept {
  const Ref functions = Ref::steal(PyList_New(0));
  if (!functions) return nullptr;
  for (const Slot& slot : each.object.slots) {
    const Ref name = Ref::steal(PyUnicode_FromString(slot.name));
    if (!name || PyList_Append(functions.get(), name.get()) < 0) return nullptr;
  }
  return Py_BuildValue("(ssOz)", each.name.c_str(), each.object.path.c_str(), functions.get(),
                       each.problem);
}

PyObject* function_adopted(PyObject*, PyObject*) {
  look_again();
  Ref all = Ref::steal(PyList_New(0));
  if (!all) return nullptr;
  for (const Adopted& each : state().adopted) {
    const Ref entry = Ref::steal(describe(each));
    if (!entry || PyList_Append(all.get(), entry.get()) < 0) return nullptr;
  }
  return all.release();
}

PyObject* function_in_child(PyObject*, PyObject*) {
  note_python_in_child();
  Py_RETURN_NONE;
}

bool note_end_of_fork() noexcept {
  const Ref os = Ref::steal(PyImport_ImportModule("os"));
  const Ref watch = Ref::steal(os ? PyObject_GetAttrString(os.get(), "register_at_fork") : nullptr);
  static PyMethodDef definition = {"_libraries_in_child", function_in_child, METH_NOARGS, nullptr};
  const Ref function = Ref::steal(watch ? PyCFunction_New(&definition, nullptr) : nullptr);
  const Ref names =
      Ref::steal(function ? Py_BuildValue("{sO}", "after_in_child", function.get()) : nullptr);
  const Ref none = Ref::steal(names ? PyTuple_New(0) : nullptr);
  const Ref done = Ref::steal(none ? PyObject_Call(watch.get(), none.get(), names.get()) : nullptr);
  return static_cast<bool>(done);
}

}  // namespace

PyMethodDef library_functions[] = {{"_libraries_adopt", function_adopt, METH_O, nullptr},
                                   {"_libraries_release", function_release, METH_O, nullptr},
                                   {"_libraries_adopted", function_adopted, METH_NOARGS, nullptr},
                                   {nullptr, nullptr, 0, nullptr}};

bool install() noexcept {
  State& all = state();
  if (!all.functions.empty()) return true;
  add_poll_calls(all.functions);
  add_input_calls(all.functions);
  add_output_calls(all.functions);
  add_connection_calls(all.functions);
  add_sleep_calls(all.functions);
  add_name_calls(all.functions);
  add_mutex_calls(all.functions);
  read_table();
  watch_forks();
  if (!note_end_of_fork() || !when_anything_loaded(look_if_loaded) ||
      !when_loaded("_ctypes", watch_ctypes)) {
    return false;
  }
  look_again();
  return true;
}

}  // namespace coev::python::libraries
