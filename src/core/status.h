// Status: how an operation of the core ended. The core throws nothing and logs
// nothing; the binding maps each value to one Python exception.
#pragma once

#include <cstdint>

namespace coev {

enum class [[nodiscard]] Status : std::uint8_t{
    kOk,           // done, or woken
    kTimedOut,     // the deadline passed first
    kInterrupted,  // an interrupt was requested; the caller has nothing to undo
    kClosed,       // the fd (or its stream) was closed during the wait
    kSystemError,  // errno says why
    kNotOwner,     // releasing a lock that somebody else holds, or nobody
    kEndOfStream,  // the peer closed before the bytes asked for arrived
    kLimit,        // a delimiter did not come within the caller's limit
    kNoMemory,     // no memory for a stack or a buffer
};

}  // namespace coev
