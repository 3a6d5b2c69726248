#include "core/libev_calls.h"

#include <dlfcn.h>
#include <ev.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "core/import_table.h"

namespace coev {
namespace {

thread_local LibevCalls* t_calls = nullptr;

// The C library's, also where libev is linked into this very library, whose imports then are
// redirected along with it.
template <typename Function>
Function* original(const char* name, Function* otherwise) noexcept {
  void* found = dlsym(RTLD_DEFAULT, name);
  return found == nullptr ? otherwise : reinterpret_cast<Function*>(found);
}

struct Originals {
  decltype(epoll_create1)* create = original("epoll_create1", ::epoll_create1);
  decltype(epoll_ctl)* control = original("epoll_ctl", ::epoll_ctl);
  decltype(epoll_wait)* wait = original("epoll_wait", ::epoll_wait);
  decltype(::close)* shut = original("close", ::close);
};

const Originals& originals() noexcept {
  static const Originals all;
  return all;
}

int create(int flags) {
  const int queue = originals().create(flags);
  if (t_calls != nullptr && queue >= 0) t_calls->queue = queue;
  return queue;
}

// libev takes ENOSPC as it should take the others: the watchers of the descriptor get EV_ERROR.
int control(int queue, int operation, int fd, epoll_event* event) {
  const int result = originals().control(queue, operation, fd, event);
  if (result == 0 || t_calls == nullptr || queue != t_calls->queue) return result;
  if (errno == EBADF || errno == EINVAL || errno == ELOOP || errno == ENOMEM) errno = ENOSPC;
  return result;
}

int wait(int queue, epoll_event* events, int count, int timeout_ms) {
  const int result = originals().wait(queue, events, count, timeout_ms);
  if (result >= 0 || errno == EINTR || t_calls == nullptr) return result;
  t_calls->queue_failed = true;
  return 0;
}

int close_unless_kept(int fd) {
  if (t_calls != nullptr && t_calls->keeps_queue && fd == t_calls->queue) return 0;
  return originals().shut(fd);
}

bool redirect_all() noexcept {
  const void* inside = dlsym(RTLD_DEFAULT, "ev_run");
  if (inside == nullptr) inside = reinterpret_cast<const void*>(&ev_run);
  const std::vector<ImportedFunction> functions{
      imported("close", close_unless_kept), imported("epoll_create1", create),
      imported("epoll_ctl", control), imported("epoll_wait", wait)};
  LoadedObject libev;
  if (!find_object(inside, &libev) || redirect(libev, functions) != nullptr) return false;
  const bool all =
      std::all_of(functions.begin(), functions.end(), [&](const ImportedFunction& function) {
        return std::any_of(libev.slots.begin(), libev.slots.end(),
                           [&](const Slot& slot) { return slot.name == function.name; });
      });
  // One without the others would give answers that the rest does not expect.
  if (!all) restore(libev, functions);
  return all;
}

}  // namespace

void LibevCalls::install() noexcept {
  static const bool redirected = redirect_all();
  static_cast<void>(redirected);  // where it is not, libev does as it does
}

LibevScope::LibevScope(LibevCalls& calls) noexcept : before_(t_calls) { t_calls = &calls; }
LibevScope::~LibevScope() { t_calls = before_; }

}  // namespace coev
