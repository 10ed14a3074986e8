#include "services/tabs/link_graph.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace lvs::services {
namespace {

class Parts {
 public:
  explicit Parts(std::size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), std::size_t{0}); }
  std::size_t Of(std::size_t n) {
    while (parent_[n] != n) n = parent_[n] = parent_[parent_[n]];
    return n;
  }
  void Join(std::size_t a, std::size_t b) { parent_[Of(a)] = Of(b); }

 private:
  std::vector<std::size_t> parent_;
};

// Settled holders of a shard outside its largest part.
std::uint64_t CutOff(const std::vector<TabLook>& tabs, const std::vector<std::size_t>& holders, Parts* parts) {
  std::map<std::size_t, std::size_t> size;
  for (const std::size_t n : holders) ++size[parts->Of(n)];
  const auto largest =
      std::max_element(size.begin(), size.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return static_cast<std::uint64_t>(std::count_if(holders.begin(), holders.end(), [&](std::size_t n) {
    return tabs[n].settled && parts->Of(n) != largest->first;
  }));
}

}  // namespace

GraphFigures LookAtGraph(const std::vector<TabLook>& tabs, std::uint32_t shards) {
  GraphFigures figures;
  std::map<tab::TabId, std::size_t> index;
  for (std::size_t n = 0; n < tabs.size(); ++n) index[tabs[n].tab] = n;
  // Links of which both ends know, each once.
  std::vector<std::pair<std::size_t, std::size_t>> links;
  for (std::size_t n = 0; n < tabs.size(); ++n) {
    for (const tab::TabId& far : tabs[n].linked) {
      const auto at = index.find(far);
      if (at == index.end() || at->second <= n) continue;
      const std::vector<tab::TabId>& back = tabs[at->second].linked;
      if (std::find(back.begin(), back.end(), tabs[n].tab) != back.end()) links.emplace_back(n, at->second);
    }
  }
  for (std::uint32_t s = 0; s < shards; ++s) {
    const tab::ShardMask shard = tab::MaskOfShard(s);
    std::vector<std::size_t> holders;
    for (std::size_t n = 0; n < tabs.size(); ++n) {
      if ((tabs[n].mask & shard) == 0) continue;
      holders.push_back(n);
      figures.replicas += tabs[n].settled ? 1 : 0;
    }
    if (holders.empty()) {
      ++figures.empty_shards;
      continue;
    }
    Parts parts(tabs.size());
    for (const auto& [a, b] : links) {
      if ((tabs[a].mask & tabs[b].mask & shard) != 0) parts.Join(a, b);
    }
    const std::uint64_t cut_off = CutOff(tabs, holders, &parts);
    figures.cut_off += cut_off;
    figures.split_shards += cut_off > 0 ? 1 : 0;
    std::size_t served = tabs.size();
    for (const std::size_t n : holders) {
      if (!tabs[n].served) continue;
      if (served < tabs.size()) parts.Join(served, n);
      served = n;
    }
    figures.cut_off_with_servers += CutOff(tabs, holders, &parts);
  }
  for (const TabLook& tab : tabs) {
    figures.links_a_tab += static_cast<double>(tab.linked.size()) / static_cast<double>(tabs.size());
    figures.shards_a_tab += tab::ShardCount(tab.mask) / static_cast<double>(tabs.size());
  }
  return figures;
}

}  // namespace lvs::services
