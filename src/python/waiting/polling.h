// Waiting for any of several descriptors, by the events of poll(2).
#pragma once

#include <poll.h>

#include <vector>

#include "core/status.h"
#include "core/time.h"

namespace coev::python {

// Parks until one of `wanted`, each fd once, may have what is wanted of it: the caller
// asks the kernel, before and after. Events that libev cannot tell, as POLLPRI, are
// waited for by a set of the kernel's, and where there is no room for that, looked at
// again and again.
// SWITCHES: always. ERRORS: as Readiness::wait_any().
Status park_for(const std::vector<pollfd>& wanted, Deadline deadline) noexcept;

}  // namespace coev::python
