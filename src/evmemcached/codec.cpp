#include "codec.h"

#include <cstdlib>
#include <cstring>

#include "errors.h"

namespace evmemcached {
namespace {

std::string_view bytes_view(PyObject* bytes) noexcept {
  return {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(Py_SIZE(bytes))};
}

Ref to_bytes(std::string_view view) noexcept {
  return Ref::steal(PyBytes_FromStringAndSize(view.begin(), static_cast<Py_ssize_t>(view.size())));
}

Ref to_text(std::string_view view) noexcept {
  return Ref::steal(
      PyUnicode_DecodeUTF8(view.begin(), static_cast<Py_ssize_t>(view.size()), nullptr));
}

// ERRORS: false with UnicodeEncodeError set.
bool view_text(PyObject* text, std::string_view* view) noexcept {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text, &size);
  if (utf8 == nullptr) return false;
  *view = {utf8, static_cast<std::size_t>(size)};
  return true;
}

// decr leaves blanks where a number got shorter.
PyObject* to_integer(std::string_view digits) noexcept {
  constexpr std::size_t kSurelyFits = 18;
  while (!digits.empty() && digits.back() == ' ') digits.remove_suffix(1);
  if (!digits.empty() && digits.size() <= kSurelyFits) {
    char text[kSurelyFits + 1];
    char* end = nullptr;
    std::memcpy(text, digits.data(), digits.size());
    text[digits.size()] = '\0';
    const long long number = std::strtoll(text, &end, 10);
    if (end == text + digits.size()) return PyLong_FromLongLong(number);
  }
  const Ref text = Ref::steal(
      PyUnicode_DecodeASCII(digits.data(), static_cast<Py_ssize_t>(digits.size()), "replace"));
  return text ? PyLong_FromUnicodeObject(text.get(), 10) : nullptr;
}

}  // namespace

bool Codec::encode_other(Ref object, Encoded* encoded) const noexcept {
  if (!object) return false;
  if (!PyBytes_Check(object.get())) {
    const Ref text = Ref::steal(PyObject_Str(object.get()));
    const char* name = encoding != nullptr ? PyUnicode_AsUTF8(encoding) : "ascii";
    if (!text || name == nullptr) return false;
    object = Ref::steal(PyUnicode_AsEncodedString(text.get(), name, "strict"));
    if (!object) {
      if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Format(errors::illegal_input, "Data values must be binary-safe: %R", text.get());
      }
      return false;
    }
  }
  encoded->bytes = bytes_view(object.get());
  encoded->owner = std::move(object);
  return true;
}

bool Codec::encode_by_type(PyObject* value, Encoded* encoded) const noexcept {
  // Subclasses are pickled, to come back as what they were.
  if (PyBytes_CheckExact(value)) {
    encoded->bytes = bytes_view(value);
    encoded->owner = Ref::borrow(value);
    return true;
  }
  if (PyUnicode_CheckExact(value)) {
    encoded->flags = kText;
    encoded->owner = Ref::borrow(value);
    return view_text(value, &encoded->bytes);
  }
  if (PyLong_CheckExact(value)) {
    encoded->flags = kInteger;
    encoded->owner = Ref::steal(PyObject_Str(value));
    return encoded->owner && view_text(encoded->owner.get(), &encoded->bytes);
  }
  encoded->flags = kPickle;
  if (dumps == nullptr) {
    PyErr_Format(PyExc_TypeError, "cannot keep a %.100s", Py_TYPE(value)->tp_name);
    return false;
  }
  return encode_other(Ref::steal(PyObject_CallOneArg(dumps, value)), encoded);
}

bool Codec::shrink(Encoded* encoded) const noexcept {
  const std::size_t size = encoded->bytes.size();
  Ref plain = PyBytes_CheckExact(encoded->owner.get()) ? Ref::borrow(encoded->owner.get())
                                                       : to_bytes(encoded->bytes);
  Ref small = plain ? Ref::steal(PyObject_CallOneArg(compress, plain.get())) : Ref();
  if (!small) return false;
  if (!PyBytes_Check(small.get())) {
    PyErr_Format(PyExc_TypeError, "the compressor gave a %.100s, not bytes",
                 Py_TYPE(small.get())->tp_name);
    return false;
  }
  if (static_cast<std::size_t>(Py_SIZE(small.get())) >= size) return true;
  encoded->flags |= kCompressed;
  encoded->bytes = bytes_view(small.get());
  encoded->owner = std::move(small);
  return true;
}

bool Codec::encode(PyObject* key, PyObject* value, Py_ssize_t shrunk_from,
                   Encoded* encoded) const noexcept {
  if (serialize != nullptr) {
    const Ref pair = Ref::steal(PyObject_CallFunctionObjArgs(serialize, key, value, nullptr));
    PyObject* data = nullptr;
    unsigned int flags = 0;
    if (!pair || !PyArg_ParseTuple(pair.get(), "OI", &data, &flags)) return false;
    encoded->flags = flags;
    return encode_other(Ref::borrow(data), encoded);
  }
  if (raw) return encode_other(Ref::borrow(value), encoded);
  if (!encode_by_type(value, encoded)) return false;
  const bool is_large = shrunk_from > 0 && encoded->flags != kInteger &&
                        encoded->bytes.size() > static_cast<std::size_t>(shrunk_from);
  return !is_large || compress == nullptr || shrink(encoded);
}

bool Codec::try_decode(std::string_view bytes, Fetched* fetched) const noexcept {
  if (deserialize == nullptr && !raw && fetched->flags == kText) {
    fetched->object = to_text(bytes);
    if (fetched->object) return true;
    PyErr_Clear();  // decode() says it again
  }
  fetched->object = to_bytes(bytes);
  fetched->is_raw = deserialize != nullptr || (!raw && fetched->flags != 0);
  return static_cast<bool>(fetched->object);
}

PyObject* Codec::decode(PyObject* key, Fetched* fetched) const noexcept {
  if (!fetched->is_raw) return fetched->object.release();
  std::uint32_t flags = fetched->flags;
  if (deserialize != nullptr) {
    const Ref number = Ref::steal(PyLong_FromUnsignedLong(flags));
    return number ? PyObject_CallFunctionObjArgs(deserialize, key, fetched->object.get(),
                                                 number.get(), nullptr)
                  : nullptr;
  }
  Ref bytes = std::move(fetched->object);
  if ((flags & kCompressed) != 0 && decompress != nullptr) {
    bytes = Ref::steal(PyObject_CallOneArg(decompress, bytes.get()));
    if (!bytes) return nullptr;
    if (!PyBytes_Check(bytes.get())) {
      PyErr_SetString(PyExc_TypeError, "the decompressor must give bytes");
      return nullptr;
    }
    flags &= ~kCompressed;
  }
  const std::string_view view = bytes_view(bytes.get());
  if (flags == 0) return bytes.release();
  if ((flags & kText) != 0) {
    return to_text(view).release();
  }
  if ((flags & (kInteger | kLong)) != 0) return to_integer(view);
  if ((flags & kPickle) != 0 && loads != nullptr) return PyObject_CallOneArg(loads, bytes.get());
  if (!refuses_unknown_flags) return bytes.release();
  PyErr_Format(PyExc_ValueError, "Unknown flags on get: %x", fetched->flags);
  return nullptr;
}

}  // namespace evmemcached
