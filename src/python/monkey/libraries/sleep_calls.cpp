// nanosleep, clock_nanosleep, usleep, sleep.

#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "python/monkey/libraries/calls.h"
#include "python/monkey/libraries/native_wait.h"

namespace coev::python::libraries {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::int64_t to_ns(const timespec& time) noexcept {
  return time.tv_sec * kNsPerSecond + time.tv_nsec;
}

bool is_valid(const timespec& time) noexcept {
  return time.tv_sec >= 0 && time.tv_sec < 9'000'000'000 && time.tv_nsec >= 0 &&
         time.tv_nsec < kNsPerSecond;
}

// Returns false when the wait was interrupted.
bool sleep_until(Deadline deadline) noexcept {
  return wait_natively([&] { return thread_state::scheduler().sleep_until(deadline); }) !=
         Status::kInterrupted;
}

void tell_rest(Deadline deadline, timespec* rest) noexcept {
  if (rest == nullptr) return;
  const std::int64_t left = deadline.ns() > now_ns() ? deadline.ns() - now_ns() : 0;
  rest->tv_sec = left / kNsPerSecond;
  rest->tv_nsec = left % kNsPerSecond;
}

// A sleep that was interrupted says EINTR, the only error that its callers know.
int our_nanosleep(const timespec* time, timespec* rest) {
  if (time == nullptr || !is_valid(*time) || !may_wait_here()) return ::nanosleep(time, rest);
  const Deadline deadline = Deadline::after(to_ns(*time));
  if (sleep_until(deadline)) return 0;
  tell_rest(deadline, rest);
  errno = EINTR;
  return -1;
}

int our_clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* rest) {
  const bool known = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
  if (!known || time == nullptr || !is_valid(*time) || !may_wait_here()) {
    return ::clock_nanosleep(clock, flags, time, rest);
  }
  std::int64_t ns = to_ns(*time);
  if ((flags & TIMER_ABSTIME) != 0) {
    timespec now{};
    ::clock_gettime(clock, &now);
    ns = ns > to_ns(now) ? ns - to_ns(now) : 0;
  }
  const Deadline deadline = Deadline::after(ns);
  if (sleep_until(deadline)) return 0;
  if ((flags & TIMER_ABSTIME) == 0) tell_rest(deadline, rest);
  return EINTR;
}

int our_usleep(useconds_t time) {
  const timespec exact{static_cast<time_t>(time / 1'000'000),
                       static_cast<long>(time % 1'000'000) * 1'000};
  return our_nanosleep(&exact, nullptr);
}

unsigned our_sleep(unsigned seconds) {
  const timespec exact{static_cast<time_t>(seconds), 0};
  timespec rest{};
  if (our_nanosleep(&exact, &rest) == 0) return 0;
  return static_cast<unsigned>(rest.tv_sec + (rest.tv_nsec >= kNsPerSecond / 2 ? 1 : 0));
}

}  // namespace

void add_sleep_calls(std::vector<ImportedFunction>& functions) noexcept {
  functions.insert(functions.end(), {imported("nanosleep", our_nanosleep),
                                     imported("clock_nanosleep", our_clock_nanosleep),
                                     imported("usleep", our_usleep), imported("sleep", our_sleep)});
}

}  // namespace coev::python::libraries
