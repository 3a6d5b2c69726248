// coewsgi._coewsgi.Server: the Python face of a Server.
#pragma once

#include "ref.h"

namespace coewsgi {

bool ready_server_type() noexcept;
PyObject* server_class() noexcept;  // borrowed

}  // namespace coewsgi
