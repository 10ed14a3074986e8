#include "services/scenario/checker.h"

#include <cctype>

#include "services/scenario/scenario.h"

namespace lvs::services {

std::string Indexed(std::string_view list, int index) { return std::string(list) + "[" + std::to_string(index) + "]"; }

std::vector<std::string> RegionNames(const v1::Scenario& scenario) {
  std::vector<std::string> names;
  for (const auto& [name, share] : scenario.population().regions()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

void Checker::Share(double value, std::string_view path) {
  Require(value >= 0 && value <= 1, path, PercentText(value) + " is out of range; it must be between 0% and 100%");
}

void Checker::PositiveShare(double value, const std::string& path) {
  Share(value, path);
  Require(value > 0, path, "0% changes nothing; write a share above 0% or remove the event");
}

void Checker::Word(const std::string& word, std::string_view path) {
  const bool sound = !word.empty() && word.size() <= 64 && std::isalnum(static_cast<unsigned char>(word.front())) &&
                     std::all_of(word.begin(), word.end(),
                                 [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
  Require(sound, path,
          "\"" + word + "\" is not a name; use 1 to 64 letters, digits, - and _, starting with a letter or digit");
}

void Checker::Region(const std::string& name, std::string_view path) {
  const bool known = std::find(regions_.begin(), regions_.end(), name) != regions_.end();
  const std::string near = Nearest(name, regions_);
  Require(known, path,
          "there is no region " + name + (near.empty() ? "" : "; did you mean " + near + "?") +
              (near.empty() ? "; the regions are " : " The regions are ") + JoinWords(regions_) +
              " (population.regions)");
}

std::string Checker::RunText() const { return FormatDurationUs(RunLengthUs(scenario_)); }

}  // namespace lvs::services
