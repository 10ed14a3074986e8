// `lvs testnet verify`: checks ledgers against the acknowledgements that clients received.
#include <algorithm>
#include <ostream>
#include <vector>

#include "services/cli/cli.h"
#include "services/cli/interrupt.h"
#include "services/cli/testnet_commands.h"
#include "services/client/contribution.h"
#include "services/client/load_record.h"
#include "services/cluster/testnet_control.h"

namespace lvs::services {
namespace {

using std::chrono::milliseconds;

struct VerifyArguments : TestnetArguments {
  std::vector<std::string> records;
  std::string within = "10s";
};

Json CheckAsJson(const TotalsCheck& check) {
  Json totals = Json::array();
  for (const TotalsCheck::Total& total : check.totals) {
    totals.push_back({{"node", total.node},
                      {"slot", total.slot},
                      {"least_uvu", total.bounds.least_uvu},
                      {"total_uvu", total.total_uvu},
                      {"most_uvu", total.bounds.most_uvu},
                      {"verdict", VerdictText(total.verdict)}});
  }
  return {{"broken", check.broken}, {"unreachable", check.unreachable}, {"totals", totals}};
}

// True where clients were told that something is held. Otherwise there is nothing that a node could have lost.
bool AnythingAcknowledged(const std::vector<LoadRecord>& records) {
  return std::any_of(records.begin(), records.end(), [](const LoadRecord& record) {
    return std::any_of(record.expectations.begin(), record.expectations.end(),
                       [](const auto& entry) { return entry.second.acknowledged_uvu > 0; });
  });
}

void PrintCheck(const TotalsCheck& check, bool tested, std::ostream& out) {
  const auto value = [](std::uint64_t uvu) { return ValueText(static_cast<std::int64_t>(uvu)); };
  Rows rows{{"node", "slot", "at least", "total", "at most", "verdict"}};
  for (const TotalsCheck::Total& total : check.totals) {
    rows.push_back({total.node, std::to_string(total.slot), value(total.bounds.least_uvu), value(total.total_uvu),
                    value(total.bounds.most_uvu), VerdictText(total.verdict)});
  }
  PrintTable(out, rows);
  const bool lost = std::any_of(check.totals.begin(), check.totals.end(), [](const TotalsCheck::Total& total) {
    return total.verdict == TotalsCheck::Verdict::kLost;
  });
  out << "\n"
      << (lost ? "BROKEN: " + FormatCount(check.broken, "total") + " out of bounds"
          : check.broken > 0
              ? "UNEXPLAINED: " + FormatCount(check.broken, "total") +
                    " above what these records sent. Somebody else has contributed: give the record of "
                    "every load since the first (--record, several times). If nobody has, value was made up"
          : !tested ? "UNTESTED: no record has an acknowledged contribution, so nothing could be missing"
          : check.unreachable.empty()
              ? "HELD: every node has all that was acknowledged, and nothing that was never sent"
              : "UNKNOWN: the nodes that answer hold, but not all answer")
      << "\n";
}

int Verify(const VerifyArguments& arguments, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<milliseconds> within = TimeOf("--within", arguments.within);
  if (!within.ok()) return Fail(err, within.status());
  std::vector<LoadRecord> records;
  for (const std::string& file : arguments.records) {
    absl::StatusOr<LoadRecord> record = ReadRecord(file);
    if (!record.ok()) return Fail(err, record.status());
    records.push_back(*std::move(record));
  }
  const auto bounds = BoundsOf(records);
  if (!bounds.ok()) return Fail(err, bounds.status());
  const auto nodes = ReadTestnet(arguments.directory);
  if (!nodes.ok()) return Fail(err, nodes.status());
  const auto clients = ClientsOf(*nodes);
  if (!clients.ok()) return Fail(err, clients.status());

  InterruptGuard interrupts;
  const TotalsCheck check = AwaitTotals(*nodes, *clients, *bounds, *within, &InterruptGuard::Flag());
  const bool tested = AnythingAcknowledged(records);
  if (arguments.format == "json") {
    Json json = CheckAsJson(check);
    json["tested"] = tested;
    out << JsonText(json, 2) << "\n";
  } else {
    PrintCheck(check, tested, out);
  }
  for (const std::string& node : check.unreachable) err << "lvs: " << node << "\n";
  if (check.broken > 0 || !tested) return kExitBreached;
  return check.unreachable.empty() ? kExitPassed : kExitUnhealthy;
}

}  // namespace

void AddTestnetVerify(TestnetCommands& commands) {
  commands.Add<VerifyArguments>(
      "verify", "Hold the ledgers to what loads recorded",
      std::string(
          "Example:\n  lvs testnet verify --record load.json\n"
          "\nOn every node each slot's total must be at least what was acknowledged, and at most what was sent, on "
          "top of what\nwas there before the first load. Nothing else may contribute meanwhile. Several records: "
          "in the order of the loads.\n") +
          kTestnetExitCodes + ", 10 a node does not answer, 99 broken, unexplained or untested.",
      Verify, [](CLI::App* command, VerifyArguments& given) {
        command->add_option("--record", given.records, "What a load wrote; may be given more than once")
            ->required()
            ->allow_extra_args(false)
            ->option_text("FILE");
        command->add_option("--within", given.within, "How long ledgers may take to agree (default: 10s)")
            ->option_text("TIME");
      });
}

}  // namespace lvs::services
