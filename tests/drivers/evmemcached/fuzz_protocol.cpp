// A fuzzer of the reply parser: random and mutated replies, each split at every place.
//
//     fuzz_protocol SECONDS SEED
//
// Whatever the bytes are, the parser reads none beyond them (ASan says so), takes at least
// one and at most all of them, and says of a beginning either that it needs more, or what
// it says of the whole.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "protocol.h"

namespace {

using namespace evmemcached;

const std::string kSeeds[] = {
    "VALUE key 0 5\r\nhello\r\nEND\r\n",
    "VALUE k 4294967295 0 18446744073709551615\r\n\r\n",
    "VA 5 f16 t30 O12 W\r\nhello\r\n",
    "HD O1 X Z\r\nEN\r\nMN\r\nNF O2\r\n",
    "STORED\r\nNOT_STORED\r\nEXISTS\r\nNOT_FOUND\r\nDELETED\r\nTOUCHED\r\nOK\r\n",
    "ERROR\r\nCLIENT_ERROR bad\r\nSERVER_ERROR object too large for cache\r\n",
    "18446744073709551615\r\n7  \r\n99999999999999999999999\r\n",
    "STAT pid 5\r\nVERSION 1.6.18\r\nRESET\r\n",
    "VALUE k 0 1073741825\r\n",
    "VALUE k 0 -1\r\n",
    "VALUE  0 1\r\n",
    "VALUE\r\n",
    "\r\n",
    "\n",
    "VA\r\n",
    "VA x\r\n",
};

void require(bool holds, const char* what, const std::string& input) {
  if (holds) return;
  std::fprintf(stderr, "%s:", what);
  for (const unsigned char byte : input) std::fprintf(stderr, " %02x", byte);
  std::fprintf(stderr, "\n");
  std::abort();
}

bool same(const Reply& a, const Reply& b) {
  return a.kind == b.kind && a.line == b.line && a.key == b.key && a.value == b.value &&
         a.flags == b.flags && a.cas == b.cas && a.has_cas == b.has_cas &&
         a.has_value == b.has_value && a.number == b.number;
}

// In memory of its own, so that ASan sees the first byte behind it.
Parsing parse(const std::string& bytes, std::size_t size, std::unique_ptr<char[]>* copy,
              Reply* reply, std::size_t* used) {
  copy->reset(new char[size]);
  bytes.copy(copy->get(), size);
  const Parsing parsing = parse_reply({copy->get(), size}, reply, used);
  opaque_of(reply->line);
  is_clean_key(reply->line, (size & 1) != 0);
  return parsing;
}

void check(const std::string& input) {
  std::unique_ptr<char[]> whole_copy, part_copy;
  Reply whole, part;
  std::size_t used = 0, part_used = 0;
  const Parsing parsing = parse(input, input.size(), &whole_copy, &whole, &used);
  if (parsing == Parsing::kReply) require(used > 0 && used <= input.size(), "bad length", input);
  if (parsing == Parsing::kNeedsMore) require(used > input.size(), "needs what it has", input);
  for (std::size_t size = 0; size < input.size(); ++size) {
    const Parsing early = parse(input, size, &part_copy, &part, &part_used);
    if (parsing == Parsing::kReply && size >= used) {
      require(early == Parsing::kReply && part_used == used && same(part, whole),
              "what follows a reply changes it", input);
    } else if (parsing != Parsing::kBad) {
      require(early == Parsing::kNeedsMore, "a beginning is not waited for", input);
    } else {
      require(early != Parsing::kReply, "a bad reply is good at first", input);
    }
  }
}

std::string mutate(std::mt19937& random) {
  const auto below = [&](std::size_t limit) { return random() % limit; };
  std::string input = kSeeds[below(std::size(kSeeds))] + kSeeds[below(std::size(kSeeds))];
  for (std::size_t i = below(5); i > 0 && !input.empty(); --i) {
    const std::size_t place = below(input.size());
    switch (below(4)) {
      case 0:
        input[place] = static_cast<char>(random());
        break;
      case 1:
        input.erase(place, 1 + below(4));
        break;
      case 2:
        input.insert(place, 1, " \r\n0V-"[below(6)]);
        break;
      default:
        input.resize(place);
    }
  }
  return input;
}

}  // namespace

int main(int, char** arguments) {
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::duration<double>(std::strtod(arguments[1], nullptr));
  std::mt19937 random(static_cast<unsigned>(std::strtoul(arguments[2], nullptr, 10)));
  for (const std::string& seed : kSeeds) check(seed);
  check(std::string(20'000, 'x'));
  unsigned long long inputs = 0;
  for (; std::chrono::steady_clock::now() < end; ++inputs) check(mutate(random));
  std::printf("%llu inputs\n", inputs);
}
