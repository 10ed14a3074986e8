"""The finality rule of the other chain, which LVS is set against, gives what its plan says.

Usage: vote_chain_test.py [VoteChain.TEST]
"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "baselines"))
import vote_chain  # noqa: E402


class VoteChain(unittest.TestCase):

    def test_two_thirds_and_one_make_final(self):
        whole = vote_chain.run(3, slots=20, kill_at=None, killed=1, seed=1)
        self.assertEqual((whole["votes_required"], whole["blocks_final"], whole["halted"]), (3, 20, False))
        self.assertAlmostEqual(whole["finality_seconds_from_slot"], 2.5)

    def test_three_of_three_halts_when_one_is_killed_and_four_go_on(self):
        three = vote_chain.run(3, slots=20, kill_at=10, killed=1, seed=1)
        self.assertEqual((three["blocks_final"], three["last_final_block"], three["halted"]), (10, 10, True))
        self.assertEqual(three["blocks_produced"], 20)  # blocks go on, and none is ever final
        four = vote_chain.run(4, slots=20, kill_at=10, killed=1, seed=1)
        self.assertEqual((four["votes_required"], four["blocks_final"], four["halted"]), (3, 20, False))
        self.assertTrue(vote_chain.run(4, slots=20, kill_at=10, killed=2, seed=1)["halted"])

    def test_the_lowest_output_of_the_live_leads(self):
        chain = vote_chain.run(3, slots=3000, kill_at=1500, killed=1, seed=1)
        self.assertEqual(sum(chain["blocks_led"]), 3000)
        for led, expected in zip(chain["blocks_led"], (500, 1250, 1250)):
            self.assertAlmostEqual(led, expected, delta=120)  # more than four standard deviations

    def test_traffic_is_that_of_the_plan(self):
        chain = vote_chain.run(3, slots=20, kill_at=None, killed=1, seed=1)
        self.assertAlmostEqual(chain["bytes_per_validator_minute"] / 300_000, 1, delta=0.05)


if __name__ == "__main__":
    unittest.main(verbosity=2)
