#include "services/node/node_servers.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace lvs::services {
namespace {

TEST(NodeServers, ConnectionsTakeNoMoreFilesThanThereAre) {
  for (const std::size_t limit : {64, 256, 1'024, 4'096, 20'000, 1'048'576}) {
    for (const std::size_t open : {20, 40}) {
      SCOPED_TRACE(limit);
      const ConnectionShares shares = SharesOf(limit, open);
      EXPECT_GE(shares.peers, 4u);
      EXPECT_GE(shares.control, 4u);
      EXPECT_GE(shares.health, 4u);
      EXPECT_LE(open + 2 * shares.peers + 2 * shares.control + shares.health, limit);
    }
  }
  const ConnectionShares plenty = SharesOf(1'048'576, 40);
  EXPECT_EQ(plenty.peers, kConnectionSharesMax.peers);
  EXPECT_EQ(plenty.control, kConnectionSharesMax.control);
  EXPECT_EQ(plenty.health, kConnectionSharesMax.health);
  EXPECT_EQ(SharesOf(1'048'576, 40, 10'512).web, 10'512u);
  EXPECT_EQ(SharesOf(1'048'576, 40, 10'512).peers, kConnectionSharesMax.peers);
  const ConnectionShares few = SharesOf(4'096, 40, 10'512);
  EXPECT_LE(few.web, 2'048u) << "tabs leave the node half of its files";
  EXPECT_LE(40 + 2 * few.peers + 2 * few.control + few.health + few.web, 4'096u);
  EXPECT_GE(SharesOf(10, 40).control, 4u) << "a node that cannot be reached is of no use";
}

TEST(NodeServers, OpenFilesAreCounted) {
  const std::size_t before = OpenFiles();
  EXPECT_GE(before, 3u);
  const int fd = dup(0);
  EXPECT_EQ(OpenFiles(), before + 1);
  close(fd);
}

}  // namespace
}  // namespace lvs::services
