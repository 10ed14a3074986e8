#!/usr/bin/env python3
"""The finality rule of a chain of validators, in virtual time: what LVS, which has no vote, is compared with (CHAIN-2, 3, 5, 6).

    bench/baselines/vote_chain.py --validators 3 --slots 20 --kill-at 10

A slot: every live validator draws an output, the lowest leads; the leader collects entropy, tells it, makes a block; whoever
has the block votes; a block is final where votes >= 2n/3 + 1 (whole numbers), n being all validators, dead ones too. Durations and
sizes are those that the chain's own plan expects of a local network. A hash stands in for the verifiable random function;
signatures, forks and lost messages are not modelled, all of which could only slow that chain down.
"""

import argparse
import hashlib
import json
import statistics

SLOT_S = 6.0
# From the start of a slot, one after the other.
ELECT_S, COLLECT_ENTROPY_S, TELL_ENTROPY_S, DECRYPT_S, MAKE_BLOCK_S = 0.01, 0.19, 0.2, 0.4, 0.2
PROPAGATE_S, VOTE_S, COUNT_S = 0.5, 0.5, 0.5
BLOCK_BYTES, ENTROPY_BYTES, VOTE_BYTES = 10_000, 2_000, 1_100


def votes_required(validators):
    return validators * 2 // 3 + 1


def output_of(seed, validator, block):
    return hashlib.sha256(f"{seed}/{block}/{validator}".encode()).digest()


def run(validators, slots, kill_at, killed, seed):
    required = votes_required(validators)
    produced, leads = 0, [0] * validators
    final_from_slot, final_from_block, last_final = [], [], None
    traffic = []
    for block in range(1, slots + 1):
        live = [v for v in range(validators) if kill_at is None or block <= kill_at or v >= killed]
        if not live:
            break
        leads[min(live, key=lambda v: output_of(seed, v, block))] += 1
        made = ELECT_S + COLLECT_ENTROPY_S + TELL_ENTROPY_S + DECRYPT_S + MAKE_BLOCK_S
        produced += 1
        # Gossip: each validator takes in one of each and passes one on.
        traffic.append(2 * (BLOCK_BYTES + ENTROPY_BYTES + len(live) * VOTE_BYTES))
        if len(live) >= required:
            final = made + PROPAGATE_S + VOTE_S + COUNT_S
            final_from_slot.append(final)
            final_from_block.append(final - made)
            last_final = block
    return {
        "name": "vote_chain", "validators": validators, "votes_required": required, "killed": 0 if kill_at is None else killed,
        "killed_after_block": kill_at, "slots": slots, "blocks_produced": produced, "blocks_final": len(final_from_slot),
        "last_final_block": last_final, "halted": last_final != slots,
        "finality_seconds_from_slot": statistics.median(final_from_slot) if final_from_slot else None,
        "finality_seconds_from_block": statistics.median(final_from_block) if final_from_block else None,
        "bytes_per_validator_minute": statistics.mean(traffic) * 60 / SLOT_S if traffic else 0, "blocks_led": leads}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--validators", type=int, default=3)
    parser.add_argument("--slots", type=int, default=20)
    parser.add_argument("--kill-at", type=int, help="after this block some validators are dead for good")
    parser.add_argument("--killed", type=int, default=1, help="how many (default 1)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not 1 <= arguments.validators <= 10_000 or not 1 <= arguments.slots <= 1_000_000:
        parser.error("--validators is from 1 to 10,000 and --slots from 1 to 1,000,000")
    if not 0 <= arguments.killed <= arguments.validators:
        parser.error("--killed is from 0 to the number of validators")
    print(json.dumps(run(arguments.validators, arguments.slots, arguments.kill_at, arguments.killed, arguments.seed)))


if __name__ == "__main__":
    main()
