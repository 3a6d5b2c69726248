#include "frame_decoder_type.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime.h"
#include "websocket_frame.h"

namespace coewsgi {
namespace {

constexpr int kProtocolError = 1002;
constexpr int kMessageTooBig = 1009;

struct FrameDecoder {
  PyObject_HEAD FrameReader reader;
  int failure;  // a close code; 0: none
};

FrameDecoder& as_decoder(PyObject* self) noexcept { return *reinterpret_cast<FrameDecoder*>(self); }

PyObject* decoder_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* const kNames[] = {"masked", "max_frame", "rsv1", nullptr};
  int masked = 1;
  long long most = 1 << 20;
  int rsv1 = 0;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "|$pLp:FrameDecoder", const_cast<char**>(kNames),
                                  &masked, &most, &rsv1) == 0)
    return nullptr;
  if (most < 0) {
    PyErr_SetString(PyExc_ValueError, "max_frame is negative");
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  const FrameRules rules{masked != 0, rsv1 != 0, static_cast<std::uint64_t>(most)};
  new (&as_decoder(self).reader) FrameReader(rules);
  as_decoder(self).failure = 0;
  return self;
}

// The frames that were whole before the broken one go with the exception.
PyObject* raise_failure(int code, PyObject* frames) noexcept {
  const char* text =
      code == kMessageTooBig ? "the frame is too big" : "the frame breaks the protocol";
  const Ref exception = Ref::steal(PyObject_CallFunction(exceptions.frame_error, "s", text));
  const Ref number = Ref::steal(PyLong_FromLong(code));
  if (exception && number &&
      PyObject_SetAttrString(exception.get(), "close_code", number.get()) == 0 &&
      PyObject_SetAttrString(exception.get(), "frames", frames) == 0)
    PyErr_SetObject(exceptions.frame_error, exception.get());
  return nullptr;
}

PyObject* decoder_feed(PyObject* self, PyObject* data) {
  FrameDecoder& decoder = as_decoder(self);
  Py_buffer view;
  if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) return nullptr;
  const char* at = static_cast<const char*>(view.buf);
  const char* end = at + view.len;
  Ref frames = Ref::steal(PyList_New(0));
  FrameReader::Event event = FrameReader::Event::kFrame;
  while (frames && decoder.failure == 0 && event == FrameReader::Event::kFrame) {
    event = decoder.reader.next(&at, end);
    if (event != FrameReader::Event::kFrame) break;
    const Frame& frame = decoder.reader.frame;
    const Ref item = Ref::steal(Py_BuildValue(
        "(IOOy#)", frame.opcode, frame.fin ? Py_True : Py_False, frame.rsv1 ? Py_True : Py_False,
        frame.payload.data(), static_cast<Py_ssize_t>(frame.payload.size())));
    if (!item || PyList_Append(frames.get(), item.get()) < 0) frames.reset();
  }
  PyBuffer_Release(&view);
  if (event == FrameReader::Event::kProtocolError) decoder.failure = kProtocolError;
  if (event == FrameReader::Event::kTooBig) decoder.failure = kMessageTooBig;
  if (frames && decoder.failure != 0) return raise_failure(decoder.failure, frames.get());
  return frames.release();
}

void decoder_dealloc(PyObject* self) {
  as_decoder(self).reader.~FrameReader();
  Py_TYPE(self)->tp_free(self);
}

PyMethodDef decoder_methods[] = {
    {"feed", decoder_feed, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyTypeObject decoder_type = {
    .ob_base = PyVarObject_HEAD_INIT(nullptr, 0).tp_name = "coewsgi.FrameDecoder",
    .tp_basicsize = sizeof(FrameDecoder),
    .tp_dealloc = decoder_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = decoder_methods,
    .tp_new = decoder_new,
};

}  // namespace

bool ready_frame_decoder_type() noexcept { return PyType_Ready(&decoder_type) == 0; }
PyObject* frame_decoder_class() noexcept { return reinterpret_cast<PyObject*>(&decoder_type); }

PyObject* encode_frame(PyObject*, PyObject* args) noexcept {
  int opcode = 0;
  Py_buffer payload;
  int fin = 1;
  int rsv1 = 0;
  const char* mask_bytes = nullptr;
  Py_ssize_t mask_size = 0;
  if (PyArg_ParseTuple(args, "iy*|ppz#:encode_frame", &opcode, &payload, &fin, &rsv1, &mask_bytes,
                       &mask_size) == 0)
    return nullptr;
  PyObject* bytes = nullptr;
  if (opcode < 0 || opcode > 15 || (mask_bytes != nullptr && mask_size != 4)) {
    PyErr_SetString(PyExc_ValueError, "an opcode has 4 bits, a mask 4 bytes");
  } else {
    std::array<char, 4> mask{};
    if (mask_bytes != nullptr) std::memcpy(mask.data(), mask_bytes, mask.size());
    const auto size = static_cast<std::size_t>(payload.len);
    const std::string header = frame_header(static_cast<unsigned>(opcode), fin != 0, rsv1 != 0,
                                            size, mask_bytes != nullptr ? &mask : nullptr);
    bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(header.size() + size));
    if (bytes != nullptr) {
      char* to = PyBytes_AS_STRING(bytes);
      std::copy(header.begin(), header.end(), to);
      if (size != 0) std::memcpy(to + header.size(), payload.buf, size);
      if (mask_bytes != nullptr) apply_mask(to + header.size(), size, mask, 0);
    }
  }
  PyBuffer_Release(&payload);
  return bytes;
}

}  // namespace coewsgi
