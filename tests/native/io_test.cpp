#include "core/io.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::in_ms;
using testing::passed;
using testing::SocketPair;

const int kOwner = 0;  // an address

Status receive(int fd, std::string* bytes, Deadline deadline) {
  char buffer[64];
  std::size_t count = 0;
  const Status status = io::receive(fd, buffer, sizeof buffer, 0, &kOwner, deadline, &count);
  bytes->assign(buffer, status == Status::kOk ? count : 0);
  return status;
}

TEST(Io, ReceiveWaitsForData) {
  const SocketPair pair;
  Group group;
  group.spawn([&] { pair.write_far("hello", 5); });
  std::string bytes;
  EXPECT_EQ(receive(pair.near(), &bytes, Deadline::never()), Status::kOk);
  EXPECT_EQ(bytes, "hello");
}

TEST(Io, APassedDeadlineStillTriesOnce) {
  const SocketPair pair;
  std::string bytes;
  EXPECT_EQ(receive(pair.near(), &bytes, passed()), Status::kTimedOut);
  for (int i = 0; i < 3; ++i) {
    pair.write_far('x');
    EXPECT_EQ(receive(pair.near(), &bytes, passed()), Status::kOk);
    EXPECT_EQ(receive(pair.near(), &bytes, in_ms(1)), Status::kTimedOut);
  }
}

TEST(Io, APassedDeadlineTriesOnceWhileOthersAreBusy) {
  const SocketPair pair;
  bool stop = false;
  Group group;
  group.spawn([&] {
    while (!stop) testing::yield_turns(1);
  });
  std::string bytes;
  for (int i = 0; i < 100; ++i) {
    pair.write_far('x');
    EXPECT_EQ(receive(pair.near(), &bytes, passed()), Status::kOk);
  }
  stop = true;
}

TEST(Io, ReceiveGivesNothingAtTheEnd) {
  SocketPair pair;
  std::string bytes = "?";
  pair.write_far("last", 4);
  pair.close_far();
  EXPECT_EQ(receive(pair.near(), &bytes, Deadline::never()), Status::kOk);
  EXPECT_EQ(bytes, "last");
  EXPECT_EQ(receive(pair.near(), &bytes, Deadline::never()), Status::kOk);
  EXPECT_EQ(bytes, "");
}

TEST(Io, SendWaitsForRoom) {
  const SocketPair pair;
  pair.fill_near();
  Group group;
  group.spawn([&] { pair.drain_far(); });
  std::size_t count = 0;
  EXPECT_EQ(io::send(pair.near(), "x", 1, 0, &kOwner, Deadline::never(), &count), Status::kOk);
  EXPECT_EQ(count, 1U);
}

TEST(Io, SendTimesOutWithNothingMoved) {
  const SocketPair pair;
  pair.fill_near();
  std::size_t count = 7;
  EXPECT_EQ(io::send(pair.near(), "x", 1, 0, &kOwner, in_ms(1), &count), Status::kTimedOut);
  EXPECT_EQ(count, 7U);
}

TEST(Io, ErrorsOfTheKernelAreReported) {
  SocketPair pair;
  pair.close_far();
  std::size_t count = 0;
  EXPECT_EQ(io::send(pair.near(), "x", 1, MSG_NOSIGNAL, &kOwner, Deadline::never(), &count),
            Status::kSystemError);
  EXPECT_EQ(errno, EPIPE);
  EXPECT_EQ(io::receive(-1, &count, 1, 0, &kOwner, Deadline::never(), &count),
            Status::kSystemError);
  EXPECT_EQ(errno, EBADF);
}

TEST(Io, AReceiverWhoseFdIsForgottenEndsWithClosed) {
  const SocketPair pair;
  Group group;
  Status status = Status::kOk;
  group.spawn([&] {
    std::string bytes;
    status = receive(pair.near(), &bytes, Deadline::never());
  });
  testing::yield_turns(2);
  Readiness::forget(pair.near());
  group.join();
  EXPECT_EQ(status, Status::kClosed);
}

TEST(Io, ASocketThatIsAlwaysReadyDoesNotStarveOthers) {
  const SocketPair pair;
  Group group;
  bool other_ran = false;
  int rounds = 0;
  group.spawn([&] {
    char byte = 'x';
    std::size_t count = 0;
    while (!other_ran && rounds < 100'000) {
      ++rounds;
      ASSERT_EQ(io::send(pair.far(), &byte, 1, 0, nullptr, Deadline::never(), &count), Status::kOk);
      ASSERT_EQ(io::receive(pair.near(), &byte, 1, 0, nullptr, Deadline::never(), &count),
                Status::kOk);
    }
  });
  group.spawn([&] { other_ran = true; });
  group.join();
  EXPECT_LT(rounds, 1000);
}

TEST(Io, ManyRoundTripsLoseNothing) {
  const SocketPair pair;
  Group group;
  group.spawn([&] {
    char byte = 0;
    std::size_t count = 0;
    for (;;) {
      ASSERT_EQ(io::receive(pair.far(), &byte, 1, 0, &pair, Deadline::never(), &count),
                Status::kOk);
      ASSERT_EQ(io::send(pair.far(), &byte, 1, 0, &pair, Deadline::never(), &count), Status::kOk);
      if (byte == 'q') return;
    }
  });
  for (int i = 0; i < 3000; ++i) {
    const char byte = i == 2999 ? 'q' : 'x';
    std::size_t count = 0;
    ASSERT_EQ(io::send(pair.near(), &byte, 1, 0, &kOwner, Deadline::never(), &count), Status::kOk);
    std::string echo;
    ASSERT_EQ(receive(pair.near(), &echo, Deadline::never()), Status::kOk);
    ASSERT_EQ(echo, std::string(1, byte));
  }
}

}  // namespace
}  // namespace coev
