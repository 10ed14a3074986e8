"""Runs the benchmark suites and keeps what they measured as JSON; page.py makes the page from that.

    bench/run.sh                    all suites, then the page: docs/benchmarks.md and docs/benchmarks/
    bench/run.sh micro link         two suites; what the others measured before stays
    bench/run.sh --quick            all of them, briefly and roughly, into build/bench/: a few minutes
    bench/run.sh page               only the page again, from the JSON

Every point is measured several times. Where points are compared with each other, their repetitions are interleaved, so
that a busy minute of the machine falls on all of them. Nothing is thrown away: each sample is in the JSON.
"""

import argparse
import contextlib
import csv
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import drift as agreement
import page

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release"
SUITES = page.SUITES


class Failed(Exception):
    """A benchmark could not be run; the message says which and why."""


def output_of(command, timeout=1800, okay=(0,)):
    """Standard output of a command that must succeed."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode not in okay:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout


def json_of(command, **options):
    return json.loads(output_of(command, **options))


def said(text):
    print(text, file=sys.stderr, flush=True)


def children_cpu_s():
    usage = os.times()
    return usage.children_user + usage.children_system


# ---- The machine ----


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    memory_kb = int(re.search(r"MemTotal:\s+(\d+)", open("/proc/meminfo").read()).group(1))
    release = dict(
        line.rstrip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
    cache = {}
    for name in ("build_type", "compiler"):
        key = {"build_type": "CMAKE_BUILD_TYPE:STRING", "compiler": "CMAKE_CXX_COMPILER:STRING"}[name]
        found = re.search(rf"^{re.escape(key)}=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M)
        cache[name] = found.group(1) if found else ""
    compiler = output_of([cache["compiler"] or "c++", "--version"]).splitlines()[0]
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "memory_bytes": memory_kb * 1024,
        "system": release.get("PRETTY_NAME", "").strip('"'),
        "kernel": platform.release(),
        "compiler": compiler,
        "build_type": cache["build_type"],
        "build": output_of([BUILD / "lvs", "--version"]).splitlines()[0],
    }


def busy_share(seconds=2.0):
    """Of all cores, the share that others use while this does nothing; what a virtual machine is denied counts too."""

    def ticks():
        user, nice, system, idle, iowait, *rest = map(int, open("/proc/stat").readline().split()[1:9])
        return idle + iowait, user + nice + system + idle + iowait + sum(rest)

    idle_before, all_before = ticks()
    time.sleep(seconds)
    idle_after, all_after = ticks()
    return 1 - (idle_after - idle_before) / (all_after - all_before)


def available_bytes():
    return int(re.search(r"MemAvailable:\s+(\d+)", open("/proc/meminfo").read()).group(1)) * 1024


# ---- million: the shipped scenario of that name, whole ----


def million(quick):
    threads = sorted({1, min(2, os.cpu_count())}, reverse=True)
    runs = [{"threads": n, "samples": []} for n in threads]
    for repetition in range(1 if quick else 3):
        for run in runs:
            said(f"million: {run['threads']} threads, repetition {repetition + 1}")
            run["samples"].append(million_run(run["threads"], ["--cycles", 20] if quick else []))
    return {"runs": runs}


def million_run(threads, cycles):
    with tempfile.TemporaryDirectory(prefix="lvs-bench-") as folder:
        # Cut short, it has no time to converge, and ends with 99.
        summary = json_of([BUILD / "lvs", "run", "million", "--threads", threads, "--profile", "--format", "json",
                           "--out", folder, *cycles], okay=(0, 99))
        with open(pathlib.Path(folder) / "timeseries.csv", newline="") as series:
            messages = sum(int(row["messages"]) for row in csv.DictReader(series))
    figures = ("cycles", "wall_seconds", "startup_seconds", "replica_cycles_per_second", "micro_node_cycles_per_second",
               "resident_bytes_per_micro_node")
    return {**{name: summary[name] for name in figures}, "messages_per_second": messages / summary["wall_seconds"],
            "stage_seconds": {stage["stage"]: stage["seconds"] for stage in summary["profile"]}}


# ---- compare: beside what one would pick instead (bench/baselines) ----


def compare(quick):
    with tempfile.TemporaryDirectory(prefix="lvs-bench-") as folder:
        file = pathlib.Path(folder) / "compare.json"
        output_of([sys.executable, "-B", ROOT / "bench/compare.py", "--out", file,
                   *(["--quick", "--rounds", 1] if quick else [])])
        figures = json.loads(file.read_text())
    return {key: figures[key] for key in ("noisy_above", "skipped", "sizes")}


# ---- micro: one thread, one function ----


def micro(quick):
    benchmarks = {}
    for program in ("lvs_bench", "lvs_actor_bench"):
        said(f"micro: {program}")
        # Cheap to start, so that each repetition of each benchmark is a short one and all are interleaved.
        report = json_of([
            BUILD / program, "--benchmark_format=json", f"--benchmark_min_time={0.005 if quick else 0.05}",
            f"--benchmark_repetitions={2 if quick else 5}", "--benchmark_enable_random_interleaving=true"])
        for run in report["benchmarks"]:
            if run.get("run_type") != "iteration":
                continue
            if run.get("error_occurred"):
                raise Failed(f"{run['name']}: {run.get('error_message')}")
            name = run["run_name"].removesuffix("/real_time")
            entry = benchmarks.setdefault(name, {"name": name, "ns": []})
            entry["ns"].append(1e9 / run["items_per_second"])
            if "bytes" in run:
                entry["bytes"] = run["bytes"]
            if run.get("label"):
                entry["label"] = run["label"]
    return {"benchmarks": list(benchmarks.values())}


# ---- link: one gRPC link between two processes ----

LINK_ROWS = (1, 8, 32, 100, 1000)


def link(quick):
    runs = {rows: {"rows": rows, "samples": []} for rows in LINK_ROWS}
    for repetition in range(1 if quick else 5):
        for rows in LINK_ROWS:
            said(f"link: {rows} rows a frame, repetition {repetition + 1}")
            runs[rows]["samples"].append(
                json_of([BUILD / "lvs_link_bench", "--rows", rows, "--seconds", 0.3 if quick else 2]))
    return {"runs": list(runs.values()), "cluster": cluster_frames(quick)}


class Testnet:
    """Three server nodes on this machine, for a `with` block."""

    def __init__(self, *options, nodes=3):
        self.folder = tempfile.mkdtemp(prefix="lvs-bench-")
        self.options = ["--nodes", nodes, *options]

    def __enter__(self):
        self.run("up", *self.options)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Failed):
            self.run("down")
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command, okay=(0,)):
        return output_of([BUILD / "lvs", "testnet", *command, "--dir", self.folder, "--format", "json"], okay=okay)

    def status(self):
        # Exit code 10: ledgers that are still catching up.
        return [node["status"] for node in json.loads(self.run("status", okay=(0, 10)))["nodes"]]


def cluster_frames(quick):
    """What the links of a cluster of 10,000 micro-nodes say: at rest, and while contributions come."""
    said("link: frames of a cluster of 10,000 micro-nodes")
    seconds = 3 if quick else 20
    states = {}
    with Testnet("--micro-nodes", 3334) as net:
        started = net.status()
        time.sleep(3 if quick else 15)  # until it has converged

        def during(action):
            before = net.status()
            action()
            after = net.status()
            return [traffic_between(b, a) for b, a in zip(before, after)]

        states["starting"] = [traffic_between(None, node) for node in started]
        states["at_rest"] = during(lambda: time.sleep(seconds))
        rate = 1000
        states["contributions"] = during(
            lambda: net.run("load", "--rate", rate, "--for", f"{seconds}s", okay=(0, 99)))
    return {"micro_nodes": 10_002, "nodes": 3, "contributions_per_second": rate, "states": states}


def traffic_between(before, after):
    """Of one node, over all its links."""
    zero = {"bytes_sent": 0, "frames_sent": 0}
    was = before["traffic"] if before else zero
    seconds = after["uptime_s"] - (before["uptime_s"] if before else 0)
    return {
        "seconds": seconds,
        "links": after["peers_connected"],
        "frames": after["traffic"]["frames_sent"] - was["frames_sent"],
        "bytes": after["traffic"]["bytes_sent"] - was["bytes_sent"],
    }


# ---- wasm: the core in WebAssembly beside native ----


def wasm(quick):
    said("wasm: a replica cycle in Node and natively, in turn")
    output_of([ROOT / "tests/wasm/wasm_test.sh", "build"])
    return json_of(["node", ROOT / "bench/wasm.mjs", BUILD / "lvs_wasm_native", ROOT / "build/wasm/lvs_wasm.wasm",
                    *(["--quick"] if quick else [])])


# ---- drift: how free coordinates agree ----

OLD = None  # a binary to compare with, from --old


def drift(quick):
    binaries = {"old": OLD} if OLD else {}
    return agreement.measure({**binaries, "new": BUILD / "lvs"}, quick, said)


# ---- growth: whole runs of the emulator ----

BASE = {"micro_nodes": 20_000, "shards": 64, "peers": 8, "dimensions": 4, "threads": os.cpu_count(), "server_nodes": 1}
# A shard of this many replicas stays in the second-level cache.
REPLICAS_A_SHARD = 4000
HELD = 4
# A run of so many micro-nodes takes minutes: there is one, and a short one.
LONG_RUN = 5_000_000


def growth_axes(quick):
    """What grows, and everything else that a point of it changes."""
    sizes = [100, 1000, 10_000, 100_000] + ([] if quick else [1_000_000, 10_000_000])
    return {
        "micro_nodes": [{"x": n, "micro_nodes": n, "shards": min(64, max(4, n // 4))} for n in sizes],
        "micro_nodes_and_shards": [
            {"x": n, "micro_nodes": n, "shards": max(4, n * HELD // REPLICAS_A_SHARD)} for n in sizes],
        "shards": [{"x": n, "shards": n} for n in (4, 16, 64, 256, 1024)],
        "peers": [{"x": n, "peers": n} for n in (2, 4, 8, 16)],
        "dimensions": [{"x": n, "dimensions": n} for n in (2, 4, 8, 12)],
        "threads": [{"x": n, "threads": n} for n in sorted({1, 2, os.cpu_count()})],
        "server_nodes": [{"x": n, "server_nodes": n} for n in (1, 2, 4, 8, 16)],
    }


def scenario_of(point, cycles):
    # As many value slots as free coordinates, of which there are at most four.
    free = min(point["dimensions"] // 2, 4)
    nodes = point["server_nodes"]
    share = 100 / nodes
    regions = ", ".join(f"r{n}: {share}%" for n in range(nodes))
    return (f"name: growth\nseed: 1\n"
            f"state: {{shards: {point['shards']}, value_slots: {point['dimensions'] - free}, free_coordinates: {free}}}\n"
            f"population: {{micro_nodes: {point['micro_nodes']}, shards_per_node: {HELD}, regions: {{{regions}}}}}\n"
            f"drift: {{peers: {point['peers']}}}\n"
            f"links: {{within: {{loss: 5%}}}}\n"
            f"cycle: {{period: 100ms, count: {cycles}}}\n")


def growth(quick):
    # About this many replica cycles a run, and never fewer cycles than nearly all of them take to converge.
    work = 1_000_000 if quick else 20_000_000
    axes = []
    for axis, points in growth_axes(quick).items():
        series = {"axis": axis, "base": BASE, "points": [{**BASE, **point, "samples": []} for point in points]}
        axes.append(series)
        for repetition in range(1 if quick else 3):
            for point in series["points"]:
                run_growth_point(axis, point, repetition, work)
    return {"axes": axes}


def run_growth_point(axis, point, repetition, work):
    needed = point["micro_nodes"] * 1500
    if needed > available_bytes():
        point["skipped"] = (f"needs about {needed >> 30} GB of free memory, "
                            f"and {available_bytes() >> 30} GB were free")
        return
    if repetition > 0 and point["micro_nodes"] >= LONG_RUN:
        return
    said(f"growth: {axis} {point['x']:,}, repetition {repetition + 1}")
    least = 30 if point["micro_nodes"] < LONG_RUN else 10
    cycles = int(min(2000, max(least, work / (point["micro_nodes"] * HELD))))
    with tempfile.TemporaryDirectory(prefix="lvs-bench-") as folder:
        file = pathlib.Path(folder) / "growth.yaml"
        file.write_text(scenario_of(point, cycles))
        summary = json_of([BUILD / "lvs", "run", file, "--threads", point["threads"], "--format", "json",
                           "--out", pathlib.Path(folder) / "run"])
    point["cycles"] = cycles
    point["replicas"] = summary["replicas"]
    point["samples"].append({
        "cycles_per_second": summary["cycles"] / summary["wall_seconds"],
        "resident_bytes": summary["resident_bytes_per_micro_node"] * summary["micro_nodes"],
    })


# ---- acks: contributions at a fixed rate ----

ACK_RATE = 20_000


def acks(quick):
    runs = {d: {"durability": d, "samples": []} for d in ("memory", "disk", "nodes:2")}
    seconds = 5 if quick else 30
    for repetition in range(1 if quick else 3):
        for durability, run in runs.items():
            said(f"acks: {durability}, {ACK_RATE:,} a second, repetition {repetition + 1}")
            with Testnet("--cache") as net:
                before, tool_before = net.status(), children_cpu_s()
                report = json.loads(net.run("load", "--rate", ACK_RATE, "--for", f"{seconds}s",
                                            "--durability", durability, okay=(0, 99)))
                tool_s = children_cpu_s() - tool_before
                after = net.status()
            report["load_cpu_share"] = tool_s / report["seconds"]
            report["node_cpu_share"] = sum(
                a["cpu_seconds"] - b["cpu_seconds"] for b, a in zip(before, after)) / report["seconds"]
            report["cycles_skipped"] = sum(a["cycles_skipped"] - b["cycles_skipped"] for b, a in zip(before, after))
            run["samples"].append(report)
    return {"rate": ACK_RATE, "seconds": seconds, "nodes": 3, "runs": list(runs.values())}


# ---- idle: a node that has nothing to do ----


def idle(quick):
    runs = [{"micro_nodes": n, "low_power": low, "samples": []} for n in (1000, 10_000) for low in (0, 1)]
    seconds = 5 if quick else 20
    for repetition in range(1 if quick else 3):
        for run in runs:
            said(f"idle: {run['micro_nodes']:,} micro-nodes, {run['low_power']:.0%} in low power, "
                 f"repetition {repetition + 1}")
            run["samples"].append(idle_share(run, seconds, settle_s=3 if quick else 10))
    return {"seconds": seconds, "runs": runs}


def idle_share(run, seconds, settle_s):
    """Processor time of one core, as a share of wall time."""
    with tempfile.TemporaryDirectory(prefix="lvs-bench-") as folder:
        config = pathlib.Path(folder) / "node.yaml"
        config.write_text("listen: 127.0.0.1:0\ncontrol_listen: 127.0.0.1:0\nhealth_listen: 127.0.0.1:0\n"
                          f"population: {{micro_nodes: {run['micro_nodes']}, low_power: {100 * run['low_power']}%}}\n")
        with open(pathlib.Path(folder) / "log", "w+") as log, subprocess.Popen(
            [BUILD / "lvs", "node", "--config", config], stdout=log, stderr=log) as node:
            try:
                time.sleep(settle_s)
                if node.poll() is not None:
                    log.seek(0)
                    raise Failed(f"lvs node ended with {node.returncode}: {log.read()[-600:]}")
                began, cpu = time.monotonic(), process_cpu_s(node.pid)
                time.sleep(seconds)
                return (process_cpu_s(node.pid) - cpu) / (time.monotonic() - began)
            finally:
                node.terminate()
                node.wait(timeout=30)


def process_cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- paper: constants of the code that the page computes with ----

# Name on the page: name in the table of `lvs limits`.
CONSTANTS = {
    "period_us": "node.period_us",
    "shards": "node.shards",
    "halo_rows": "link.halo_rows",
    "links_max": "membership.links_max",
    "active_target": "membership.active_target",
    "passive_max": "membership.passive_max",
    "sample_max": "membership.sample_max",
    "dials_max": "membership.dials_max",
    "shuffle_s": "membership.shuffle_s",
    "guest_s": "membership.guest_s",
    "heartbeat_cycles": "protocol.heartbeat_cycles",
    "new_sessions_per_cycle": "protocol.new_sessions_per_cycle",
    "new_sessions_at_once": "protocol.new_sessions_at_once",
    "frame_entries_max": "protocol.frame_entries_max",
    "sign_of_life_cycles": "link.sign_of_life_cycles",
    "halo_refresh_cycles": "link.halo_refresh_cycles",
    "strangers_max": "link.strangers_max",
}


def paper(_quick):
    limits = {limit["name"]: limit for limit in json_of([BUILD / "lvs", "limits", "--format", "json"])}
    missing = sorted(set(CONSTANTS.values()) - set(limits))
    if missing:
        raise Failed(f"`lvs limits` has no {', '.join(missing)}: mend CONSTANTS in bench/measure.py")
    return {"constants": {name: {"value": float(limits[limit]["value"]), "home": limits[limit]["home"]}
                          for name, limit in CONSTANTS.items()},
            "server_nodes": 1000}


# ---- Main ----


def main():
    parser = argparse.ArgumentParser(
        prog="bench/run.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)}, page (default: all)")
    parser.add_argument("--quick", action="store_true", help="few and short repetitions; into build/bench unless --out")
    parser.add_argument("--out", type=pathlib.Path, help="folder of benchmarks.md and benchmarks/ (default: docs)")
    parser.add_argument("--old", type=pathlib.Path, help="an earlier lvs binary that the suite drift runs too")
    options = parser.parse_args()
    unknown = [suite for suite in options.suites if suite not in (*SUITES, "page")]
    if unknown:
        parser.error(f"there is no suite {unknown[0]}; there are {', '.join(SUITES)} and page")
    if "page" in options.suites and len(options.suites) > 1:
        parser.error("the page is made after every suite; page stands alone")
    if options.old:
        if not os.access(options.old, os.X_OK):
            parser.error(f"--old {options.old} is no program")
        globals()["OLD"] = options.old.resolve()
    out = options.out or (ROOT / "build/bench" if options.quick else ROOT / "docs")
    file = out / "benchmarks/results.json"
    if options.suites != ["page"]:
        file.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(file.read_text()) if file.exists() else {"suites": {}}

    for suite in [s for s in SUITES if s in (options.suites or SUITES)]:
        busy, began = busy_share(), time.monotonic()
        measured = globals()[suite](options.quick)
        results["suites"][suite] = {
            "command": f"bench/run.sh{' --quick' if options.quick else ''} {suite}",
            "when": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "took_seconds": round(time.monotonic() - began, 1),
            "busy_before": busy,
            "machine": machine(),
            **measured,
        }
        new = file.with_suffix(".new")
        new.write_text(json.dumps(results, indent=1) + "\n")
        new.replace(file)
        said(f"{suite}: took {time.monotonic() - began:.0f} s; in {file}")
    if not results["suites"]:
        raise Failed(f"{file} is not there: nothing was measured yet; name a suite, or none for all of them")
    page.write(results, out)
    said(f"the page is {out / 'benchmarks.md'}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended, as after Ctrl-C
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except Failed as failure:
        sys.exit(f"bench/run.sh: {failure}")
    except FileNotFoundError as missing:
        sys.exit(f"bench/run.sh: {missing}; build first: bench/run.sh does")
