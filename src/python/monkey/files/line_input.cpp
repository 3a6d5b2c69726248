#include "python/monkey/files/line_input.h"

#include <dlfcn.h>
#include <stdio_ext.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "python/base/module_hook.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/base/shared_library.h"
#include "python/cpython/thread_state.h"
#include "python/monkey/files/descriptor.h"
#include "python/waiting/blocking.h"
#include "python/waiting/occupancy.h"

namespace coev::python::line_input {
namespace {

using LineFunction = char* (*)(FILE*, FILE*, const char*);

Original g_input;
Original g_set_auto_history;
LineFunction g_underlying = nullptr;  // what ours stands for
bool g_auto_history = true;

// CPython calls us without the GIL.
class WithGil {
 public:
  WithGil() noexcept { PyEval_RestoreThread(PyGILState_GetThisThreadState()); }
  ~WithGil() { PyEval_SaveThread(); }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;
};

// Waits until a read of the terminal does not block. False with an exception set.
bool wait_for_input(int fd) noexcept {
  const WithGil gil;
  return Descriptor(fd).wait_until(kReadable);
}

// A line as CPython wants it.
char* raw_copy(const char* line, std::size_t bytes) noexcept {
  auto* copy = static_cast<char*>(PyMem_RawMalloc(bytes + 1));
  if (copy == nullptr) {
    const WithGil gil;
    PyErr_NoMemory();
    return nullptr;
  }
  std::memcpy(copy, line, bytes);
  copy[bytes] = '\0';
  return copy;
}

// --- without readline -------------------------------------------------------------------

// Whether the next character needs no read.
bool has_buffered(FILE* file) noexcept {
#ifdef __GLIBC__
  return file->_IO_read_ptr < file->_IO_read_end;
#else
  return __freadahead(file) != 0;
#endif
}

// The end of the file is an empty line, or the end of the last one.
char* plain_line(FILE* in, FILE* out, const char* prompt) noexcept {
  fflush(out);
  if (prompt != nullptr) fputs(prompt, stderr);
  fflush(stderr);
  clearerr(in);
  std::string line;
  for (int c = 0; c != '\n';) {
    if (!has_buffered(in) && !wait_for_input(fileno(in))) return nullptr;
    c = getc(in);
    if (c == EOF) break;
    line.push_back(static_cast<char>(c));
  }
  clearerr(in);
  return raw_copy(line.data(), line.size());
}

// --- GNU readline, which the module readline has brought along -----------------------------

struct HistoryEntry {
  char* line;
};
struct HistoryState {
  void** entries;
  int offset;
  int length;
};

struct Readline {
  FILE** in;
  FILE** out;
  int* catch_signals;
  void (*prepare_terminal)(int);
  void (*install_handler)(const char*, void (*)(char*));
  void (*remove_handler)();
  void (*read_char)();
  void (*free_line_state)();
  void (*clean_up_after_signal)();
  void (*resize_terminal)();
  void (*add_history)(const char*);
  HistoryEntry* (*history_get)(int);
  HistoryState* (*history_state)();
};
Readline g_readline;
bool g_line_done = false;
char* g_line = nullptr;  // of malloc(); nullptr at the end of the file

// Whether `function` is the module's, with all of GNU readline behind it. libedit
// has most of these names too, but its callbacks do not work for this.
bool find_readline(LineFunction function) noexcept {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(function), &info) == 0) return false;
  const SharedLibrary library(info.dli_fname);
  Readline& r = g_readline;
  const char** version = nullptr;
  return library.find("rl_library_version", &version) &&
         std::strstr(*version, "EditLine") == nullptr && library.find("rl_instream", &r.in) &&
         library.find("rl_outstream", &r.out) &&
         library.find("rl_catch_signals", &r.catch_signals) &&
         library.find("rl_prep_terminal", &r.prepare_terminal) &&
         library.find("rl_callback_handler_install", &r.install_handler) &&
         library.find("rl_callback_handler_remove", &r.remove_handler) &&
         library.find("rl_callback_read_char", &r.read_char) &&
         library.find("rl_free_line_state", &r.free_line_state) &&
         library.find("rl_cleanup_after_signal", &r.clean_up_after_signal) &&
         library.find("rl_resize_terminal", &r.resize_terminal) &&
         library.find("add_history", &r.add_history) &&
         library.find("history_get", &r.history_get) &&
         library.find("history_get_history_state", &r.history_state);
}

// readline works in the user's locale, everybody else in the program's.
class UsersLocale {
 public:
  UsersLocale() noexcept : saved_(strdup(setlocale(LC_CTYPE, nullptr))) { setlocale(LC_CTYPE, ""); }
  ~UsersLocale() {
    setlocale(LC_CTYPE, saved_);
    free(saved_);
  }
  UsersLocale(const UsersLocale&) = delete;
  UsersLocale& operator=(const UsersLocale&) = delete;

 private:
  char* saved_;
};

void line_is_done(char* line) noexcept {
  g_line = line;
  g_line_done = true;
  g_readline.remove_handler();
}

winsize window_size(FILE* terminal) noexcept {
  winsize size{};
  ioctl(fileno(terminal), TIOCGWINSZ, &size);
  return size;
}

void begin_line(FILE* in, FILE* out, const char* prompt) noexcept {
  const UsersLocale locale;
  if (*g_readline.in != in || *g_readline.out != out) {
    *g_readline.in = in;
    *g_readline.out = out;
    g_readline.prepare_terminal(1);
  }
  *g_readline.catch_signals = 0;
  g_line_done = false;
  g_readline.install_handler(prompt, line_is_done);
}

void give_up_line() noexcept {
  const UsersLocale locale;
  g_readline.free_line_state();
  g_readline.clean_up_after_signal();
  g_readline.remove_handler();
}

void remember(const char* line) noexcept {
  if (!g_auto_history || *line == '\0') return;
  HistoryState* state = g_readline.history_state();
  const int length = state->length;
  free(state);
  const HistoryEntry* last = length > 0 ? g_readline.history_get(length) : nullptr;
  if (last == nullptr || std::strcmp(last->line, line) != 0) g_readline.add_history(line);
}

char* edited_line(FILE* in, FILE* out, const char* prompt) noexcept {
  begin_line(in, out, prompt);
  winsize size = window_size(out);
  while (!g_line_done) {
    if (!wait_for_input(fileno(in))) {
      give_up_line();
      return nullptr;
    }
    const UsersLocale locale;
    const winsize now = window_size(out);
    if (std::memcmp(&now, &size, sizeof now) != 0) g_readline.resize_terminal();
    size = now;
    g_readline.read_char();
  }
  if (g_line == nullptr) return raw_copy("", 0);
  remember(g_line);
  std::string line(g_line);
  free(g_line);
  line.push_back('\n');
  return raw_copy(line.data(), line.size());
}

// --- in the place of both -----------------------------------------------------------------

// A hook wants to be called while nobody types: the original does that.
bool takes_over() noexcept {
  if (PyGILState_GetThisThreadState() == nullptr || PyOS_InputHook != nullptr) return false;
  const WithGil gil;
  return may_block();
}

char* read_line(FILE* in, FILE* out, const char* prompt) {
  const bool waits = takes_over();
  if (waits && g_underlying == nullptr) return plain_line(in, out, prompt);
  if (waits && find_readline(g_underlying)) return edited_line(in, out, prompt);
  if (g_underlying != nullptr) return g_underlying(in, out, prompt);
  return plain_line(in, out, prompt);
}

// Whether `function` is the interpreter's own.
bool is_builtin(LineFunction function) noexcept {
  Dl_info own;
  Dl_info other;
  return dladdr(reinterpret_cast<void*>(function), &own) != 0 &&
         dladdr(reinterpret_cast<void*>(PyOS_Readline), &other) != 0 &&
         own.dli_fbase == other.dli_fbase;
}

// Importing readline sets its own function.
void take_place() noexcept {
  const LineFunction function = PyOS_ReadlineFunctionPointer;
  if (function == read_line) return;
  g_underlying = function == nullptr || is_builtin(function) ? nullptr : function;
  PyOS_ReadlineFunctionPointer = read_line;
}

// Whether sys.`name` is `file`, and a terminal: else input() reads sys.stdin.
bool is_terminal(const char* name, FILE* file) noexcept {
  PyObject* stream = PySys_GetObject(name);
  if (isatty(fileno(file)) == 0 || stream == nullptr || stream == Py_None) return false;
  const Ref fd = Ref::steal(PyObject_CallMethod(stream, "fileno", nullptr));
  const bool same = fd && PyLong_Check(fd.get()) && PyLong_AsLong(fd.get()) == fileno(file);
  PyErr_Clear();
  return same;
}

PyObject* replaced_input(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  if (!is_terminal("stdin", stdin) || !is_terminal("stdout", stdout)) {
    return g_input(self, arguments, count, keywords);
  }
  take_place();
  const Visit visit(&g_input);
  return visit.refused() ? nullptr : g_input(self, arguments, count, keywords);
}

PyObject* replaced_set_auto_history(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                    PyObject* keywords) {
  PyObject* result = g_set_auto_history(self, arguments, count, keywords);
  if (result != nullptr) g_auto_history = PyObject_IsTrue(arguments[0]) == 1;
  return result;
}

bool watch_auto_history(PyObject* module) {
  return retarget<replaced_set_auto_history>(module, "set_auto_history", &g_set_auto_history);
}

}  // namespace

bool install() noexcept {
  if (g_input) return true;
  take_place();
  const Ref builtins = Ref::steal(PyImport_ImportModule("builtins"));
  return builtins && retarget<replaced_input>(builtins.get(), "input", &g_input) &&
         when_loaded("readline", watch_auto_history);
}

}  // namespace coev::python::line_input
