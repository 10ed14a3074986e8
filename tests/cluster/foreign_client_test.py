"""A client in another language, from the .proto files alone, drives a server node (ARCH-9).

Usage: foreign_client_test.py LVS_BINARY PROTO_FOLDER PROTOC
"""

import pathlib
import random
import subprocess
import sys
import tempfile
import time
import unittest

import grpc

LVS, PROTO, PROTOC = sys.argv[1:4]
FOLDER = tempfile.TemporaryDirectory()
subprocess.run(
    [PROTOC, f"-I{PROTO}", f"--python_out={FOLDER.name}", "lvs/v1/control.proto"], check=True)
sys.path.insert(0, FOLDER.name)
from lvs.v1 import control_pb2  # noqa: E402  (generated above)


def method(channel, name, request, reply):
    return channel.unary_unary(
        f"/lvs.v1.Control/{name}", request.SerializeToString, reply.FromString)


class ForeignClient(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.log = open(pathlib.Path(FOLDER.name) / "log", "w+")
        cls.node = subprocess.Popen(
            [LVS, "node", "--listen", "127.0.0.1:0", "--control-listen", "127.0.0.1:0",
             "--health-listen", "127.0.0.1:0", "--micro-nodes", "100", "--reflection"],
            stderr=cls.log)
        address = None
        deadline = time.monotonic() + 60
        while address is None and time.monotonic() < deadline:
            cls.log.seek(0)
            for line in cls.log.read().splitlines():
                if '"node.started"' in line:
                    address = line.split('"control":"')[1].split('"')[0]
            time.sleep(0.05)
        assert address, "the node did not start"
        cls.channel = grpc.insecure_channel(address)
        while cls.status().state != control_pb2.SERVING:
            assert time.monotonic() < deadline, "the node does not serve"
            time.sleep(0.1)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.node.terminate()
        try:
            assert cls.node.wait(timeout=30) == 11, "it drains, and nobody is there to take over what it holds"
        finally:
            cls.node.kill()
            cls.log.close()

    @classmethod
    def status(cls):
        call = method(cls.channel, "GetStatus", control_pb2.StatusRequest, control_pb2.NodeStatus)
        return call(control_pb2.StatusRequest(), timeout=10)

    def contribute(self, **fields):
        call = method(self.channel, "Contribute", control_pb2.ContributeRequest,
                      control_pb2.ContributeReply)
        return call(control_pb2.ContributeRequest(**fields), timeout=10)

    def test_spec5_1_a_contribution_counts_once_however_often_it_is_said(self):
        before = sum(self.status().ledger.total_uvu)
        session = dict(session_high=random.getrandbits(64), session_low=random.getrandbits(64) | 1)
        for _ in range(3):
            reply = self.contribute(shard=2, slot=1, amount_uvu=2_500_000, **session)
            self.assertTrue(reply.held)
            self.assertEqual(reply.code, 0)
        deadline = time.monotonic() + 30
        while sum(self.status().ledger.total_uvu) != before + 2_500_000:
            self.assertLess(time.monotonic(), deadline, "the total is not what was contributed")
            time.sleep(0.1)

    def test_refusals_are_statuses_that_say_what_to_do(self):
        with self.assertRaises(grpc.RpcError) as raised:
            self.contribute(session_high=1, session_low=1, shard=99, amount_uvu=1)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn("shard 99 does not exist", raised.exception.details())

    def test_what_was_reached_comes_with_a_deadline_that_was_missed(self):
        with self.assertRaises(grpc.RpcError) as raised:
            self.contribute(session_high=1, session_low=2, amount_uvu=1, nodes=2, timeout_ms=300,
                            durability=control_pb2.NODES)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        trailing = dict(raised.exception.trailing_metadata())
        details = control_pb2.StatusDetails.FromString(trailing["grpc-status-details-bin"])
        reached = control_pb2.ContributeReply()
        self.assertTrue(details.details[0].Unpack(reached))
        self.assertTrue(reached.held)
        self.assertEqual(reached.nodes, 1)

    def test_the_standard_health_service_says_serving(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(check(b"", timeout=10), b"\x08\x01", "status: SERVING")

    def test_reflection_answers_where_it_is_switched_on(self):
        ask = self.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        # list_services: ""
        answer = next(iter(ask(iter([b"\x3a\x00"]), timeout=10)))
        self.assertIn(b"lvs.v1.Control", answer)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=2)
