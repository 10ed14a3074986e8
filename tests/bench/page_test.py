"""The page of the benchmarks is made from the results alone: what a reader is told follows from the numbers."""

import copy
import json
import pathlib
import re
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench"))

import drift  # noqa: E402
import measure  # noqa: E402
import page  # noqa: E402

RESULTS = json.loads((HERE / "results.json").read_text())


def page_of(results):
    """The text of the page, and its pictures by name."""
    with tempfile.TemporaryDirectory() as folder:
        page.write(results, folder)
        pictures = {file.name: file.read_text() for file in pathlib.Path(folder, "benchmarks").glob("*.svg")}
        return pathlib.Path(folder, "benchmarks.md").read_text(), pictures


class PageTest(unittest.TestCase):
    def setUp(self):
        self.results = copy.deepcopy(RESULTS)
        self.suites = self.results["suites"]

    def test_every_picture_is_there_and_is_sound(self):
        text, pictures = page_of(self.results)
        named = re.findall(r"\]\(benchmarks/([\w-]+\.svg)\)", text)
        self.assertEqual(sorted(named), sorted(pictures))
        for name, svg in pictures.items():
            numbers = [element.attrib for element in ElementTree.fromstring(svg).iter()]
            self.assertGreater(len(numbers), 10, name)
            self.assertNotRegex(svg, r"\bnan\b|\binf\b", name)

    def test_every_suite_says_its_command(self):
        text, _ = page_of(self.results)
        for suite in measure.SUITES:
            if suite != "paper":  # which measures nothing
                self.assertIn(f"`{self.suites[suite]['command']}`", text)

    def test_a_million_in_real_time_is_a_cycle_in_less_than_100_ms(self):
        sample = self.suites["million"]["runs"][0]["samples"][0]
        for ms, verdict in ((99, "held"), (101, r"\*\*missed\*\*")):
            sample["wall_seconds"] = sample["cycles"] * ms / 1e3
            self.assertRegex(page_of(self.results)[0], rf"less than 100 ms: {verdict}.* \({ms}(\.0)? ms;")

    def test_a_peer_is_the_best_one_that_keeps_messages(self):
        size = self.suites["compare"]["sizes"][0]
        rows = {row["name"]: row for row in size["programs"]}
        rows["lvs_small_shards"]["to_best_peer"]["median"] = 49
        self.assertRegex(page_of(self.results)[0], rf"\(`{size['best_peer']}`\): 50 times its node cycles: \*\*missed\*\*.* \(49 times\)")
        rows["lvs_small_shards"]["to_best_peer"]["median"] = 51
        self.assertIn("node cycles: held (51 times)", page_of(self.results)[0])

    def test_a_figure_is_the_median_of_its_samples_and_says_its_spread(self):
        run = self.suites["link"]["runs"][-1]
        for sample, rate in zip(run["samples"], (22e6, 24e6, 21e6)):
            sample["sdms_per_second"] = rate
        self.assertRegex(page_of(self.results)[0], r"\| 1000 \| .* \| 22M \| 7% \|")

    def test_noise_is_marked_and_not_hidden(self):
        digest = next(b for b in self.suites["micro"]["benchmarks"] if b["name"] == "LedgerDigest/entries:1000")
        digest["ns"] = [20, 30, 40]
        self.assertRegex(page_of(self.results)[0], r"`LedgerDigest/entries:1000` \| 30.0 ns \| 33%, \*\*noisy\*\*")
        digest["ns"] = [29, 30, 30.5]
        self.assertRegex(page_of(self.results)[0], r"`LedgerDigest/entries:1000` \| 30.0 ns \| 2% \|")
        digest["ns"] = [30]
        self.assertRegex(page_of(self.results)[0], r"`LedgerDigest/entries:1000` \| 30.0 ns \| one run \|")

    def test_a_busy_machine_is_told(self):
        for suite in self.suites.values():
            suite["busy_before"] = 0.02
        self.assertNotIn("That is noise", page_of(self.results)[0])
        self.suites["acks"]["busy_before"] = 0.4
        self.assertEqual(page_of(self.results)[0].count("others used 40% of the machine. **That is noise"), 1)

    def test_targets_are_held_or_missed_by_the_numbers(self):
        for suite in self.suites.values():
            suite["busy_before"] = 0
        largest = self.suites["link"]["runs"][-1]["samples"]
        low_power = self.suites["idle"]["runs"][-1]
        for sample in largest:
            sample.update(sdms_per_second=25e6, sender_cpu_ns_per_sdm=40, receiver_cpu_ns_per_sdm=59)
        low_power["samples"] = [0.015]
        text, _ = page_of(self.results)
        self.assertIn("frames of 1000: held (25M/s)", text)
        self.assertIn("on each side: held (40.0 and 59.0 ns)", text)
        self.assertIn("in low power: held (1.50%)", text)
        for sample in largest:
            sample.update(sdms_per_second=19e6, receiver_cpu_ns_per_sdm=61)
        low_power["samples"] = [0.025]
        text, _ = page_of(self.results)
        self.assertIn("frames of 1000: **missed** (19M/s)", text)
        self.assertIn("on each side: **missed** (40.0 and 61.0 ns)", text)
        self.assertIn("in low power: **missed** (2.50%)", text)
        self.suites["idle"]["busy_before"] = 1
        self.assertIn("in low power: **missed**, beside other work (2.50%)", page_of(self.results)[0])

    def test_webassembly_stands_beside_the_best_native_target(self):
        run = self.suites["wasm"]["runs"][0]
        run["ns"] = {"WASM": [90, 100, 110], "AVX2": [25, 25, 25], "SSE4": [50, 50, 50]}
        for other in self.suites["wasm"]["runs"][1:]:
            other["ns"] = {side: [1.0] for side in run["ns"]}
        text, _ = page_of(self.results)
        self.assertIn("| shards | replicas of each | WASM | AVX2 | SSE4 |", text)
        self.assertRegex(text, r"\| 4 \| 1,000 \| 100 ns \| 25\.0 ns \| 50\.0 ns \| 10% \| 4\.00 \|")

    def test_exponents_are_those_of_the_points(self):
        points = [p for p in self.suites["growth"]["axes"][0]["points"] if p["samples"]]
        for p in points:
            p["samples"] = [{"cycles_per_second": 1e6 / p["x"], "resident_bytes": 100.0 * p["x"] ** 0.5}]
        self.assertRegex(page_of(self.results)[0], r"1,000 to 10,000 \| 1\.00 \| 1\.00 \| 0\.50 \| 0\.50 \|")

    def test_what_was_not_run_is_said(self):
        self.assertIn("10,000,000 was not run: needs about 13 GB of free memory", page_of(self.results)[0])

    def test_the_paper_follows_from_constants_and_sizes(self):
        self.assertIn("with 6 links", page_of(self.results)[0])
        self.suites["paper"]["constants"]["active_target"]["value"] = 8
        text, _ = page_of(self.results)
        self.assertIn("a node with 8 links", text)
        self.assertIn("`active_target` | 8 | `services/peering/membership.h`", text)

    def drift_rows(self, table, change):
        """Changes the rows of a table of the suite drift; `change` returns whether it keeps a row."""
        suite = self.suites["drift"]
        suite[table] = drift.packed([row for row in drift.unpacked(suite[table]) if change(row)])

    def test_a_network_agrees_from_a_cycle_on_or_never(self):
        def change(row):
            if row["case"] == "four nodes, two regions" and row["build"] == "new":
                row.update(agreed_at=(41, -1)[row["seed"] - 1], spread=(1e-12, 0.02)[row["seed"] - 1])
            return True
        self.drift_rows("honest", change)
        self.assertRegex(page_of(self.results)[0], r"\| four nodes, two regions \| .* \| 41 \*\*never\*\* \(2e-02\) \|")

    def test_a_cell_of_liars_is_the_worst_of_attacks_and_seeds(self):
        def change(row):
            if row["attack"] == "noise" and row["regions"] == 1 and row["share"] == 45 and row["from_s"] == 0:
                row.update(bias=0.62, spread=1e-12)
            return True
        self.drift_rows("attacks", change)
        self.assertRegex(page_of(self.results)[0],
                         r"\| the start \| none \| 1 \| 45 % \| 90 \(1e-03\) → 62 \(1e-03\) \|.*\| 41 \|")

    def test_what_a_build_does_not_know_is_said(self):
        text, _ = page_of(self.results)
        self.assertRegex(text, r"`two-camps` \| 20 s \| 2 \| n/a → ")
        self.assertIn("runs say nothing: ", text)
        self.assertIn("old: unknown attack", text)

    def test_drift_may_be_measured_with_one_build(self):
        suite = self.suites["drift"]
        del suite["builds"]["old"]
        for table in ("honest", "attacks"):
            self.drift_rows(table, lambda row: row["build"] == "new")
        self.assertIn("| eight nodes, eight regions | 29 30 | 2.4 % |", page_of(self.results)[0])

    def test_the_cycle_of_agreement_is_the_last_time_of_falling_below(self):
        rows = [{"cycle": str(n), "value_spread_relative": "", "free_spread_relative": str(spread)}
                for n, spread in enumerate((1, 1e-7, 1e-3, 1e-7, 0))]
        self.assertEqual(drift.agreed_at(rows), 3)
        self.assertEqual(drift.agreed_at(rows[:3]), -1)

    def test_suites_may_be_absent(self):
        for suite in ("micro", "growth", "acks", "idle"):
            del self.suites[suite]
        text, _ = page_of(self.results)
        self.assertIn("## One gRPC link", text)
        self.assertNotIn("on paper", text)

    def test_the_constants_are_those_of_the_program(self):
        constants = measure.paper(False)["constants"]
        self.assertEqual(set(constants), set(measure.CONSTANTS))
        for name, constant in constants.items():
            self.assertGreater(constant["value"], 0, name)
            self.assertTrue((ROOT / constant["home"]).is_file(), constant["home"])
        self.assertEqual(constants["period_us"]["value"], 100_000)

    def test_a_constant_that_the_program_does_not_know_is_told(self):
        with unittest.mock.patch.dict(measure.CONSTANTS, moons="sky.moons"):
            with self.assertRaisesRegex(measure.Failed, "sky.moons"):
                measure.paper(False)


if __name__ == "__main__":
    # The build folder whose lvs is asked for its constants.
    if len(sys.argv) > 1:
        measure.BUILD = pathlib.Path(sys.argv.pop(1))
    unittest.main()
