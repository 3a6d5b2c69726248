// psycoev.extensions.connection, and what its files share.
#pragma once

#include "connection.h"

namespace psycoev::types {

// Adds the type, its kin and their functions to the module. False with an exception set.
[[nodiscard]] bool add_connection(PyObject* module);

// connection.__init__() without its arguments' parsing. replication: null, "database" or "true".
[[nodiscard]] bool connection_open(ConnectionObject* self, const char* dsn, bool is_async,
                                   const char* replication);

// poll() of a connection: a commands::PollAnswer, below 0 with an exception set.
[[nodiscard]] int connection_poll(ConnectionObject* self);

// Methods and attributes by their files, ended by a null name each.
extern PyMethodDef kSettingsMethods[];
extern PyGetSetDef kSettingsAttributes[];
extern PyMethodDef kTwoPhaseMethods[];
extern PyMethodDef kQuestionMethods[];
extern PyMethodDef kNotificationMethods[];
extern PyMethodDef kPipelineMethods[];

// extensions.ConnectionInfo.
[[nodiscard]] bool add_connection_info(PyObject* module);
extern PyTypeObject* connection_info_type;

}  // namespace psycoev::types
