#include "core/local.h"

#include <string>
#include <vector>

#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::yield_turns;

LocalStorage& locals() { return here().current().locals; }

std::vector<void*> g_destroyed;
void record(void* value) { g_destroyed.push_back(value); }

TEST(Local, EachCoroutineHasItsOwnValues) {
  const int key = create_local_key(nullptr);
  ASSERT_GE(key, 0);
  Group group;
  int values[3];
  for (int& value : values) {
    group.spawn([&value, key] {
      EXPECT_EQ(locals().get(key), nullptr);
      EXPECT_TRUE(locals().set(key, &value));
      yield_turns(2);
      EXPECT_EQ(locals().get(key), &value);
    });
  }
  group.join();
  EXPECT_EQ(locals().get(key), nullptr);
}

TEST(Local, DestructorsRunWhenTheCoroutineEnds) {
  const int key = create_local_key(record);
  int value = 0;
  g_destroyed.clear();
  Group group;
  group.spawn([&] {
    EXPECT_TRUE(locals().set(key, &value));
    yield_turns(1);
    EXPECT_TRUE(g_destroyed.empty());
  });
  group.join();
  yield_turns(2);
  EXPECT_EQ(g_destroyed, std::vector<void*>{&value});
  group.spawn([key] { EXPECT_EQ(locals().get(key), nullptr); });
}

TEST(Local, DestructorsMaySwitch) {
  static bool ended = false;
  const int key = create_local_key([](void*) {
    yield_turns(3);
    ended = true;
  });
  Group group;
  group.spawn([key] { EXPECT_TRUE(locals().set(key, &ended)); });
  group.join();
  yield_turns(6);
  EXPECT_TRUE(ended);
}

int g_restless_key = -1;
int g_rounds = 0;

TEST(Local, AValueThatComesBackIsDestroyedAFewTimesAndThenDropped) {
  g_rounds = 0;
  g_restless_key = create_local_key([](void* value) {
    ++g_rounds;
    EXPECT_TRUE(locals().set(g_restless_key, value));
  });
  Group group;
  Coroutine& first = group.spawn([] { EXPECT_TRUE(locals().set(g_restless_key, &g_rounds)); });
  group.join();
  yield_turns(2);
  EXPECT_EQ(g_rounds, 4);
  Coroutine& second = group.spawn([] { EXPECT_EQ(locals().get(g_restless_key), nullptr); });
  EXPECT_EQ(&first, &second);
  group.join();
  yield_turns(2);
  EXPECT_EQ(g_rounds, 4);
}

int g_late_key = -1;

TEST(Local, ADestructorMaySetALaterKey) {
  static int destroyed_late = 0;
  static int key_that_sets = -1;
  key_that_sets =
      create_local_key([](void* value) { EXPECT_TRUE(locals().set(g_late_key, value)); });
  for (int i = 0; i < 50; ++i) g_late_key = create_local_key([](void*) { ++destroyed_late; });
  Group group;
  group.spawn([] { EXPECT_TRUE(locals().set(key_that_sets, &destroyed_late)); });
  group.join();
  yield_turns(2);
  EXPECT_EQ(destroyed_late, 1);
}

TEST(Local, ManyKeysKeepTheirValues) {
  std::vector<int> keys;
  std::vector<int> values(200);
  for (int i = 0; i < 200; ++i) keys.push_back(create_local_key(record));
  g_destroyed.clear();
  Group group;
  group.spawn([&] {
    for (std::size_t i = 200; i-- > 0;) EXPECT_TRUE(locals().set(keys[i], &values[i]));
    for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ(locals().get(keys[i]), &values[i]);
  });
  group.join();
  yield_turns(2);
  EXPECT_EQ(g_destroyed.size(), 200U);
}

TEST(Local, KeysRunOut) {  // in a child: keys are never given back
  const int status = testing::status_of_child([] {
    for (std::size_t i = 0; i <= LocalStorage::kMaximumKeys; ++i) {
      if (create_local_key(nullptr) < 0) return 0;
    }
    return 1;
  });
  EXPECT_TRUE(testing::exited_with(status, 0));
}

}  // namespace
}  // namespace coev
