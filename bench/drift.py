"""How free coordinates agree: the suite `drift` of bench/run.sh. It emulates many small networks, with one binary or with
an old and a new one in turn, and keeps one row a run.

    bench/run.sh drift --old ../before/build/release/lvs     # tables of both, side by side
    bench/run.sh --quick drift                               # a few minutes

Three tables: nobody lies (the cycle from which all agree); the nine attacks and those of who knows the rule (how far the
honest mean was pulled, how far apart the honest ended). Every run has a time limit and so has the suite: what there was no
time for is listed as not run.
"""

import concurrent.futures
import csv
import json
import os
import pathlib
import subprocess
import tempfile
import time

from chart import Line, line_chart

AGREED = 1e-6  # spread, relative to the start
RUN_SECONDS = 120
TRACE_CYCLES = 5
# Attacks that are far away, and near. Stealth and the clever ones stand alone.
FAR = ("drain", "stubborn", "noise", "alternate")
NEAR = ("a-little-is-enough", "replay", "entropy-flood", "forged-ledger")
CLEVER = ("range-edge", "just-inside", "fast-ahead", "slow-ahead", "two-camps", "feigned-reciprocity")
SHARES = (10, 20, 30, 45)


# ---- Networks ----


def regions_of(percents):
    return "{" + ", ".join(f"r{n}: {share:g}%" for n, share in enumerate(percents)) + "}"


def even(n):
    return [100 / n] * n


def scenario(percents, nodes, cycles, *, shards=4, peers=8, latency="90ms", jitter="10ms", events=(), loss="1%"):
    lines = ["name: drift", f"state: {{shards: {shards}, value_slots: 2, free_coordinates: 2}}",
             f"population: {{micro_nodes: {nodes}, shards_per_node: {shards}, regions: {regions_of(percents)}}}",
             f"drift: {{peers: {peers}}}", f"cycle: {{period: 100ms, count: {cycles}, settle: 0s}}",
             f"links: {{within: {{latency: 20ms, loss: {loss}}}, "
             f"between: [{{latency: {latency}, jitter: {jitter}, loss: {loss}}}]}}"]
    if events:
        lines += ["events:", *(f"  - {event}" for event in events)]
    return "\n".join(lines) + "\n"


def cut(seconds, groups, at=0):
    written = ", ".join("[" + ", ".join(f"r{n}" for n in group) + "]" for group in groups)
    return f"{{at: {at}s, for: {seconds}s, partition: {{groups: [{written}]}}}}"


def honest_cases(quick):
    """Name of the case, scenario: the text of a file, or the name of a shipped one."""
    two, halves = even(2), [[0], [1]]
    cases = [
        ("eight nodes, eight regions", scenario(even(8), 8, 300, shards=1, latency="20ms", jitter="0ms", loss="0%")),
        ("four nodes, two regions", scenario(two, 4, 300, shards=1)),
        ("cut for 0.5 s at the start, 20 nodes", scenario(two, 20, 300, shards=1, events=[cut(0.5, halves)])),
        ("restart inside a partition that heals at cycle 450", scenario(
            [40, 35, 25], 100, 800, events=[cut(40, [[0, 1], [2]], at=5), "{at: 10s, for: 2s, outage: {region: r2}}"])),
        ("links of 800 ms", scenario(two, 60, 900, shards=2, latency="800ms", jitter="0ms")),
        *((f"200 nodes, {n} even regions", scenario(even(n), 200, 200)) for n in (2, 4, 8)),
        ("200 nodes, 90:10", scenario([90, 10], 200, 200)),
        ("200 nodes, 97:1:1:1", scenario([97, 1, 1, 1], 200, 200)),
        *((f"cut at the start for {s:g} s, {name}", scenario(shares, 200, int(10 * s) + 200, events=[cut(s, groups)]))
          for s in (0.5, 10, 60) for name, shares, groups in (
              ("50:50", two, halves), ("80:20", [80, 20], halves), ("4 regions", even(4), [[0], [1], [2], [3]]))),
        *((f"{n} peers, one region", scenario([100], 200, 500 if n < 4 else 200, peers=n)) for n in (2, 3, 4, 6, 8, 12, 16)),
        *((f"`{name}`", name) for name in ("convergence", "lossy", "churn-storm")),
    ]
    return [case for case in cases if "60 s" not in case[0] and "800" not in case[0]] if quick else cases


# When liars come, in seconds; and the churn.
def attack_cases(quick):
    """Dictionaries of attack, regions, churn, share and from_s."""
    nine = [*FAR, *NEAR, "stealth"]
    shares = (20, 45) if quick else SHARES
    cases = []
    for regions in (1, 2):
        for share in shares:
            places = [(0, 0)] if quick else [(0, 0), (20, 0), (0, 20), (20, 20)]
            cases += [{"attack": attack, "regions": regions, "churn": churn, "share": share, "from_s": late}
                      for churn, late in places for attack in nine]
            cases += [{"attack": attack, "regions": regions, "churn": 0, "share": share, "from_s": late}
                      for late in ((0, 20) if quick else (0, 2, 5, 20)) for attack in CLEVER]
    return cases


def attack_scenario(case, nodes, cycles):
    liars = f"{{at: {case['from_s']}s, adversaries: {{share: {case['share']}%, attack: {case['attack']}}}}}"
    churn = [f"{{at: 0s, churn: {{rate: {case['churn']}%/s}}}}"] if case["churn"] else []
    return scenario(even(case["regions"]), nodes, cycles + 10 * case["from_s"], events=[liars, *churn])


# ---- Runs ----


def run(binary, text, seed, trace=False):
    """What one run says, or why it says nothing."""
    with tempfile.TemporaryDirectory(prefix="lvs-drift-") as folder:
        file = text
        if "\n" in text:
            file = pathlib.Path(folder) / "drift.yaml"
            file.write_text(text)
        command = [binary, "run", file, "--seed", seed, "--threads", 1, "--format", "json", "--out", f"{folder}/run"]
        try:
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=RUN_SECONDS,
                                  check=False)
        except subprocess.TimeoutExpired:
            return {"failed": f"took more than {RUN_SECONDS} s"}
        if done.returncode not in (0, 99):  # 99: a shipped scenario's thresholds are breached
            return {"failed": done.stderr.strip()[-200:]}
        summary = json.loads(done.stdout)
        with open(f"{folder}/run/timeseries.csv", newline="") as series:
            rows = list(csv.DictReader(series))
    result = {"spread": summary["drift"]["relative_spread"], "bias": summary["drift"]["honest_bias_relative"],
              "sampling_error": summary["drift"].get("sampling_error_relative"),
              "value_error": summary["ledger"]["effective_error_relative"], "agreed_at": agreed_at(rows),
              "bytes": summary["bandwidth"]["bytes_per_node_minute"]}
    if trace:
        apart = ((row["cycle"], number(row.get("region_distance_relative"))) for row in rows[::TRACE_CYCLES])
        result["trace"] = " ".join(f"{cycle}:{distance:.3g}" for cycle, distance in apart if distance is not None)
    return result


def number(cell):
    return float(cell) if cell else None


def agreed_at(rows):
    """The cycle from which all agree to the end; -1 if they do not."""
    spread = lambda row: max((number(row[f"{what}_spread_relative"]) or 0 for what in ("value", "free")))
    at = -1
    for row in reversed(rows):
        if spread(row) > AGREED:
            break
        at = int(row["cycle"])
    return at


def measure(binaries, quick, said):
    """`binaries`: name (old, new) to path. Returns the suite's results."""
    seeds = [1] if quick else [1, 2, 3]
    nodes, cycles = (200, 200) if quick else (1000, 400)
    budget_s = 240 if quick else 3600
    jobs = []
    for seed in seeds:
        for name, text in honest_cases(quick):
            jobs += [("honest", {"case": name, "seed": seed, "build": build}, text) for build in binaries]
        for case in attack_cases(quick):
            # Two seeds of the many, as three cost an hour.
            if seed <= 2:
                text = attack_scenario(case, nodes, cycles)
                jobs += [("attacks", {**case, "seed": seed, "build": build}, text) for build in binaries]
    apart = "10 s, 4 regions"
    deadline = time.monotonic() + budget_s

    def one(job):
        table, row, text = job
        if time.monotonic() > deadline:
            return table, {**row, "failed": "not run: no time was left"}
        return table, {**row, **run(binaries[row["build"]], text, row["seed"],
                                    trace=apart in row.get("case", "") and row["seed"] == 1)}

    tables = {"honest": [], "attacks": []}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for n, (table, row) in enumerate(pool.map(one, jobs), 1):
            tables[table].append(row)
            if n % 50 == 0:
                said(f"drift: {n} of {len(jobs)} runs")
    return {"seeds": len(seeds), "micro_nodes": nodes, "builds": {name: version(path) for name, path in binaries.items()},
            **{name: packed(rows) for name, rows in tables.items()}}


def packed(rows):
    """Rows as text, so that one is a line of the JSON."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    short = lambda value: float(f"{value:.4g}") if isinstance(value, float) else value
    return {"columns": columns, "rows": [json.dumps([short(row.get(key)) for key in columns])[1:-1] for row in rows]}


def unpacked(table):
    return [{key: value for key, value in zip(table["columns"], json.loads(f"[{row}]")) if value is not None}
            for row in table["rows"]]


def version(binary):
    done = subprocess.run([str(binary), "--version"], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.splitlines()[0].removeprefix("lvs ")


# ---- The page ----


def digits(value):
    return "0" if value == 0 else f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.05 else f"{value:.0e}"


class Section:
    """The part of benchmarks.md about free coordinates."""

    def __init__(self, page, suite, table):
        self.page, self.suite, self.table = page, suite, table
        self.builds = list(suite["builds"])
        self.runs = {name: unpacked(suite[name]) for name in ("honest", "attacks")}

    def text(self):
        suite = self.suite
        builds = " and ".join(f"{name} is {build}" for name, build in suite["builds"].items())
        self.page.say(
            "## How free coordinates agree", self.page.measured_by("drift", timed=False),
            f"Whole runs of `lvs run` ({builds}). The worst of the seeds stands in each cell. Values are exact, "
            "whatever the free coordinates do: their largest error is in the last line of this section.",
            "### Nobody lies")
        self.honest()
        self.page.say(
            "### Liars", f"{suite['micro_nodes']:,} micro-nodes. Each cell is the worst bias of the honest mean over attacks and "
            "seeds, in percent of the range, and in brackets the worst spread of the honest at the end, where it is above "
            "1e-6. *Far* are drain, stubborn, noise and alternate; *near* are a-little-is-enough, replay, entropy-flood "
            "and forged-ledger. *No rule* is what no rule that does not know where the honest stand can promise to stay "
            "below, share / (2 (1 - share)), if liars are there from the start.")
        self.attacks()
        self.pictures()
        self.failures()

    def cell(self, of):
        """One text for each build, with an arrow between them."""
        return " → ".join(of(build) for build in self.builds)

    def honest(self):
        rows = []
        for case in dict.fromkeys(row["case"] for row in self.runs["honest"]):
            of = lambda build: [r for r in self.runs["honest"] if r["case"] == case and r["build"] == build]
            # The mean moves although nobody pulls: replicas, and regions, hear a sample of each other.
            moved = [r["sampling_error"] for r in of(self.builds[-1]) if r.get("sampling_error") is not None]
            rows.append((case, *(self.agreement(of(build)) for build in self.builds),
                         f"{digits(100 * max(moved))} %" if moved else ""))
        self.page.say("The cycle from which the relative spread stays at most 1e-6, seed by seed, counted from the start of "
                      "the run; where it never does, the spread at the end. The mean moves by a *sampling error*, in "
                      "percent of the range, the worst of the seeds.",
                      self.table(("case", *self.builds, "sampling error"), rows))

    @staticmethod
    def agreement(rows):
        return " ".join("failed" if "failed" in r else str(r["agreed_at"]) if r["agreed_at"] >= 0
                        else f"**never** ({digits(r.get('spread', 0))})" for r in rows)

    def worst(self, build, attacks, **where):
        rows = [r for r in self.runs["attacks"] if r["build"] == build and r["attack"] in attacks and "failed" not in r
                and all(r[key] == value for key, value in where.items())]
        if not rows:
            return None
        # A build that knows no such figure counts from the start.
        return {key: max(r.get(key, 0) for r in rows) for key in ("bias", "spread", "value_error", "bytes")}

    def shown(self, build, attacks, **where):
        worst = self.worst(build, attacks, **where)
        if worst is None:
            return "n/a"
        apart = f" ({digits(worst['spread'])})" if worst["spread"] > AGREED else ""
        return digits(100 * worst["bias"]) + apart

    def attacks(self):
        kinds = [("far", FAR), ("near", NEAR), ("stealth", ("stealth",))]
        places = dict.fromkeys((r["from_s"], r["churn"], r["regions"]) for r in self.runs["attacks"] if r["attack"] in FAR)
        shares = sorted({r["share"] for r in self.runs["attacks"]})
        rows = [(f"{late} s" if late else "the start", f"{churn} %/s" if churn else "none", regions, f"{share} %",
                 *(self.cell(lambda build: self.shown(build, attacks, from_s=late, churn=churn, regions=regions, share=share))
                   for _, attacks in kinds), "" if late else digits(100 * bound(share)))
                for late, churn, regions in sorted(places) for share in shares]
        self.page.say(self.table(("liars from", "churn", "regions", "share", *(name for name, _ in kinds), "no rule"), rows),
                      "### Liars who know the rule", "The same figures, one attack a line.")
        places = dict.fromkeys((r["from_s"], r["regions"]) for r in self.runs["attacks"] if r["attack"] in CLEVER)
        rows = [(f"`{attack}`", f"{late} s" if late else "the start", regions,
                 *(self.cell(lambda build: self.shown(build, (attack,), from_s=late, churn=0, regions=regions, share=share))
                   for share in shares))
                for attack in CLEVER for late, regions in sorted(places)]
        self.page.say(self.table(("attack", "liars from", "regions", *(f"{share} %" for share in shares)), rows))
        others = [r.get("value_error", 0) for r in self.runs["attacks"]
                  if "failed" not in r and r["attack"] != "forged-ledger"]
        if others:
            self.page.say(f"The largest error of an honest replica's value is {max(others):.0e} of its ledger total in all of "
                          "these runs but those of `forged-ledger`, whose liars contribute to the end: their last entries are "
                          "still on their way then.")

    def pictures(self):
        charts = []
        for regions in (1, 2):
            lines = []
            for build in self.builds:
                for name, attacks in (("far", FAR), ("clever", CLEVER)):
                    points = [(share, max(worst["bias"], 1e-4) * 100) for share in sorted(
                        {r["share"] for r in self.runs["attacks"]})
                        if (worst := self.worst(build, attacks, from_s=0, churn=0, regions=regions, share=share))]
                    if points:
                        lines.append(Line(f"{name}, {build}" if len(self.builds) > 1 else name,
                                          [(x, y, y, y) for x, y in points]))
            if lines:
                charts.append(line_chart(f"Liars from the start, {regions} region{'s' if regions > 1 else ''}",
                                         "share of liars, %", "bias, % of the range", lines, log_x=False, log_y=True))
        traces = [(r["build"], r["trace"]) for r in self.runs["honest"] if r.get("trace")]
        point = lambda cycle, distance: (int(cycle), *3 * (max(float(distance), 1e-12),))
        lines = [Line(build, [point(*at.split(":")) for at in trace.split()[::4]]) for build, trace in traces]
        lines = [line for line in lines if line.points]
        if charts:
            self.page.draw("drift-liars", "Bias of the honest mean by share of liars", *charts)
        if lines:
            self.page.draw("drift-apart", "How far apart four regions stand that settled before they heard each other",
                           line_chart("Four regions, cut until cycle 100", "cycle", "share of the range", lines,
                                      log_x=False, log_y=True))

    def failures(self):
        failed = [r for r in self.runs["honest"] + self.runs["attacks"] if "failed" in r]
        if failed:
            why = dict.fromkeys(f"{r['build']}: {r['failed']}" for r in failed)
            self.page.say(f"{len(failed)} runs say nothing: " + "; ".join(list(why)[:5]) + ".")


def bound(share):
    """What no rule can promise to stay below: honest ones are even over the range, and liars continue them evenly."""
    s = share / 100
    return s / (2 * (1 - s))
