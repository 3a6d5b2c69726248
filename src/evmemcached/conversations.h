// The conversations that memcached has, each with one server about some of the keys
// of an operation: `slice` says which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "codec.h"
#include "exchange.h"
#include "keys.h"

namespace evmemcached {

using Slice = std::span<const std::uint32_t>;

// get, gets, gat and gats. Finds for each key what the server has.
class Fetch final : public Conversation {
 public:
  // `verb` with what stands between it and the keys: "get", "gat 60".
  Fetch(std::string_view verb, bool with_cas, const Codec& codec, const Key* keys, Fetched* fetched,
        Slice slice) noexcept
      : verb_(verb),
        with_cas_(with_cas),
        codec_(codec),
        keys_(keys),
        fetched_(fetched),
        slice_(slice) {}
  void write(Buffer& output) noexcept override;
  Took take_reply(const Reply& reply) noexcept override;
  [[nodiscard]] bool is_repeatable() const noexcept override { return true; }

 private:
  [[nodiscard]] std::size_t command_end(std::size_t begin) const noexcept;
  [[nodiscard]] std::size_t find(std::string_view key) const noexcept;

  std::string_view verb_;
  bool with_cas_;
  const Codec& codec_;
  const Key* keys_;
  Fetched* fetched_;
  Slice slice_;
  std::size_t begin_ = 0;  // in the slice: the keys of the command that is being answered
  std::size_t end_ = 0;
  std::size_t next_ = 0;  // the key that is likely to come
};

enum class Verb : std::uint8_t {
  kSet,
  kAdd,
  kReplace,
  kAppend,
  kPrepend,
  kCas,
  kDelete,
  kTouch,
  kIncr,
  kDecr
};
inline constexpr std::size_t kVerbs = 10;

// What a server said about a key.
struct Verdict {
  Kind kind = Kind::kError;  // kError: nothing
  std::uint64_t number = 0;
};

// Storage commands: the keys with their values.
class Store final : public Conversation {
 public:
  Store(Verb verb, const Key* keys, const Encoded* values, Verdict* verdicts, Slice slice,
        long long exptime, std::uint64_t cas, bool noreply) noexcept
      : verb_(verb),
        keys_(keys),
        values_(values),
        verdicts_(verdicts),
        slice_(slice),
        exptime_(exptime),
        cas_(cas),
        noreply_(noreply) {}
  void write(Buffer& output) noexcept override;
  Took take_reply(const Reply& reply) noexcept override;
  [[nodiscard]] bool is_repeatable() const noexcept override {
    return verb_ == Verb::kSet || verb_ == Verb::kReplace;
  }
  [[nodiscard]] std::uint32_t owes() const noexcept override {
    return noreply_ ? static_cast<std::uint32_t>(slice_.size()) : 0;
  }

 private:
  Verb verb_;
  const Key* keys_;
  const Encoded* values_;
  Verdict* verdicts_;
  Slice slice_;
  long long exptime_;
  std::uint64_t cas_;
  bool noreply_;
  std::size_t next_ = 0;
};

// Commands of one line with a reply of one line: delete, touch, incr, decr.
class Change final : public Conversation {
 public:
  // `argument` stands behind the key, with the blank before it.
  Change(Verb verb, std::string_view argument, const Key* keys, Verdict* verdicts, Slice slice,
         bool noreply) noexcept
      : verb_(verb),
        argument_(argument),
        keys_(keys),
        verdicts_(verdicts),
        slice_(slice),
        noreply_(noreply) {}
  void write(Buffer& output) noexcept override;
  Took take_reply(const Reply& reply) noexcept override;
  [[nodiscard]] bool is_repeatable() const noexcept override {
    return verb_ == Verb::kDelete || verb_ == Verb::kTouch;
  }
  [[nodiscard]] std::uint32_t owes() const noexcept override {
    return noreply_ ? static_cast<std::uint32_t>(slice_.size()) : 0;
  }

 private:
  Verb verb_;
  std::string_view argument_;
  const Key* keys_;
  Verdict* verdicts_;
  Slice slice_;
  bool noreply_;
  std::size_t next_ = 0;
};

// A request as its caller wrote it; the reply ends with a token, or with the line that
// ends a list (END, OK, RESET) where the token is empty. The caller's words may do
// anything, so nothing is repeated.
class Raw final : public Conversation {
 public:
  Raw(std::string_view request, std::string_view token, bool noreply) noexcept
      : request_(request), token_(token), noreply_(noreply) {}
  void write(Buffer& output) noexcept override;
  Took take(std::string_view bytes, std::size_t* used) noexcept override;
  Took take_reply(const Reply& reply) noexcept override;
  [[nodiscard]] std::uint32_t owes() const noexcept override { return noreply_ ? 1 : 0; }

  Buffer reply;  // without the token; or the lines, each with its \n

 private:
  std::string_view request_;
  std::string_view token_;
  bool noreply_;
};

// A command of the meta protocol.
struct MetaCommand {
  std::string_view verb;   // mg, ms, md, ma, mn
  std::string_view flags;  // with blanks between, without O and q
  std::string_view value;
  bool has_value = false;
  Ref owner;  // of all views: a tuple
  // The reply.
  char status[2] = {'?', '?'};
  Ref reply_flags;  // bytes
  Ref reply_value;  // bytes, where there is one
  bool answered = false;
};

// Commands of the meta protocol, sent together; an opaque number ties each reply to
// its command.
class Meta final : public Conversation {
 public:
  Meta(MetaCommand* commands, const Key* keys, Slice slice, bool repeatable) noexcept
      : commands_(commands), keys_(keys), slice_(slice), repeatable_(repeatable) {}
  void write(Buffer& output) noexcept override;
  Took take_reply(const Reply& reply) noexcept override;
  [[nodiscard]] bool is_repeatable() const noexcept override { return repeatable_; }

 private:
  MetaCommand* commands_;
  const Key* keys_;
  Slice slice_;
  bool repeatable_;
  std::uint32_t first_opaque_ = 0;
  std::size_t next_ = 0;
};

}  // namespace evmemcached
