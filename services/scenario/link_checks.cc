#include <map>
#include <string>

#include "services/scenario/checker.h"
#include "services/scenario/scenario.h"

namespace lvs::services {
namespace {

template <typename Link>
void CheckQuality(Checker& check, const Link& link, const std::string& path) {
  check.Require(link.latency_us() >= 0, path + ".latency", "is negative");
  check.Require(link.jitter_us() >= 0, path + ".jitter", "is negative");
  check.Share(link.loss(), path + ".loss");
  check.Share(link.duplicate(), path + ".duplicate");
  check.Share(link.reorder(), path + ".reorder");
}

}  // namespace

void CheckLinks(Checker& check) {
  const v1::LinkQuality& within = check.scenario().links().within();
  CheckQuality(check, within, "links.within");
  const std::int64_t slowest = within.latency_us() + within.jitter_us();
  check.Require(slowest <= check.scenario().cycle().period_us(), "links.within",
                "latency plus jitter is " + FormatDurationUs(slowest) + ", longer than cycle.period (" +
                    FormatDurationUs(check.scenario().cycle().period_us()) +
                    "); within a region a message must arrive in the same cycle, so lower them or lengthen the period");
  std::map<RegionPair, int> rows;
  int default_row = -1;
  for (int i = 0; i < check.scenario().links().between_size(); ++i) {
    const v1::RegionLink& row = check.scenario().links().between(i);
    const std::string path = Indexed("links.between", i);
    CheckQuality(check, row, path);
    if (row.regions().empty()) {
      check.Require(default_row < 0 && !check.origin().Has(path + ".regions"), path,
                    default_row < 0
                        ? "regions is empty; name two regions, or leave the key out for the default of every pair"
                        : "a second row without regions; the default was given on line " +
                              std::to_string(check.origin().Line(Indexed("links.between", default_row))));
      default_row = i;
      continue;
    }
    for (int k = 0; k < row.regions_size(); ++k) check.Region(row.regions(k), Indexed(path + ".regions", k));
    check.Require(row.regions_size() == 2 && row.regions(0) != row.regions(row.regions_size() - 1), path + ".regions",
                  "a link joins two different regions; write regions: [eu, us]");
    if (!check.status().ok()) return;
    const auto [earlier, first] = rows.emplace(PairOf(row), i);
    check.Require(first, path + ".regions",
                  "this pair was given on line " +
                      std::to_string(check.origin().Line(Indexed("links.between", earlier->second))) +
                      "; keep one of them");
  }
}
}  // namespace lvs::services
