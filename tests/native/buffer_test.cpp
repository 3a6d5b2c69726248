#include "core/buffer.h"

#include <cerrno>
#include <string>
#include <vector>

#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::in_ms;
using testing::SocketPair;
using testing::yield_turns;

const std::string kInput = "GET /path\r\nlength: 5\r\n\r\nhello\r\n\r\rtail\r\nxy";

// Reads lines, then a body, then what is left; small buffers force growth.
std::vector<std::string> parse(BufferedStream& stream) {
  std::vector<std::string> events;
  const auto note = [&](Status status, std::string_view bytes) {
    events.push_back(std::to_string(static_cast<int>(status)) + ":" +
                     (status == Status::kOk ? std::string(bytes) : ""));
    return status == Status::kOk;
  };
  std::string_view bytes;
  for (;;) {
    if (!note(stream.read_until("\r\n", 64, Deadline::never(), &bytes), bytes)) return events;
    if (bytes == "\r\n") break;
  }
  note(stream.read_exactly(5, Deadline::never(), &bytes), bytes);
  note(stream.read_until("\r\n", 3, Deadline::never(), &bytes), bytes);
  note(stream.read_until("tail", 4, Deadline::never(), &bytes), bytes);  // beyond the limit
  note(stream.read_exactly(3, Deadline::never(), &bytes), bytes);
  note(stream.read_until("\r\n", 64, Deadline::never(), &bytes), bytes);
  note(stream.read_exactly(100, Deadline::never(), &bytes), bytes);  // the end comes first
  while (note(stream.read_some(1, Deadline::never(), &bytes), bytes)) {
  }
  return events;
}

std::vector<std::string> parse_split_at(std::size_t first, std::size_t second,
                                        std::size_t buffer_bytes) {
  SocketPair pair;
  std::vector<std::string> events;
  Group group;
  group.spawn([&] {
    BufferedStream stream(pair.near(), &pair, buffer_bytes);
    events = parse(stream);
  });
  const std::size_t cuts[] = {0, first, second, kInput.size()};
  for (int i = 0; i < 3; ++i) {
    yield_turns(2);
    if (cuts[i] < cuts[i + 1]) pair.write_far(&kInput[cuts[i]], cuts[i + 1] - cuts[i]);
    EXPECT_EQ(here().sleep_until(testing::passed()), Status::kTimedOut);
  }
  pair.close_far();
  group.join();
  return events;
}

TEST(BufferedStream, SameInputSplitAtEveryPositionGivesTheSameEvents) {
  const auto expected = parse_split_at(0, 0, BufferedStream::kDefaultBytes);
  ASSERT_EQ(expected.size(), 12U);
  EXPECT_EQ(expected[0], "0:GET /path\r\n");
  EXPECT_EQ(expected[3], "0:hello");
  EXPECT_EQ(expected[5], "7:");
  EXPECT_EQ(expected[6], "0:\r\rt");
  const std::size_t step = testing::slow() ? 7 : 1;
  for (const std::size_t buffer_bytes : {std::size_t{1}, std::size_t{3}, std::size_t{1024}}) {
    for (std::size_t first = 0; first <= kInput.size(); first += step) {
      for (std::size_t second = first; second <= kInput.size(); second += step) {
        ASSERT_EQ(parse_split_at(first, second, buffer_bytes), expected)
            << "cut at " << first << " and " << second << ", buffer of " << buffer_bytes;
      }
    }
  }
}

TEST(BufferedStream, LimitCountsTheDelimiter) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), &pair);
  pair.write_far("abcd\n", 5);
  std::string_view bytes;
  EXPECT_EQ(stream.read_until("\n", 4, Deadline::never(), &bytes), Status::kLimit);
  EXPECT_EQ(stream.unread(), 5U);
  EXPECT_EQ(stream.read_until("\n", 5, Deadline::never(), &bytes), Status::kOk);
  EXPECT_EQ(bytes, "abcd\n");
}

TEST(BufferedStream, ATimeoutConsumesNothingAndTheReadMayBeRepeated) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), &pair);
  std::string_view bytes;
  pair.write_far("half", 4);
  EXPECT_EQ(stream.read_exactly(8, in_ms(2), &bytes), Status::kTimedOut);
  EXPECT_EQ(stream.read_until("\n", 100, in_ms(2), &bytes), Status::kTimedOut);
  EXPECT_EQ(stream.unread(), 4U);
  pair.write_far("done\n", 5);
  EXPECT_EQ(stream.read_exactly(8, in_ms(5000), &bytes), Status::kOk);
  EXPECT_EQ(bytes, "halfdone");
  EXPECT_EQ(stream.read_until("\n", 100, in_ms(5000), &bytes), Status::kOk);
  EXPECT_EQ(bytes, "\n");
}

TEST(BufferedStream, AnInterruptConsumesNothing) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), &pair);
  Group group;
  Coroutine& reader = group.spawn([&] {
    std::string_view bytes;
    EXPECT_EQ(stream.read_exactly(4, Deadline::never(), &bytes), Status::kInterrupted);
    Scheduler::clear_interrupt(here().current());
    EXPECT_EQ(stream.read_exactly(4, Deadline::never(), &bytes), Status::kOk);
    EXPECT_EQ(bytes, "abcd");
  });
  pair.write_far("ab", 2);
  EXPECT_EQ(testing::sleep_ms(1), Status::kTimedOut);
  here().interrupt(reader);
  yield_turns(2);
  pair.write_far("cd", 2);
}

TEST(BufferedStream, ReadsMoreThanItsBuffer) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), &pair, 16);
  std::string sent;
  for (int i = 0; i < 50'000; ++i) sent += static_cast<char>('a' + i % 26);
  Group group;
  group.spawn([&] {
    BufferedStream writer(pair.far(), &sent, 1000);
    EXPECT_EQ(writer.write(sent, Deadline::never()), Status::kOk);
    EXPECT_EQ(writer.flush(Deadline::never()), Status::kOk);
  });
  std::string_view bytes;
  ASSERT_EQ(stream.read_exactly(sent.size(), Deadline::never(), &bytes), Status::kOk);
  EXPECT_EQ(bytes, sent);
}

TEST(BufferedStream, ALongLineTakesFewSystemCalls) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), nullptr, 64);
  const std::string line = std::string(60'000, 'x') + "\n";
  Group group;
  group.spawn([&] { pair.write_far(line.data(), line.size()); });
  yield_turns(1);
  const auto yields = here().stats().quota_yields;
  std::string_view bytes;
  ASSERT_EQ(stream.read_until("\n", 100'000, Deadline::never(), &bytes), Status::kOk);
  EXPECT_EQ(bytes, line);
  EXPECT_LE(here().stats().quota_yields - yields, 2U);
}

TEST(BufferedStream, TheEndLeavesTheBytesBeforeItReadable) {
  SocketPair pair;
  BufferedStream stream(pair.near(), &pair);
  pair.write_far("rest", 4);
  pair.close_far();
  std::string_view bytes;
  EXPECT_EQ(stream.read_until("\n", 100, Deadline::never(), &bytes), Status::kEndOfStream);
  EXPECT_EQ(stream.read_exactly(5, Deadline::never(), &bytes), Status::kEndOfStream);
  EXPECT_EQ(stream.read_some(100, Deadline::never(), &bytes), Status::kOk);
  EXPECT_EQ(bytes, "rest");
  EXPECT_EQ(stream.read_some(100, Deadline::never(), &bytes), Status::kEndOfStream);
}

TEST(BufferedStream, AReadOfNothingDoesNotWait) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), &pair);
  std::string_view bytes = "?";
  EXPECT_EQ(stream.read_exactly(0, Deadline::never(), &bytes), Status::kOk);
  EXPECT_EQ(bytes, "");
  EXPECT_EQ(stream.read_some(0, Deadline::never(), &bytes), Status::kOk);
}

TEST(BufferedStream, CollectsSmallWritesUntilFlush) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), &pair);
  EXPECT_EQ(stream.write("ab", Deadline::never()), Status::kOk);
  EXPECT_EQ(stream.write("cd", Deadline::never()), Status::kOk);
  EXPECT_EQ(stream.unsent(), 4U);
  char received[8];
  EXPECT_EQ(::read(pair.far(), received, sizeof received), -1);
  EXPECT_EQ(stream.flush(Deadline::never()), Status::kOk);
  EXPECT_EQ(stream.unsent(), 0U);
  EXPECT_EQ(::read(pair.far(), received, sizeof received), 4);
}

TEST(BufferedStream, APartialFlushContinuesWhereItStopped) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), &pair, 1000);
  std::string sent;
  std::string received;
  int timeouts = 0;
  std::vector<char> block(600);
  const auto receive = [&] {
    const ssize_t count = ::read(pair.far(), block.data(), block.size());
    if (count > 0) received.append(block.data(), static_cast<std::size_t>(count));
    return count > 0;
  };
  for (int i = 0; i < 2000; ++i) {
    const std::string piece(1 + static_cast<std::size_t>(i * 37 % 900),
                            static_cast<char>('a' + i % 26));
    sent += piece;
    const Status status = stream.write(piece, testing::passed());
    timeouts += status == Status::kTimedOut;
    ASSERT_TRUE(status == Status::kOk || status == Status::kTimedOut);
    if (i % 3 == 0) receive();
  }
  while (stream.flush(testing::passed()) != Status::kOk || receive()) receive();
  EXPECT_GT(timeouts, 0);
  EXPECT_EQ(received, sent);
}

TEST(BufferedStream, AfterAFailedWriteThatDirectionIsClosed) {
  SocketPair pair;
  BufferedStream stream(pair.near(), &pair);
  pair.write_far("answer", 6);
  pair.close_far();
  EXPECT_EQ(stream.write("question", Deadline::never()), Status::kOk);
  EXPECT_EQ(stream.flush(Deadline::never()), Status::kSystemError);
  EXPECT_EQ(errno, EPIPE);
  EXPECT_EQ(stream.flush(Deadline::never()), Status::kClosed);
  std::string_view bytes;
  EXPECT_EQ(stream.read_exactly(6, Deadline::never(), &bytes), Status::kOk);
  EXPECT_EQ(bytes, "answer");
}

TEST(BufferedStream, ADetachedStreamIsClosedButKeepsItsBytes) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), &pair);
  pair.write_far("ab", 2);
  std::string_view bytes;
  EXPECT_EQ(stream.read_exactly(1, Deadline::never(), &bytes), Status::kOk);
  stream.detach();
  EXPECT_EQ(stream.read_exactly(1, Deadline::never(), &bytes), Status::kOk);
  EXPECT_EQ(bytes, "b");
  EXPECT_EQ(stream.read_exactly(1, Deadline::never(), &bytes), Status::kClosed);
  EXPECT_EQ(stream.write("x", Deadline::never()), Status::kOk);
  EXPECT_EQ(stream.flush(Deadline::never()), Status::kClosed);
}

TEST(BufferedStream, ForgettingTheFdClosesAWaitingReader) {
  const SocketPair pair;
  BufferedStream stream(pair.near(), &pair);
  Status status = Status::kOk;
  Group group;
  group.spawn([&] {
    std::string_view bytes;
    status = stream.read_exactly(1, Deadline::never(), &bytes);
  });
  yield_turns(2);
  Readiness::forget(pair.near());
  group.join();
  EXPECT_EQ(status, Status::kClosed);
}

}  // namespace
}  // namespace coev
