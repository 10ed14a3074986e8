#include "services/peering/hello.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/services/peering/fake_carrier.h"

namespace lvs::services {
namespace {

using ::testing::HasSubstr;

v1::Hello HelloOf(std::uint64_t session) { return OwnHello(TestTerms(session), "10.0.0.2:7400").hello(); }

TEST(Hello, SaysAllThatAPeerMustKnow) {
  const NodeTerms terms = TestTerms(7);
  const v1::Hello hello = OwnHello(terms, "10.0.0.2:7400").hello();
  EXPECT_EQ(hello.protocol_min(), kProtocolMin);
  EXPECT_EQ(hello.protocol_max(), kProtocolMax);
  EXPECT_EQ(hello.session_high(), 7u);
  EXPECT_EQ(hello.session_low(), 7u);
  EXPECT_EQ(hello.region(), "eu");
  EXPECT_EQ(hello.build(), "test");
  EXPECT_EQ(hello.advertise(), "10.0.0.2:7400");
  EXPECT_EQ(hello.shards(), terms.shards);
  EXPECT_EQ(hello.period_us(), terms.period_us);
  EXPECT_EQ(hello.halo_rows(), terms.halo_rows);
  EXPECT_TRUE(CheckHello(TestTerms(8), hello).ok());
}

TEST(Hello, Spec13_TheNewestVersionThatBothSpeakIsSpoken) {
  NodeTerms old = TestTerms(1);
  old.protocol_max = 1;
  EXPECT_TRUE(CheckHello(old, HelloOf(2)).ok());
  EXPECT_EQ(AgreedProtocol(old, HelloOf(2)), 1u);
  EXPECT_EQ(AgreedProtocol(TestTerms(1), HelloOf(2)), kProtocolMax);
  v1::Hello future = HelloOf(2);
  future.set_protocol_min(0);
  future.set_protocol_max(~0u);
  EXPECT_TRUE(CheckHello(TestTerms(1), future).ok());
  EXPECT_EQ(AgreedProtocol(TestTerms(1), future), kProtocolMax);
}

TEST(Hello, Spec13_WhatDoesNotFitIsRefusedWithTheReason) {
  using Code = absl::StatusCode;
  struct Lie {
    Code code;
    std::string why;
    std::function<void(v1::Hello*)> tell;
  };
  const std::vector<Lie> lies = {
      {Code::kAborted, "own", [](v1::Hello* h) { h->set_session_high(1), h->set_session_low(1); }},
      {Code::kInvalidArgument, "no session", [](v1::Hello* h) { h->set_session_high(0), h->set_session_low(0); }},
      {Code::kInvalidArgument, "256", [](v1::Hello* h) { h->set_region(std::string(257, 'x')); }},
      {Code::kInvalidArgument, "256", [](v1::Hello* h) { h->set_build(std::string(257, 'x')); }},
      {Code::kInvalidArgument, "256", [](v1::Hello* h) { h->set_advertise(std::string(257, 'x')); }},
      {Code::kFailedPrecondition, "upgrade the older", [](v1::Hello* h) { h->set_protocol_min(kProtocolMax + 1); }},
      {Code::kFailedPrecondition, "upgrade the older", [](v1::Hello* h) { h->set_protocol_max(0); }},
      {Code::kFailedPrecondition, "upgrade the older",
       [](v1::Hello* h) { h->set_protocol_min(2), h->set_protocol_max(1); }},
      {Code::kFailedPrecondition, "make `state` equal", [](v1::Hello* h) { h->set_shards(5); }},
      {Code::kFailedPrecondition, "make `state` equal", [](v1::Hello* h) { h->set_value_slots(0); }},
      {Code::kFailedPrecondition, "make `state` equal", [](v1::Hello* h) { h->set_free_coordinates(99); }},
      {Code::kFailedPrecondition, "make `period` equal", [](v1::Hello* h) { h->set_period_us(1); }}};
  for (const Lie& lie : lies) {
    v1::Hello hello = HelloOf(2);
    lie.tell(&hello);
    const absl::Status status = CheckHello(TestTerms(1), hello);
    EXPECT_EQ(status.code(), lie.code) << lie.why;
    EXPECT_THAT(std::string(status.message()), HasSubstr(lie.why));
  }
}

}  // namespace
}  // namespace lvs::services
