// FrameDecoder and encode_frame(): websocket frames for Python.
#pragma once

#include "ref.h"

namespace coewsgi {

bool ready_frame_decoder_type() noexcept;
PyObject* frame_decoder_class() noexcept;  // borrowed

PyObject* encode_frame(PyObject* module, PyObject* args) noexcept;

}  // namespace coewsgi
