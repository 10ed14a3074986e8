#!/usr/bin/env python3
"""Runs LVS and the baselines (bench/baselines/README.md) side by side and prints ratios. Called by bench/compare.sh, which
installs and builds what this needs.

All programs read the same network from a file. At the first size each one first runs without loss, where the result does not
depend on chance, and must reach what the plain loop reaches: the same work, or no comparison. Then runs are interleaved,
A B C A B C, so that what disturbs the machine disturbs all; ratios are taken within a round.
"""

import argparse
import array
import dataclasses
import json
import os
import pathlib
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "bench" / "baselines"
PEERS = 8
LOST = 13  # messages of 128: 10 %
CHECK_CYCLE = 4  # as in work.h: CYCLES of a baseline are at least this many
NOISY = 0.25  # a median of runs further apart than this, of the median, is not called a result
RUN_SECONDS_MAX = 300  # one run of one program
REPLICAS_A_SHARD = 4096
LVS_CYCLES_MIN = 20


class Problem(Exception):
    """What the user has to mend; the text says how."""


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    keeps: str
    threads: int
    command: object  # callable(network, cycles, lost) -> argv, or None for LVS
    package: str = ""  # what to install where it is missing
    messages: bool = False  # a message-keeping peer
    nodes_max: int = 0  # 0: any
    shards: object = None  # callable(nodes) -> shards, for LVS


# ---- The network and the scenario

def write_network(path, nodes, seed):
    """u32 nodes; eight u32 a node, who hears it; two float32 a node, where it starts. Each node is heard by eight and hears
    eight: eight random permutations."""
    draw = random.Random(seed)
    columns = []
    for _ in range(PEERS):
        column = list(range(nodes))
        draw.shuffle(column)
        columns.append(column)
    with open(path, "wb") as out:
        for numbers in (array.array("I", [nodes]),
                        array.array("I", [listener for row in zip(*columns) for listener in row]),
                        array.array("f", [draw.uniform(0, 200) for _ in range(2 * nodes)])):
            if sys.byteorder == "big":
                numbers.byteswap()
            numbers.tofile(out)


def scenario(nodes, shards, cycles, lost):
    return (f"name: compare\nseed: 1\n"
            f"state: {{shards: {shards}, value_slots: 1, free_coordinates: 2, replicas_min: 1}}\n"
            f"population: {{micro_nodes: {nodes}, shards_per_node: 1, regions: {{local: 100%}}}}\n"
            f"cycle: {{period: 100ms, count: {cycles}, settle: 0s}}\n"
            f"drift: {{peers: {PEERS}}}\n"
            f"links: {{within: {{latency: 20ms, loss: {100 * lost / 128}%}}}}\n")


# ---- Running one program once

def run_lvs(lvs, program, nodes, cycles, lost, folder):
    cycles = max(cycles, LVS_CYCLES_MIN)
    file = folder / "compare.yaml"
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    file.write_text(scenario(nodes, program.shards(nodes), cycles, lost))
    output([lvs, "run", str(file), "--out", str(out), "--threads", str(program.threads), "--profile"])
    summary = json.loads((out / "summary.json").read_text())
    stages = {stage["stage"]: stage["seconds"] for stage in summary["profile"]}
    return {"name": program.name, "version": summary["build"], "kernel_share": stages["drift kernel"] / sum(stages.values()), "nodes": nodes, "threads": summary["threads"],
            "cycles": summary["cycles"], "setup_seconds": summary["startup_seconds"], "seconds": summary["wall_seconds"],
            "node_cycles_per_second": summary["replica_cycles_per_second"],
            "bytes_per_node": summary["resident_bytes_per_micro_node"], "shards": summary["shards"],
            "loss": summary["bandwidth"]["loss_ratio"], "reduction_per_cycle": summary["drift"]["reduction_per_cycle"],
            "spread_after": summary["drift"]["relative_spread"]}


def output(argv):
    try:
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=RUN_SECONDS_MAX)
    except subprocess.TimeoutExpired as late:
        raise Problem(f"{' '.join(map(str, argv))} did not end within {RUN_SECONDS_MAX} s") from late
    if ended.returncode != 0:
        raise Problem(f"{' '.join(map(str, argv))} ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    return ended.stdout


def run_baseline(program, network, cycles, lost):
    lines = output(program.command(network, cycles, lost)).strip().splitlines()
    if len(lines) != 1:
        raise Problem(f"{program.name} should print one line of JSON and printed {len(lines)}")
    return json.loads(lines[0])


class Runner:
    """Runs any program at one size."""

    def __init__(self, lvs, nodes, folder):
        self.lvs, self.nodes, self.folder = lvs, nodes, folder
        self.network = folder / f"network.{nodes}"
        write_network(self.network, nodes, seed=1)

    def run(self, program, cycles, lost=LOST):
        if program.shards:
            return run_lvs(self.lvs, program, self.nodes, cycles, lost, self.folder)
        return run_baseline(program, self.network, cycles, lost)

    def cycles_for(self, program, seconds):
        """How many cycles take about that long, found by running; also the run that warms up."""
        cycles = LVS_CYCLES_MIN if program.shards else CHECK_CYCLE
        while True:
            took = max(self.run(program, cycles)["seconds"], 1e-6)
            if took >= seconds / 10:
                return max(CHECK_CYCLE, round(cycles * seconds / took))
            cycles = round(cycles * min(100, seconds / 4 / took)) + 1


# ---- The same work, or no comparison

def check_lossless(results):
    """Without loss nothing is left to chance: all must reach the plain loop's figure but for rounding."""
    expected = results["plain_loop"]["spread_check"]
    for name, result in results.items():
        if abs(result["spread_check"] / expected - 1) > 1e-3:
            raise Problem(f"{name} does not do the same work: without loss its states are {result['spread_check']:.6g} apart "
                          f"after {CHECK_CYCLE} cycles, those of plain_loop {expected:.6g}")


def check_lossy(result, expected, nodes):
    """With loss, by other random numbers, all must converge alike; small networks differ more."""
    if "reduction_per_cycle" in result:
        if not 0.09 <= result["loss"] <= 0.11 or result["reduction_per_cycle"] < 2:
            raise Problem(f"{result['name']} does not do the same work: it lost {result['loss']:.3f} of all messages and "
                          f"disagreement fell {result['reduction_per_cycle']:.3g}-fold a cycle")
        return
    allowed = 0.03 + 5 / nodes ** 0.5
    if abs(result["spread_check"] / expected - 1) > allowed or result["spread_after"] > 1.001 * result["spread_check"]:
        raise Problem(f"{result['name']} does not converge as plain_loop: states {result['spread_check']:.4g} apart after "
                      f"{CHECK_CYCLE} cycles, {result['spread_after']:.4g} at the end; expected {expected:.4g} after "
                      f"{CHECK_CYCLE}, within {100 * allowed:.0f} %")


# ---- Figures of many runs

def figure(values):
    """Median, how far the runs are apart (highest less lowest, of the median), and whether that is too much, or they are
    too few, to call it a result."""
    median = statistics.median(values)
    spread = (max(values) - min(values)) / median
    return {"median": median, "spread": spread, "runs": len(values), "noisy": spread > NOISY or len(values) < 3}


def ratios(rounds, name, other):
    """`name` against `other`, round by round."""
    return figure([r[name]["node_cycles_per_second"] / r[other]["node_cycles_per_second"] for r in rounds])


def kernel_ratios(rounds, name, other):
    """The drift kernel of `name` alone against `other`."""
    return figure([r[name]["node_cycles_per_second"] / r[name]["kernel_share"] / r[other]["node_cycles_per_second"]
                   for r in rounds])


def summarize(nodes, programs, rounds):
    """One size: a figure for each program, each against the best message-keeping peer, and against the plain loop on as
    many threads."""
    result = {"nodes": nodes, "rounds": len(rounds), "best_peer": None, "programs": []}
    peers = [p.name for p in programs if p.messages]
    plain = {p.threads: p.name for p in programs if p.name.startswith("plain_loop")}
    rate = {p.name: statistics.median(r[p.name]["node_cycles_per_second"] for r in rounds) for p in programs}
    if peers:
        result["best_peer"] = max(peers, key=lambda name: rate[name])
    for program in programs:
        runs = [r[program.name] for r in rounds]
        row = dict(runs[-1])
        for key in ("node_cycles_per_second", "seconds", "bytes_per_node", "setup_seconds"):
            row[key] = statistics.median(run[key] for run in runs)
        row["keeps"] = program.keeps
        row["rate"] = figure([run["node_cycles_per_second"] for run in runs])
        row["rate"]["all"] = [run["node_cycles_per_second"] for run in runs]
        if result["best_peer"]:
            row["to_best_peer"] = ratios(rounds, program.name, result["best_peer"])
        loop = plain[min(program.threads, max(plain))]
        row["to_plain_loop"] = ratios(rounds, program.name, loop)
        if "kernel_share" in row:
            row["kernel_to_plain_loop"] = kernel_ratios(rounds, program.name, loop)
        result["programs"].append(row)
    return result


def short(number):
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def ratio_text(ratio):
    """As one says it: 12.3 or 1/45; a question mark where it is no result."""
    if ratio is None:
        return ""
    median = ratio["median"]
    return (short(median) if median >= 0.95 else f"1/{short(1 / median)}") + ("?" if ratio["noisy"] else "")


def table(result):
    best = result["best_peer"]
    lines = [f"{result['nodes']:,} nodes, {result['rounds']} rounds; runs apart: highest less lowest, of the median",
             f"{'':24} {'threads':>7} {'M node':>8} {'runs':>6} {'to best':>9} {'to plain':>9} {'bytes':>8} {'set-up':>8}",
             f"{'':24} {'':>7} {'cycles/s':>8} {'apart':>6} {'peer':>9} {'loop':>9} {'a node':>8} {'s':>8}  keeps"]
    for row in sorted(result["programs"], key=lambda r: -r["node_cycles_per_second"]):
        lines.append(
            f"{row['name']:24} {row['threads']:>7} {row['node_cycles_per_second'] / 1e6:>8.3g} "
            f"{100 * row['rate']['spread']:>5.0f}% {ratio_text(row.get('to_best_peer')):>9} {ratio_text(row['to_plain_loop']):>9} "
            f"{short(row['bytes_per_node']):>8} {row['setup_seconds']:>8.3f}  {row['keeps']}"
            f"{'  NOISY' if row['rate']['noisy'] else ''}")
    lines += [f"{row['name']}: its drift kernel alone {ratio_text(row['kernel_to_plain_loop'])} of the plain loop's rate"
              for row in result["programs"] if "kernel_to_plain_loop" in row]
    lines.append(f"best message-keeping peer: {best or 'none was there'}")
    if any(row["rate"]["noisy"] or row["to_plain_loop"]["noisy"] or row.get("to_best_peer", {}).get("noisy")
           for row in result["programs"]):
        lines.append(f"NOISY and ?: fewer than 3 runs, or more than {100 * NOISY:.0f} % apart; no result, run again on a quiet "
                     "machine")
    return "\n".join(lines)


# ---- What there is to run

def programs_of(build, folder):
    """Those that can run here, and a line for each that cannot."""
    built = build / "baselines"
    threads = min(2, os.cpu_count() or 1)

    def binary(name, count):
        return lambda network, cycles, lost: [built / name, network, str(cycles), str(lost), str(count)]

    erlang = "erlang_process_per_node"
    go = "go_goroutine_per_node"
    averaging = "plain averaging only"
    rules = "all safe rules, ledger; delivery within a shard is an array"
    all_of_them = [
        Program("lvs_one_shard", rules, 1, None, shards=lambda nodes: 1),
        Program("lvs_small_shards", rules, threads, None, shards=lambda nodes: threads * -(-nodes // (threads * REPLICAS_A_SHARD))),
        Program("plain_loop", averaging, 1, binary("plain_loop", 1)),
        Program(f"plain_loop_{threads}_threads", averaging, threads, binary("plain_loop", threads)),
        Program("caf_actor_per_node", "messages", threads, binary("caf_actor_per_node", threads), "libcaf-dev", True),
        Program(erlang, "messages", threads, lambda network, cycles, lost: [
            "erl", "-noshell", "+S", f"{threads}:{threads}", "+P", "4000000", "-pa", folder, "-run", erlang, "main", network,
            str(cycles), str(lost), str(threads)], "erlang-base", True, 1_000_000),
        Program(go, "messages", threads, lambda network, cycles, lost: [
            folder / go, network, str(cycles), str(lost), str(threads)], "golang-go", True),
        Program("simgrid_actors", "messages, latency", 1, binary("simgrid_actors", 1), "libsimgrid-dev", True, 20_000),
    ]
    if threads == 1:
        all_of_them = [p for p in all_of_them if p.name != "plain_loop_1_threads"]
    if shutil.which("erlc"):
        output(["erlc", "-o", str(folder), str(SOURCES / (erlang + ".erl"))])
    if shutil.which("go"):
        environment = dict(os.environ, GOCACHE=str(build / "go"), GOFLAGS="")
        subprocess.run(["go", "build", "-o", str(folder / go), str(SOURCES / (go + ".go"))], env=environment, check=True)
    made = {erlang: folder / (erlang + ".beam"), go: folder / go, "simgrid_actors": built / "simgrid_actors"}
    missing = [p for p in all_of_them if p.name in made and not made[p.name].exists()]
    return ([p for p in all_of_them if p not in missing],
            [f"{p.name}: not installed; as root: apt-get install --no-install-recommends {p.package}, then bench/compare.sh"
             for p in missing])


def machine():
    model = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"processor": model, "cores": os.cpu_count(), "load_average": os.getloadavg()[0]}


# ---- One size

def compare(runner, programs, rounds_wanted, seconds, deadline, say):
    nodes = runner.nodes
    expected = runner.run(next(p for p in programs if p.name == "plain_loop"), CHECK_CYCLE)["spread_check"]
    say(f"{nodes:,} nodes: warming up")
    cycles = {}
    for program in programs:
        cycles[program.name] = runner.cycles_for(program, seconds)
    rounds = []
    longest = 0.0
    while len(rounds) < rounds_wanted and (not rounds or time.monotonic() + longest < deadline):
        started = time.monotonic()
        say(f"{nodes:,} nodes: round {len(rounds) + 1} of {rounds_wanted}")
        results = {}
        for program in programs:
            results[program.name] = runner.run(program, cycles[program.name])
            check_lossy(results[program.name], expected, nodes)
        rounds.append(results)
        longest = max(longest, time.monotonic() - started)
    if len(rounds) < rounds_wanted:
        say(f"{nodes:,} nodes: out of time after {len(rounds)} of {rounds_wanted} rounds")
    return summarize(nodes, programs, rounds)


def main():
    parser = argparse.ArgumentParser(
        prog="bench/compare.sh", description="LVS beside its peers, in one run on this machine.",
        epilog="Exit codes: 0 compared; 1 a program failed or did not do the same work; 2 wrong arguments.")
    parser.add_argument("--nodes", help="sizes, separated by commas (default 10000,100000; with --quick 10000)")
    parser.add_argument("--quick", action="store_true", help="three short rounds, less than two minutes")
    parser.add_argument("--rounds", type=int, help="how often each program runs at each size (default 5; with --quick 3)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="the build tree")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "bench" / "compare.json",
                        help="where the figures go (default build/bench/compare.json)")
    arguments = parser.parse_args()
    try:
        sizes = [int(size) for size in (arguments.nodes or ("10000" if arguments.quick else "10000,100000")).split(",")]
    except ValueError:
        parser.error("--nodes takes whole numbers separated by commas, such as 10000,100000")
    if any(not 100 <= size <= 4_000_000 for size in sizes):
        parser.error("--nodes: a size is from 100 to 4,000,000")
    rounds = arguments.rounds or (3 if arguments.quick else 5)
    # The last round of a size may run over; what a slow machine cannot do in time is left out, and said.
    budget = 100 if arguments.quick else 480
    started = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - started:4.0f}s] {text}", file=sys.stderr, flush=True)

    report = {"machine": machine(), "command": " ".join(["bench/compare.sh", *sys.argv[1:]]), "noisy_above": NOISY,
              "skipped": [], "sizes": []}
    with tempfile.TemporaryDirectory(prefix="lvs-compare-") as temporary:
        folder = pathlib.Path(temporary)
        programs, report["skipped"] = programs_of(arguments.build, folder)
        if report["machine"]["load_average"] > 0.25 * report["machine"]["cores"]:
            say(f"others keep this machine busy (load average {report['machine']['load_average']:.1f}): expect noise")
        for number, size in enumerate(sizes):
            runner = Runner(arguments.build / "lvs", size, folder)
            here = [p for p in programs if not p.nodes_max or size <= p.nodes_max]
            report["skipped"] += [f"{p.name} at {size:,} nodes: left out above {p.nodes_max:,}, where it takes too long or too much memory"
                                  for p in programs if p not in here]
            if number == 0:
                say(f"{size:,} nodes: checking that all do the same work")
                check_lossless({p.name: runner.run(p, CHECK_CYCLE, lost=0) for p in here if not p.shards})
            # Larger sizes take longer: each gets its share of what is left by its place in the row.
            left = started + budget - time.monotonic()
            deadline = time.monotonic() + left * (number + 1) / sum(range(number + 1, len(sizes) + 1))
            result = compare(runner, here, rounds, 0.3 if arguments.quick else 1.0, deadline, say)
            report["sizes"].append(result)
            print(table(result) + "\n", flush=True)
            runner.network.unlink()
    for line in report["skipped"]:
        print(f"skipped: {line}")
    report["seconds"] = time.monotonic() - started
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(f"figures in {arguments.out}")


if __name__ == "__main__":
    try:
        main()
    except (Problem, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"bench/compare.sh: {problem}")
    except KeyboardInterrupt:
        sys.exit("bench/compare.sh: interrupted")
