#include "services/cluster/status_counters.h"

#include <cmath>
#include <cstdint>
#include <string>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace lvs::services {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Counts = google::protobuf::Map<std::string, google::protobuf::uint64>;

template <typename Number>
Number Since(Number before, Number now) {
  return now > before ? now - before : Number(0);
}

// Adds every number of the message itself; nested messages are left out.
void AddSince(const Message& before, const Message& now, Message* sum) {
  const auto* fields = sum->GetReflection();
  for (int f = 0; f < sum->GetDescriptor()->field_count(); ++f) {
    const FieldDescriptor* field = sum->GetDescriptor()->field(f);
    if (field->is_repeated()) continue;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
      const auto added = Since(fields->GetUInt64(before, field), fields->GetUInt64(now, field));
      fields->SetUInt64(sum, field, fields->GetUInt64(*sum, field) + added);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      const auto added = Since(fields->GetDouble(before, field), fields->GetDouble(now, field));
      fields->SetDouble(sum, field, fields->GetDouble(*sum, field) + added);
    }
  }
}

void AddSince(const Counts& before, const Counts& now, Counts* sum) {
  for (const auto& [name, count] : now) {
    const auto was = before.find(name);
    const std::uint64_t earlier = was == before.end() ? 0 : was->second;
    if (count > earlier) (*sum)[name] += count - earlier;
  }
}

}  // namespace

void AddCounters(const v1::NodeStatus& before, const v1::NodeStatus& now, v1::NodeStatus* sum) {
  AddSince(before, now, sum);
  AddSince(before.work(), now.work(), sum->mutable_work());
  AddSince(before.work().clamped(), now.work().clamped(), sum->mutable_work()->mutable_clamped());
  AddSince(before.traffic(), now.traffic(), sum->mutable_traffic());
  AddSince(before.ledger(), now.ledger(), sum->mutable_ledger());
  AddSince(before.refused(), now.refused(), sum->mutable_refused());
  AddSince(before.anomalies_by_kind(), now.anomalies_by_kind(), sum->mutable_anomalies_by_kind());
}

Counted CountedOf(const v1::NodeStatus& sum) {
  const v1::MicroNodeStatus& work = sum.work();
  Counted counted;
  counted.micro_node_cycles = work.micro_node_cycles();
  counted.replica_cycles = work.replica_cycles();
  counted.joined = work.joined();
  counted.left = work.left();
  counted.repaired = work.repaired();
  counted.fallback_links = work.fallback_links();
  counted.redundancy_syncs = work.redundancy_syncs();
  counted.recoveries = sum.recoveries();
  counted.heard = work.heard();
  counted.trust_255 = static_cast<std::uint64_t>(std::llround(work.trust() * 255));
  counted.messages = work.heard() + sum.traffic().frames_received();
  // Only frames between processes can be lost; state diffs between the micro-nodes of one process cannot.
  counted.exposed = sum.traffic().frames_received();
  counted.lost = sum.traffic().frames_lost();
  counted.sent.state_diff = work.state_diff_bytes();
  counted.sent.entropy = work.entropy_bytes();
  counted.sent.ledger = work.ledger_bytes();
  counted.sent.beacon = work.beacon_bytes();
  counted.sent.frames = sum.traffic().bytes_sent();
  counted.refused.insert(sum.refused().begin(), sum.refused().end());
  counted.clamped.insert(work.clamped().begin(), work.clamped().end());
  counted.anomalies.insert(sum.anomalies_by_kind().begin(), sum.anomalies_by_kind().end());
  return counted;
}

}  // namespace lvs::services
