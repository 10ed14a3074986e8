"""Each baseline in C++ does the work that it is compared by, and the comparison tells a result from noise.

Usage: baselines_test.py LVS_BINARY BASELINE...
"""

import array
import contextlib
import functools
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import compare  # noqa: E402

LVS = pathlib.Path(sys.argv[1])
BASELINES = {pathlib.Path(path).name: path for path in sys.argv[2:]}
FOLDER = tempfile.TemporaryDirectory()
NODES = 1000
CYCLES = 6


def network():
    path = pathlib.Path(FOLDER.name) / "network"
    compare.write_network(path, NODES, seed=3)
    return path


NETWORK = network()


def spread(states):
    mean = [sum(s[d] for s in states) / len(states) for d in (0, 1)]
    return (sum((s[0] - mean[0]) ** 2 + (s[1] - mean[1]) ** 2 for s in states) / len(states)) ** 0.5


def arrived(node, cycle, lost):
    """work.h's draw, written again from its words: for each of the eight messages, seven bits not below `lost`."""
    def mix(x):
        return (x ^ (x >> 32)) * 0xd6e8feb86659fd93 & 0xffffffffffffffff
    bits = mix(mix(node + (cycle << 32)))
    bits ^= bits >> 32
    return [(bits >> (8 * message)) % 128 >= lost for message in range(8)]


@functools.cache
def reference(lost):
    """Spread by cycle, in double precision, in this program's own words."""
    numbers = array.array("I")
    with open(NETWORK, "rb") as file:
        numbers.fromfile(file, 1 + 8 * NODES)
        start = array.array("f")
        start.fromfile(file, 2 * NODES)
    heard = [[] for _ in range(NODES)]
    for edge, listener in enumerate(numbers[1:]):
        heard[listener].append(edge // 8)
    states = list(zip(start[::2], start[1::2]))
    spreads = [spread(states)]
    for cycle in range(CYCLES):
        following = []
        for node, own in enumerate(states):
            got = [states[peer] for peer, came in zip(heard[node], arrived(node, cycle, lost)) if came]
            following.append(tuple(
                own[d] + 0.9 * (sum(s[d] for s in got) / len(got) - own[d]) if got else own[d] for d in (0, 1)))
        states = following
        spreads.append(spread(states))
    return spreads


class Baselines(unittest.TestCase):

    def result_of(self, path, lost, threads):
        ended = subprocess.run([path, str(NETWORK), str(CYCLES), str(lost), str(threads)], capture_output=True, text=True,
                               timeout=120, check=False)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        result = json.loads(ended.stdout)
        self.assertEqual((result["nodes"], result["cycles"], result["threads"]), (NODES, CYCLES, threads))
        for key in ("seconds", "setup_seconds", "bytes_per_node"):
            self.assertGreater(result[key], 0, key)
        self.assertAlmostEqual(result["node_cycles_per_second"] * result["seconds"] / (NODES * CYCLES), 1, delta=1e-4)
        self.assertTrue(result["version"])
        return result

    def threads_of(self, name):
        return [1] if name == "simgrid_actors" else [1, 2]

    def test_without_loss_each_averages_exactly(self):
        self.assertIn("plain_loop", BASELINES)
        expected = reference(lost=0)
        for name, path in BASELINES.items():
            for threads in self.threads_of(name):
                with self.subTest(name=name, threads=threads):
                    result = self.result_of(path, 0, threads)
                    for key, cycle in (("spread_before", 0), ("spread_check", compare.CHECK_CYCLE), ("spread_after", CYCLES)):
                        self.assertAlmostEqual(result[key] / expected[cycle], 1, delta=1e-3, msg=key)

    def test_with_loss_each_converges_alike(self):
        expected = reference(compare.LOST)
        self.assertGreater(expected[-1], 1.2 * reference(0)[-1])  # a tenth lost can be told from none
        for name, path in BASELINES.items():
            for threads in self.threads_of(name):
                with self.subTest(name=name, threads=threads):
                    result = self.result_of(path, compare.LOST, threads)
                    # The plain loop hears in the order of the file: the very same messages are lost.
                    self.assertAlmostEqual(result["spread_after"] / expected[-1], 1,
                                           delta=1e-3 if name == "plain_loop" else 0.1)

    def test_what_all_lose_moves_nobody(self):
        for name, path in BASELINES.items():
            with self.subTest(name=name):
                result = self.result_of(path, 128, 1)
                self.assertEqual(result["spread_after"], result["spread_before"])

    def test_wrong_arguments_say_what_is_wrong(self):
        short = pathlib.Path(FOLDER.name) / "short"
        short.write_bytes(NETWORK.read_bytes()[:1000])
        for name, path in BASELINES.items():
            for arguments, words in (([], "usage"), ([NETWORK, "3", "0", "1"], "CYCLES"), ([NETWORK, "4", "129", "1"], "LOST"),
                                     ([short, "4", "0", "1"], "cut short"), (["/nowhere", "4", "0", "1"], "network file")):
                with self.subTest(name=name, arguments=arguments):
                    ended = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
                    self.assertEqual(ended.returncode, 1)
                    self.assertIn(words, ended.stderr)

    def test_lvs_runs_the_matching_scenario(self):
        for shards in (1, 2):
            program = compare.Program("lvs", "", 1, None, shards=lambda nodes, n=shards: n)
            result = compare.run_lvs(LVS, program, NODES, 30, compare.LOST, pathlib.Path(FOLDER.name))
            self.assertEqual((result["shards"], result["cycles"], result["nodes"]), (shards, 30, NODES))
            compare.check_lossy(result, 0, NODES)  # lost a tenth, and converged


class Comparison(unittest.TestCase):

    PROGRAMS = [compare.Program("lvs", "", 1, None, shards=lambda n: 1), compare.Program("plain_loop", "", 1, None),
                compare.Program("slow", "", 1, None, messages=True), compare.Program("fast", "", 1, None, messages=True)]

    def rounds(self, *lvs_rates):
        def run(rate):
            return {"name": "", "threads": 1, "node_cycles_per_second": rate, "seconds": 1, "bytes_per_node": 10,
                    "setup_seconds": 0.1}
        return [{"lvs": run(rate), "plain_loop": run(1000), "slow": run(1), "fast": run(2)} for rate in lvs_rates]

    def row(self, rounds):
        result = compare.summarize(100, self.PROGRAMS, rounds)
        self.assertEqual(result["best_peer"], "fast")
        return result["programs"][0], compare.table(result)

    def test_ratios_are_to_the_best_peer_and_to_the_plain_loop(self):
        rounds = self.rounds(100, 102, 98)
        for results in rounds:
            results["lvs"]["kernel_share"] = 0.5
        lvs, text = self.row(rounds)
        self.assertEqual(lvs["kernel_to_plain_loop"]["median"], 0.2)
        self.assertEqual(lvs["to_best_peer"]["median"], 50)
        self.assertEqual(lvs["to_plain_loop"]["median"], 0.1)
        self.assertFalse(lvs["rate"]["noisy"])
        self.assertIn("1/10", text)
        self.assertNotIn("NOISY", text)

    def test_runs_far_apart_are_no_result(self):
        lvs, text = self.row(self.rounds(100, 140, 98))
        self.assertTrue(lvs["rate"]["noisy"] and lvs["to_best_peer"]["noisy"])
        self.assertIn("NOISY", text)

    def test_two_runs_are_no_result(self):
        self.assertTrue(self.row(self.rounds(100, 100))[0]["rate"]["noisy"])

    def test_other_work_is_refused(self):
        alike = {"spread_check": 2.0, "spread_after": 0.1, "name": "other"}
        compare.check_lossless({"plain_loop": alike, "other": dict(alike, spread_check=2.001)})
        with self.assertRaisesRegex(compare.Problem, "other does not do the same work"):
            compare.check_lossless({"plain_loop": alike, "other": dict(alike, spread_check=2.01)})
        compare.check_lossy(dict(alike, spread_check=2.1), 2.0, 10_000)
        with self.assertRaisesRegex(compare.Problem, "other does not converge"):
            compare.check_lossy(dict(alike, spread_check=2.3), 2.0, 10_000)
        with self.assertRaisesRegex(compare.Problem, "does not do the same work"):
            compare.check_lossy(dict(alike, loss=0.0, reduction_per_cycle=2.5), 2.0, 10_000)

    def test_what_is_not_installed_is_left_out_and_named(self):
        with tempfile.TemporaryDirectory() as empty, unittest.mock.patch("shutil.which", return_value=None):
            programs, skipped = compare.programs_of(pathlib.Path(empty), pathlib.Path(empty))
        for name, package in (("erlang", "erlang-base"), ("go_", "golang-go"), ("simgrid", "libsimgrid-dev")):
            self.assertFalse([p.name for p in programs if p.name.startswith(name)])
            self.assertEqual(len([s for s in skipped if s.startswith(name) and f"install --no-install-recommends {package}" in s]),
                             1, skipped)
        self.assertIn("caf_actor_per_node", [p.name for p in programs])

    def test_wrong_arguments_end_with_2(self):
        for arguments in (["--nodes", "many"], ["--nodes", "5"], ["--rounds", "x"]):
            with self.subTest(arguments=arguments), contextlib.redirect_stderr(io.StringIO()):
                sys.argv[1:] = arguments
                with self.assertRaises(SystemExit) as ended:
                    compare.main()
                self.assertEqual(ended.exception.code, 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
