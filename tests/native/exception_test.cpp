// C++ exceptions across switches: libstdc++ keeps what is being handled per OS
// thread, the scheduler makes that per coroutine.
#include <exception>
#include <stdexcept>
#include <string>

#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::yield_turns;

std::string caught_now() {
  try {
    throw;
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

TEST(Exception, RethrowFindsTheExceptionOfItsOwnCoroutine) {
  Group group;
  for (int i = 0; i < 5; ++i) {
    group.spawn([i] {
      const std::string name = "exception " + std::to_string(i);
      for (int round = 0; round < 4; ++round) {
        try {
          throw std::runtime_error(name);
        } catch (const std::runtime_error& error) {
          for (int turn = 0; turn <= i; ++turn) yield_turns(1);
          EXPECT_EQ(error.what(), name);
          EXPECT_EQ(caught_now(), name);
        }
        EXPECT_EQ(std::current_exception(), nullptr);
        yield_turns(1);
      }
    });
  }
  group.join();
}

TEST(Exception, NestedHandlersMaySwitch) {
  Group group;
  for (int i = 0; i < 3; ++i) {
    group.spawn([i] {
      const std::string outer = "outer " + std::to_string(i);
      const std::string inner = "inner " + std::to_string(i);
      try {
        throw std::runtime_error(outer);
      } catch (const std::runtime_error&) {
        yield_turns(1 + i);
        try {
          throw std::runtime_error(inner);
        } catch (const std::runtime_error&) {
          yield_turns(3 - i);
          EXPECT_EQ(caught_now(), inner);
        }
        yield_turns(1);
        EXPECT_EQ(caught_now(), outer);
      }
    });
  }
  group.join();
}

TEST(Exception, DestructorsMaySwitchWhileUnwinding) {
  struct Yielder {
    ~Yielder() {
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      yield_turns(2);
      EXPECT_EQ(std::uncaught_exceptions(), 1);
    }
  };
  Group group;
  for (int i = 0; i < 3; ++i) {
    group.spawn([i] {
      try {
        const Yielder yielder;
        throw std::runtime_error(std::to_string(i));
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(), std::to_string(i));
      }
    });
  }
  group.spawn([] {
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      yield_turns(1);
    }
  });
  group.join();
  EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(Exception, ACoroutineStartedInsideAHandlerHandlesNothing) {
  Group group;
  try {
    throw std::runtime_error("of the spawner");
  } catch (const std::runtime_error&) {
    group.spawn([] { EXPECT_EQ(std::current_exception(), nullptr); });
    group.join();
    EXPECT_EQ(caught_now(), "of the spawner");
  }
}

}  // namespace
}  // namespace coev
