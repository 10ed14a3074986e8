// Replays what one browser did (services/web/pages/src/tab/recording.ts) with the native build of the tab module, and
// compares the state after every tick.
//
//   lvs_tab_replay RECORDING
//
// Exit code 0: all states are equal, and there were some. 1: the first one that differs is named.
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shard/wasm/tab_module.h"

namespace {

using Numbers = std::array<double, 16>;

std::uint32_t Int(double value) { return static_cast<std::uint32_t>(value); }

const std::map<std::string_view, std::function<void(const Numbers&)>>& Calls() {
  static const std::map<std::string_view, std::function<void(const Numbers&)>> kCalls = {
      {"tab_start",
       [](const Numbers& n) {
         tab_start(Int(n[0]), Int(n[1]), Int(n[2]), n[3], Int(n[4]), Int(n[5]), Int(n[6]), Int(n[7]), Int(n[8]),
                   Int(n[9]), n[10], n[11]);
       }},
      {"tab_restore", [](const Numbers& n) { tab_restore(Int(n[0]), Int(n[1])); }},
      {"tab_tick", [](const Numbers& n) { tab_tick(n[0], n[1]); }},
      {"tab_leave", [](const Numbers& n) { tab_leave(Int(n[0]), n[1], n[2]); }},
      {"tab_hub_opened", [](const Numbers& n) { tab_hub_opened(Int(n[0]), n[1], n[2]); }},
      {"tab_hub_closed", [](const Numbers& n) { tab_hub_closed(Int(n[0]), Int(n[1]), Int(n[2]), n[3], n[4]); }},
      {"tab_hub_received", [](const Numbers& n) { tab_hub_received(Int(n[0]), Int(n[1]), n[2], n[3]); }},
      {"tab_hub_blocked", [](const Numbers& n) { tab_hub_blocked(Int(n[0]), Int(n[1])); }},
      {"tab_described", [](const Numbers& n) { tab_described(Int(n[0]), Int(n[1]), n[2], n[3]); }},
      {"tab_link_opened", [](const Numbers& n) { tab_link_opened(Int(n[0]), n[1], n[2]); }},
      {"tab_link_lost", [](const Numbers& n) { tab_link_lost(Int(n[0]), n[1], n[2]); }},
      {"tab_link_received", [](const Numbers& n) { tab_link_received(Int(n[0]), Int(n[1]), n[2], n[3]); }},
      {"tab_link_blocked", [](const Numbers& n) { tab_link_blocked(Int(n[0]), Int(n[1])); }},
      {"tab_contribute", [](const Numbers& n) { tab_contribute(Int(n[0]), Int(n[1]), Int(n[2]), n[3]); }},
      {"tab_scatter", [](const Numbers&) { tab_scatter(); }},
      {"tab_cut", [](const Numbers& n) { tab_cut(n[0], n[1], n[2]); }},
      {"tab_set_micro_nodes", [](const Numbers& n) { tab_set_micro_nodes(Int(n[0]), n[1], n[2]); }},
      {"tab_set_low_power", [](const Numbers& n) { tab_set_low_power(Int(n[0])); }},
      {"tab_set_hidden", [](const Numbers& n) { tab_set_hidden(Int(n[0])); }},
  };
  return kCalls;
}

Numbers Parse(std::string_view list) {
  Numbers numbers{};
  if (list == "-") return numbers;
  for (double& number : numbers) {
    const std::string one(list.substr(0, list.find(',')));
    number = std::strtod(one.c_str(), nullptr);
    if (list.size() <= one.size()) break;
    list.remove_prefix(one.size() + 1);
  }
  return numbers;
}

void PutInput(std::string_view hex) {
  if (hex == "-") return;
  std::uint8_t* const input = tab_input(static_cast<std::uint32_t>(hex.size() / 2));
  for (std::size_t n = 0; n + 1 < hex.size(); n += 2) {
    std::from_chars(hex.data() + n, hex.data() + n + 2, input[n / 2], 16);
  }
}

int Replay(std::istream& lines, const char* file) {
  int line = 0, compared = 0;
  std::string name, numbers, hex;
  while (lines >> name >> numbers) {
    ++line;
    if (name == "hash") {
      std::uint64_t wanted = 0;
      std::from_chars(numbers.data(), numbers.data() + numbers.size(), wanted, 16);
      if (tab_state_hash() != wanted) {
        std::fprintf(stderr, "%s:%d: the browser's state is %s, and here it is %016llx\n", file, line, numbers.c_str(),
                     static_cast<unsigned long long>(tab_state_hash()));
        return 1;
      }
      ++compared;
      continue;
    }
    lines >> hex;
    const auto call = Calls().find(name);
    if (call == Calls().end()) {
      std::fprintf(stderr, "%s:%d: there is no %s\n", file, line, name.c_str());
      return 1;
    }
    PutInput(hex);
    call->second(Parse(numbers));
    tab_take();  // as the worker does, after every call
  }
  std::printf("%d states of the browser and of this build are equal\n", compared);
  return compared > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: lvs_tab_replay RECORDING\n");
    return 2;
  }
  std::ifstream lines(argv[1]);
  if (!lines) {
    std::fprintf(stderr, "cannot read %s\n", argv[1]);
    return 2;
  }
  return Replay(lines, argv[1]);
}
