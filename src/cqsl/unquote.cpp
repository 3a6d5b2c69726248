#include "unquote.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "ref.h"
#include "text_builder.h"

namespace cqsl {
namespace {

// The value of each hexadecimal digit; kNoDigit for all other bytes.
constexpr int kNoDigit = -1;
constexpr auto kHexDigits = [] {
  std::array<int, 256> values{};
  values.fill(kNoDigit);
  for (unsigned char c = '0'; c <= '9'; ++c) values[c] = c - '0';
  for (unsigned char c = 'a'; c <= 'f'; ++c) values[c] = c - 'a' + 10;
  for (unsigned char c = 'A'; c <= 'F'; ++c) values[c] = c - 'A' + 10;
  return values;
}();

// The byte that the escape at `at` means, or -1 where there is none.
int escaped(const Py_UCS1* at, const Py_UCS1* end) noexcept {
  if (end - at < 3) return -1;
  const int high = kHexDigits[at[1]];
  const int low = kHexDigits[at[2]];
  return (high | low) < 0 ? -1 : high << 4 | low;
}

struct Marks {
  bool percent = false;
  bool plus = false;
};

template <typename Character>
Marks find_marks(const Character* characters, Py_ssize_t size, Plus plus) noexcept {
  Marks marks;
  for (Py_ssize_t i = 0; i < size; ++i) {
    marks.percent |= characters[i] == '%';
    marks.plus |= characters[i] == '+';
  }
  marks.plus &= plus == Plus::kIsSpace;
  return marks;
}

// A call of memchr() pays for long parts only.
Marks find_marks(const Py_UCS1* characters, Py_ssize_t size, Plus plus) noexcept {
  constexpr Py_ssize_t kShort = 24;
  if (size <= kShort) return find_marks<Py_UCS1>(characters, size, plus);
  const auto bytes = static_cast<size_t>(size);
  return {std::memchr(characters, '%', bytes) != nullptr,
          plus == Plus::kIsSpace && std::memchr(characters, '+', bytes) != nullptr};
}

// How many bytes a run has when its escapes are replaced.
Py_ssize_t unquoted_size(const Py_UCS1* run, Py_ssize_t size) noexcept {
  const Py_UCS1* end = run + size;
  Py_ssize_t result = size;
  for (const Py_UCS1* at = run; at < end;) {
    at = static_cast<const Py_UCS1*>(std::memchr(at, '%', static_cast<size_t>(end - at)));
    if (at == nullptr) break;
    const bool is_escape = escaped(at, end) >= 0;
    result -= is_escape ? 2 : 0;
    at += is_escape ? 3 : 1;
  }
  return result;
}

// Writes the run with its escapes replaced. Returns whether all bytes are ASCII.
bool unquote_into(const Py_UCS1* run, Py_ssize_t size, Plus plus, char* out) noexcept {
  const Py_UCS1* end = run + size;
  const char for_plus = plus == Plus::kIsSpace ? ' ' : '+';
  unsigned seen = 0;
  for (const Py_UCS1* at = run; at < end; ++at) {
    auto byte = static_cast<char>(*at);
    if (byte == '%') {
      const int value = escaped(at, end);
      if (value >= 0) {
        byte = static_cast<char>(value);
        at += 2;
      }
    } else if (byte == '+') {
      byte = for_plus;
    }
    seen |= static_cast<unsigned char>(byte);
    *out++ = byte;
  }
  return seen < 0x80;
}

// Room for the bytes of one run: on the stack for the usual ones.
class Scratch {
 public:
  explicit Scratch(Py_ssize_t size) noexcept
      : data_(size <= kInline ? inline_
                              : static_cast<char*>(PyMem_Malloc(static_cast<size_t>(size)))) {
    if (data_ == nullptr) PyErr_NoMemory();
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data_ != inline_) PyMem_Free(data_);
  }
  [[nodiscard]] char* data() noexcept { return data_; }

 private:
  static constexpr Py_ssize_t kInline = 512;
  char inline_[kInline];
  char* data_;
};

PyObject* new_ascii(const void* characters, Py_ssize_t size) noexcept {
  PyObject* text = PyUnicode_New(size, 0x7f);
  // The empty str is shared by all, and has nothing to copy.
  if (text != nullptr && size > 0) {
    std::memcpy(PyUnicode_DATA(text), characters, static_cast<size_t>(size));
  }
  return text;
}

PyObject* ascii_with_spaces(const Py_UCS1* run, Py_ssize_t size) noexcept {
  PyObject* text = PyUnicode_New(size, 0x7f);
  if (text != nullptr) std::replace_copy(run, run + size, PyUnicode_1BYTE_DATA(text), '+', ' ');
  return text;
}

constexpr Py_ssize_t kLongRun = 65536;

// Where a piece of a run may end, at most kLongRun from its begin: not in an escape.
const Py_UCS1* end_of_piece(const Py_UCS1* begin, const Py_UCS1* end) noexcept {
  if (end - begin <= kLongRun) return end;
  const Py_UCS1* cut = begin + kLongRun;
  for (int back = 1; back <= 2; ++back) {
    if (cut[-back] == '%') return cut - back;
  }
  return cut;
}

// By utf-8 and replace, piece by piece, because CPython's decoder sets aside memory for
// as many characters as there are bytes, and doubles that when it meets a wide one.
PyObject* unquote_long_run(const Py_UCS1* run, Py_ssize_t size, Plus plus) noexcept {
  const Py_UCS1* end = run + size;
  TextBuilder builder;
  // Before each piece stand the bytes of a character that the last piece cut.
  constexpr Py_ssize_t kLongestCharacter = 4;
  Scratch scratch(kLongRun + kLongestCharacter);
  if (scratch.data() == nullptr) return nullptr;
  Py_ssize_t kept = 0;
  while (run < end) {
    const Py_UCS1* cut = end_of_piece(run, end);
    const Py_ssize_t bytes = kept + unquoted_size(run, cut - run);
    unquote_into(run, cut - run, plus, scratch.data() + kept);
    Py_ssize_t used = bytes;
    const Ref piece(PyUnicode_DecodeUTF8Stateful(scratch.data(), bytes, "replace",
                                                 cut == end ? nullptr : &used));
    if (!piece || !builder.append(piece.get())) return nullptr;
    kept = bytes - used;
    std::memmove(scratch.data(), scratch.data() + used, static_cast<size_t>(kept));
    run = cut;
  }
  return builder.finish();
}

bool is_text(PyObject* object, const char* value) noexcept {
  return PyUnicode_Check(object) && PyUnicode_CompareWithASCIIString(object, value) == 0;
}

bool is_default(PyObject* object) noexcept { return object == nullptr || object == Py_None; }

template <typename Character>
Py_ssize_t end_of_run(const Character* characters, Py_ssize_t begin, Py_ssize_t size,
                      bool ascii) noexcept {
  while (begin < size && (characters[begin] < 0x80) == ascii) ++begin;
  return begin;
}

}  // namespace

Decoder::Decoder(PyObject* encoding, PyObject* errors) noexcept
    : encoding_(is_default(encoding) ? nullptr : encoding),
      errors_(is_default(errors) ? nullptr : errors),
      utf8_errors_("replace") {
  for (const char* name : {"utf-8", "UTF-8", "utf8"}) {
    if (encoding_ != nullptr && is_text(encoding_, name)) encoding_ = nullptr;
  }
  if (errors_ != nullptr && is_text(errors_, "replace")) errors_ = nullptr;
  if (errors_ != nullptr && is_text(errors_, "strict")) {
    utf8_errors_ = "strict";
    if (encoding_ == nullptr) errors_ = nullptr;
  }
}

PyObject* Decoder::decode(const char* bytes, Py_ssize_t size) const noexcept {
  if (encoding_ == nullptr && errors_ == nullptr) {
    return PyUnicode_DecodeUTF8(bytes, size, utf8_errors_);
  }
  // By bytes' own method, because that checks names and types and has the messages.
  const Ref object(PyBytes_FromStringAndSize(bytes, size));
  if (!object) return nullptr;
  if (encoding_ == nullptr)
    return PyObject_CallMethod(object.get(), "decode", "sO", "utf-8", errors_);
  if (errors_ == nullptr) {
    return PyObject_CallMethod(object.get(), "decode", "Os", encoding_, "replace");
  }
  return PyObject_CallMethod(object.get(), "decode", "OO", encoding_, errors_);
}

// Whether nothing in the bytes can fail: then it does not matter how they are cut.
bool Decoder::forgives() const noexcept {
  return encoding_ == nullptr && errors_ == nullptr && utf8_errors_[0] == 'r';
}

PyObject* Decoder::unquote_run(const Py_UCS1* run, Py_ssize_t size, Plus plus) const noexcept {
  if (size > kLongRun && forgives()) return unquote_long_run(run, size, plus);
  const Py_ssize_t bytes = unquoted_size(run, size);
  Scratch scratch(bytes);
  if (scratch.data() == nullptr) return nullptr;
  const bool ascii = unquote_into(run, size, plus, scratch.data());
  const bool is_utf8 = encoding_ == nullptr && errors_ == nullptr;
  return ascii && is_utf8 ? new_ascii(scratch.data(), bytes) : decode(scratch.data(), bytes);
}

PyObject* Decoder::unquote(const Text& text, Plus plus) const noexcept {
  if (text.ascii) {
    const auto* run = static_cast<const Py_UCS1*>(text.data);
    const Marks marks = find_marks(run, text.size, plus);
    if (marks.percent) return unquote_run(run, text.size, plus);
    return marks.plus ? ascii_with_spaces(run, text.size) : new_ascii(run, text.size);
  }
  if (text.kind == PyUnicode_1BYTE_KIND) return unquote_wide<Py_UCS1>(text, plus);
  if (text.kind == PyUnicode_2BYTE_KIND) return unquote_wide<Py_UCS2>(text, plus);
  return unquote_wide<Py_UCS4>(text, plus);
}

template <typename Character>
PyObject* Decoder::unquote_wide(const Text& text, Plus plus) const noexcept {
  const auto* characters = static_cast<const Character*>(text.data);
  const Marks marks = find_marks(characters, text.size, plus);
  if (!marks.percent && !marks.plus) {
    return PyUnicode_FromKindAndData(text.kind, text.data, text.size);
  }
  TextBuilder builder;
  for (Py_ssize_t begin = 0; begin < text.size;) {
    const bool ascii = characters[begin] < 0x80;
    const Py_ssize_t end = end_of_run(characters, begin, text.size, ascii);
    const Py_ssize_t size = end - begin;
    if (!ascii) {
      if (!builder.append(text.kind, characters + begin, size)) return nullptr;
    } else {
      Scratch narrow(size);
      if (narrow.data() == nullptr) return nullptr;
      auto* run = reinterpret_cast<Py_UCS1*>(narrow.data());
      std::copy_n(characters + begin, size, run);
      // A part without '%' meets no codec, one with '%' has each of its runs meet one.
      const Ref piece(marks.percent ? unquote_run(run, size, plus) : ascii_with_spaces(run, size));
      if (!piece || !builder.append(piece.get())) return nullptr;
    }
    begin = end;
  }
  return builder.finish();
}

PyObject* unquote_bytes(const char* bytes, Py_ssize_t size, Plus plus) noexcept {
  const auto* run = reinterpret_cast<const Py_UCS1*>(bytes);
  PyObject* result = PyBytes_FromStringAndSize(nullptr, unquoted_size(run, size));
  // The empty bytes object is shared by all, and nothing is written into it.
  if (result != nullptr && size > 0) unquote_into(run, size, plus, PyBytes_AS_STRING(result));
  return result;
}

}  // namespace cqsl
