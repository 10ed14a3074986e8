"""Computes every vector of this folder with protocol.py, which was written from docs/protocol.md alone (SPEC-14).

Usage: vectors_test.py
"""

import json
import pathlib
import unittest

import protocol as lvs

FOLDER = pathlib.Path(__file__).parent


def vectors(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def number(value):
    return int(value, 0) if isinstance(value, str) else value


def numbers(value):
    """The same with each number read, however deep it lies; texts that are no numbers stay."""
    if isinstance(value, dict):
        return {key: numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [numbers(inner) for inner in value]
    return number(value) if isinstance(value, str) and value.startswith("0x") else value


def floats(values):
    return [lvs.float_of(number(bits)) for bits in values]


class Vectors(unittest.TestCase):
    maxDiff = None

    def each(self, cases):
        self.assertTrue(cases, "a group without cases tests nothing")
        for case in cases:
            with self.subTest(case.get("name", str(case)[:80])):
                yield case

    # ---- clock.json ----

    def test_cycles(self):
        for case in self.each(vectors("clock")["cycles"]):
            self.assertEqual(lvs.cycle_at(case["unix_us"], case["period_us"]), case["cycle"])

    # ---- hello.json ----

    def test_hellos(self):
        file = numbers(vectors("hello"))
        for case in self.each(file["hellos"]):
            [(field, wire, said)] = lvs.read_fields(bytes.fromhex(case["hex"]))
            self.assertEqual((field, wire), (1, 2), "PeerMessage.hello")
            hello = lvs.read_message(said, lvs.HELLO)
            for name in ("build", "region", "advertise"):
                hello[name] = hello[name].decode()
            if "hello" in case:
                del hello["seen"]
                self.assertEqual(hello, case["hello"])
                self.assertEqual(lvs.put_bytes(1, lvs.encode_message(hello, lvs.HELLO)).hex(), case["hex"])
            status, more = lvs.check_hello(file["own"], hello)
            self.assertEqual(status, case["status"])
            self.assertEqual(more, case["protocol"] if status == "OK" else case["says"])

    def test_two_streams(self):
        for case in self.each(numbers(vectors("hello")["two_streams"])):
            stays = lvs.stream_that_stays(tuple(case["own"]), tuple(case["peer"]), case["first_dialled_by"] == "own",
                                          case["seconds_between"])
            self.assertEqual(stays, case["stays"])

    # ---- frames.json ----

    def test_frames(self):
        file = vectors("frames")
        for case in self.each(file["taken"]):
            frame = lvs.decode_frame(bytes.fromhex(case["hex"]))
            self.assertEqual(frame, numbers(case["frame"]))
            lvs.check_frame(frame, file["terms"], file["cycle"])
            if case["canonical"]:
                self.assertEqual(lvs.encode_frame(frame).hex(), case["hex"])

    def test_frames_that_are_refused(self):
        file = vectors("frames")
        for case in self.each(file["refused"]):
            with self.assertRaises(lvs.Refused) as raised:
                lvs.check_frame(lvs.decode_frame(bytes.fromhex(case["hex"])), file["terms"], file["cycle"])
            self.assertEqual(raised.exception.reason, case["reason"])

    # ---- ledger.json ----

    def test_mix(self):
        for case in self.each(numbers(vectors("ledger")["mix"])):
            self.assertEqual(lvs.mix(case["in"]), case["out"])

    def test_digests(self):
        for case in self.each(numbers(vectors("ledger")["digests"])):
            ledger = lvs.Ledger(case["value_slots"])
            for entry in case["entries"]:
                self.assertEqual(ledger.join(entry, case["cycle"]), "opened")
                alone = lvs.Ledger(case["value_slots"])
                alone.join(entry, case["cycle"])
                self.assertEqual(alone.bucket_digests()[entry["bucket"]], entry["hash"])
            self.assertEqual(ledger.bucket_digests(), case["bucket_digest"])
            self.assertEqual(ledger.digest(), case["ledger_digest"])
            self.assertEqual(ledger.totals(), case["total_uvu"])

    def test_joins(self):
        for case in self.each(numbers(vectors("ledger")["joins"])):
            ledger = lvs.Ledger(case["value_slots"])
            for at, join in enumerate(case["joins"]):
                self.assertEqual(ledger.join(join["entry"], join["cycle"]), join["becomes"], f"join {at}")
            self.assertEqual([ledger.entry(s) for s in sorted(ledger.entries)], case["entries"])
            self.assertEqual(ledger.digest(), case["ledger_digest"])

    # ---- link.json ----

    def test_sessions_and_ranges(self):
        file = numbers(vectors("link"))
        for case in self.each(file["frames_heard"]):
            ledger, far_end = lvs.Ledger(1), lvs.FarEnd()
            for at, heard in enumerate(case["frames"]):
                frame = {"session_high": heard["session"][0], "session_low": heard["session"][1], "news_all": 0,
                         "ledger_digest": 1,
                         "cycle_id": heard["cycle"], "news_from": heard["news"][0], "news_to": heard["news"][1],
                         "acknowledged_session_low": {"receiver": 77, "other": 78, "none": 0}[heard["addressed_to"]],
                         "entries": heard["entries"]}
                verdict = far_end.take(frame, ledger, 77, file["cycle"])
                self.assertEqual(verdict, heard["is"], f"frame {at}")
                self.assertEqual(far_end.merged, heard["then_acknowledged"], f"frame {at}")
                self.assertEqual(len(ledger.entries), heard["then_sessions"], f"frame {at}")

    # ---- placement.json ----

    def test_placement(self):
        file = numbers(vectors("placement"))
        for case in self.each(file["weights"]):
            self.assertEqual(lvs.rendezvous_weight(case["session"], case["shard"]), case["weight"])
        for case in self.each(file["holds"]):
            self.assertEqual(lvs.shards_held(case["session"], case["shards"], case["held"]), case["shards_held"])
        for case in self.each(file["repairs"]):
            self.assertEqual(lvs.repairer(case["shard"], case["candidates"]), case["chosen"])

    # ---- entropy.json ----

    def test_entropy_words(self):
        file = numbers(vectors("entropy"))
        for case in self.each(file["words"]):
            self.assertEqual(lvs.entropy_word(case["seed"], case["row"], case["cycle"]), case["word"])
        for case in self.each(file["components"]):
            self.assertEqual(lvs.components(case["word"], 12), case["steps"])
            self.assertEqual(lvs.slot_hash(case["word"]), case["hash"])
            self.assertEqual(lvs.is_saturated(case["word"]), case["saturated"])

    def test_entropy_of_a_link(self):
        for case in self.each(numbers(vectors("entropy")["links"])):
            health = lvs.LinkEntropy()
            for at, run in enumerate(case["runs"]):
                words = [run["first"] + n * run["step"] & lvs.MASK32 for n in range(run["times"])]
                self.assertEqual([health.take(word) for word in words].count(True), run["taken"], f"run {at}")

    # ---- step.json ----

    def test_one_cycle_of_one_replica(self):
        for case in self.each(vectors("step")["steps"]):
            before, after = case["before"], case["after"]
            bounds = ("tau_value", "tau_free", "slow_free", "band")
            replica = {"state": floats(before["state"]), "low_power": before["low_power"], "fresh": before["fresh"],
                       **{name: lvs.float_of(number(before[name])) for name in bounds},
                       "slots": [dict(slot) for slot in before["slots"]]}
            own = {"state": floats(case["said"]["state"]), "published": case["said"]["published"], "packet": None}
            heard = [said and {"state": floats(said["state"]), "weight": said["weight"], "published": said["published"],
                               "packet": numbers(said["packet"])} for said in case["heard"]]
            refused = lvs.step(case["value_slots"], replica, own, heard, case["row"], case["cycle"],
                               number(case["seed"]), floats(case["floor"]), case["apart"])
            self.assertEqual(sorted(refused), sorted(after["refused"]))
            self.assertEqual([f"{lvs.bits_of(x):#010x}" for x in replica["state"]], after["state"])
            for name in bounds:
                self.assertEqual(f"{lvs.bits_of(replica[name]):#010x}", after[name], name)
            self.assertEqual(replica["slots"], after["slots"])
            publishes = own["published"] == case["cycle"]
            self.assertEqual(publishes, after["publishes"])
            if publishes:
                self.assertEqual([f"{lvs.bits_of(x):#010x}" for x in own["state"]], after["state"])
                self.assertEqual(own["packet"], numbers(after["packet"]))


if __name__ == "__main__":
    unittest.main(verbosity=1)
