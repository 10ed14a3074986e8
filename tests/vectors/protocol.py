"""The rules of docs/protocol.md in Python, written from that page and proto/lvs/v1/*.proto alone.

The C++ sources share nothing with this file, so a mistake in one of them shows as a difference: vectors_test.py computes every
vector of this folder with it, and tests/cluster/foreign_node_test.py takes part in a network with it. Only the standard library is
used. It is written to be read beside the page, in the page's order; it is slow.
"""

import math
import struct

MASK32 = 2**32 - 1
MASK64 = 2**64 - 1

# ---- Numbers --------------------------------------------------------------------------------------------------------


def f32(x):
    """Rounds to float32. Sums, products, quotients and roots of two float32, computed as doubles, round correctly."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def float_of(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def bits_of(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def mix(x):
    """Mix of the page, on 64 bits."""
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & MASK64
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & MASK64
    return x ^ x >> 31


def mix32(x):
    """Mix32 of the page."""
    x = (x ^ x >> 16) * 0x85EBCA6B & MASK32
    x = (x ^ x >> 13) * 0xC2B2AE35 & MASK32
    return x ^ x >> 16


# ---- Cycles ---------------------------------------------------------------------------------------------------------

EPOCH_US = 1_767_225_600 * 1_000_000  # 2026-01-01T00:00:00Z
CYCLES_AHEAD = 50
SILENCE_CYCLES = 130


def cycle_at(unix_us, period_us):
    return max(0, unix_us - EPOCH_US) // period_us


# ---- Hello ----------------------------------------------------------------------------------------------------------


def check_hello(own, hello):
    """(gRPC status, a word of its message), or ("OK", the protocol version that is spoken)."""
    session = (hello["session_high"], hello["session_low"])
    if session == (own["session_high"], own["session_low"]):
        return "ABORTED", "own"
    if session == (0, 0):
        return "INVALID_ARGUMENT", "no session"
    low, high = hello["protocol_min"], hello["protocol_max"]
    if low > high or low > own["protocol_max"] or high < own["protocol_min"]:
        return "FAILED_PRECONDITION", "protocol versions"
    if any(hello[name] != own[name] for name in ("shards", "value_slots", "free_coordinates")):
        return "FAILED_PRECONDITION", "`state`"
    if hello["period_us"] != own["period_us"]:
        return "FAILED_PRECONDITION", "`period`"
    if any(len(hello[name].encode()) > 256 for name in ("region", "build", "advertise")):
        return "INVALID_ARGUMENT", "256 characters"
    return "OK", min(high, own["protocol_max"])


def stream_that_stays(own, peer, first_is_ours, seconds_between):
    """Of two streams between the same two nodes: "first" or "second". The second is dialled by the other side."""
    if seconds_between >= 1:
        return "first"
    return "first" if (own < peer) == first_is_ours else "second"


# ---- Protobuf's wire format -----------------------------------------------------------------------------------------


class Refused(Exception):
    """A frame that changes nothing, with the reason under which it is counted."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


def read_varint(data, at):
    value = 0
    for n in range(10):
        if at >= len(data):
            raise Refused("malformed")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value & MASK64, at
    raise Refused("malformed")


def read_fields(data):
    """(number, wire type, value) of each field; the value of type 2 is its bytes."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, wire = (tag & MASK32) >> 3, tag & 7
        if number == 0:
            raise Refused("malformed")
        if wire == 0:
            value, at = read_varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            if at + size > len(data):
                raise Refused("malformed")
            value, at = int.from_bytes(data[at:at + size], "little"), at + size
        elif wire == 2:
            size, at = read_varint(data, at)
            if size > len(data) - at:
                raise Refused("malformed")
            value, at = data[at:at + size], at + size
        else:  # groups: no message of LVS has any
            raise Refused("malformed")
        yield number, wire, value


def numbers_in(wire, value, size):
    """The elements of a repeated field, packed or not. `size`: bytes of one; 0 for varints."""
    if wire != 2:
        return [value]
    if size > 0:
        if len(value) % size != 0:
            raise Refused("malformed")
        return [int.from_bytes(value[n:n + size], "little") for n in range(0, len(value), size)]
    numbers, at = [], 0
    while at < len(value):
        number, at = read_varint(value, at)
        numbers.append(number)
    return numbers


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put_varint(number, value):
    return varint(number << 3) + varint(value) if value else b""


def put_fixed(number, value, size):
    return varint(number << 3 | (1 if size == 8 else 5)) + value.to_bytes(size, "little") if value else b""


def put_bytes(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def put_column(number, values, size):
    packed = b"".join(v.to_bytes(size, "little") if size else varint(v) for v in values)
    return put_bytes(number, packed) if values else b""


# ---- Frames ---------------------------------------------------------------------------------------------------------

VARINT, FIXED64, FIXED32, BYTES = 0, 1, 5, 2
# By number: name, type, whether repeated.
FRAME = {
    1: ("shard_id", VARINT, False), 2: ("cycle_id", VARINT, False), 3: ("session_high", FIXED64, False),
    4: ("session_low", FIXED64, False), 5: ("total_uvu", FIXED64, True), 6: ("ledger_digest", FIXED64, False),
    7: ("news_from", VARINT, False), 8: ("news_to", VARINT, False), 9: ("acknowledged", VARINT, False),
    10: ("acknowledged_session_low", FIXED64, False), 11: ("entries", BYTES, True), 12: ("halo_row", VARINT, True),
    13: ("published_cycle", FIXED32, True), 14: ("drift_weight", BYTES, False), 15: ("diff", FIXED32, True),
    16: ("entropy", FIXED32, True), 17: ("beacon", BYTES, False), 18: ("correction", BYTES, False),
    19: ("bucket_digest", FIXED64, True), 20: ("held_range", FIXED64, True), 21: ("news_all", VARINT, False)}
ENTRY = {1: ("session_high", FIXED64, False), 2: ("session_low", FIXED64, False),
         3: ("opened_cycle", VARINT, False), 4: ("amount_uvu", VARINT, True)}
BEACON = {1: ("replicas", VARINT, False), 2: ("load", FIXED32, False), 3: ("low_power_share", FIXED32, False),
          4: ("leaving", VARINT, False)}
CORRECTION = {1: ("kind", VARINT, False), 2: ("bucket_mask", VARINT, False)}
HELLO = {1: ("protocol_min", VARINT, False), 2: ("protocol_max", VARINT, False), 3: ("build", BYTES, False),
         4: ("session_high", FIXED64, False), 5: ("session_low", FIXED64, False), 6: ("region", BYTES, False),
         7: ("advertise", BYTES, False), 8: ("shards", VARINT, False), 9: ("value_slots", VARINT, False),
         10: ("free_coordinates", VARINT, False), 11: ("period_us", VARINT, False), 12: ("halo_rows", VARINT, False)}
SIZES = {VARINT: 0, FIXED64: 8, FIXED32: 4}
# Fields of 32 bits among the varints: protobuf drops what is above.
NARROW = {"shard_id", "halo_row", "replicas", "kind", "bucket_mask"}

ROWS_MAX = 1024
ENTRIES_MAX = 1024
VALUE_SLOTS_MAX = 8
DIMENSIONS_MAX = 12
BUCKETS = 16
HELD_MAX = 32
DISTANCE_MAX = f32(1e12)


def read_message(data, fields):
    message = {}
    for name, kind, repeated in fields.values():
        message[name] = [] if repeated else b"" if kind == BYTES else 0
    message["seen"] = set()
    for number, wire, value in read_fields(data):
        name, kind, repeated = fields.get(number, (None, None, False))
        if name is None or (wire != kind and not (repeated and wire == BYTES)):
            continue  # unknown, or of another type: skipped
        message["seen"].add(name)
        if repeated and kind != BYTES:
            values = numbers_in(wire, value, SIZES[kind])
            message[name] += [v & MASK32 for v in values] if name in NARROW else values
        elif repeated:
            message[name].append(value)
        else:
            message[name] = value & MASK32 if name in NARROW else value
    return message


def decode_frame(data):
    """A frame as a dictionary; floats stay bits. Raises Refused."""
    frame = read_message(data, FRAME)
    # Sizes come first: a receiver looks at them before it takes memory.
    if (len(frame["entries"]) > ENTRIES_MAX or len(frame["bucket_digest"]) > BUCKETS
            or len(frame["held_range"]) > HELD_MAX
            or len(frame["diff"]) > ROWS_MAX * DIMENSIONS_MAX
            or any(len(frame[c]) > ROWS_MAX for c in ("halo_row", "published_cycle", "drift_weight", "entropy"))):
        raise Refused("too_large")
    if len(frame["total_uvu"]) > VALUE_SLOTS_MAX:
        raise Refused("wrong_dimension")
    frame["entries"] = [read_message(entry, ENTRY) for entry in frame["entries"]]
    for entry in frame["entries"]:
        if len(entry["amount_uvu"]) != len(frame["total_uvu"]):
            raise Refused("wrong_dimension")
        del entry["seen"]
    frame["drift_weight"] = list(frame["drift_weight"])
    for name, fields in (("beacon", BEACON), ("correction", CORRECTION)):
        frame[name] = read_message(frame[name], fields)
        del frame[name]["seen"]
    if frame["correction"]["kind"] > 2:
        frame["correction"]["kind"] = 0  # of a newer version: asks for nothing
    del frame["seen"]
    return frame


def encode_message(message, fields):
    out = b""
    for number, (name, kind, repeated) in fields.items():
        value = message[name]
        if name == "entries":
            out += b"".join(put_bytes(number, encode_message(entry, ENTRY)) for entry in value)
        elif name == "beacon":
            out += put_bytes(number, encode_message(value, BEACON))
        elif name == "correction":
            out += put_bytes(number, encode_message(value, CORRECTION)) if value["kind"] else b""
        elif name == "drift_weight":
            out += put_bytes(number, bytes(value)) if value else b""
        elif repeated:
            out += put_column(number, value, SIZES[kind])
        elif kind == BYTES:
            out += put_bytes(number, value.encode()) if value else b""
        elif kind == VARINT:
            out += put_varint(number, value)
        else:
            out += put_fixed(number, value, SIZES[kind])
    return out


def encode_frame(frame):
    return encode_message(frame, FRAME)


def check_frame(frame, terms, cycle):
    """Raises Refused where the frame must not be used. `cycle`: the receiver's."""
    rows = len(frame["halo_row"])
    if frame["shard_id"] >= terms["shards"]:
        raise Refused("unknown_shard")
    if len(frame["total_uvu"]) != terms["value_slots"]:
        raise Refused("wrong_dimension")
    if frame["cycle_id"] > cycle + CYCLES_AHEAD:
        raise Refused("future_cycle")
    if any(len(frame[c]) != rows for c in ("published_cycle", "drift_weight", "entropy")):
        raise Refused("column_lengths")
    if len(frame["diff"]) != rows * (terms["value_slots"] + terms["free_coordinates"]):
        raise Refused("wrong_dimension")
    if len(frame["bucket_digest"]) not in (0, BUCKETS):
        raise Refused("column_lengths")
    if frame["news_to"] < frame["news_from"]:
        raise Refused("bad_entry")
    if len(frame["held_range"]) % 2 != 0:
        raise Refused("column_lengths")
    if frame["held_range"] != sorted(frame["held_range"]):
        raise Refused("bad_entry")
    if any(row >= terms["halo_rows"] for row in frame["halo_row"]):
        raise Refused("unknown_halo_row")
    if any(published > frame["cycle_id"] for published in frame["published_cycle"]):
        raise Refused("future_cycle")
    if any(not abs(float_of(bits)) <= DISTANCE_MAX for bits in frame["diff"]):
        raise Refused("not_finite")


# ---- Ledger ---------------------------------------------------------------------------------------------------------

VU = 1_000_000
ENTRY_MAX_UVU = 2**56


def entry_hash(high, low, opened, amounts):
    h = mix(low ^ mix(high)) ^ mix(opened + 0x9E3779B97F4A7C15 & MASK64)
    for amount in amounts:
        h = mix(h + amount & MASK64)
    return h


def may_have_earned(cycles):
    return 1000 * VU + 10 * VU * min(cycles, 36_000)


class Ledger:
    """One shard's ledger. Every change has a number, from 1 on."""

    def __init__(self, value_slots):
        self.slots = value_slots
        self.entries = {}  # (high, low): (opened cycle, amounts)
        self.changed = {}  # (high, low): number of its last change
        self.buckets = [0] * BUCKETS
        self.version = 0

    def join(self, entry, cycle):
        """"opened", "grew", "nothing", or the reason of a refusal."""
        session = (entry["session_high"], entry["session_low"])
        opened, amounts = entry["opened_cycle"], list(entry["amount_uvu"])
        if opened > cycle + CYCLES_AHEAD or max(amounts) > ENTRY_MAX_UVU:
            return "bad_entry"
        if max(amounts) == 0:
            return "nothing"
        if max(amounts) > may_have_earned(max(0, cycle - opened)):
            return "rate_exceeded"
        before = self.entries.get(session)
        if before is not None:
            opened = min(opened, before[0])
            amounts = [max(a, b) for a, b in zip(amounts, before[1])]
        if before == (opened, amounts):
            return "nothing"
        if before is not None:
            self.lose(session)
        self.entries[session] = (opened, amounts)
        self.buckets[session[1] % BUCKETS] += entry_hash(*session, opened, amounts)
        self.version += 1
        self.changed[session] = self.version
        return "opened" if before is None else "grew"

    def lose(self, session):
        """Forgets an entry, as no ledger may: a fault, or the first half of a change."""
        opened, amounts = self.entries.pop(session)
        del self.changed[session]
        self.buckets[session[1] % BUCKETS] -= entry_hash(*session, opened, amounts)

    def changes(self, after, most):
        """Entries that changed after change `after`, oldest first, and the change that they reach up to."""
        sessions = sorted((n, s) for s, n in self.changed.items() if n > after)
        reach = self.version if len(sessions) <= most else sessions[most][0] - 1
        return [self.entry(s) for _, s in sessions[:most]], reach

    def entry(self, session):
        opened, amounts = self.entries[session]
        return {"session_high": session[0], "session_low": session[1], "opened_cycle": opened,
                "amount_uvu": list(amounts)}

    def bucket_digests(self):
        return [bucket & MASK64 for bucket in self.buckets]

    def digest(self):
        digest = 0
        for bucket in self.bucket_digests():
            digest = mix(digest ^ bucket)
        return digest

    def totals(self):
        return [sum(amounts[s] for _, amounts in self.entries.values()) for s in range(self.slots)]


# ---- The far end of a link, for one shard ---------------------------------------------------------------------------

NEWS_MAX = 512  # entries of news in one frame


class FarEnd:
    """What a receiver keeps of one link and shard."""

    def __init__(self, asks=False):
        self.session = (0, 0)  # none yet
        self.newest = 0        # cycle of its newest frame
        self.merged = 0        # change of its ledger up to which all is held here
        self.asks = asks       # for everything, until all that it has is here

    def take(self, frame, ledger, own_session_low, cycle):
        """"new_session", "newest", "late" or "replayed"."""
        session = (frame["session_high"], frame["session_low"])
        fresh = session != self.session
        if fresh:
            if frame["cycle_id"] <= self.newest:
                return "replayed"
            self.session, self.newest, self.merged = session, 0, 0
        refused = [ledger.join(entry, cycle) not in ("opened", "grew", "nothing") for entry in frame["entries"]]
        if not any(refused) and frame["acknowledged_session_low"] == own_session_low:
            if frame["news_from"] <= self.merged:
                self.merged = max(self.merged, frame["news_to"])
            if frame["news_all"] != 0 and self.merged >= frame["news_all"]:
                self.asks = False
            if frame["news_all"] == 0 and frame["news_from"] == 0:
                self.asks = False  # it has nothing, or tells the rest by itself
        if self.asks and frame["ledger_digest"] == ledger.digest():
            self.merged = max(self.merged, frame["news_to"], frame["news_all"])
            self.asks = False
        if frame["cycle_id"] <= self.newest:
            return "late"
        self.newest = frame["cycle_id"]
        return "new_session" if fresh else "newest"


# ---- Placement ------------------------------------------------------------------------------------------------------


def rendezvous_weight(session, shard):
    return mix(session ^ mix(0x51ED270B9F9F4A15 + shard & MASK64))


def shards_held(session, shards, held):
    return sorted(range(shards), key=lambda s: (rendezvous_weight(session, s), s), reverse=True)[:held]


def repairer(shard, candidates):
    return max(range(len(candidates)), key=lambda n: (rendezvous_weight(candidates[n], shard), -n))


# ---- Entropy --------------------------------------------------------------------------------------------------------


def entropy_bytes(word):
    """Four bytes, each uniform on -111..111, as one word."""
    out = 0
    for shift in (0, 8, 16, 24):
        byte = word >> shift & 0xFF
        out |= ((byte * 223 >> 8) - 111 & 0xFF) << shift
    return out


def entropy_word(seed, row, cycle):
    seed32 = mix(seed) & MASK32 | 1
    return entropy_bytes(mix32(row * 0x9E3779B1 + (seed32 ^ cycle * 0x85EBCA77 & MASK32) & MASK32))


def signed(byte):
    return byte - 256 if byte >= 128 else byte


def components(word, dimensions):
    """Steps of 1/64 standard deviation."""
    steps = []
    for c in range(dimensions):
        if c > 0 and c % 4 == 0:
            word = mix32(word)
        bytes_now = word if c < 4 else entropy_bytes(word)
        steps.append(signed(bytes_now >> 8 * (c % 4) & 0xFF))
    return steps


def is_saturated(word):
    return any(not -120 <= signed(word >> shift & 0xFF) <= 119 for shift in (0, 8, 16, 24))


def slot_hash(word):
    return (word * 0x9E3779B1 & MASK32) >> 27


class LinkEntropy:
    """The health of the entropy words of one link and shard (NIST SP 800-90B 4.4, H = 7 bits, alpha = 2^-30)."""

    REPETITION = 6
    PROPORTION = 23
    WINDOW = 512
    START_UP = 1024

    def __init__(self):
        self.last, self.run = None, 0
        self.first, self.seen, self.count = None, 0, 0
        self.passed, self.fault = 0, False

    def add(self, byte):
        self.run = min(self.run + 1, self.REPETITION) if byte == self.last else 1
        self.last = byte
        if self.seen == 0:
            self.first, self.count = byte, 0
        self.count += byte == self.first
        self.seen = (self.seen + 1) % self.WINDOW
        if self.run >= self.REPETITION or self.count >= self.PROPORTION:
            self.fault, self.passed = True, 0
        elif self.passed < self.START_UP:
            self.passed += 1
            if self.passed == self.START_UP:
                self.fault = False

    def take(self, word):
        for shift in (0, 8, 16, 24):
            self.add(word >> shift & 0xFF)
        return not self.fault


# ---- One cycle of one replica ---------------------------------------------------------------------------------------

ALPHA, BETA, W0, C, C_FREE = f32(0.02), f32(0.9), f32(8), f32(3), f32(1)
SHRINK, GROW, KAPPA, NEAR_LEAST = f32(0.3), f32(1.05), f32(0.97), f32(0.75)
STRIKE, STRIKE_TAU, STRIKE_RANGE = f32(1.5), f32(4), f32(0.1)
RANGE = f32(200)
BAND_DECAY, BAND_LEAST = f32(0.9), f32(1e-6)
BOUND_LEAST = f32(1e-4)
PUBLISH, NEWS_VALUE, NEWS_FREE = f32(0.05), f32(1e-4), f32(3.2e-5)
HEARTBEAT = 60


def clip(x, tau):
    return max(-tau, min(tau, x))


def for_median(distance):
    return float_of(bits_of(distance) & ~0xFF)


def weighted_median(distances, weights):
    ordered = sorted((for_median(d), w) for d, w in zip(distances, weights) if w > 0)
    so_far = 0
    for distance, weight in ordered:
        so_far += weight
        if 2 * so_far >= sum(weights):
            return distance
    return 0.0


def new_bound(tau, slow, wanted, heard):
    if heard:
        tau = min(max(wanted, f32(SHRINK * tau)), max(f32(GROW * tau), slow))
    return max(tau, BOUND_LEAST)


def low_power_turn(row, cycle):
    return (row // 16 + cycle) % 4 == 0


def packet_turn(row, cycle):
    phase = row + cycle & MASK32
    return phase + phase // 4 & 3 == 0


def receive(slot, said, v, k, cycle):
    """Steps 1 and 2 for one slot. None where nothing counts; otherwise what was heard. Mends the slot's hash and run."""
    age = cycle - said["published"] & 0xFFFF
    if age > SILENCE_CYCLES:
        return None, ["stale"]
    difference = []
    for x, own in zip(said["state"], v):
        if not math.isfinite(x) or abs(f32(x - own)) > DISTANCE_MAX:
            return None, ["not_finite"]
        difference.append(f32(x - own))
    heard = {"d": difference, "value": max(abs(d) for d in difference[:k]),
             "free": max((abs(d) for d in difference[k:]), default=0.0),
             "weight": slot["trust"] * (said["weight"] + 1) >> 8, "bad": False, "word": None}
    refused = []
    if age == 1 and said["packet"] is not None:
        own_hash = slot_hash(said["packet"])
        slot["run"] = min(slot["run"] + 1, 7) if own_hash == slot["hash"] else 1
        slot["hash"] = own_hash
        if slot["run"] >= 7:
            refused.append("entropy_repeated")
        if is_saturated(said["packet"]):
            refused.append("entropy_saturated")
        heard["bad"] = bool(refused)
        if not refused:
            heard["word"] = said["packet"]
    return heard, refused


def step(k, replica, own, heard, row, cycle, seed, floor, apart):
    """One cycle of one replica: changes `replica` and `own`, its last publication. Returns the refusals. `apart`: a server
    node is missing."""
    v, slots = replica["state"], replica["slots"]
    dims = len(v)
    if replica["low_power"] and not low_power_turn(row, cycle):
        return []

    # 1. Receive, 2. Weigh.
    refused, links = [], []
    for slot, said in zip(slots, heard):
        link, why = receive(slot, said, v, k, cycle) if said is not None else (None, [])
        links.append(link)
        refused += why
    weights = [link["weight"] if link else 0 for link in links]
    total = sum(weights)
    words = [link["word"] for link in links if link and link["word"] is not None]
    e = [sum(components(word, dims)[c] for word in words) for c in range(dims)]
    from_home = max(abs(x) for x in v[:k])

    # 3. Bound.
    def median(group):
        return weighted_median([link[group] if link else 0.0 for link in links], weights)
    slow = replica["slow_free"]
    wanted = max(f32(C * median("value")), from_home)
    replica["tau_value"] = new_bound(replica["tau_value"], 0.0, wanted, total > 0)
    replica["tau_free"] = new_bound(replica["tau_free"], slow, f32(C_FREE * median("free")), total > 0)
    replica["slow_free"] = max(f32(KAPPA * slow) if total > 0 and not apart else slow, replica["tau_free"])
    tau = [replica["tau_value"]] * k + [replica["tau_free"]] * (dims - k)

    # 4. Trust.
    lenient = min(f32(STRIKE_TAU * replica["tau_free"]), f32(STRIKE_RANGE * RANGE))
    strike_free = f32(STRIKE * max(replica["slow_free"], lenient))
    for slot, link, weight in zip(slots, links, weights):
        if weight == 0:
            continue
        far = link["value"] > max(f32(STRIKE * replica["tau_value"]), from_home)
        far = far or link["free"] > strike_free
        slot["trust"] = 205 * slot["trust"] >> 8 if far or link["bad"] else min(255, slot["trust"] + 5)

    # 5. Drift.
    home_weight = f32(255 * W0)
    free_weights = [w if w > 0 and link["free"] <= strike_free else 0
                    for link, w in zip(links, weights)]
    voices = {"value": weights, "free": free_weights}
    near_weight = sum(w for link, w in zip(links, free_weights)
                      if w > 0 and for_median(link["free"]) <= replica["tau_free"])
    free_divisor = max(float(near_weight), f32(NEAR_LEAST * max(sum(free_weights), 1)))
    noise = f32(f32(ALPHA / 64) / f32(math.sqrt(max(len(words), 1))))
    sigma = {}
    for group, bound in (("value", replica["tau_value"]), ("free", replica["tau_free"])):
        spread = 0.0
        for link, weight in zip(links, voices[group]):
            if weight > 0:
                spread = f32(spread + f32(weight * min(link[group], bound)))
        sigma[group] = f32(spread / max(sum(voices[group]), 1))
    replica["band"] = max(f32(BAND_DECAY * replica["band"]), BAND_LEAST)
    for c in range(dims):
        drawn = 0.0
        group = "value" if c < k else "free"
        for link, weight in zip(links, voices[group]):
            if weight > 0:
                drawn = f32(drawn + f32(weight * clip(link["d"][c], tau[c])))
        if c < k:
            drawn = f32(f32(drawn + f32(home_weight * clip(-v[c], tau[c]))) / f32(total + home_weight))
        else:
            drawn = f32(drawn / free_divisor)
        correction = f32(f32(BETA * drawn) + f32(f32(noise * sigma[group]) * e[c]))

        # 6. VaultGuard.
        v[c] = f32(v[c] + clip(correction, tau[c]))
        if c < k:
            v[c] = clip(max(v[c], floor[c]), replica["band"])
        else:
            v[c] = min(max(v[c], 0.0), RANGE)

    # 7. Publish.
    least = [max(f32(PUBLISH * t), NEWS_VALUE if c < k else NEWS_FREE) for c, t in enumerate(tau)]
    moved = any(not abs(f32(now - said)) <= most for now, said, most in zip(v, own["state"], least))
    if moved or replica["fresh"] or cycle - own["published"] & 0xFFFF >= HEARTBEAT:
        own["state"], own["published"], own["packet"] = list(v), cycle, None
        if replica["fresh"] or moved and packet_turn(row, cycle):
            own["packet"] = entropy_word(seed, row, cycle)
    return refused
