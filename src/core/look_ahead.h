// Look-ahead: fetches what ready coroutines will touch, while others run.
//
// Of thousands none is in the caches when its turn comes, nor is the address of its page
// in the TLB: each stack has a page of its own, and page tables far apart. A processor that
// is told to fetch from such a page waits until it has found it; where it is told of
// several, it looks for all at once. So every kDistance switches the pages of the next
// kDistance are fetched together, and then, from pages that are known by now, the lines of
// the second next. Only hints: a coroutine that has gone elsewhere is fetched in vain.
// Few coroutines stay in the caches by themselves, and to fetch is then work for nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/coroutine.h"
#include "core/intrusive_list.h"

namespace coev {

class LookAhead {
 public:
  static constexpr std::size_t kDistance = 8;
  // From so many coroutines on it fetches. Each touches about 28 lines of 64 bytes, so 256 of
  // them fill 450 KiB: about what the second-level cache of a core holds.
  static constexpr std::size_t kCrowd = 256;

  // How many lines a coroutine touches when it goes on. Of its stack: on the way back to the
  // interpreter's loop, from a yield or from a call that had to park, and below the stack
  // pointer on the way to its next switch. And of its Python frame.
  static constexpr std::uint8_t kLinesOfYield = 7;
  static constexpr std::uint8_t kLinesOfPark = 15;
  static constexpr int kLinesBelow = 3;
  static constexpr int kLinesOfFrame = 3;

  // Whoever was made ready kDistance before it knows it from now on: links from one to the
  // next would have to be followed, page after page.
  void made_ready(Coroutine& coroutine) noexcept {
    Coroutine*& earlier = latest_[count_++ % kDistance];
    if (earlier != nullptr) earlier->ahead = &coroutine;
    earlier = &coroutine;
  }

  // `coroutines` counts all that live, parked or not.
  void begin_turn(std::size_t coroutines) noexcept { is_crowded_ = coroutines >= kCrowd; }

  // Call when a coroutine has left the front of `ready`, where `count` are left. `step` goes
  // down by one from call to call.
  void fetch(IntrusiveList<Coroutine>& ready, std::size_t count, std::size_t step) const noexcept {
    if (!is_crowded_ || count < 2) return;
    if (count >= 2 * kDistance && step % kDistance == 0) fetch_pages(ready);
    fetch_lines(*ready.next(ready.front()));
  }

  // Forgets every coroutine without touching it (after fork).
  void clear() noexcept { latest_.fill(nullptr); }

 private:
  // Of those that were made ready kDistance after the first kDistance of `ready`.
  static void fetch_pages(IntrusiveList<Coroutine>& ready) noexcept;
  static void fetch_lines(const Coroutine& coroutine) noexcept;

  std::array<Coroutine*, kDistance> latest_{};  // made ready; not owned
  std::size_t count_ = 0;
  bool is_crowded_ = false;
};

}  // namespace coev
