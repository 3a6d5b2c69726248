// UpgradeRequest: how an application takes a connection out of HTTP.
#pragma once

#include "connection.h"
#include "ref.h"

namespace coewsgi {

bool ready_upgrade_type() noexcept;
PyObject* upgrade_class() noexcept;  // borrowed

// New reference; nullptr with an exception set.
PyObject* make_upgrade(Connection& connection) noexcept;
// The request is over: the object can do nothing any more.
void end_upgrade(PyObject* upgrade) noexcept;

}  // namespace coewsgi
