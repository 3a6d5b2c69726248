// Look-ahead: what it knows of the order, and that it changes nothing else.

#include "core/look_ahead.h"

#include <gtest/gtest.h>

#include <array>

namespace coev {
namespace {

constexpr std::size_t kDistance = LookAhead::kDistance;

class LookAheadTest : public testing::Test {
 protected:
  LookAheadTest() { look_ahead_.begin_turn(LookAhead::kCrowd); }

  void make_ready(Coroutine& coroutine) {
    ready_.push_back(coroutine);
    look_ahead_.made_ready(coroutine);
  }

  std::array<Coroutine, 3 * kDistance> coroutines_;
  IntrusiveList<Coroutine> ready_;
  LookAhead look_ahead_;
};

TEST_F(LookAheadTest, EachKnowsWhoWasMadeReadyTheDistanceLater) {
  for (Coroutine& each : coroutines_) make_ready(each);
  for (std::size_t i = 0; i < coroutines_.size(); ++i) {
    Coroutine* later = i + kDistance < coroutines_.size() ? &coroutines_[i + kDistance] : nullptr;
    EXPECT_EQ(coroutines_[i].ahead, later) << i;
  }
}

TEST_F(LookAheadTest, OneThatIsMadeReadyAgainAndAgainKnowsItself) {
  for (std::size_t i = 0; i < 2 * kDistance; ++i) look_ahead_.made_ready(coroutines_[0]);
  EXPECT_EQ(coroutines_[0].ahead, &coroutines_[0]);
}

TEST_F(LookAheadTest, ForgetsThoseOfAnotherProcessWithoutTouchingThem) {
  for (std::size_t i = 0; i < kDistance; ++i) make_ready(coroutines_[i]);
  look_ahead_.clear();
  for (std::size_t i = kDistance; i < 2 * kDistance; ++i) make_ready(coroutines_[i]);
  for (const Coroutine& each : coroutines_) EXPECT_EQ(each.ahead, nullptr);
}

TEST_F(LookAheadTest, FetchingLeavesTheOrderAlone) {
  for (Coroutine& each : coroutines_) make_ready(each);
  std::size_t left = coroutines_.size();
  for (Coroutine& each : coroutines_) {
    EXPECT_EQ(&ready_.pop_front(), &each);
    --left;
    look_ahead_.fetch(ready_, left, left);
  }
  EXPECT_TRUE(ready_.empty());
}

// Links to one that has gone elsewhere, or nowhere yet, are hints like any other.
TEST_F(LookAheadTest, FetchesInVainWhereTheOrderHasChanged) {
  for (Coroutine& each : coroutines_) make_ready(each);
  for (std::size_t i = 2; i < coroutines_.size(); i += 2) coroutines_[i].unlink();
  coroutines_[1].ahead = nullptr;
  std::size_t left = coroutines_.size() / 2 + 1;
  while (left > 0) {
    ready_.pop_front();
    --left;
    look_ahead_.fetch(ready_, left, left);
  }
  EXPECT_TRUE(ready_.empty());
}

TEST(CoroutineTest, NotesTheLineOfAFrameInItsAnnex) {
  std::array<char, Coroutine::kAnnexBytes> annex{};
  Coroutine coroutine;
  coroutine.annex = annex.data();
  coroutine.note_frame(&annex[7 * Coroutine::kLineBytes + 1]);
  EXPECT_EQ(coroutine.annex_line, 7);
}

TEST(CoroutineTest, TakesTheBeginningOfTheAnnexForAFrameThatLiesElsewhere) {
  std::array<char, Coroutine::kAnnexBytes + 2> memory{};
  Coroutine coroutine;
  coroutine.annex = &memory[1];
  for (const char* elsewhere : {&memory.front(), &memory.back(), static_cast<char*>(nullptr)}) {
    coroutine.note_frame(elsewhere);
    EXPECT_EQ(coroutine.annex_line, 0);
  }
}

}  // namespace
}  // namespace coev
