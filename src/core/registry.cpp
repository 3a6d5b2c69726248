#include "core/registry.h"

namespace coev {

Registry& Registry::instance() noexcept {
  static Registry* registry = new Registry;  // never destroyed: threads may outlive main()
  return *registry;
}

void Registry::add(Scheduler& scheduler) {
  const std::lock_guard<std::mutex> hold(*mutex_);
  schedulers_.push_back(&scheduler);
  size_.store(schedulers_.size());
}

void Registry::remove(Scheduler& scheduler) noexcept {
  const std::lock_guard<std::mutex> hold(*mutex_);
  schedulers_.erase(std::remove(schedulers_.begin(), schedulers_.end(), &scheduler),
                    schedulers_.end());
  size_.store(schedulers_.size());
}

void Registry::reset(Scheduler* survivor) noexcept {
  mutex_ = new std::mutex;
  schedulers_.clear();
  if (survivor != nullptr) schedulers_.push_back(survivor);
  size_.store(schedulers_.size());
}

}  // namespace coev
