// pthread_mutex_lock, pthread_mutex_trylock, pthread_mutex_unlock.
//
// A library may wait in the scheduler while it holds a mutex of its own. A second
// coroutine of the same OS thread that wants that mutex must let the first one run, or
// both wait for ever; and a recursive mutex, which knows OS threads only, must not let
// the second one in.

#include <pthread.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "core/scheduler.h"
#include "core/spin_lock.h"
#include "python/monkey/libraries/calls.h"
#include "python/monkey/libraries/native_wait.h"

namespace coev::python::libraries {
namespace {

// Which coroutine holds a mutex that knows its owner. Such a mutex is rare, so that a
// list a bucket does.
class Owners {
 public:
  // 0: nobody that we know.
  [[nodiscard]] std::uint64_t owner(const pthread_mutex_t* mutex) noexcept {
    Bucket& bucket = bucket_of(mutex);
    const Guard guard(bucket.lock);
    const Entry* entry = find(bucket, mutex);
    return entry == nullptr ? 0 : entry->owner;
  }
  void took(const pthread_mutex_t* mutex, std::uint64_t owner) noexcept {
    Bucket& bucket = bucket_of(mutex);
    const Guard guard(bucket.lock);
    Entry* entry = find(bucket, mutex);
    if (entry != nullptr) {
      ++entry->count;
    } else {
      bucket.entries.push_back({mutex, owner, 1});
    }
  }
  void gave_back(const pthread_mutex_t* mutex) noexcept {
    Bucket& bucket = bucket_of(mutex);
    const Guard guard(bucket.lock);
    Entry* entry = find(bucket, mutex);
    if (entry == nullptr || --entry->count > 0) return;
    *entry = bucket.entries.back();
    bucket.entries.pop_back();
  }

 private:
  struct Entry {
    const pthread_mutex_t* mutex;
    std::uint64_t owner;
    unsigned count;
  };
  struct Bucket {
    SpinLock lock;
    std::vector<Entry> entries;
  };
  class Guard {
   public:
    explicit Guard(SpinLock& lock) noexcept : lock_(lock) { lock_.lock(); }
    ~Guard() { lock_.unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    SpinLock& lock_;
  };

  Bucket& bucket_of(const pthread_mutex_t* mutex) noexcept {
    return buckets_[(reinterpret_cast<std::uintptr_t>(mutex) >> 4) % buckets_.size()];
  }
  static Entry* find(Bucket& bucket, const pthread_mutex_t* mutex) noexcept {
    for (Entry& entry : bucket.entries) {
      if (entry.mutex == mutex) return &entry;
    }
    return nullptr;
  }

  std::array<Bucket, 64> buckets_;
};

Owners& owners() noexcept {
  static auto* const all = new Owners;  // libraries lock until the very end
  return *all;
}

// Whether the mutex asks who its owner is: of the kinds recursive and error-checking.
bool knows_owner(const pthread_mutex_t* mutex) noexcept {
  constexpr int kKindMask = 3;
  const int kind = mutex->__data.__kind & kKindMask;
  return kind == PTHREAD_MUTEX_RECURSIVE || kind == PTHREAD_MUTEX_ERRORCHECK;
}

// As pthread_mutex_trylock(), but for coroutines.
int try_lock(pthread_mutex_t* mutex) noexcept {
  if (!knows_owner(mutex)) return ::pthread_mutex_trylock(mutex);
  const std::uint64_t self = Scheduler::current_id();
  const std::uint64_t owner = owners().owner(mutex);
  if (owner != 0 && owner != self) return EBUSY;
  const int result = ::pthread_mutex_trylock(mutex);
  if (result == 0) owners().took(mutex, self);
  return result;
}

// Lets others run; nothing can end the wait for a mutex.
void pause_without_end(unsigned attempt) noexcept {
  const GilForWait gil;
  Scheduler& scheduler = thread_state::scheduler();
  InterruptShield shield(scheduler.current());
  constexpr std::int64_t kFirstNs = 10'000;
  constexpr unsigned kLongest = 7;  // about a millisecond
  const Deadline deadline =
      attempt == 0 ? Deadline::at(0) : Deadline::after(kFirstNs << std::min(attempt, kLongest));
  while (scheduler.sleep_until(deadline) == Status::kInterrupted) shield.absorb();
}

int our_mutex_trylock(pthread_mutex_t* mutex) { return try_lock(mutex); }

int our_mutex_lock(pthread_mutex_t* mutex) {
  int result = try_lock(mutex);
  if (result != EBUSY) return result;
  const bool mine = knows_owner(mutex) && owners().owner(mutex) == Scheduler::current_id();
  if (mine || !may_wait_here()) {
    result = ::pthread_mutex_lock(mutex);
    if (result == 0 && knows_owner(mutex)) owners().took(mutex, Scheduler::current_id());
    return result;
  }
  const int saved = errno;
  for (unsigned attempt = 0; result == EBUSY; ++attempt) {
    pause_without_end(attempt);
    result = try_lock(mutex);
  }
  errno = saved;
  return result;
}

int our_mutex_unlock(pthread_mutex_t* mutex) {
  if (knows_owner(mutex)) owners().gave_back(mutex);
  return ::pthread_mutex_unlock(mutex);
}

}  // namespace

void add_mutex_calls(std::vector<ImportedFunction>& functions) noexcept {
  functions.insert(functions.end(), {imported("pthread_mutex_lock", our_mutex_lock),
                                     imported("pthread_mutex_trylock", our_mutex_trylock),
                                     imported("pthread_mutex_unlock", our_mutex_unlock)});
}

}  // namespace coev::python::libraries
