#include "core/intrusive_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace coev {
namespace {

struct Element : ListLink {
  int value = 0;
};

std::vector<int> values(IntrusiveList<Element>& list) {
  std::vector<int> result;
  for (Element* e = list.first(); e != nullptr; e = list.next(*e)) result.push_back(e->value);
  return result;
}

TEST(IntrusiveList, PopsInFifoOrder) {
  Element elements[3];
  IntrusiveList<Element> list;
  for (int i = 0; i < 3; ++i) {
    elements[i].value = i;
    list.push_back(elements[i]);
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(list.pop_front().value, i);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.first(), nullptr);
}

TEST(IntrusiveList, PushFrontGoesBeforeAllOthers) {
  Element first, second;
  first.value = 1, second.value = 2;
  IntrusiveList<Element> list;
  list.push_front(first);
  list.push_front(second);
  EXPECT_EQ(values(list), (std::vector<int>{2, 1}));
}

TEST(IntrusiveList, LinkedTellsWhetherAnElementIsInAList) {
  Element element;
  IntrusiveList<Element> list;
  EXPECT_FALSE(element.linked());
  list.push_back(element);
  EXPECT_TRUE(element.linked());
  element.unlink();
  EXPECT_FALSE(element.linked());
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, BehavesLikeAVectorUnderRandomEdits) {
  std::mt19937 random(1);
  std::vector<Element> elements(50);
  for (int i = 0; i < 50; ++i) elements[static_cast<std::size_t>(i)].value = i;
  IntrusiveList<Element> list;
  std::vector<int> model;
  for (int step = 0; step < 5000; ++step) {
    Element& element = elements[random() % elements.size()];
    if (element.linked()) {
      element.unlink();
      model.erase(std::find(model.begin(), model.end(), element.value));
    } else if (random() % 2 == 0) {
      list.push_back(element);
      model.push_back(element.value);
    } else {
      list.push_front(element);
      model.insert(model.begin(), element.value);
    }
    ASSERT_EQ(values(list), model);
  }
}

TEST(IntrusiveList, ClearForgetsWithoutTouching) {
  Element element;
  IntrusiveList<Element> list;
  list.push_back(element);
  list.clear();
  EXPECT_TRUE(list.empty());
  EXPECT_TRUE(element.linked());
}

}  // namespace
}  // namespace coev
