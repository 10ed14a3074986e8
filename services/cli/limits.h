// The table of every limit, default and protocol constant that an operator, a client library or a benchmark needs. The
// values are the constants that the code uses, so the table cannot disagree with the program.
//
//   for (const Limit& limit : Limits()) std::cout << limit.name << " " << limit.value << "\n";
//
// Stateless: any thread.
#pragma once

#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace lvs::services {

struct Limit {
  std::string name;              // unique: "node.period_us"
  nlohmann::ordered_json value;  // a number or a word
  std::string unit;              // "us"; empty for counts, words and plain factors
  std::string applies;           // scope: "server node, default"
  std::string meaning;
  std::string home;  // file that defines the constant, relative to the source root
};

// Limits in the order of the table: defaults and limits of server nodes and scenarios, then links, then the protocol.
std::vector<Limit> Limits();

}  // namespace lvs::services
