// `lvs tabs`: thousands of browser tabs from one process, to find out what a hub and its network carry.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>
#include <ostream>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "services/base/yaml_units.h"
#include "services/cli/cli.h"
#include "services/cli/commands.h"
#include "services/cli/interrupt.h"
#include "services/cli/output.h"
#include "services/cli/testnet_commands.h"
#include "services/tabs/tab_load.h"

namespace lvs::services {
namespace {

constexpr double kBudgetBytes = 50'000;  // SPEC-12: a micro-node and minute
constexpr double kKilo = 1000;

struct TabsArguments {
  std::vector<std::string> hubs;
  std::size_t count = 100;
  std::string run = "60s", ramp = "10s", churn, hostile = "0", relayed = "0", amount = "0.001VU";
  std::string micro_nodes = "1-10", regions, hostile_kinds;
  double contribute = 0;
  bool idle = false, scatter = false;
  std::size_t threads = 2;
  std::uint64_t seed = 1;
  std::string ca_file;
  std::string format = "table";
  // Thresholds; none where they are not given.
  std::string max_cut_off, max_spread;
  std::uint64_t max_lost = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_open = std::numeric_limits<std::uint64_t>::max();
  double max_kb = 0;
  std::string min_welcome;
};

absl::StatusOr<double> ShareOf(const char* option, const std::string& text) {
  double share = 0;
  if (absl::SimpleAtod(text, &share) && share >= 0 && share <= 1) return share;
  const absl::StatusOr<double> parsed = ParseShare(text);
  if (parsed.ok()) return *parsed;
  return absl::InvalidArgumentError(absl::StrCat(option, ": ", parsed.status().message()));
}

absl::StatusOr<double> SecondsOf(const char* option, const std::string& text) {
  if (text.empty()) return 0;
  const auto time = TimeOf(option, text);
  if (!time.ok()) return time.status();
  return static_cast<double>(time->count()) / kKilo;
}

// "3", or "1-10".
absl::Status ReadMicroNodes(const std::string& text, TabLoadOptions* options) {
  const std::vector<std::string> ends = absl::StrSplit(text, '-');
  const bool read = ends.size() <= 2 && absl::SimpleAtoi(ends.front(), &options->micro_nodes_min) &&
                    absl::SimpleAtoi(ends.back(), &options->micro_nodes_max);
  return read ? absl::OkStatus()
              : absl::InvalidArgumentError("--micro-nodes: " + Quoted(text) + " is no number; write 3 or 1-10");
}

absl::StatusOr<TabLoadOptions> OptionsOf(const TabsArguments& given) {
  TabLoadOptions options;
  options.hubs = given.hubs;
  options.ca_file = given.ca_file;
  options.count = given.count;
  options.contribute = given.contribute;
  options.idle = given.idle;
  options.scatter = given.scatter;
  options.workers = std::min(given.threads, given.count);
  options.seed = given.seed;
  options.stop = &InterruptGuard::Flag();
  struct Time {
    const char* option;
    const std::string* text;
    double* to;
  };
  for (const Time& time : {Time{"--for", &given.run, &options.run_s}, Time{"--ramp", &given.ramp, &options.ramp_s},
                           Time{"--churn", &given.churn, &options.churn_s}}) {
    const absl::StatusOr<double> seconds = SecondsOf(time.option, *time.text);
    if (!seconds.ok()) return seconds.status();
    *time.to = *seconds;
  }
  const absl::StatusOr<double> hostile = ShareOf("--hostile", given.hostile);
  if (!hostile.ok()) return hostile.status();
  options.hostile = *hostile;
  const absl::StatusOr<double> relayed = ShareOf("--relayed", given.relayed);
  if (!relayed.ok()) return relayed.status();
  options.relayed = *relayed;
  const absl::StatusOr<std::int64_t> amount = ParseValueUvu(given.amount);
  if (!amount.ok()) return absl::InvalidArgumentError(absl::StrCat("--amount: ", amount.status().message()));
  options.amount_uvu = *amount;
  if (absl::Status status = ReadMicroNodes(given.micro_nodes, &options); !status.ok()) return status;
  if (!given.regions.empty()) options.regions = absl::StrSplit(given.regions, ',', absl::SkipEmpty());
  const std::vector<std::string> kinds = absl::StrSplit(given.hostile_kinds, ',', absl::SkipEmpty());
  for (const std::string& name : kinds) {
    const std::optional<Hostile> kind = HostileOf(name);
    if (!kind) {
      return absl::InvalidArgumentError(absl::StrCat("--hostile-kinds: ", Quoted(name),
                                                     " is no kind; write some of silent,claims-all,junk,flood,forged"));
    }
    options.hostile_kinds.push_back(*kind);
  }
  return options;
}

// ---- What is printed ----

using tab::KindOf;

std::uint64_t Signalling(const TabSums& sums) {
  const auto of = [](const WayCounts& way) {
    return way.Of({KindOf(tab::Announce{}), KindOf(tab::Welcome{}), KindOf(tab::Need{}), KindOf(tab::Sample{}),
                   KindOf(tab::Offer{}), KindOf(tab::Answer{}), KindOf(tab::Place{}), KindOf(tab::Refused{})});
  };
  return of(sums.to_hub) + of(sums.from_hub);
}

std::uint64_t Finding(const WayCounts& way) {
  return way.Of({KindOf(tab::Walk{}), KindOf(tab::WalkReply{}), KindOf(tab::AdoptRequest{})});
}

std::string Number(double number) { return FormatNumber(number, 4); }

void PrintReport(const TabLoadReport& report, std::ostream& out) {
  const TabSums& lately = report.lately;
  const auto rate = [&](std::uint64_t n) { return Number(report.PerTabMinute(n)); };
  const auto kilobytes = [&](std::uint64_t n) { return Number(report.PerTabMinute(n) / kKilo) + " KB"; };
  Rows rows{{"tabs", FormatGrouped(report.tabs),
             FormatGrouped(report.welcome) + " listed by a hub, " + FormatGrouped(report.settled) + " settled"}};
  rows.push_back({"sessions", FormatGrouped(report.sums.started), FormatGrouped(report.sums.left) + " left"});
  rows.push_back({"memory a tab", FormatMegabytes(report.memory_a_tab), "of this process"});
  rows.push_back({"processor", FormatPercent(report.cpu_share, 3), "of one, by this process"});
  rows.push_back({"cycles skipped", FormatGrouped(lately.ticks_skipped),
                  "of " + FormatGrouped(lately.ticks + lately.ticks_skipped) + ", because this process was late"});
  PrintTable(out, rows);
  if (report.graph.replicas > 0) {
    out << "\nlinks\n";
    PrintTable(
        out,
        {{"a tab", Number(report.graph.links_a_tab),
          "and " + Number(report.graph.shards_a_tab) + " shards of " + std::to_string(report.shards)},
         {"opened", FormatGrouped(report.sums.links_opened),
          FormatGrouped(report.sums.links_relayed) + " attempts were relayed"},
         {"replicas cut off", FormatGrouped(report.graph.cut_off),
          "of " + FormatGrouped(report.graph.replicas) + "; worst look " + FormatPercent(report.cut_off_worst, 3) +
              "; with servers " + FormatGrouped(report.graph.cut_off_with_servers)},
         {"shards split", std::to_string(report.graph.split_shards),
          std::to_string(report.graph.empty_shards) + " that no tab holds"},
         {"spread", Number(report.spread.median), "of the range, median shard; worst " + Number(report.spread.worst)}},
        "  ");
  }
  const ContributionFigures& made = report.contributions;
  if (made.offered > 0) {
    out << "\ncontributions\n";
    Rows table{{"taken", FormatGrouped(made.taken), "of " + FormatGrouped(made.offered)},
               {"at all tabs", FormatGrouped(made.everywhere),
                made.everywhere == 0 ? ""
                                     : "in " + Number(made.p50_cycles) + " cycles p50, " + Number(made.p99_cycles) +
                                           " p99, " + Number(made.max_cycles) + " most"},
               {"not yet", FormatGrouped(made.open), FormatGrouped(made.young) + " more are younger than 10 s"},
               {"lost", FormatGrouped(made.lost), FormatGrouped(made.lost_alone) + " that only one tab ever held"}};
    for (const auto& [why, n] : made.refused) table.push_back({"refused", FormatGrouped(n), why});
    PrintTable(out, table, "  ");
  }
  out << "\na tab and minute, over " << FormatNumber(report.seconds) << "s\n";
  PrintTable(out,
             {{"hub", rate(Signalling(lately)) + " messages of signalling",
               rate(lately.to_hub.all() + lately.from_hub.all()) + " in all"},
              {"tabs", rate(Finding(lately.to_tabs)) + " walks and adoptions",
               rate(lately.to_tabs.all()) + " messages sent in all"},
              {"sent", kilobytes(lately.to_hub.bytes + lately.to_tabs.bytes),
               kilobytes(lately.to_hub.bytes) + " of it to the hub"},
              {"received", kilobytes(lately.from_hub.bytes + lately.from_tabs.bytes),
               kilobytes(lately.from_hub.bytes) + " of it from the hub"},
              {"sent a micro-node", Number(report.PayloadSent() / kKilo) + " KB",
               Number(report.WireSent() / kKilo) + " KB on the wire, estimated; SPEC-12 allows " +
                   Number(kBudgetBytes / kKilo)}},
             "  ");
  if (report.sums.happened.empty()) return;
  out << "\nwhat happened\n";
  Rows table;
  for (const auto& [what, n] : report.sums.happened) table.push_back({FormatGrouped(n), what});
  PrintTable(out, table, "  ");
}

Json KindsAsJson(const WayCounts& way) {
  Json kinds = Json::object();
  for (std::uint32_t kind = 0; kind < way.messages.size(); ++kind) {
    if (way.messages[kind] > 0) kinds[std::string(NameOfKind(kind))] = way.messages[kind];
  }
  return {{"messages", kinds}, {"bytes", way.bytes}};
}

Json ReportAsJson(const TabLoadReport& report) {
  const ContributionFigures& made = report.contributions;
  const TabSums& lately = report.lately;
  Json json{{"shards", report.shards},
            {"period_us", report.period_us},
            {"seconds", report.seconds},
            {"tabs", report.tabs},
            {"welcome", report.welcome},
            {"welcome_most", report.welcome_most},
            {"settled", report.settled},
            {"started", report.sums.started},
            {"left", report.sums.left},
            {"memory_a_tab_bytes", report.memory_a_tab},
            {"cpu_share", report.cpu_share},
            {"ticks", lately.ticks},
            {"ticks_skipped", lately.ticks_skipped}};
  json["links"] = {{"a_tab", report.graph.links_a_tab},
                   {"shards_a_tab", report.graph.shards_a_tab},
                   {"opened", report.sums.links_opened},
                   {"relayed", report.sums.links_relayed},
                   {"replicas", report.graph.replicas},
                   {"cut_off", report.graph.cut_off},
                   {"cut_off_share", report.graph.cut_off_share()},
                   {"cut_off_share_worst", report.cut_off_worst},
                   {"cut_off_with_servers", report.graph.cut_off_with_servers},
                   {"split_shards", report.graph.split_shards},
                   {"empty_shards", report.graph.empty_shards}};
  json["spread"] = {{"median", report.spread.median}, {"worst", report.spread.worst}, {"shards", report.spread.shards}};
  json["contributions"] = {
      {"offered", made.offered},
      {"taken", made.taken},
      {"everywhere", made.everywhere},
      {"open", made.open},
      {"young", made.young},
      {"lost", made.lost},
      {"lost_alone", made.lost_alone},
      {"refused", made.refused},
      {"cycles", made.everywhere == 0
                     ? Json(nullptr)
                     : Json{{"p50", made.p50_cycles}, {"p99", made.p99_cycles}, {"max", made.max_cycles}}}};
  json["per_tab_minute"] = {{"hub_signalling_messages", report.PerTabMinute(Signalling(lately))},
                            {"hub_messages", report.PerTabMinute(lately.to_hub.all() + lately.from_hub.all())},
                            {"finding_messages", report.PerTabMinute(Finding(lately.to_tabs))},
                            {"tab_messages_sent", report.PerTabMinute(lately.to_tabs.all())},
                            {"bytes_sent", report.PerTabMinute(lately.to_hub.bytes + lately.to_tabs.bytes)},
                            {"bytes_received", report.PerTabMinute(lately.from_hub.bytes + lately.from_tabs.bytes)},
                            {"bytes_to_hub", report.PerTabMinute(lately.to_hub.bytes)},
                            {"bytes_from_hub", report.PerTabMinute(lately.from_hub.bytes)}};
  json["per_micro_node_minute"] = {{"payload_sent", report.PayloadSent()}, {"wire_sent", report.WireSent()}};
  json["kinds"] = {{"to_hub", KindsAsJson(lately.to_hub)},
                   {"from_hub", KindsAsJson(lately.from_hub)},
                   {"to_tabs", KindsAsJson(lately.to_tabs)}};
  json["happened"] = report.sums.happened;
  return json;
}

void PrintProgress(const TabLoadReport& now, bool terminal, std::ostream& err) {
  if (terminal) {
    err << absl::StrFormat("\r\x1b[K%.0fs  %s tabs  %s listed  cut off %s  spread %s", now.seconds,
                           FormatGrouped(now.tabs), FormatGrouped(now.welcome),
                           FormatPercent(now.graph.cut_off_share(), 3), Number(now.spread.worst))
        << std::flush;
    return;
  }
  err << JsonText({{"event", "progress"},
                   {"seconds", now.seconds},
                   {"tabs", now.tabs},
                   {"welcome", now.welcome},
                   {"settled", now.settled},
                   {"cut_off_share", now.graph.cut_off_share()},
                   {"spread_worst", now.spread.worst},
                   {"contributions_everywhere", now.contributions.everywhere},
                   {"contributions_open", now.contributions.open}})
      << std::endl;
}

// ---- Thresholds ----

struct Thresholds {
  double cut_off = 1, spread = std::numeric_limits<double>::max(), welcome = 0;
};

absl::StatusOr<Thresholds> ThresholdsOf(const TabsArguments& given) {
  Thresholds limits;
  struct Share {
    const char* option;
    const std::string* text;
    double* to;
  };
  for (const Share& share : {Share{"--max-cut-off", &given.max_cut_off, &limits.cut_off},
                             Share{"--max-spread", &given.max_spread, &limits.spread},
                             Share{"--min-welcome", &given.min_welcome, &limits.welcome}}) {
    if (share.text->empty()) continue;
    const absl::StatusOr<double> read = ShareOf(share.option, *share.text);
    if (!read.ok()) return read.status();
    *share.to = *read;
  }
  return limits;
}

// Says which thresholds do not hold.
bool Breached(const TabLoadReport& report, const TabsArguments& given, const Thresholds& limits, std::ostream& err) {
  bool breached = false;
  const auto check = [&](bool holds, const std::string& words) {
    if (holds) return;
    breached = true;
    err << "lvs: " << words << "\n";
  };
  check(report.cut_off_worst <= limits.cut_off, FormatPercent(report.cut_off_worst, 3) +
                                                    " of the replicas were cut off in the worst look; --max-cut-off " +
                                                    given.max_cut_off);
  check(report.spread.worst <= limits.spread, "the replicas of a shard are " + Number(report.spread.worst) +
                                                  " of the range apart; --max-spread " + given.max_spread);
  check(report.contributions.lost <= given.max_lost,
        FormatCount(report.contributions.lost, "contribution") + " lost; --max-lost " + std::to_string(given.max_lost));
  check(report.contributions.open <= given.max_open, FormatCount(report.contributions.open, "contribution") +
                                                         " not at all tabs; --max-open " +
                                                         std::to_string(given.max_open));
  check(given.max_kb == 0 || report.WireSent() <= given.max_kb * kKilo,
        "a micro-node sent " + Number(report.WireSent() / kKilo) + " KB a minute; --max-kb " + Number(given.max_kb));
  check(static_cast<double>(report.welcome) >= limits.welcome * static_cast<double>(given.count),
        "only " + FormatCount(report.welcome, "tab") + " of " + FormatGrouped(given.count) +
            " are listed by a hub; --min-welcome " + given.min_welcome);
  return breached;
}

int Tabs(const TabsArguments& given, std::ostream& out, std::ostream& err) {
  absl::StatusOr<TabLoadOptions> options = OptionsOf(given);
  if (!options.ok()) return Fail(err, options.status());
  const absl::StatusOr<Thresholds> limits = ThresholdsOf(given);
  if (!limits.ok()) return Fail(err, limits.status());
  const bool terminal = IsTerminal(err);
  options->on_progress = [&](const TabLoadReport& now) { PrintProgress(now, terminal, err); };
  InterruptGuard interrupts;
  const absl::StatusOr<TabLoadReport> report = RunTabLoad(*options);
  if (terminal) err << "\r\x1b[K" << std::flush;
  if (!report.ok()) return Fail(err, report.status());
  if (given.format == "json") {
    out << JsonText(ReportAsJson(*report), 2) << "\n";
  } else {
    PrintReport(*report, out);
  }
  if (InterruptGuard::Requested()) {
    err << "lvs: interrupted\n";
    return kExitCouldNotRun;
  }
  if (report->welcome_most == 0) {
    err << "lvs: no hub listed any of the tabs, so nothing was tested; see what happened above\n";
    return kExitCouldNotRun;
  }
  return Breached(*report, given, *limits, err) ? kExitBreached : kExitPassed;
}

void AddThresholds(CLI::App* tabs, TabsArguments& given) {
  tabs->add_option("--max-cut-off", given.max_cut_off, "Largest share of replicas cut off, in any look")
      ->option_text("SHARE");
  tabs->add_option("--max-spread", given.max_spread, "Largest spread of a shard at the end, of its range")
      ->option_text("SHARE");
  tabs->add_option("--max-lost", given.max_lost, "Most contributions that two tabs held, and that are lost")
      ->check(WholeNumber())
      ->option_text("N");
  tabs->add_option("--max-open", given.max_open, "Most contributions of 10 s ago that are not at all tabs")
      ->check(WholeNumber())
      ->option_text("N");
  tabs->add_option("--max-kb", given.max_kb, "Most KB that a micro-node sends a minute, on the wire")
      ->check(NumberBetween(0.001, 1e9))
      ->option_text("KB");
  tabs->add_option("--min-welcome", given.min_welcome, "Smallest share of the tabs that a hub lists at the end")
      ->option_text("SHARE");
}

}  // namespace

void AddTabs(CLI::App& app, Commands& commands) {
  const auto given = std::make_shared<TabsArguments>();
  CLI::App* const tabs = app.add_subcommand("tabs", "Thousands of browser tabs against a hub, and measure");
  tabs->add_option("--hub", given->hubs, "A hub: ws://host:port/peer or wss://...; may be given many times")
      ->required()
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->option_text("URL");
  tabs->add_option("--count", given->count, "Tabs at a time (default: 100)")
      ->check(WholeNumber())
      ->check(CLI::Range(1, 100'000))
      ->option_text("N");
  tabs->add_option("--for", given->run, "How long, once all have begun (default: 60s)")->option_text("TIME");
  tabs->add_option("--ramp", given->ramp, "Time over which they begin (default: 10s)")->option_text("TIME");
  tabs->add_option("--churn", given->churn, "Mean session; whoever leaves is replaced (default: nobody leaves)")
      ->option_text("TIME");
  tabs->add_option("--contribute", given->contribute, "Contributions a second, of all tabs (default: 0)")
      ->check(NumberBetween(0, 1e5))
      ->option_text("R");
  tabs->add_option("--amount", given->amount, "What each adds (default: 0.001VU)")->option_text("VALUE");
  tabs->add_option("--micro-nodes", given->micro_nodes, "Micro-nodes of a tab (default: 1-10)")
      ->option_text("N|MIN-MAX");
  tabs->add_option("--regions", given->regions, "Regions that tabs say they are of, in turn")->option_text("A,B");
  tabs->add_option("--hostile", given->hostile, "Share of hostile tabs (default: 0)")->option_text("SHARE");
  tabs->add_option("--hostile-kinds", given->hostile_kinds, "Of silent,claims-all,junk,flood,forged (default: all)")
      ->option_text("KINDS");
  tabs->add_option("--relayed", given->relayed, "Share of tabs whose connections never open (default: 0)")
      ->option_text("SHARE");
  tabs->add_flag("--idle", given->idle, "Tabs only sit on their sockets");
  tabs->add_flag("--scatter", given->scatter, "Throw the free coordinates of all tabs anywhere after the ramp");
  tabs->add_option("--threads", given->threads, "Threads that drive tabs (default: 2)")
      ->check(WholeNumber())
      ->check(CLI::Range(1, 64))
      ->option_text("N");
  tabs->add_option("--seed", given->seed, "Of sessions, micro-nodes and choices (default: 1)")
      ->check(WholeNumber())
      ->option_text("N");
  tabs->add_option("--ca-file", given->ca_file, "PEM of the CA of wss hubs (default: the system's)")
      ->option_text("FILE");
  AddThresholds(tabs, *given);
  AddFormat(tabs, given->format);
  tabs->footer(
      "Examples:\n"
      "  lvs tabs --hub ws://127.0.0.1:8080/peer --count 200 --contribute 5 --max-cut-off 0 --max-lost 0\n"
      "  lvs tabs --hub wss://eu.example/peer --hub wss://us.example/peer --count 2000 --churn 5m --hostile 5%\n"
      "  lvs tabs --hub ws://127.0.0.1:8080/peer --count 10000 --idle --ramp 60s\n"
      "\nTabs run the core that browsers run. Their sockets are real; links between them are in memory. A hub lets "
      "256\n"
      "connections of one address in: raise that, or set web.behind_proxy, on the hub that is tested.\n"
      "\nExit codes: 0 done, 1 could not, 2 wrong arguments, 99 a threshold did not hold");
  commands.push_back({tabs, [given](std::ostream& out, std::ostream& err) { return Tabs(*given, out, err); }});
}

}  // namespace lvs::services
