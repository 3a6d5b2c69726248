#include "python/waiting/occupancy.h"

#include <array>
#include <cstdint>

#include "core/parking_lot.h"
#include "core/scheduler.h"
#include "python/base/current_state.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"

namespace coev::python {

// The visits that are inside, by object; they lie on their callers' stacks.
struct Occupants {
  static constexpr std::size_t kBuckets = 256;

  static std::array<Visit*, kBuckets>& all() noexcept {
    static std::array<Visit*, kBuckets> buckets;
    static std::uint32_t generation = 0;
    const std::uint32_t now = fork_generation::current.load(std::memory_order_relaxed);
    if (generation != now) [[unlikely]] {  // who was inside lives on in the parent only
      buckets.fill(nullptr);
      generation = now;
    }
    return buckets;
  }

  static Visit*& bucket(const void* object) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(object);
    return all()[((address >> 4) ^ (address >> 12)) % kBuckets];
  }

  static Visit* find(const void* object) noexcept {
    Visit* visit = bucket(object);
    while (visit != nullptr && visit->object_ != object) visit = visit->next_;
    return visit;
  }

  static void add(Visit& visit) noexcept {
    Visit*& first = bucket(visit.object_);
    visit.next_ = first;
    visit.inside_ = true;
    first = &visit;
  }

  // It may be gone: a fork empties the table.
  static void remove(Visit& visit) noexcept {
    for (Visit** link = &bucket(visit.object_); *link != nullptr; link = &(*link)->next_) {
      if (*link != &visit) continue;
      *link = visit.next_;
      return;
    }
  }
};

Visit::Visit(const void* object) noexcept : object_(object), visitor_(current_state::get()) {
  Visit* occupant = Occupants::find(object);
  if (occupant == nullptr) [[likely]] {
    Occupants::add(*this);
  } else if (occupant->visitor_ != visitor_ && !is_closed()) {
    refused_ = !can_block() || !wait();
  }
}

bool Visit::wait() noexcept {
  Scheduler& scheduler = thread_state::scheduler();
  const Status status = python::wait([&] {
    Visit* occupant = Occupants::find(object_);
    if (occupant == nullptr) {
      Occupants::add(*this);
      return Status::kOk;
    }
    occupant->awaited_ = true;
    scheduler.current().park_value = reinterpret_cast<std::uintptr_t>(this);
    return parking_lot::park(object_, Deadline::never());  // kOk: leave() has let us in
  });
  if (status != Status::kOk) raise(status);
  return status == Status::kOk;
}

void Visit::leave() noexcept {
  Occupants::remove(*this);
  if (!awaited_) [[likely]]
    return;
  Coroutine* waiter = parking_lot::claim(object_);
  if (waiter == nullptr) return;
  Visit& next = *reinterpret_cast<Visit*>(waiter->park_value);
  next.awaited_ = true;  // perhaps by others in the same queue
  Occupants::add(next);
  Scheduler::wake(*waiter);
}

bool Visit::under_way() noexcept {
  const PyThreadState* self = current_state::get();
  for (const Visit* visit : Occupants::all()) {
    for (; visit != nullptr; visit = visit->next_) {
      if (visit->visitor_ == self) return true;
    }
  }
  return false;
}

}  // namespace coev::python
