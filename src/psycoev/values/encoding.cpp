#include "values/encoding.h"

#include <cctype>
#include <cstring>
#include <string>

#include "values/error.h"

namespace psycoev::values {
namespace {

struct EncodingName {
  const char* postgresql;
  const char* python;
};

// PostgreSQL's names and aliases (documentation, "Character Set Support"), as written there and
// with letters and digits alone, which is how set_codec() asks.
constexpr EncodingName kEncodings[] = {
    {"ABC", "cp1258"},
    {"ALT", "cp866"},
    {"BIG5", "big5"},
    {"EUC_CN", "euccn"},
    {"EUC_JIS_2004", "euc_jis_2004"},
    {"EUC_JP", "euc_jp"},
    {"EUC_KR", "euc_kr"},
    {"GB18030", "gb18030"},
    {"GBK", "gbk"},
    {"ISO_8859_1", "iso8859_1"},
    {"ISO_8859_2", "iso8859_2"},
    {"ISO_8859_3", "iso8859_3"},
    {"ISO_8859_5", "iso8859_5"},
    {"ISO_8859_6", "iso8859_6"},
    {"ISO_8859_7", "iso8859_7"},
    {"ISO_8859_8", "iso8859_8"},
    {"ISO_8859_9", "iso8859_9"},
    {"ISO_8859_10", "iso8859_10"},
    {"ISO_8859_13", "iso8859_13"},
    {"ISO_8859_14", "iso8859_14"},
    {"ISO_8859_15", "iso8859_15"},
    {"ISO_8859_16", "iso8859_16"},
    {"JOHAB", "johab"},
    {"KOI8", "koi8_r"},
    {"KOI8R", "koi8_r"},
    {"KOI8U", "koi8_u"},
    {"LATIN1", "iso8859_1"},
    {"LATIN2", "iso8859_2"},
    {"LATIN3", "iso8859_3"},
    {"LATIN4", "iso8859_4"},
    {"LATIN5", "iso8859_9"},
    {"LATIN6", "iso8859_10"},
    {"LATIN7", "iso8859_13"},
    {"LATIN8", "iso8859_14"},
    {"LATIN9", "iso8859_15"},
    {"LATIN10", "iso8859_16"},
    {"Mskanji", "cp932"},
    {"ShiftJIS", "cp932"},
    {"SHIFT_JIS_2004", "shift_jis_2004"},
    {"SJIS", "cp932"},
    {"SQL_ASCII", "ascii"},
    {"TCVN", "cp1258"},
    {"TCVN5712", "cp1258"},
    {"UHC", "cp949"},
    {"UNICODE", "utf_8"},
    {"UTF8", "utf_8"},
    {"VSCII", "cp1258"},
    {"WIN", "cp1251"},
    {"WIN866", "cp866"},
    {"WIN874", "cp874"},
    {"WIN932", "cp932"},
    {"WIN936", "gbk"},
    {"WIN949", "cp949"},
    {"WIN950", "cp950"},
    {"WIN1250", "cp1250"},
    {"WIN1251", "cp1251"},
    {"WIN1252", "cp1252"},
    {"WIN1253", "cp1253"},
    {"WIN1254", "cp1254"},
    {"WIN1255", "cp1255"},
    {"WIN1256", "cp1256"},
    {"WIN1257", "cp1257"},
    {"WIN1258", "cp1258"},
    {"Windows932", "cp932"},
    {"Windows936", "gbk"},
    {"Windows949", "cp949"},
    {"Windows950", "cp950"},
    {"EUCCN", "euccn"},
    {"EUCJIS2004", "euc_jis_2004"},
    {"EUCJP", "euc_jp"},
    {"EUCKR", "euc_kr"},
    {"ISO88591", "iso8859_1"},
    {"ISO88592", "iso8859_2"},
    {"ISO88593", "iso8859_3"},
    {"ISO88595", "iso8859_5"},
    {"ISO88596", "iso8859_6"},
    {"ISO88597", "iso8859_7"},
    {"ISO88598", "iso8859_8"},
    {"ISO88599", "iso8859_9"},
    {"ISO885910", "iso8859_10"},
    {"ISO885913", "iso8859_13"},
    {"ISO885914", "iso8859_14"},
    {"ISO885915", "iso8859_15"},
    {"ISO885916", "iso8859_16"},
    {"MSKANJI", "cp932"},
    {"SHIFTJIS", "cp932"},
    {"SHIFTJIS2004", "shift_jis_2004"},
    {"SQLASCII", "ascii"},
    {"WINDOWS932", "cp932"},
    {"WINDOWS936", "gbk"},
    {"WINDOWS949", "cp949"},
    {"WINDOWS950", "cp950"},
};

PyObject* encodings_dict;  // extensions.encodings; owned by us and the module

// "utf-8" -> "UTF8": the form in which a server's answer and a program's wish meet.
std::string normalized(const char* name) {
  std::string clean;
  for (; *name != 0; ++name) {
    if (std::isalnum(static_cast<unsigned char>(*name))) {
      clean.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(*name))));
    }
  }
  return clean;
}

Codec::Kind kind_of(PyObject* python_name) {
  const char* name = PyUnicode_AsUTF8(python_name);
  if (name == nullptr) return Codec::Kind::kOther;
  if (std::strcmp(name, "utf_8") == 0) return Codec::Kind::kUtf8;
  if (std::strcmp(name, "ascii") == 0) return Codec::Kind::kAscii;
  if (std::strcmp(name, "iso8859_1") == 0) return Codec::Kind::kLatin1;
  return Codec::Kind::kOther;
}

// The first item of what a function of the codecs module returns: (result, consumed).
PyObject* first_of_pair(PyObject* pair) {
  const Ref owned(pair);
  if (!owned) return nullptr;
  if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) < 1) {
    PyErr_SetString(PyExc_TypeError, "a codec must return a tuple (object, integer)");
    return nullptr;
  }
  return Py_NewRef(PyTuple_GET_ITEM(pair, 0));
}

PyObject* decode_as(const char* text, Py_ssize_t size, const Codec& codec, const char* errors) {
  switch (codec.kind) {
    case Codec::Kind::kUtf8:
      return PyUnicode_DecodeUTF8(text, size, errors);
    case Codec::Kind::kAscii:
      return PyUnicode_DecodeASCII(text, size, errors);
    case Codec::Kind::kLatin1:
      return PyUnicode_DecodeLatin1(text, size, errors);
    case Codec::Kind::kOther:
      break;
  }
  // The connection may get another codec while this one runs.
  const Ref decoder = Ref::borrowed(codec.decoder);
  const Ref bytes(PyBytes_FromStringAndSize(text, size));
  if (!bytes) return nullptr;
  if (errors == nullptr) return first_of_pair(PyObject_CallOneArg(decoder.get(), bytes.get()));
  return first_of_pair(PyObject_CallFunction(decoder.get(), "Os", bytes.get(), errors));
}

constexpr Codec kDefaultCodec;  // UTF-8

const Codec& codec_of(const ConnectionObject* connection) {
  return connection == nullptr ? kDefaultCodec : connection->codec;
}

}  // namespace

bool add_encodings(PyObject* module) {
  encodings_dict = PyDict_New();
  if (encodings_dict == nullptr) return false;
  for (const EncodingName& entry : kEncodings) {
    const Ref python(PyUnicode_InternFromString(entry.python));
    if (!python || PyDict_SetItemString(encodings_dict, entry.postgresql, python.get()) < 0) {
      return false;
    }
  }
  return PyModule_AddObjectRef(module, "encodings", encodings_dict) == 0;
}

bool set_codec(ConnectionObject* connection, const char* postgresql_name) {
  const std::string clean = normalized(postgresql_name);
  Ref name(PyUnicode_FromStringAndSize(clean.data(), static_cast<Py_ssize_t>(clean.size())));
  if (!name) return false;
  const Ref python = Ref::borrowed(PyDict_GetItemWithError(encodings_dict, name.get()));
  if (!python) {
    if (!PyErr_Occurred()) {
      PyErr_Format(exceptions.operational_error, "no Python encoding for PostgreSQL encoding '%s'",
                   clean.c_str());
    }
    return false;
  }
  const char* python_name = PyUnicode_AsUTF8(python.get());
  if (python_name == nullptr) return false;
  Ref encoder(PyCodec_Encoder(python_name));
  if (!encoder) return false;
  Ref decoder(PyCodec_Decoder(python_name));
  if (!decoder) return false;

  Codec old = std::exchange(connection->codec,
                            Codec{kind_of(python.get()), encoder.release(), decoder.release()});
  const Ref old_name(std::exchange(connection->encoding, name.release()));
  codec_clear(old);
  return true;
}

void codec_clear(Codec& codec) noexcept {
  Py_CLEAR(codec.encoder);
  Py_CLEAR(codec.decoder);
}

Codec codec_copy(const Codec& codec) noexcept {
  Py_XINCREF(codec.encoder);
  Py_XINCREF(codec.decoder);
  return codec;
}

PyObject* python_encoding(const ConnectionObject* connection) {
  PyObject* name = connection->encoding == nullptr
                       ? nullptr
                       : PyDict_GetItemWithError(encodings_dict, connection->encoding);
  if (name == nullptr && PyErr_Occurred()) return nullptr;
  return name == nullptr ? PyUnicode_FromString("utf_8") : Py_NewRef(name);
}

PyObject* encode(PyObject* text, const ConnectionObject* connection) {
  const Codec& codec = codec_of(connection);
  switch (codec.kind) {
    case Codec::Kind::kUtf8:
      return PyUnicode_AsUTF8String(text);
    case Codec::Kind::kAscii:
      return PyUnicode_AsASCIIString(text);
    case Codec::Kind::kLatin1:
      return PyUnicode_AsLatin1String(text);
    case Codec::Kind::kOther:
      break;
  }
  const Ref encoder = Ref::borrowed(codec.encoder);
  Ref bytes(first_of_pair(PyObject_CallOneArg(encoder.get(), text)));
  if (bytes && !PyBytes_Check(bytes.get())) {
    PyErr_Format(PyExc_TypeError, "the encoder returned %s instead of bytes",
                 Py_TYPE(bytes.get())->tp_name);
    return nullptr;
  }
  return bytes.release();
}

PyObject* decode(const char* text, Py_ssize_t size, const Codec& codec) {
  return decode_as(text, size, codec, nullptr);
}
PyObject* decode(const char* text, Py_ssize_t size, const ConnectionObject* connection) {
  return decode_as(text, size, codec_of(connection), nullptr);
}

PyObject* decode_leniently(const char* text, Py_ssize_t size, const Codec& codec) {
  PyObject* decoded = decode_as(text, size, codec, "replace");
  if (decoded != nullptr || PyErr_ExceptionMatches(PyExc_MemoryError)) return decoded;
  PyErr_Clear();
  return PyUnicode_DecodeASCII(text, size, "replace");
}
PyObject* decode_leniently(const char* text, Py_ssize_t size, const ConnectionObject* connection) {
  return decode_leniently(text, size, codec_of(connection));
}

}  // namespace psycoev::values
