// A doubly linked list through a link inside the element: pushing, popping and
// unlinking allocate nothing and cost O(1). The list owns no element.
#pragma once

#include <cstddef>

namespace coev {

struct ListLink {
  ListLink* next = nullptr;
  ListLink* previous = nullptr;

  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;

  [[nodiscard]] bool linked() const noexcept { return next != nullptr; }

  // REQUIRES: linked().
  void unlink() noexcept {
    next->previous = previous;
    previous->next = next;
    next = previous = nullptr;
  }
};

// T derives from ListLink: an element is in one list at most.
template <typename T>
class IntrusiveList {
 public:
  IntrusiveList() noexcept { clear(); }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  [[nodiscard]] bool empty() const noexcept { return head_.next == &head_; }
  [[nodiscard]] T& front() noexcept { return *static_cast<T*>(head_.next); }

  void push_back(T& element) noexcept { insert_before(head_, element); }
  void push_front(T& element) noexcept { insert_before(*head_.next, element); }

  T& pop_front() noexcept {  // REQUIRES: !empty()
    T& element = front();
    element.unlink();
    return element;
  }

  // The element after `element`, or nullptr at the end.
  [[nodiscard]] T* next(T& element) noexcept { return at(element.next); }
  [[nodiscard]] T* first() noexcept { return at(head_.next); }

  // Forgets every element without touching it (after fork).
  void clear() noexcept { head_.next = head_.previous = &head_; }

 private:
  [[nodiscard]] T* at(ListLink* link) noexcept {
    return link == &head_ ? nullptr : static_cast<T*>(link);
  }
  static void insert_before(ListLink& position, ListLink& element) noexcept {
    element.next = &position;
    element.previous = position.previous;
    position.previous->next = &element;
    position.previous = &element;
  }

  ListLink head_;
};

}  // namespace coev
