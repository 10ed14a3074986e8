"""Makes the page of the benchmarks and its pictures from the JSON that measure.py keeps: every number on it comes from
there.

    python3 bench/page.py results.json OUT        # OUT/benchmarks.md and OUT/benchmarks/*.svg
"""

import json
import math
import pathlib
import re
import statistics
import sys

import drift
from chart import Line, bar_chart, line_chart, picture, short

# Parts of the page, in its order; measure.py has a function of each name, and so has the page.
SUITES = ("million", "compare", "micro", "link", "wasm", "drift", "growth", "acks", "idle", "paper")
# The middle half of the samples, relative to their median, from which on a figure is called noisy.
NOISY_SPREAD = 0.10
# Share of the machine that others used before a suite, from which on its figures are called noisy as a whole.
BUSY_SHARE = 0.10


# ---- Figures ----


def quartiles(samples):
    if len(samples) == 1:
        return samples[0], samples[0]
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, high


def spread(samples):
    low, high = quartiles(samples)
    return (high - low) / statistics.median(samples) if statistics.median(samples) else 0.0


def point(x, samples):
    low, high = quartiles(samples)
    return x, statistics.median(samples), low, high


def trust(samples):
    """What stands beside a median: its spread, and whether to believe it."""
    if len(samples) == 1:
        return "one run"
    width = spread(samples)
    return f"{width:.0%}{', **noisy**' if width > NOISY_SPREAD else ''}"


def digits(value):
    """Three significant digits, in plain writing with thousands."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def nanoseconds(value):
    for size, unit in ((1e6, "ms"), (1e3, "us")):
        if value >= size:
            return f"{digits(value / size)} {unit}"
    return f"{digits(value)} ns"


def byte_count(value):
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if value >= size:
            return f"{digits(value / size)} {unit}"
    return f"{digits(value)} B"


def natural(name):
    """Sorts numbers within names by their size."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def times(ratio):
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def exponent(pairs):
    """Of y ~ x^e: least squares on logarithms."""
    if len(pairs) < 2:
        return None
    xs, ys = [math.log(x) for x, _ in pairs], [math.log(y) for _, y in pairs]
    return statistics.linear_regression(xs, ys).slope


# ---- The page ----


class Page:
    def __init__(self, results, out):
        self.suites = results["suites"]
        self.pictures = out / "benchmarks"
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.parts = []

    def say(self, *paragraphs):
        self.parts.extend(paragraphs)

    def draw(self, name, words, *charts):
        (self.pictures / f"{name}.svg").write_text(picture(charts))
        self.say(f"![{words}](benchmarks/{name}.svg)")

    def busy(self, suite):
        return self.suites[suite]["busy_before"] > BUSY_SHARE

    def verdict(self, suite, holds):
        return "held" if holds else "**missed**" + (", beside other work" if self.busy(suite) else "")

    def measured_by(self, suite, timed=True):
        """The line under a headline: command, when, and, where times were measured, whether the machine was busy."""
        run = self.suites[suite]
        said = f"`{run['command']}`, {run['when']}, build {run['machine']['build'].removeprefix('lvs ')}"
        if not timed:
            return said + "."
        return (said + f"; before it, others used {run['busy_before']:.0%} of the machine."
                + (" **That is noise: ratios hold better than figures here.**" if self.busy(suite) else ""))

    # -- million --

    def million(self):
        runs = self.suites["million"]["runs"]
        most, one = runs[0], runs[-1]
        cycles = most["samples"][0]["cycles"]
        cycle_ms = lambda run: [1e3 * s["wall_seconds"] / s["cycles"] for s in run["samples"]]
        middle = lambda run, key: statistics.median(s[key] for s in run["samples"])
        self.say("## A million micro-nodes", self.measured_by("million"),
                 f"`lvs run million --profile`, {cycles} cycles: four shards a micro-node, three regions, a tenth of all "
                 "messages lost, churn, contributions, one liar in a hundred. A message is a state diff that a replica weighs, "
                 "or that was lost on its way to it.",
                 table(("threads", "a cycle", "spread", "replica cycles a second", "micro-node cycles a second",
                        "messages a second", "a micro-node", "started in"), [
                     (run["threads"], f"{digits(statistics.median(cycle_ms(run)))} ms", trust(cycle_ms(run)),
                      *(short(middle(run, f"{what}_per_second"))
                        for what in ("replica_cycles", "micro_node_cycles", "messages")),
                      byte_count(middle(run, "resident_bytes_per_micro_node")),
                      f"{digits(middle(run, 'startup_seconds'))} s") for run in runs]))
        stages = {name: statistics.median(s["stage_seconds"][name] for s in most["samples"])
                  for name in most["samples"][0]["stage_seconds"]}
        whole = sum(stages.values())
        replica_cycles = statistics.median(s["replica_cycles_per_second"] * s["wall_seconds"] for s in most["samples"])
        self.draw("million", "Where the time of a million micro-nodes goes",
                  bar_chart("A replica cycle, by stage", "ns", [
                      (name, [1e9 * seconds / replica_cycles]) for name, seconds in stages.items()]))
        self.say(table(("stage", "of the threads' time", "a replica cycle"), [
            (name, f"{seconds / whole:.1%}", nanoseconds(1e9 * seconds / replica_cycles))
            for name, seconds in sorted(stages.items(), key=lambda stage: -stage[1])]))
        took, size = statistics.median(cycle_ms(most)), middle(most, "resident_bytes_per_micro_node")
        to_kernel = whole / stages["drift kernel"]
        verdict = lambda holds: self.verdict("million", holds)
        self.say(f"Target: a cycle in less than 100 ms: {verdict(took < 100)} ({digits(took)} ms; the aim beyond is 50). "
                 f"Under 600 bytes a micro-node: {verdict(size < 600)} ({digits(size)}). All of it within 1.6 times of its "
                 f"own kernel: {verdict(to_kernel <= 1.6)} ({to_kernel:.2f} times).")
        if most is not one:
            faster = statistics.median(b / a for a, b in zip(cycle_ms(most), cycle_ms(one)))
            self.say(f"{most['threads']} threads at least 1.8 times as fast as one: {verdict(faster >= 1.8)} "
                     f"({faster:.2f} times).")

    # -- compare --

    def compare(self):
        suite = self.suites["compare"]
        self.say("## Beside what one would pick instead", self.measured_by("compare"),
                 "The same averaging work over the same network ([the programs](../bench/baselines/README.md), and how to "
                 "read this); `bench/compare.sh` runs it alone. LVS does more in a cycle: all of its safe rules, ledger "
                 "and loss. It sends no message inside a shard, which the peers do. Ratios are medians of those within a "
                 f"round. *Apart* is highest less lowest run; above {suite['noisy_above']:.0%} it is noisy.")
        apart = lambda row, size: "one run" if size["rounds"] == 1 else (
            f"{row['rate']['spread']:.0%}{', **noisy**' if row['rate']['noisy'] else ''}")
        for size in suite["sizes"]:
            rows = sorted(size["programs"], key=lambda row: -row["node_cycles_per_second"])
            best = size["best_peer"]
            ratio = lambda found: "" if found is None else (
                (times(found["median"]) if found["median"] >= 1 else f"1/{times(1 / found['median'])}")
                + (", **noisy**" if found["noisy"] and size["rounds"] > 1 else ""))
            self.say(f"### {size['nodes']:,} nodes", table(
                ("program", "threads", "node cycles a second", "apart", "to the best peer", "to the plain loop",
                 "a node", "keeps"), [
                    (f"`{row['name']}`", row["threads"], short(row["node_cycles_per_second"]),
                     apart(row, size), ratio(row.get("to_best_peer")), ratio(row["to_plain_loop"]), byte_count(row["bytes_per_node"]),
                     row["keeps"]) for row in rows]))
            if best is None:
                continue
            peer = next(row for row in rows if row["name"] == best)
            ours = {row["name"]: row for row in rows if row["name"].startswith("lvs")}
            small, whole = ours["lvs_small_shards"], ours["lvs_one_shard"]
            kernel = whole["kernel_to_plain_loop"]["median"]
            speed, memory = small["to_best_peer"]["median"], peer["bytes_per_node"] / small["bytes_per_node"]
            verdict = lambda holds: self.verdict("compare", holds)
            self.say(f"Target, beside the best peer that keeps messages (`{best}`): 50 times its node cycles: "
                     f"{verdict(speed >= 50)} ({times(speed)} times). A fifth of its memory: {verdict(memory >= 5)} "
                     f"(1/{times(memory)}). The drift kernel alone, all nodes in one shard, at least a fifth of the plain "
                     f"loop's rate: {verdict(kernel >= 0.2)} (1/{times(1 / kernel)}).")
        for line in suite["skipped"]:
            self.say(f"Not run: {line}.")

    # -- micro --

    def micro(self):
        entries = sorted(self.suites["micro"]["benchmarks"], key=lambda entry: natural(entry["name"]))
        self.rows = {entry["name"]: entry for entry in entries}
        self.say("## One function, one thread", self.measured_by("micro"),
                 "Processor time of an item; of actors, wall time. Inner sizes are in the name.")
        self.kernel()
        for title, words, prefixes in (
            ("Frames", "An item is a state diff with its entropy, or a ledger entry.", ("Frame",)),
            ("Ledger", "An item is an entry; of the digest, a question.", ("Ledger",)),
            ("Entropy", "An item is a packet.", ("Entropy",)),
            ("Overlay", "An item is a replica.", ("Overlay",)),
            ("Placement", "An item is a micro-node that is placed, or a shard that is repaired.", ("Placement",)),
            ("VaultGuard", "An item is a coordinate of a replica, a cycle of a stream, or an entropy sample.",
             ("VaultGuard",)),
            ("Snapshots", "An item is a replica; of the copy, an entry.", ("Snapshot",)),
            ("Actors", "An item is a message from one actor to another. A round is a tick to each of so many actors and "
             "a report of each to one.", ("Actor",)),
        ):
            self.say(f"### {title}", words, self.micro_table(prefixes))

    def micro_table(self, prefixes):
        rows = []
        for name, entry in self.rows.items():
            if not name.startswith(prefixes):
                continue
            per_item = statistics.median(entry["ns"])
            rows.append((f"`{name}`", nanoseconds(per_item), trust(entry["ns"]), f"{short(1e9 / per_item)}/s"))
        return table(("benchmark", "an item", "spread", "items"), rows)

    def family(self, prefix):
        """Samples by the number at the end of the name."""
        return {float(name.rsplit(":", 1)[1]): entry["ns"] for name, entry in self.rows.items()
                if name.startswith(prefix + "/")}

    def by_time(self, prefix):
        """Samples by the word at the end of the name, the fastest first."""
        found = {name.split("/")[1]: entry["ns"] for name, entry in self.rows.items() if name.startswith(prefix + "/")}
        return dict(sorted(found.items(), key=lambda item: statistics.median(item[1])))

    def kernel(self):
        self.say("### A replica cycle",
                 "All of the safe rules on one core, in a shard that has converged; 10% of the messages are lost. Eight "
                 "peers, two value slots and two free coordinates, 4096 replicas where nothing else is said.")
        self.draw("drift", "Time of a replica cycle by replicas of a shard, by peers and by dimensions", *[
            line_chart(f"A replica cycle, by {label}", label, "ns",
                       [Line("", [point(x, s) for x, s in self.family(name).items()])], log_x=log_x)
            for name, label, log_x in (("DriftByReplicas", "replicas of the shard", True),
                                       ("DriftByPeers", "peers", False), ("DriftByDimensions", "dimensions", False))])
        for name, label in (("DriftByReplicas", "replicas"), ("DriftByPeers", "peers"),
                            ("DriftByDimensions", "dimensions")):
            self.say(table((label, "a replica cycle", "spread", "replica cycles a second"), [
                (f"{x:,.0f}", nanoseconds(statistics.median(samples)), trust(samples),
                 f"{short(1e9 / statistics.median(samples))}") for x, samples in self.family(name).items()]))
        rules = self.by_time("DriftRule")
        base = statistics.median(rules["all_rules"])
        self.draw("drift-rules", "Time of a replica cycle with each rule off",
                  bar_chart("A replica cycle with one rule changed", "ns", [
                      (name.replace("_", " "), [statistics.median(samples)]) for name, samples in rules.items()]))
        self.say(table(("rule", "a replica cycle", "spread", "of all rules"), [
            (name.replace("_", " "), nanoseconds(statistics.median(samples)), trust(samples),
             times(statistics.median(samples) / base)) for name, samples in rules.items()]),
            "A rule is off where its parameter is zero; the kernel may compute with a zero all the same.")
        targets = self.by_time("DriftBySimdTarget")
        best = min(statistics.median(samples) for samples in targets.values())
        self.say("By the vector instructions that are used (all give the same bits):",
                 table(("target", "a replica cycle", "spread", "of the best"), [
                     (name, nanoseconds(statistics.median(samples)), trust(samples),
                      times(statistics.median(samples) / best)) for name, samples in targets.items()]))

    # -- link --

    def link(self):
        suite = self.suites["link"]
        self.say("## One gRPC link", self.measured_by("link"),
                 "Two processes on loopback, from the peer link actor that a shard actor speaks through to the halo rows "
                 "of a whole server node (`bench/link_bench.cc`). Processor time is that of the whole process.")
        runs = {run["rows"]: run["samples"] for run in suite["runs"]}
        value = lambda rows, key: [sample[key] for sample in runs[rows]]
        self.draw("link", "State diffs a second over one link, and what each costs",
                  line_chart("State diffs a second", "state diffs a frame", "a second",
                             [Line("", [point(n, value(n, "sdms_per_second")) for n in runs])], log_y=True),
                  line_chart("Processor time of a state diff", "state diffs a frame", "ns", [
                      Line("sender", [point(n, value(n, "sender_cpu_ns_per_sdm")) for n in runs]),
                      Line("receiver", [point(n, value(n, "receiver_cpu_ns_per_sdm")) for n in runs])], log_y=True))
        self.say(table(
            ("state diffs a frame", "bytes a frame", "frames a second", "state diffs a second", "spread",
             "sender, a diff", "receiver, a diff"),
            [(n, digits(statistics.median(value(n, "bytes_per_frame"))),
              digits(statistics.median(value(n, "frames_per_second"))),
              short(statistics.median(value(n, "sdms_per_second"))), trust(value(n, "sdms_per_second")),
              *(f"{nanoseconds(statistics.median(value(n, side)))} ({trust(value(n, side))})"
                for side in ("sender_cpu_ns_per_sdm", "receiver_cpu_ns_per_sdm"))) for n in runs]))
        largest = max(runs)
        rate = statistics.median(value(largest, "sdms_per_second"))
        sides = [statistics.median(value(largest, side)) for side in
                 ("sender_cpu_ns_per_sdm", "receiver_cpu_ns_per_sdm")]
        self.say(f"Target: 20 million a second in frames of {largest}: {self.verdict('link', rate >= 20e6)} "
                 f"({short(rate)}/s). Under 60 ns of processor time on each side: "
                 f"{self.verdict('link', max(sides) < 60)} "
                 f"({digits(sides[0])} and {digits(sides[1])} ns).")
        self.cluster_frames(suite["cluster"])

    def cluster_frames(self, cluster):
        rows = []
        for state, words in (("starting", "until it serves"), ("at_rest", "at rest, all agree"),
                             ("contributions", f"{cluster['contributions_per_second']:,} contributions a second")):
            nodes = cluster["states"][state]
            frames = sum(node["frames"] for node in nodes)
            size = sum(node["bytes"] for node in nodes) / frames
            rate = frames / sum(node["seconds"] * node["links"] for node in nodes)
            # Of what was measured above, the frames of nearly that size.
            like = min(self.suites["link"]["runs"], key=lambda run: abs(
                math.log(statistics.median(s["bytes_per_frame"] for s in run["samples"]) / size)))
            carried = statistics.median(s["frames_per_second"] for s in like["samples"])
            diffs = statistics.median(s["sdms_per_second"] for s in like["samples"])
            rows.append((words, digits(rate), digits(size), byte_count(size * rate), like["rows"],
                         f"{digits(carried)} frames, {short(diffs)} diffs", times(carried / rate)))
        self.say(f"What the links of a cluster of {cluster['micro_nodes']:,} micro-nodes on {cluster['nodes']} server "
                 "nodes really say, each way, and what one link carried above in frames of nearly that size:",
                 table(("the cluster", "frames a second", "bytes a frame", "bytes a second", "diffs in such a frame",
                        "one link carries a second", "times as many frames"), rows),
                 "What a small frame costs is the frame and, at the receiver, a cycle for each round of frames; not the "
                 "diffs in it.")

    # -- wasm --

    def wasm(self):
        suite = self.suites["wasm"]
        sides = list(suite["runs"][0]["ns"])
        self.say("## The core in WebAssembly", self.measured_by("wasm"),
                 "`cmake --preset wasm` builds vaultguard, shard and shard/hosting, with the cases of its test, to one module: "
                 f"{byte_count(suite['module_bytes'])}, {byte_count(suite['gzip_bytes'])} with gzip. A replica cycle in Node "
                 f"{suite['node'].removeprefix('v')} beside native on each SIMD target, processor time of one thread; both "
                 "sides end in the same state. Vectors of WebAssembly have 128 bits, as those of SSE4.")
        medians = [{side: statistics.median(run["ns"][side]) for side in sides} for run in suite["runs"]]
        self.say(table(
            ("shards", "replicas of each", *sides, "spread in WebAssembly", "times the best native", "memory"),
            [(run["shards"], f"{run['replicas']:,}", *(nanoseconds(ns[side]) for side in sides), trust(run["ns"]["WASM"]),
              times(ns["WASM"] / min(ns[side] for side in sides if side != "WASM")), byte_count(run["memory_bytes"]))
             for run, ns in zip(suite["runs"], medians)]))

    # -- growth --

    AXES = {
        "micro_nodes": ("micro-nodes", "Micro-nodes, 64 shards (fewer below 256 micro-nodes)"),
        "micro_nodes_and_shards": ("micro-nodes", "Micro-nodes, with as many shards as keep 4,000 replicas in each"),
        "shards": ("shards", "Shards"),
        "peers": ("peers", "Peers"),
        "dimensions": ("dimensions", "Dimensions"),
        "threads": ("threads", "Threads"),
        "server_nodes": ("server nodes", "Server nodes, all linked with all"),
    }

    def growth(self):
        suite = self.suites["growth"]
        base = suite["axes"][0]["base"]
        self.say("## How cost grows", self.measured_by("growth"),
                 "Whole runs of `lvs run` on generated scenarios, from the drawn state on, with 5% loss within regions. "
                 f"Where it is not what grows: {base['micro_nodes']:,} micro-nodes of 4 shards each, {base['shards']} "
                 f"shards, {base['peers']} peers, {base['dimensions']} dimensions, {base['threads']} threads, "
                 f"{base['server_nodes']} server node. The exponent is the slope of a line through all points on "
                 "logarithmic axes: cost grows as x to that power; 0 is constant, 1 is in proportion.")
        summary = []
        sections = []
        for axis in suite["axes"]:
            label, title = self.AXES[axis["axis"]]
            measured = [p for p in axis["points"] if p["samples"]]
            seconds = {p["x"]: [1 / s["cycles_per_second"] for s in p["samples"]] for p in measured}
            memory = {p["x"]: [s["resident_bytes"] for s in p["samples"]] for p in measured}
            medians = lambda samples: [(x, statistics.median(s)) for x, s in samples.items()]
            time_pairs, memory_pairs = medians(seconds), medians(memory)
            fits = [exponent(pairs) for pairs in (time_pairs, time_pairs[-2:], memory_pairs, memory_pairs[-2:])]
            summary.append((title, f"{measured[0]['x']:,} to {measured[-1]['x']:,}",
                            *(f"{fit:.2f}" if fit is not None else "" for fit in fits)))
            sections.append((axis, label, title, measured, seconds, memory))
        self.say(table(("what grows", "from, to", "time of a cycle: exponent", "between the last two", "memory: exponent",
                        "between the last two"), summary))
        cost = [1 / statistics.median(s["cycles_per_second"] for s in p["samples"]) / p["replicas"]
                for axis in suite["axes"] if axis["axis"] == "micro_nodes_and_shards"
                for p in axis["points"] if p["samples"] and 1e4 <= p["x"] <= 1e6]
        if cost:
            flat = max(cost) / min(cost)
            self.say("Target: with shards that stay in the caches a replica cycle costs the same within 1.5 times from "
                     f"10,000 to 1,000,000 micro-nodes: {self.verdict('growth', flat <= 1.5)} ({times(flat)} times).")
        for axis, label, title, measured, seconds, memory in sections:
            self.say(f"### {title}")
            self.draw(f"growth-{axis['axis'].replace('_', '-')}", f"Time of a cycle and memory by {label}",
                      line_chart(f"Time of a cycle, by {label}", label, "ms",
                                 [Line("", [point(x, [1e3 * v for v in s]) for x, s in seconds.items()])], log_y=True),
                      line_chart(f"Memory, by {label}", label, "MB",
                                 [Line("", [point(x, [v / 1e6 for v in s]) for x, s in memory.items()])], log_y=True))
            self.say(table(("x", "cycles a second", "spread", "a replica cycle", "memory", "a micro-node"), [
                (f"{p['x']:,}", digits(1 / statistics.median(seconds[p["x"]])), trust(seconds[p["x"]]),
                 nanoseconds(1e9 * statistics.median(seconds[p["x"]]) / p["replicas"]),
                 byte_count(statistics.median(memory[p["x"]])),
                 byte_count(statistics.median(memory[p["x"]]) / p["micro_nodes"])) for p in measured]))
            for p in axis["points"]:
                if not p["samples"]:
                    self.say(f"{p['x']:,} was not run: {p.get('skipped', 'no sample')}.")

    # -- drift --

    def drift(self):
        drift.Section(self, self.suites["drift"], table).text()

    # -- acks --

    def acks(self):
        suite = self.suites["acks"]
        self.say("## Contributions at a fixed rate", self.measured_by("acks"),
                 f"{suite['nodes']} server nodes with caches on this machine, cycles of 100 ms, {suite['rate']:,} "
                 f"contributions a second for {suite['seconds']} s by `lvs testnet load`, nodes and load tool on the same "
                 "cores. Latency counts from the time that a contribution was due, retries and all.")
        shares = ("p50", "p99", "p999")
        rows, bars = [], []
        for run in suite["runs"]:
            samples = run["samples"]
            latency = {q: [s["latency_us"][q] / 1e3 for s in samples] for q in shares}
            middle = lambda key: statistics.median(s[key] for s in samples)
            offered = sum(s["offered"] for s in samples)
            bars.append((run["durability"], [statistics.median(latency[q]) for q in shares]))
            rows.append((run["durability"], *(f"{digits(statistics.median(latency[q]))} ms" for q in shares),
                         trust(latency["p50"]), trust(latency["p99"]),
                         f"{sum(s['acknowledged'] for s in samples) / offered:.2%}",
                         f"{sum(s['acknowledged'] for s in samples) / sum(s['seconds'] for s in samples):,.0f}",
                         f"{middle('node_cpu_share') / suite['nodes']:.0%}", f"{middle('load_cpu_share'):.0%}"))
        self.draw("acks", "Latency of acknowledgements by durability",
                  bar_chart(f"Acknowledged after, at {suite['rate']:,} a second", "ms", bars, ("p50", "p99", "p99.9")))
        self.say(table(("durability", "p50", "p99", "p99.9", "spread of p50", "of p99", "acknowledged", "a second",
                        "a node's core", "the load tool's core"), rows),
                 "A contribution waits for the next cycle, half of one on average, so about 50 ms is the least that p50 "
                 "can be; two nodes take a way there and back, each of which waits for a cycle.")

    # -- idle --

    def idle(self):
        suite = self.suites["idle"]
        self.say("## An idle node", self.measured_by("idle"),
                 f"One `lvs node` alone, converged, cycles of 100 ms; processor time of {suite['seconds']} s as a share of "
                 "one core.")
        rows = []
        for run in suite["runs"]:
            rows.append((f"{run['micro_nodes']:,}", f"{run['low_power']:.0%}", f"{statistics.median(run['samples']):.2%}",
                         trust(run["samples"])))
        self.say(table(("micro-nodes", "in low power", "of a core", "spread"), rows))
        low = next(run for run in suite["runs"] if run["micro_nodes"] == 10_000 and run["low_power"] == 1)
        share = statistics.median(low["samples"])
        self.say(f"Target: under 2% of a core for 10,000 in low power: {self.verdict('idle', share < 0.02)} "
                 f"({share:.2%}).")

    # -- paper --

    def paper(self):
        suite = self.suites["paper"]
        constants = suite["constants"]
        c = {name: constant["value"] for name, constant in constants.items()}
        nodes = suite["server_nodes"]
        sizes = {int(name.rsplit(":", 1)[1]): entry["bytes"] for name, entry in self.rows.items()
                 if name.startswith("FrameEncode/")}
        entries = {int(name.rsplit(":", 1)[1]): entry["bytes"] for name, entry in self.rows.items()
                   if name.startswith("FrameEntriesEncode/")}
        few, many = min(sizes), max(sizes)
        row_bytes = (sizes[many] - sizes[few]) / (many - few)
        empty_frame = sizes[few] - few * row_bytes
        entry_few, entry_many = min(entries), max(entries)
        entry_bytes = (entries[entry_many] - entries[entry_few]) / (entry_many - entry_few)
        cycles_a_second = 1e6 / c["period_us"]

        guests = min(4, max(1, c["links_max"] // 4))
        residents = c["links_max"] - guests
        full_frame = empty_frame + c["halo_rows"] * row_bytes
        moving = c["shards"] * cycles_a_second * full_frame
        rest = self.suites["link"]["cluster"]["states"]["at_rest"]
        rest_bytes = sum(n["bytes"] for n in rest) / sum(n["seconds"] * n["links"] for n in rest)
        hops = math.log(nodes) / math.log(c["active_target"] - 1)
        flood = c["shards"] * cycles_a_second * c["frame_entries_max"] / 2
        rate = 1000
        spread_bytes = rate * entry_bytes
        sessions = 1_000_000
        guests_a_second = guests / c["guest_s"]
        # Each row is said with its heartbeat and with each refresh, and a shard that has nothing gives a sign of life.
        rest_rows = c["shards"] * c["halo_rows"] * cycles_a_second * (
            1 / c["heartbeat_cycles"] + 1 / c["halo_refresh_cycles"])
        rest_frames = c["shards"] * cycles_a_second / c["sign_of_life_cycles"]

        self.say("## A thousand server nodes, on paper",
                 f"Nothing here was run: it is what {nodes:,} server nodes would do by the sizes measured above and the "
                 "constants in the code, which `lvs limits` lists, each with its home. The cost of a link and of a node "
                 "does not depend on how many nodes there are, because a node links with few of them.",
                 table(("constant", "value", "home"), [
                     (f"`{name}`", digits(constant["value"]) if constant["value"] % 1 else f"{constant['value']:,.0f}",
                      f"`{constant['home']}`") for name, constant in constants.items()]),
                 "Measured sizes: "
                 f"a frame without rows {empty_frame:.0f} bytes, a state diff in it {row_bytes:.1f}, a ledger entry "
                 f"{entry_bytes:.1f} (`FrameEncode`, `FrameEntriesEncode`).")
        node_row = lambda what, link: (what, f"{byte_count(link)}/s", f"{byte_count(link * c['active_target'])}/s",
                                       f"{byte_count(link * residents)}/s")
        self.say("### Bytes a second",
                 table(("", "a link, one way", f"a node with {c['active_target']:.0f} links",
                        f"with {residents:.0f} links"), [
                     node_row("at rest, by heartbeats, refreshes and signs of life",
                              rest_rows * row_bytes + rest_frames * empty_frame),
                     node_row("at rest, measured above with three nodes", rest_bytes),
                     node_row("all on the move: a full frame a shard and cycle", moving),
                     node_row(f"{rate:,} contributions a second in all the network", spread_bytes)]),
                 f"On the move a frame has at most {c['halo_rows']:.0f} rows: {full_frame:.0f} bytes, "
                 f"{c['shards'] * cycles_a_second:.0f} frames a second. Every ledger entry crosses every link at most once "
                 "each way, beside what is sent again. All figures are without the bytes of HTTP/2, TCP and TLS.")
        self.say("### Views",
                 f"A node holds {c['active_target']:.0f} links of its own accord and takes up to {residents:.0f}, beside "
                 f"{guests:.0f} places for guests: an active view of {c['active_target'] / nodes:.1%} of the network. It "
                 f"remembers {c['passive_max']:.0f} addresses, {c['passive_max'] / nodes:.1%}. In a random graph of "
                 f"{c['active_target']:.0f} links a node, news reaches {nodes:,} nodes in about {math.ceil(hops)} hops; "
                 f"each waits for a cycle, so {math.ceil(hops) * c['period_us'] / 1e6:.1f} s and the links' latency. "
                 f"Exchanges of addresses, {c['sample_max']:.0f} of at most 256 bytes every {c['shuffle_s']:.0f} s, are at "
                 f"most {byte_count(c['sample_max'] * 256 / c['shuffle_s'])}/s a link.",
                 "### A storm of joins",
                 f"{nodes:,} nodes start at once and all know one address. That node keeps {residents:.0f} of them, and "
                 f"serves the others as guests, {guests:.0f} at a time for {c['guest_s']:.1f} s: {guests_a_second:.0f} a "
                 f"second, each of which leaves with {c['sample_max']:.0f} addresses. Alone it would take "
                 f"{nodes / guests_a_second:.0f} s for all; every node that has joined takes guests in the same way. Of "
                 f"streams that have said no hello it holds {c['strangers_max']:.0f}, and the oldest makes room for the "
                 f"newest. A node dials at most {c['dials_max']:.0f} others at a time.",
                 "### A newcomer's ledger",
                 f"{sessions:,} sessions are {byte_count(sessions * entry_bytes)}. A frame carries "
                 f"{c['frame_entries_max'] / 2:.0f} entries, so one link tells at most {flood:,.0f} a second "
                 f"({byte_count(flood * entry_bytes)}/s): {sessions / flood:.0f} s. Beyond the first {c['new_sessions_at_once']:,.0f} sessions "
                 f"of a shard a link may open {c['new_sessions_per_cycle']:.0f} new ones a shard and cycle "
                 f"({c['shards'] * cycles_a_second * c['new_sessions_per_cycle']:,.0f} a second in all shards): a ledger "
                 f"of that size has {sessions / c['shards']:,.0f} a shard, so "
                 + ("all of it comes at full speed." if sessions / c["shards"] <= c["new_sessions_at_once"] else
                    "the rest comes at that rate."))

    # -- all --

    def text(self):
        machines = {name: suite["machine"] for name, suite in self.suites.items()}
        any_machine = next(iter(machines.values()))
        self.say("# Benchmarks",
                 "What the parts cost, how cost grows, and what a cluster does under load. `bench/run.sh` measures all of "
                 "it and makes this page; every number comes from [results.json](benchmarks/results.json), which has each "
                 "sample. `bench/run.sh --quick` does the same roughly, into `build/bench/`.",
                 "**How to read it.** A figure is the median of its samples. *Spread* is the width of their middle half, "
                 f"relative to the median; above {NOISY_SPREAD:.0%} a figure is marked noisy. Ratios are between figures "
                 "of one run with interleaved repetitions. Bars in the pictures show the middle half.",
                 table(("machine", ""), [
                     ("processor", f"{any_machine['processor']}, {any_machine['cores']} cores"),
                     ("memory", byte_count(any_machine["memory_bytes"])),
                     ("system", f"{any_machine['system']}, Linux {any_machine['kernel']}"),
                     ("compiler", f"{any_machine['compiler']}, {any_machine['build_type']}")]))
        for suite in SUITES:
            if suite in self.suites and (suite != "paper" or {"micro", "link"} <= set(self.suites)):
                getattr(self, suite)()
        return "\n\n".join(self.parts) + "\n"


def write(results, out):
    out = pathlib.Path(out)
    (out / "benchmarks.md").write_text(Page(results, out).text())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: page.py RESULTS.json OUT")
    write(json.loads(pathlib.Path(sys.argv[1]).read_text()), sys.argv[2])
