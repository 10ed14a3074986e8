// `lvs compare`: shows two runs side by side.
#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "services/cli/cli.h"
#include "services/cli/commands.h"
#include "services/cli/output.h"
#include "services/report/report.h"
#include "services/scenario/metrics.h"

namespace lvs::services {
namespace {

struct Figure {
  std::string name;
  std::string a_text, b_text;
  double a, b;
};

std::vector<Figure> CompareFigures(const v1::Summary& a, const v1::Summary& b) {
  std::vector<Figure> figures;
  const auto add = [&](const std::string& name, double va, double vb, const auto& format) {
    figures.push_back({name, format(va), format(vb), va, vb});
  };
  const auto seconds = [](double value) { return FormatNumber(value, 4) + "s"; };
  add("micro_nodes", static_cast<double>(a.micro_nodes()), static_cast<double>(b.micro_nodes()),
      [](double value) { return absl::StrFormat("%.0f", value); });
  add("cycles", static_cast<double>(a.cycles()), static_cast<double>(b.cycles()),
      [](double value) { return absl::StrFormat("%.0f", value); });
  add("virtual_seconds", a.virtual_seconds(), b.virtual_seconds(), seconds);
  add("wall_seconds", a.wall_seconds(), b.wall_seconds(), seconds);
  add("startup_seconds", a.startup_seconds(), b.startup_seconds(), seconds);
  for (const Metric& metric : Metrics()) {
    if (!metric.of_summary) continue;
    add(metric.name, metric.of_summary(a), metric.of_summary(b),
        [&metric](double value) { return FormatMetric(metric, value); });
  }
  if (!a.loads().empty() || !b.loads().empty()) {
    const auto of_load = [&](const char* name, const auto& of, const auto& format) {
      const auto first = [&](const v1::Summary& summary) {
        return summary.loads().empty() ? std::nan("") : static_cast<double>(of(summary.loads(0)));
      };
      add(std::string("load.") + name, first(a), first(b), format);
    };
    const auto count = [](double value) { return FormatNumber(value, 6); };
    const auto ms = [](double value) { return std::isnan(value) ? "-" : FormatNumber(value, 4) + "ms"; };
    of_load(
        "rate", [](const v1::LoadFigures& load) { return load.rate(); }, count);
    of_load(
        "acknowledged", [](const v1::LoadFigures& load) { return load.acknowledged(); }, count);
    of_load(
        "p50", [](const v1::LoadFigures& load) { return load.p50_ms(); }, ms);
    of_load(
        "p99", [](const v1::LoadFigures& load) { return load.p99_ms(); }, ms);
  }
  std::set<std::string> kinds;
  for (const v1::Summary* summary : {&a, &b}) {
    for (const auto& recovery : summary->recoveries()) kinds.insert(recovery.after());
  }
  const Metric& recovery = *FindMetric(kRecoveryMetric);
  for (const std::string& kind : kinds) {
    add("recovery.seconds after " + kind, WorstRecoverySeconds(a, kind), WorstRecoverySeconds(b, kind),
        [&recovery](double value) { return FormatMetric(recovery, value); });
  }
  return figures;
}

std::string RatioText(const Figure& figure) {
  if (figure.a == figure.b) return "=";
  if (!(figure.a > 0) || !(figure.b >= 0)) return "-";
  return FormatNumber(figure.b / figure.a) + "x";
}

// The name omits the seed for a testnet, which has none.
std::string NameOf(const v1::Summary& summary) {
  return summary.nodes().empty() ? summary.scenario() + ", seed " + std::to_string(summary.seed())
                                 : summary.scenario() + " of " + FormatCount(summary.server_nodes(), "node");
}

// Warnings about the two runs that a reader needs before comparing figures.
std::vector<std::string> CompareNotes(const v1::Summary& a, const v1::Summary& b) {
  std::vector<std::string> notes;
  const auto differs = [&](const std::string& what, const std::string& of_a, const std::string& of_b) {
    if (of_a != of_b) notes.push_back(what + " differ: A " + of_a + ", B " + of_b);
    return of_a != of_b;
  };
  bool same_run = true;
  same_run &= !differs("scenarios", a.scenario(), b.scenario());
  same_run &= !differs("seeds", std::to_string(a.seed()), std::to_string(b.seed()));
  same_run &= !differs("rules", a.rule(), b.rule());
  same_run &= !differs("lengths", FormatCount(a.cycles(), "cycle"), FormatCount(b.cycles(), "cycle"));
  const bool same_build = !differs("builds", a.build(), b.build());
  differs("threads", std::to_string(a.threads()), std::to_string(b.threads()));
  differs("SIMD targets", a.simd_target(), b.simd_target());
  if (!a.complete()) notes.push_back("A is partial: it was interrupted");
  if (!b.complete()) notes.push_back("B is partial: it was interrupted");
  // Testnets have no state hash.
  if (a.state_hash().empty() || b.state_hash().empty()) return notes;
  if (a.state_hash() == b.state_hash()) {
    notes.push_back("state hashes are equal: both ended in the same state, bit for bit (" + a.state_hash() + ")");
  } else if (!same_run) {
    notes.push_back("state hashes differ, as they must: these are different runs");
  } else {
    notes.push_back("state hashes differ (A " + a.state_hash() + ", B " + b.state_hash() +
                    ") for one scenario and seed: " +
                    (same_build ? "the scenario file changed between the runs, or the run is NOT DETERMINISTIC"
                                : "the builds, or the scenario file, compute something else"));
  }
  return notes;
}

int Compare(const std::string& path_a, const std::string& path_b, const std::string& format, std::ostream& out,
            std::ostream& err) {
  const absl::StatusOr<v1::Summary> a = ReadSummary(path_a);
  if (!a.ok()) return Fail(err, a.status());
  const absl::StatusOr<v1::Summary> b = ReadSummary(path_b);
  if (!b.ok()) return Fail(err, b.status());
  const std::vector<Figure> figures = CompareFigures(*a, *b);
  const std::vector<std::string> notes = CompareNotes(*a, *b);
  if (format == "json") {
    Json metrics = Json::object();
    for (const Figure& figure : figures) metrics[figure.name] = {{"a", figure.a}, {"b", figure.b}};
    const Json all{{"a", path_a},
                   {"b", path_b},
                   {"same_state", !a->state_hash().empty() && a->state_hash() == b->state_hash()},
                   {"notes", notes},
                   {"metrics", metrics}};
    out << JsonText(all, 2) << "\n";
    return kExitPassed;
  }
  const auto verdict = [](const v1::Summary& summary) {
    return std::string(!summary.complete() ? "partial" : summary.passed() ? "passed" : "failed");
  };
  Rows rows{{"", "A", "B", "B/A"}, {"verdict", verdict(*a), verdict(*b), verdict(*a) == verdict(*b) ? "=" : ""}};
  for (const Figure& figure : figures) rows.push_back({figure.name, figure.a_text, figure.b_text, RatioText(figure)});
  out << "A  " << path_a << "  (" << NameOf(*a) << ")\n"
      << "B  " << path_b << "  (" << NameOf(*b) << ")\n\n";
  PrintTable(out, rows);
  out << "\n";
  for (const std::string& note : notes) out << "note: " << note << "\n";
  return kExitPassed;
}

struct CompareArguments {
  std::string a, b;
  std::string format = "table";
};

}  // namespace

void AddCompare(CLI::App& app, Commands& commands) {
  const auto given = std::make_shared<CompareArguments>();
  CLI::App* compare = app.add_subcommand("compare", "Set two runs side by side");
  compare->add_option("A", given->a, "A run directory or its summary.json")->required()->option_text(" ");
  compare->add_option("B", given->b, "The other one")->required()->option_text(" ");
  AddFormat(compare, given->format);
  compare->footer("Example:\n  lvs compare runs/phase2-7-20260101T120000Z runs/phase2-8-20260101T120100Z");
  commands.push_back({compare, [given](std::ostream& out, std::ostream& err) {
                        return Compare(given->a, given->b, given->format, out, err);
                      }});
}

}  // namespace lvs::services
