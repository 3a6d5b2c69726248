// The schedulers of the process, one an OS thread.
//
// THREAD: any. A scheduler visited here stays alive during the visit.
#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

namespace coev {

class Scheduler;

class Registry {
 public:
  static Registry& instance() noexcept;

  void add(Scheduler& scheduler);
  void remove(Scheduler& scheduler) noexcept;
  // After fork: nobody but `survivor` (may be nullptr) exists.
  void reset(Scheduler* survivor) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_.load(); }

  template <typename Visit>
  void for_each(Visit visit) {
    const std::lock_guard<std::mutex> hold(*mutex_);
    for (Scheduler* scheduler : schedulers_) visit(*scheduler);
  }

 private:
  std::mutex* mutex_ = new std::mutex;  // replaced after fork: its holder may be gone
  std::vector<Scheduler*> schedulers_;
  std::atomic<std::size_t> size_{0};
};

template <typename Visit>
void for_each_scheduler(Visit visit) {
  Registry::instance().for_each(visit);
}

}  // namespace coev
