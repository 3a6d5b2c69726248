#include "conversations.h"

#include <algorithm>
#include <charconv>

namespace evmemcached {
namespace {

constexpr std::string_view kNames[kVerbs] = {"set", "add",    "replace", "append", "prepend",
                                             "cas", "delete", "touch",   "incr",   "decr"};

std::string_view name_of(Verb verb) noexcept { return kNames[static_cast<std::size_t>(verb)]; }

void append_key(Buffer& output, const Key& key) noexcept {
  output.append(' ');
  output.append(key.prefix);
  output.append(key.text);
}

Took refused_or_unknown(const Reply& reply) noexcept {
  const bool refused = reply.kind == Kind::kError || reply.kind == Kind::kClientError ||
                       reply.kind == Kind::kServerError;
  return refused ? Took::kRefused : Took::kUnknown;
}

}  // namespace

// --- fetch -------------------------------------------------------------------------------

// A server need not take a line of any length.
std::size_t Fetch::command_end(std::size_t begin) const noexcept {
  constexpr std::size_t kMostKeys = 128;
  constexpr std::size_t kMostBytes = 8 * 1024;
  std::size_t bytes = 0;
  std::size_t end = begin;
  while (end < slice_.size() && end - begin < kMostKeys && bytes < kMostBytes) {
    bytes += keys_[slice_[end++]].size() + 1;
  }
  return end;
}

void Fetch::write(Buffer& output) noexcept {
  for (std::size_t begin = 0; begin < slice_.size();) {
    const std::size_t end = command_end(begin);
    output.append(verb_);
    for (; begin < end; ++begin) {
      append_key(output, keys_[slice_[begin]]);
      fetched_[slice_[begin]] = Fetched{};
    }
    output.append("\r\n");
  }
  begin_ = next_ = 0;
  end_ = command_end(0);
}

// The place in the slice of a key of this command, most likely next_; end_ if the
// reply is about another key.
std::size_t Fetch::find(std::string_view key) const noexcept {
  for (std::size_t i = next_; i < end_; ++i) {
    if (keys_[slice_[i]].equals(key)) return i;
  }
  for (std::size_t i = begin_; i < next_; ++i) {
    if (keys_[slice_[i]].equals(key)) return i;
  }
  return end_;
}

Took Fetch::take_reply(const Reply& reply) noexcept {
  if (reply.kind == Kind::kEnd) {
    begin_ = next_ = end_;
    end_ = command_end(begin_);
    return begin_ == slice_.size() ? Took::kDone : Took::kMore;
  }
  if (reply.kind != Kind::kValue) return refused_or_unknown(reply);
  const std::size_t place = find(reply.key);
  if (place == end_ || reply.has_cas != with_cas_) return Took::kUnknown;
  next_ = place + 1;
  Fetched& fetched = fetched_[slice_[place]];
  fetched.flags = reply.flags;
  fetched.cas = reply.cas;
  if (codec_.try_decode(reply.value, &fetched)) return Took::kMore;
  PyErr_Clear();
  return Took::kNoMemory;
}

// --- store -------------------------------------------------------------------------------

void Store::write(Buffer& output) noexcept {
  constexpr std::size_t kHeaderBytes = 96;
  next_ = 0;
  for (const std::uint32_t item : slice_) {
    const Encoded& value = values_[item];
    if (!output.reserve(keys_[item].size() + value.bytes.size() + kHeaderBytes)) {
      output.fail();
      return;
    }
    output.append(name_of(verb_));
    append_key(output, keys_[item]);
    output.append(' ');
    output.append_number(value.flags);
    output.append(' ');
    output.append_number(exptime_);
    output.append(' ');
    output.append_number(value.bytes.size());
    if (verb_ == Verb::kCas) {
      output.append(' ');
      output.append_number(cas_);
    }
    output.append("\r\n");
    output.append(value.bytes);
    output.append("\r\n");
  }
}

Took Store::take_reply(const Reply& reply) noexcept {
  switch (reply.kind) {
    case Kind::kStored:
    case Kind::kNotStored:
    case Kind::kExists:
    case Kind::kNotFound:
      break;
    case Kind::kServerError:
      // An item that it cannot keep; the others have replies of their own.
      if (slice_.size() > 1) break;
      [[fallthrough]];
    default:
      return refused_or_unknown(reply);
  }
  verdicts_[slice_[next_++]].kind = reply.kind;
  return next_ == slice_.size() ? Took::kDone : Took::kMore;
}

// --- change ------------------------------------------------------------------------------

void Change::write(Buffer& output) noexcept {
  next_ = 0;
  for (const std::uint32_t item : slice_) {
    output.append(name_of(verb_));
    append_key(output, keys_[item]);
    output.append(argument_);
    output.append("\r\n");
  }
}

Took Change::take_reply(const Reply& reply) noexcept {
  const bool counts = verb_ == Verb::kIncr || verb_ == Verb::kDecr;
  const Kind good =
      counts ? Kind::kNumber : (verb_ == Verb::kDelete ? Kind::kDeleted : Kind::kTouched);
  if (reply.kind != good && reply.kind != Kind::kNotFound) return refused_or_unknown(reply);
  verdicts_[slice_[next_++]] = {reply.kind, reply.number};
  return next_ == slice_.size() ? Took::kDone : Took::kMore;
}

// --- raw ---------------------------------------------------------------------------------

void Raw::write(Buffer& output) noexcept {
  reply.clear();
  output.append(request_);
}

Took Raw::take(std::string_view bytes, std::size_t* used) noexcept {
  if (token_.empty()) return Conversation::take(bytes, used);
  Reply error;
  if (parse_reply(bytes, &error, used) == Parsing::kReply &&
      refused_or_unknown(error) == Took::kRefused) {
    return Took::kRefused;
  }
  const std::size_t end = bytes.find(token_);
  if (end == std::string_view::npos) {
    return bytes.size() > kLargestValue ? Took::kUnknown : Took::kNeeds;
  }
  *used = end + token_.size();
  reply.append(bytes.substr(0, end));
  return reply.failed() ? Took::kNoMemory : Took::kDone;
}

Took Raw::take_reply(const Reply& line) noexcept {
  if (refused_or_unknown(line) == Took::kRefused) return Took::kRefused;
  if (line.kind == Kind::kEnd || line.kind == Kind::kOk || line.line == "RESET") return Took::kDone;
  if (line.has_value) return Took::kUnknown;
  reply.append(line.line);
  reply.append('\n');
  return reply.failed() ? Took::kNoMemory : Took::kMore;
}

// --- meta --------------------------------------------------------------------------------

void Meta::write(Buffer& output) noexcept {
  static std::uint32_t opaque = 0;  // other ones each time: an old reply fits nothing
  first_opaque_ = opaque;
  opaque += static_cast<std::uint32_t>(slice_.size());
  next_ = 0;
  std::uint32_t number = first_opaque_;
  for (const std::uint32_t item : slice_) {
    MetaCommand& command = commands_[item];
    command.answered = false;
    output.append(command.verb);
    if (command.verb != "mn") {
      append_key(output, keys_[item]);
      if (command.has_value) {
        output.append(' ');
        output.append_number(command.value.size());
      }
      output.append(" O");
      output.append_number(number);
      if (!command.flags.empty()) output.append(' ');
      output.append(command.flags);
    }
    output.append("\r\n");
    if (command.has_value) {
      output.append(command.value);
      output.append("\r\n");
    }
    ++number;
  }
}

Took Meta::take_reply(const Reply& reply) noexcept {
  if (reply.kind != Kind::kMeta) return refused_or_unknown(reply);
  MetaCommand& command = commands_[slice_[next_]];
  char digits[12];
  const auto number = first_opaque_ + static_cast<std::uint32_t>(next_);
  const char* end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  const std::string_view opaque = opaque_of(reply.line);
  // A miss, and the end of a batch, say nothing else.
  const bool is_bare = reply.line.size() == 2 && !reply.line.starts_with("HD");
  if (opaque.empty() ? !is_bare
                     : opaque != std::string_view(digits, static_cast<std::size_t>(end - digits))) {
    return Took::kUnknown;
  }
  if ((command.verb == "mn") != reply.line.starts_with("MN")) return Took::kUnknown;
  std::string_view flags = reply.line.substr(2);
  if (reply.has_value) {  // the size comes first
    flags.remove_prefix(std::min(flags.size(), flags.find(' ', 1)));
    command.reply_value = Ref::steal(
        PyBytes_FromStringAndSize(reply.value.data(), static_cast<Py_ssize_t>(reply.value.size())));
  }
  command.reply_flags =
      Ref::steal(PyBytes_FromStringAndSize(flags.data(), static_cast<Py_ssize_t>(flags.size())));
  if (!command.reply_flags || (reply.has_value && !command.reply_value)) {
    PyErr_Clear();
    return Took::kNoMemory;
  }
  reply.line.copy(command.status, 2);
  command.answered = true;
  return ++next_ == slice_.size() ? Took::kDone : Took::kMore;
}

}  // namespace evmemcached
