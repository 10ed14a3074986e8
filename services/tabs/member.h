// One tab of a load, as its worker drives it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "services/net/web_client.h"
#include "services/tabs/contribution_book.h"
#include "services/tabs/hostility.h"
#include "services/tabs/mail.h"
#include "services/tabs/tab_sums.h"
#include "shard/tab/tab.h"

namespace lvs::services {

// What all tabs of a worker share. The worker owns it; sums, letters and the clock are its thread's.
struct Workplace {
  std::shared_ptr<Mail> mail;
  WebDialler* dialler = nullptr;
  ContributionBook* book = nullptr;
  const std::vector<std::string>* hubs = nullptr;
  TabSums* sums = nullptr;
  std::vector<std::vector<Letter>>* letters = nullptr;  // to other tabs, by worker; posted once a slice
};

// How one tab begins.
struct TabPlan {
  TabKey key = 0;
  tab::TabConfig config;
  bool direct = true;  // its connections open
  std::optional<Hostile> hostile;
  double leaves_s = 0;  // 0: never
  bool says_goodbye = true;
};

// What is looked at once a second, for the graph of links.
struct TabLook {
  tab::TabId tab;
  tab::ShardMask mask = 0;
  bool settled = false;  // there for ten seconds
  bool served = false;
  std::vector<tab::TabId> linked = {};
};

class Member {
 public:
  virtual ~Member() = default;
  virtual void Take(Letter letter, const tab::Now& now) = 0;
  virtual void Tick(const tab::Now& now) = 0;  // once a cycle
  virtual void Leave(const tab::Now& now) = 0;
  virtual bool welcome() const = 0;

  TabKey key = 0;
  double started_s = 0;
  double leaves_s = 0;
};

}  // namespace lvs::services
