#include "services/peering/link_slots.h"

#include <gtest/gtest.h>

#include <optional>

namespace lvs::services {
namespace {

TEST(LinkSlots, ASessionComesBackToItsFormerPlace) {
  LinkSlots slots(3);
  EXPECT_EQ(slots.Occupy({1, 1}), 0u);
  EXPECT_EQ(slots.Occupy({2, 2}), 1u);
  EXPECT_EQ(slots.Occupy({3, 3}), 2u);
  EXPECT_EQ(slots.Occupy({4, 4}), std::nullopt);
  EXPECT_EQ(slots.occupied(), 3u);
  slots.Leave(2);
  slots.Leave(0);
  slots.Leave(1);
  EXPECT_EQ(slots.Occupy({2, 2}), 1u);
  EXPECT_EQ(slots.Occupy({5, 5}), 2u) << "free for longest";
  EXPECT_EQ(slots.occupied(), 2u);
}

}  // namespace
}  // namespace lvs::services
