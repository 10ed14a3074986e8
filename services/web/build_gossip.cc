#include "services/web/build_gossip.h"

#include <algorithm>

namespace lvs::services {
namespace {

bool IsBuildName(std::string_view build) {
  return !build.empty() && build.size() <= tab::kBuildBytesMax &&
         std::all_of(build.begin(), build.end(), [](char c) { return c > ' ' && c <= '~'; });
}

std::vector<std::string_view> NamesOf(const tab::BuildNews& news) {
  std::vector<std::string_view> names;
  for (const tab::BuildSeen& seen : news.builds) names.push_back(seen.build);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

tab::BuildSeen* BuildGossip::Find(std::string_view build) {
  const auto at =
      std::find_if(builds_.begin(), builds_.end(), [&](const tab::BuildSeen& seen) { return seen.build == build; });
  return at == builds_.end() ? nullptr : &*at;
}

// The record of a build; null where there is no room. The oldest that no node says of itself any more makes room.
tab::BuildSeen* BuildGossip::Enter(std::string_view build, std::uint32_t protocol) {
  if (!IsBuildName(build)) return nullptr;
  if (tab::BuildSeen* const known = Find(build)) return known;
  if (builds_.size() >= kBuildsKept) {
    const auto unused =
        std::find_if(builds_.begin(), builds_.end(), [](const tab::BuildSeen& seen) { return seen.nodes == 0; });
    if (unused == builds_.end()) return nullptr;
    builds_.erase(unused);
  }
  return &builds_.emplace_back(tab::BuildSeen{std::string(build), protocol, 0});
}

void BuildGossip::Came(std::string_view build, std::uint32_t protocol) {
  tab::BuildSeen* const seen = Enter(build, protocol);
  if (seen == nullptr) return;
  seen->protocol = protocol;
  ++seen->nodes;
}

void BuildGossip::Went(std::string_view build) {
  tab::BuildSeen* const seen = Find(build);
  if (seen != nullptr && seen->nodes > 0) --seen->nodes;
}

void BuildGossip::Heard(const tab::BuildNews& news) {
  for (const tab::BuildSeen& seen : news.builds) Enter(seen.build, seen.protocol);
}

tab::BuildNews BuildGossip::News() const {
  tab::BuildNews news{builds_};
  std::stable_sort(news.builds.begin(), news.builds.end(), [](const tab::BuildSeen& a, const tab::BuildSeen& b) {
    return std::pair(a.nodes, a.protocol) > std::pair(b.nodes, b.protocol);
  });
  if (news.builds.size() > tab::kBuildsMax) news.builds.resize(tab::kBuildsMax);
  return news;
}

bool BuildGossip::Publish(double now_s) {
  if (publication_ > 0 && now_s - published_s_ < kGossipSeconds) return false;
  tab::BuildNews news = News();
  // Changed counts alone are no news.
  if (publication_ > 0 && NamesOf(news) == NamesOf(published_)) return false;
  published_ = std::move(news);
  published_s_ = now_s;
  ++publication_;
  return true;
}

}  // namespace lvs::services
