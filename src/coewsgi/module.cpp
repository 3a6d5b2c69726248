// The extension module coewsgi._coewsgi: puts the types and functions together.
#include "file_wrapper_type.h"
#include "frame_decoder_type.h"
#include "handle_type.h"
#include "input_type.h"
#include "parse_functions.h"
#include "runtime.h"
#include "server_type.h"
#include "start_response_type.h"
#include "upgrade_type.h"

namespace coewsgi {
namespace {

PyMethodDef functions[] = {
    {"parse_requests", as_method(parse_requests), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"parse_proxy_header", parse_proxy, METH_O, nullptr},
    {"encode_frame", encode_frame, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "coewsgi._coewsgi",
    .m_size = -1,
    .m_methods = functions,
};

bool add(PyObject* module, const char* name, PyObject* borrowed) noexcept {
  return PyModule_AddObjectRef(module, name, borrowed) == 0;
}

PyObject* make_module() noexcept {
  if (!prepare_runtime() || !ready_input_type() || !ready_start_response_type() ||
      !ready_file_wrapper_type() || !ready_handle_type() || !ready_frame_decoder_type() ||
      !ready_upgrade_type() || !ready_server_type())
    return nullptr;
  Ref module = Ref::steal(PyModule_Create(&definition));
  const bool whole = module && add(module.get(), "Server", server_class()) &&
                     add(module.get(), "FileWrapper", file_wrapper_class()) &&
                     add(module.get(), "FrameDecoder", frame_decoder_class()) &&
                     add(module.get(), "UpgradeRequest", upgrade_class()) &&
                     add(module.get(), "RequestTimeout", exceptions.request_timeout) &&
                     add(module.get(), "BadRequest", exceptions.bad_request) &&
                     add(module.get(), "ClientDisconnected", exceptions.client_disconnected) &&
                     add(module.get(), "FrameError", exceptions.frame_error) &&
                     PyModule_AddStringConstant(module.get(), "SERVER_SOFTWARE", "coewsgi") == 0;
  return whole ? module.release() : nullptr;
}

}  // namespace
}  // namespace coewsgi

PyMODINIT_FUNC PyInit__coewsgi() {  // NOLINT(bugprone-reserved-identifier): CPython's name
  return coewsgi::make_module();
}
