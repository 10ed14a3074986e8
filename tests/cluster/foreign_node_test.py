"""A server node in another language, from docs/protocol.md and the .proto files alone, in one network with `lvs node` (SPEC-14).

Usage: foreign_node_test.py LVS_BINARY PROTO_FOLDER PROTOC [UNITTEST_ARGUMENT...]
"""

import concurrent.futures
import json
import pathlib
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

LVS, PROTO, PROTOC = sys.argv[1:4]
FOLDER = tempfile.TemporaryDirectory()
subprocess.run(
    [PROTOC, f"-I{PROTO}", f"--python_out={FOLDER.name}", "lvs/v1/peer.proto", "lvs/v1/messages.proto",
     "lvs/v1/control.proto"], check=True)
sys.path[:0] = [FOLDER.name, str(pathlib.Path(__file__).parent.parent / "vectors")]
import protocol as lvs  # noqa: E402  (the page in Python)
from lvs.v1 import control_pb2, messages_pb2, peer_pb2  # noqa: E402  (generated above)

SHARDS, SLOTS, FREE = 3, 2, 1
PERIOD_US = 20_000
PATIENCE_S = 30
SIGN_OF_LIFE = 20  # cycles
SYNC_ALL = messages_pb2.CorrectionSignal.KIND_SYNC_ALL


def cycle_now():
    return lvs.cycle_at(time.time_ns() // 1000, PERIOD_US)


def random_session():
    return random.getrandbits(64), random.getrandbits(64) | 1


def within(condition, what):
    """Waits until the condition holds; its value."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)
    return value


class Shard:
    """One shard of the foreign node, as its one peer knows it."""

    def __init__(self, number):
        self.number = number
        self.session = random_session()
        self.ledger = lvs.Ledger(SLOTS)
        self.far_end = lvs.FarEnd(asks=True)
        self.acknowledged = 0  # newest change here that the far end has merged
        self.sent = 0
        self.sent_cycle = 0
        self.spoke = (0, 0)    # cycle, and what was acknowledged
        self.heard = None      # the far end's newest frame
        self.asked = False     # the far end asks for everything
        self.differs_since = None
        self.buckets_wanted = []
        self.mended = 0        # frames that brought entries outside of any range
        self.row = None        # state of the one replica here, as bits

    def take(self, said):
        frame = lvs.decode_frame(said)
        now = cycle_now()
        lvs.check_frame(frame, {"shards": SHARDS, "value_slots": SLOTS, "free_coordinates": FREE, "halo_rows": 2}, now)
        verdict = self.far_end.take(frame, self.ledger, self.session[1], now)
        if verdict not in ("newest", "new_session"):
            return
        self.heard = frame
        if frame["entries"] and frame["news_from"] == frame["news_to"]:
            self.mended += 1
        if verdict == "new_session":
            self.acknowledged = self.sent = 0
        if frame["acknowledged_session_low"] == self.session[1]:
            if self.acknowledged < frame["acknowledged"] <= self.ledger.version:
                self.acknowledged = frame["acknowledged"]
                self.sent = max(self.sent, self.acknowledged)
        self.take_request(frame)
        self.compare(frame, now)

    def take_request(self, frame):
        asks = frame["correction"]["kind"] == SYNC_ALL
        if asks:  # what it says now that it holds counts
            ours = frame["acknowledged_session_low"] == self.session[1]
            self.acknowledged = frame["acknowledged"] if ours else 0
        if asks != self.asked:
            self.sent, self.sent_cycle = self.acknowledged, cycle_now()
        self.asked = asks

    def compare(self, frame, now):
        settled = self.acknowledged == self.ledger.version and self.far_end.merged >= frame["news_to"]
        if frame["ledger_digest"] == self.ledger.digest() or not settled:
            self.differs_since = None
            self.buckets_wanted = []
            return
        self.differs_since = self.differs_since or now
        own = self.ledger.bucket_digests()
        self.buckets_wanted = [b for b, digest in enumerate(frame["bucket_digest"]) if digest != own[b]]

    def say(self):
        """The frame of this cycle, or None where there is nothing to say."""
        cycle = cycle_now()
        if self.sent > self.acknowledged and cycle > self.sent_cycle + (2 if self.asked else 20):
            self.sent = self.acknowledged
        entries, reach = self.ledger.changes(self.sent, lvs.NEWS_MAX)
        ask = self.heard is not None and self.far_end.asks
        compares = self.differs_since is not None and cycle > self.differs_since + 50
        news = entries or ask or self.asked or compares or self.row or self.far_end.merged != self.spoke[1]
        if cycle == self.spoke[0] or not news and cycle < self.spoke[0] + SIGN_OF_LIFE:
            return None
        frame = messages_pb2.Frame(
            shard_id=self.number, cycle_id=cycle, session_high=self.session[0], session_low=self.session[1],
            total_uvu=self.ledger.totals(), ledger_digest=self.ledger.digest(), news_from=self.sent, news_to=reach,
            acknowledged=self.far_end.merged, acknowledged_session_low=self.far_end.session[1],
            entries=[messages_pb2.LedgerEntry(**entry) for entry in entries])
        if ask:
            frame.correction.kind = SYNC_ALL
            frame.correction.bucket_mask = 0xffff
        if self.asked:
            frame.news_all = self.ledger.version
        if compares:
            frame.bucket_digest.extend(self.ledger.bucket_digests())
            frame.entries.extend(messages_pb2.LedgerEntry(**self.ledger.entry(session))
                                 for session in self.ledger.entries if session[1] % 16 in self.buckets_wanted)
        if self.row:
            frame.beacon.replicas = 1
            frame.halo_row.append(0)
            frame.published_cycle.append(cycle)
            frame.drift_weight = b"\xff"
            frame.diff.extend(lvs.float_of(bits) for bits in self.row)
            frame.entropy.append(lvs.entropy_word(1, 0, cycle))
        if reach > self.sent:
            self.sent, self.sent_cycle = reach, cycle
        self.spoke = (cycle, self.far_end.merged)
        return frame


class ForeignNode:
    """Holds the ledger of each shard and no replicas. One peer."""

    def __init__(self):
        self.session = random_session()
        self.lock = threading.RLock()
        self.shards = [Shard(n) for n in range(SHARDS)]
        self.out = queue.Queue()  # messages to send; None: the end of this side
        self.hello = None
        self.kinds = {}           # messages that were heard, by kind
        self.batches = []         # frames in each message
        self.ended = None         # status and text with which the other side ended the stream
        self.last = {}            # frame said last, by shard
        self.alive = True

    def own_hello(self, **changes):
        fields = dict(protocol_min=1, protocol_max=2, build="foreign", session_high=self.session[0],
                      session_low=self.session[1], region="test", shards=SHARDS, value_slots=SLOTS,
                      free_coordinates=FREE, period_us=PERIOD_US, halo_rows=2)
        return peer_pb2.PeerMessage(hello=peer_pb2.Hello(**{**fields, **changes}))

    def dial(self, address, hello=None):
        self.channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
        self.out.put((hello or self.own_hello()).SerializeToString())
        call = self.channel.stream_stream("/lvs.v1.Peering/Connect")(iter(self.out.get, None))
        threading.Thread(target=self.read, args=(call,), daemon=True).start()

    def read(self, messages):
        try:
            for said in messages:
                self.take(peer_pb2.PeerMessage.FromString(said))
        except grpc.RpcError as error:
            # A server is not told why its client ended a stream.
            self.ended = (error.code(), error.details()) if isinstance(error, grpc.Call) else (None, "")

    def take(self, message):
        kind = message.WhichOneof("kind")
        with self.lock:
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            if kind == "hello":
                assert self.kinds == {"hello": 1}, "the hello comes first, and once"
                self.hello = message.hello
            elif kind == "frames":
                self.batches.append(len(message.frames.frames))
                for said in message.frames.frames:
                    self.shards[lvs.decode_frame(said)["shard_id"]].take(said)
            elif kind == "ping":
                self.say(peer_pb2.PeerMessage(pong=message.ping))
            elif kind == "goodbye":
                self.end()

    def say(self, message):
        self.out.put(message.SerializeToString())

    def say_frames(self, frames):
        self.say(peer_pb2.PeerMessage(frames=peer_pb2.FrameBatch(frames=[f.SerializeToString() for f in frames])))

    def speak(self):
        """Says what there is to say, until stopped."""
        while self.alive:
            with self.lock:
                frames = [frame for frame in (shard.say() for shard in self.shards) if frame is not None]
                self.last.update((frame.shard_id, frame) for frame in frames)
            if frames:
                self.say_frames(frames)
            time.sleep(PERIOD_US / 1e6)

    def join(self, address, hello=None):
        self.dial(address, hello)
        within(lambda: self.hello or self.ended, "a hello")
        assert self.hello, self.ended
        threading.Thread(target=self.speak, daemon=True).start()

    def end(self):
        self.alive = False
        self.out.put(None)

    def leave(self):
        self.say(peer_pb2.PeerMessage(goodbye=peer_pb2.Goodbye(reason="done")))
        self.end()
        within(lambda: self.ended, "the end of the stream")
        self.channel.close()


class LvsNode:
    def __init__(self, name, *arguments):
        folder = pathlib.Path(FOLDER.name)
        config = folder / f"{name}.yaml"
        config.write_text(f"""
listen: 127.0.0.1:0
control_listen: 127.0.0.1:0
health_listen: 127.0.0.1:0
state: {{shards: {SHARDS}, value_slots: {SLOTS}, free_coordinates: {FREE}}}
population: {{micro_nodes: 20, shards_per_node: 2}}
period: {PERIOD_US}us
drain: {{grace: 0s, deadline: 10s}}
""")
        self.log = open(folder / f"{name}.log", "w+")
        self.process = subprocess.Popen([LVS, "node", "--config", str(config), *arguments], stderr=self.log)

    def start(self):
        def addresses():
            assert self.process.poll() is None, "the node ended"
            self.log.seek(0)
            for line in self.log.read().splitlines():
                if '"node.started"' in line:
                    return [line.split(f'"{key}":"')[1].split('"')[0] for key in ("address", "control")]
            return None
        self.address, control = within(addresses, "the start of the node")
        self.channel = grpc.insecure_channel(control)

    def ask(self, name, request, reply, timeout=PATIENCE_S):
        call = self.channel.unary_unary(f"/lvs.v1.Control/{name}", request.SerializeToString, reply.FromString)
        return call(request, timeout=timeout)

    def status(self):
        return self.ask("GetStatus", control_pb2.StatusRequest(), control_pb2.NodeStatus)

    def refused(self):
        return {reason: count for reason, count in self.status().refused.items() if count}

    def shards(self):
        return self.ask("ListShards", control_pb2.ListShardsRequest(), control_pb2.ShardList).shards

    def peer(self, session):
        peers = self.ask("ListPeers", control_pb2.ListPeersRequest(), control_pb2.PeerList).peers
        return next((p for p in peers if (p.session_high, p.session_low) == session), None)

    def contribute(self, shard, amount, **more):
        high, low = random_session()
        return self.ask("Contribute", control_pb2.ContributeRequest(
            session_high=high, session_low=low, shard=shard, amount_uvu=amount, **more), control_pb2.ContributeReply)

    def stop(self):
        try:
            self.channel.close()
            self.process.terminate()
            assert self.process.wait(timeout=PATIENCE_S) == 0, "the node ends well"
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()


class ForeignNodeTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.node = LvsNode("node")
        cls.node.start()
        within(lambda: cls.node.status().state == control_pb2.SERVING, "a node that serves")
        for shard in range(SHARDS):
            for n in range(5):
                assert cls.node.contribute(shard, 1_000_000 + n, slot=n % SLOTS).held

    @classmethod
    def tearDownClass(cls):
        # A node ends well where a peer holds all that it held.
        heir = ForeignNode()
        heir.join(cls.node.address)
        within(lambda: all(theirs.digest == ours.ledger.digest()
                           for theirs, ours in zip(cls.node.shards(), heir.shards)), "equal ledgers")
        cls.node.stop()

    def joined(self, **hello):
        foreign = ForeignNode()
        foreign.join(self.node.address, foreign.own_hello(**hello))
        self.addCleanup(foreign.leave)
        return foreign

    def equal_ledgers(self, foreign):
        def equal():
            with foreign.lock:
                return all(theirs.digest == ours.ledger.digest() and list(theirs.total_uvu) == ours.ledger.totals()
                           for theirs, ours in zip(self.node.shards(), foreign.shards))
        within(equal, "equal ledgers")

    def test_it_learns_the_ledger_and_is_a_peer_without_fault(self):
        refused = self.node.refused()
        foreign = self.joined()
        self.assertEqual(foreign.hello.period_us, PERIOD_US)
        self.assertEqual(foreign.hello.halo_rows, 32)
        self.equal_ledgers(foreign)
        within(lambda: not any(shard.far_end.asks for shard in foreign.shards), "answers to SYNC_ALL")
        within(lambda: foreign.kinds.get("ping", 0) >= 2 and foreign.kinds.get("peers", 0) >= 1, "pings and addresses")
        with foreign.lock:
            frames = [shard.heard for shard in foreign.shards]
        sessions = {(f["session_high"], f["session_low"]) for f in frames}
        self.assertEqual(len(sessions), SHARDS, "each shard has a session of its own")
        self.assertNotIn((foreign.hello.session_high, foreign.hello.session_low), sessions)
        for frame, shard in zip(frames, foreign.shards):
            self.assertLess(abs(frame["cycle_id"] - cycle_now()), lvs.SILENCE_CYCLES)
            self.assertGreater(frame["beacon"]["replicas"], 0)
            self.assertEqual(frame["ledger_digest"], shard.ledger.digest())
            self.assertEqual(frame["bucket_digest"], [], "equal ledgers are not compared by buckets")
        peer = within(lambda: self.node.peer(foreign.session), "the link")
        self.assertEqual((peer.refused, peer.protocol, peer.build), (0, 2, "foreign"))
        self.assertGreater(peer.frames_received, SHARDS)
        self.assertGreater(peer.rtt_ms, 0)
        self.assertEqual(self.node.refused(), refused)
        self.assertIsNone(foreign.ended)

    def test_news_goes_both_ways_and_it_counts_as_a_holder(self):
        foreign = self.joined()
        self.equal_ledgers(foreign)
        # A client of the LVS node wants two nodes to hold its contribution.
        reply = self.node.contribute(1, 2_500_000, nodes=2, durability=control_pb2.NODES)
        self.assertEqual(reply.nodes, 2)
        # A client of the foreign node.
        shard, session = foreign.shards[2], random_session()
        with foreign.lock:
            entry = dict(session_high=session[0], session_low=session[1], opened_cycle=cycle_now(), amount_uvu=[7, 0])
            self.assertEqual(shard.ledger.join(entry, cycle_now()), "opened")
        within(lambda: shard.acknowledged == shard.ledger.version, "an acknowledgement")
        self.equal_ledgers(foreign)

    def test_a_replay_is_counted_and_changes_nothing(self):
        foreign = self.joined()
        self.equal_ledgers(foreign)
        before, total = self.node.refused().get("replayed", 0), self.node.status().ledger.total_uvu
        replay = messages_pb2.Frame()
        with foreign.lock:
            replay.CopyFrom(foreign.last[0])
        foreign.say_frames([replay])
        within(lambda: self.node.refused().get("replayed", 0) == before + 1, "one replay")
        # Another session that is no newer: not even its entries count.
        high, low = random_session()
        replay.session_low ^= 2
        replay.entries.add(session_high=high, session_low=low, opened_cycle=replay.cycle_id, amount_uvu=[9, 9])
        foreign.say_frames([replay])
        within(lambda: self.node.refused().get("replayed", 0) == before + 2, "another one")
        self.assertEqual(self.node.status().ledger.total_uvu, total)
        self.assertIsNone(foreign.ended, "the stream goes on")
        self.assertEqual(self.node.peer(foreign.session).refused, 0, "replays are not held against the link")

    def test_false_frames_are_counted_by_reason(self):
        foreign = self.joined()
        for reason, changes in {"unknown_shard": dict(shard_id=SHARDS), "wrong_dimension": dict(total_uvu=[1]),
                                "future_cycle": dict(cycle_id=cycle_now() + 1000),
                                "unknown_halo_row": dict(halo_row=[32], published_cycle=[1], drift_weight=b"\1",
                                                         diff=[0.0] * (SLOTS + FREE), entropy=[0])}.items():
            before = self.node.refused().get(reason, 0)
            high, low = foreign.shards[0].session
            fields = dict(shard_id=0, cycle_id=cycle_now(), session_high=high, session_low=low, total_uvu=[0] * SLOTS)
            foreign.say_frames([messages_pb2.Frame(**{**fields, **changes})])
            within(lambda: self.node.refused().get(reason, 0) == before + 1, reason)
        self.assertIsNone(foreign.ended)

    def test_ledgers_that_differ_are_mended_by_buckets(self):
        foreign = self.joined()
        self.equal_ledgers(foreign)
        shard = foreign.shards[0]
        while shard.mended == 0:  # at first, news may be on its way once more
            with foreign.lock:  # the memory of a node fails it: what was acknowledged is gone
                lost = next(iter(shard.ledger.entries))
                shard.ledger.lose(lost)
            began = cycle_now()
            within(lambda: lost in shard.ledger.entries, "the lost entry")
        self.assertGreater(cycle_now(), began + 50)
        self.equal_ledgers(foreign)

    def test_rows_of_state_diffs_are_taken(self):
        foreign = self.joined()
        self.equal_ledgers(foreign)
        refused = self.node.refused()
        rows = within(lambda: foreign.shards[0].heard["halo_row"] and foreign.shards[0].heard, "rows of the node")
        self.assertTrue(all(row < 2 for row in rows["halo_row"]), "no more rows than were offered")
        with foreign.lock:  # one replica, which agrees
            foreign.shards[0].row = [0] * SLOTS + rows["diff"][SLOTS:SLOTS + FREE]
        before = self.node.peer(foreign.session).frames_received
        within(lambda: self.node.peer(foreign.session).frames_received > before + 5, "frames with rows")
        self.assertEqual(self.node.refused(), refused)

    def test_version_1_is_one_frame_a_message(self):
        foreign = self.joined(protocol_max=1)
        self.equal_ledgers(foreign)
        self.assertEqual(set(foreign.batches), {1})
        self.assertEqual(self.node.peer(foreign.session).protocol, 1)

    def test_refused_streams_end_with_a_status_that_says_what_to_do(self):
        def end_of(*messages):
            foreign = ForeignNode()
            foreign.dial(self.node.address, messages[0])
            for message in messages[1:]:
                foreign.say(message)
            within(lambda: foreign.ended, "the end of the stream")
            foreign.out.put(None)
            foreign.channel.close()
            return foreign.ended
        def hello(**changes):
            return ForeignNode().own_hello(**changes)
        code = grpc.StatusCode
        unknown = peer_pb2.PeerMessage.FromString(b"\xf8\x07\x01")
        for messages, status, text in (
                ([hello(protocol_min=3, protocol_max=4)], code.FAILED_PRECONDITION, "protocol versions"),
                ([hello(shards=SHARDS + 1)], code.FAILED_PRECONDITION, "`state`"),
                ([hello(period_us=1)], code.FAILED_PRECONDITION, "`period`"),
                ([hello(session_high=0, session_low=0)], code.INVALID_ARGUMENT, "no session"),
                ([peer_pb2.PeerMessage(ping=peer_pb2.Ping())], code.INVALID_ARGUMENT, "must be a hello"),
                ([hello(), hello()], code.INVALID_ARGUMENT, "a second hello"),
                ([hello(), unknown], code.INVALID_ARGUMENT, "no kind")):
            with self.subTest(text):
                ended = end_of(*messages)
                self.assertEqual(ended[0], status)
                self.assertIn(text, ended[1])
        own = self.node.status()
        self.assertEqual(end_of(hello(session_high=own.session_high, session_low=own.session_low))[0], code.ABORTED)

    def test_a_second_stream_of_the_same_session_finds_it_connected(self):
        foreign = self.joined()
        again = ForeignNode()
        again.session = foreign.session
        again.dial(self.node.address)
        within(lambda: again.ended, "the end of the second stream")
        again.out.put(None)
        again.channel.close()
        self.assertEqual(again.ended[0], grpc.StatusCode.ALREADY_EXISTS)
        self.assertIsNone(foreign.ended)


class Constants(unittest.TestCase):

    def test_the_numbers_of_the_page_are_those_of_the_program(self):
        said = json.loads(subprocess.run([LVS, "limits", "--format", "json"], check=True, capture_output=True).stdout)
        limits = {limit["name"]: limit["value"] for limit in said}
        for name, value in {
                "protocol.cycles_ahead_max": lvs.CYCLES_AHEAD, "protocol.silence_cycles": lvs.SILENCE_CYCLES,
                "protocol.frame_rows_max": lvs.ROWS_MAX, "protocol.frame_entries_max": lvs.ENTRIES_MAX,
                "protocol.value_slots_max": lvs.VALUE_SLOTS_MAX, "protocol.distance_max": 1e12,
                "protocol.entry_uvu_max": lvs.ENTRY_MAX_UVU, "protocol.micro_per_vu": lvs.VU,
                "protocol.session_cycles_max": 36_000, "protocol.heartbeat_cycles": lvs.HEARTBEAT,
                "protocol.sessions_per_shard_max": 1_048_576, "protocol.sessions_for_clients": 262_144,
                "protocol.new_sessions_per_cycle": 64, "protocol.new_sessions_at_once": 65_536,
                "protocol.pending_frames_max": 4096, "protocol.version_min": 1, "protocol.version_max": 2,
                "link.halo_rows": 32, "link.halo_refresh_cycles": 50, "link.sign_of_life_cycles": SIGN_OF_LIFE,
                "link.message_bytes_max": 262_144, "link.strangers_max": 32, "link.frames_per_shard_cycle": 3,
                "link.messages_beside_frames": 16, "link.message_part_bytes": 65_536, "link.burst_cycles": 20,
                "link.refused_frames_max": 1000, "membership.sample_max": 16, "membership.heard_max": 32,
                "membership.guest_s": 0.2, "membership.active_target": 6,
                "drift.alpha": 0.02, "drift.beta": 0.9, "drift.ledger_weight": 8, "drift.bound_factor": 3,
                "drift.peers": 8}.items():
            self.assertEqual(limits.get(name), value, name)


class ForeignNodeIsDialled(unittest.TestCase):
    """The LVS node starts empty, dials the foreign node, and fetches the ledger from it."""

    def test_it_is_dialled_and_hands_over_the_ledger(self):
        foreign = ForeignNode()
        for shard in foreign.shards[:-1]:  # the last one has an empty ledger: an answer too
            for n in range(600):           # more than a frame holds
                high, low = random_session()
                shard.ledger.join({"session_high": high, "session_low": low, "opened_cycle": cycle_now() - n,
                                   "amount_uvu": [n, 1]}, cycle_now())
        self.addCleanup(foreign.end)

        def connect(messages, context):
            threading.Thread(target=foreign.read, args=(messages,), daemon=True).start()
            within(lambda: foreign.hello, "the dialler's hello")
            yield foreign.own_hello().SerializeToString()
            threading.Thread(target=foreign.speak, daemon=True).start()
            yield from iter(foreign.out.get, None)

        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=2))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "lvs.v1.Peering", {"Connect": grpc.stream_stream_rpc_method_handler(connect)}),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, 0)
        node = LvsNode("dialler", "--boot", f"127.0.0.1:{port}")
        self.addCleanup(node.stop)
        node.start()

        def holds_all():
            with foreign.lock:
                return all(theirs.digest == ours.ledger.digest() and theirs.synced
                           for theirs, ours in zip(node.shards(), foreign.shards))
        within(holds_all, "the whole ledger")
        within(lambda: node.status().state == control_pb2.SERVING, "a node that serves")
        self.assertEqual(node.refused(), {})
        self.assertTrue(node.peer(foreign.session).dialled)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
