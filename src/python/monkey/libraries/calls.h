// The functions of libc that wait, as adopted libraries call them: ours in their place.
//
// Each tries without waiting first, so that a call which need not wait costs next to
// nothing, and leaves everything that cannot wait in the scheduler to libc's own. What a
// call promises stays: partial results, timeouts, errno.
#pragma once

#include <vector>

#include "core/import_table.h"

namespace coev::python::libraries {

void add_poll_calls(std::vector<ImportedFunction>& functions) noexcept;
void add_input_calls(std::vector<ImportedFunction>& functions) noexcept;
void add_output_calls(std::vector<ImportedFunction>& functions) noexcept;
void add_connection_calls(std::vector<ImportedFunction>& functions) noexcept;
void add_sleep_calls(std::vector<ImportedFunction>& functions) noexcept;
void add_name_calls(std::vector<ImportedFunction>& functions) noexcept;
void add_mutex_calls(std::vector<ImportedFunction>& functions) noexcept;

}  // namespace coev::python::libraries
