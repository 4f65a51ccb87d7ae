# SPDX-License-Identifier: BSD-3-Clause
"""The ledger's file, read by its definition (control/ledger_format.h) and by nothing of Weir's."""

import hashlib
import json
import struct
from pathlib import Path

GRANTS_ROOM = 102_400
STATE_ROOM = 18_124_800
FILE_BYTES = 2 * (GRANTS_ROOM + STATE_ROOM)
STATE, GRANTS = 1, 2
NAMES = {STATE: "STATE", GRANTS: "GRANTS"}
WITNESSES = ["none", "file", "tpm"]
# Where each slot lies: place, room, kind, parity of its sequences.
SLOTS = [(0, GRANTS_ROOM, GRANTS, 0), (GRANTS_ROOM, GRANTS_ROOM, GRANTS, 1),
         (2 * GRANTS_ROOM, STATE_ROOM, STATE, 0), (2 * GRANTS_ROOM + STATE_ROOM, STATE_ROOM, STATE, 1)]

# What refuses the whole file, whatever the other slots say.
FATAL = {"of an unknown version or algorithm", "of another ledger", "made with another key",
         "with a wrong MAC"}


class Key:
    def __init__(self, path: Path) -> None:
        told = json.loads(Path(path).read_text())
        self.appliance = told["appliance"]
        self.identity = bytes.fromhex(told["identity"])
        self.key = bytes.fromhex(told["key"])
        self.id = hashlib.blake2b(self.key, digest_size=16, person=b"weir-ledger-keyi").digest()


def mac_of(record: bytes, key: Key) -> bytes:
    return hashlib.blake2b(record[:192] + record[256:], digest_size=32, key=key.key,
                           person=b"weir-ledger-mac2").digest()


def sum_of(record: bytes) -> bytes:
    return hashlib.blake2b(record[:224] + record[256:], digest_size=32,
                           person=b"weir-ledger-sum2").digest()


def seal(record: bytes, key: Key | None) -> bytes:
    """The record with both sums right; without a key, the checksum alone."""
    if key is not None:
        record = record[:192] + mac_of(record, key) + record[224:]
    return record[:224] + sum_of(record) + record[256:]


def name_of(field: bytes) -> str | None:
    name, _, rest = field.partition(b"\0")
    good = 1 <= len(name) <= 47 and all(0x20 <= byte <= 0x7E for byte in name) and not any(rest)
    return name.decode("ascii") if good else None


class Record:
    """A record and its verdict, in the words of weirctl."""

    def __init__(self, slot: bytes | memoryview, kind: int, parity: int, key: Key | None) -> None:
        self.kind = kind
        self.whole = False
        self.verdict = self.read(slot, kind, parity, key)

    def read(self, slot: bytes | memoryview, kind: int, parity: int, key: Key | None) -> str:
        if not any(slot[:256]):
            return "blank"
        if slot[:8] != b"WEIRLDGR":
            return "not a record"
        version, kind_told, self.sequence, length, algorithm = struct.unpack_from("<IIQII", slot, 8)
        if version != 2 or algorithm != 1:
            return "of an unknown version or algorithm"
        if not 256 <= length <= len(slot):
            return "of a wrong length"
        self.data = bytes(slot[:length])
        if sum_of(self.data) != slot[224:256]:
            return "with a wrong checksum"
        self.identity, self.key_id = self.data[32:48], self.data[48:64]
        self.epoch, self.clock, self.peer, self.witness_value, self.witness_limit = struct.unpack_from(
            "<QQQQQ", slot, 112)
        self.witness_kind, self.count = struct.unpack_from("<II", slot, 152)
        inner = self.read_inner(kind_told, kind, parity)
        self.whole = inner == "valid"
        if key is not None:
            if self.identity != key.identity:
                return "of another ledger"
            if self.key_id != key.id:
                return "made with another key"
            if mac_of(self.data, key) != slot[192:224]:
                return "with a wrong MAC"
        return inner

    def read_inner(self, kind_told: int, kind: int, parity: int) -> str:
        if kind_told != kind:
            return "of the wrong kind"
        if self.sequence == 0 or self.sequence & 1 != parity:
            return "with a wrong sequence number"
        self.appliance = name_of(self.data[64:112])
        if self.appliance is None or self.witness_kind > 2 or self.count > 4096 or any(self.data[160:192]):
            return "with impossible contents"
        if max(self.sequence, self.epoch, self.clock, self.peer, self.witness_value) >= 1 << 63:
            return "with impossible contents"
        if self.witness_kind == 0 and (self.witness_value or self.witness_limit):
            return "with impossible contents"
        return self.read_grants() if kind == GRANTS else self.read_state()

    def read_grants(self) -> str:
        if len(self.data) != 256 + 24 * self.count:
            return "of a wrong length"
        self.grants = [struct.unpack_from("<QQQ", self.data, 256 + 24 * i) for i in range(self.count)]
        good = self.peer > 0 and all(spent <= grant <= bound for spent, grant, bound in self.grants)
        return "valid" if good else "with impossible contents"

    def read_state(self) -> str:
        self.budgets, at, bad = [], 256, "with impossible contents"
        for _ in range(self.count):
            if len(self.data) - at < 72:
                return bad
            name = name_of(self.data[at:at + 48])
            spent, n_windows, zero, forfeited = struct.unpack_from("<QIIQ", self.data, at + 48)
            if name is None or n_windows > 8 or zero or forfeited > spent or len(self.data) - at - 72 < 544 * n_windows:
                return bad
            windows = [struct.unpack_from("<QQQ65Q", self.data, at + 72 + 544 * i) for i in range(n_windows)]
            for window_ns, slot_ns, newest, *slots in windows:
                if window_ns == 0 or slot_ns != -(-window_ns // 64) or newest > self.clock // slot_ns:
                    return bad
                if sum(slots) > spent:
                    return bad
            if len({window[0] for window in windows}) != n_windows:
                return bad
            self.budgets.append({"name": name, "spent": spent, "forfeited": forfeited, "windows": windows})
            at += 72 + 544 * n_windows
        if at != len(self.data):
            return "of a wrong length"
        return bad if len({budget["name"] for budget in self.budgets}) != self.count else "valid"


def window_used(window: tuple, clock: int) -> int:
    """Bytes of the slots that count at that clock: the newest one then, and the 64 before it."""
    _, slot_ns, newest, *slots = window
    now = max(clock // slot_ns, newest)
    return sum(slots[n % 65] for n in range(max(newest - 64, 0), newest + 1) if n >= now - 64)


class File:
    """A ledger's file: the verdict of each slot, whether a start may accept it, and what it says."""

    def __init__(self, content: bytes, key: Key | None) -> None:
        self.slots: list[Record] = []
        self.refused: str | None = None
        if len(content) != FILE_BYTES:
            self.refused = "size"
            return
        for place, room, kind, parity in SLOTS:
            self.slots.append(Record(memoryview(content)[place:place + room], kind, parity, key))
        self.refused = self.judge()

    def pick(self, kind: int) -> tuple[Record | None, Record | None]:
        """The newest valid record of a kind, and the other one if that is valid too."""
        good = sorted((slot for slot in self.slots if slot.kind == kind and slot.verdict == "valid"),
                      key=lambda record: -record.sequence)
        return (good + [None, None])[0], (good + [None, None])[1]

    def judge(self) -> str | None:
        for slot in self.slots:
            if slot.verdict in FATAL:
                return slot.verdict
        (grants, older), (state, older_state) = self.pick(GRANTS), self.pick(STATE)
        if grants is None or state is None:
            return "no valid record"
        for new, old in ((grants, older), (state, older_state)):
            if old is None:
                continue
            if new.sequence != old.sequence + 1:
                return "contradiction"
            names = ["epoch", "clock", "witness_value", "count"] + ["peer"] * (new.epoch == old.epoch)
            if any(getattr(new, name) < getattr(old, name) for name in names):
                return "contradiction"
        known = [record for record in (grants, older, state, older_state) if record is not None]
        if len({(r.identity, r.key_id, r.appliance, r.witness_kind) for r in known}) != 1:
            return "contradiction"
        by_bounds = (older is None or older.epoch != grants.epoch or state.epoch > grants.epoch
                     or grants.witness_kind != 0)
        self.granted = self.charge(grants, older, [budget["spent"] for budget in state.budgets], by_bounds)
        if self.granted is None:
            return "contradiction"
        if grants.sequence < state.peer - (1 if older is None else 0) or state.sequence < grants.peer:
            return "lost"
        if state.epoch < grants.epoch:
            return "lost"
        if grants.count > state.count:
            return "contradiction"
        self.granted += [0] * (state.count - grants.count)
        if state.epoch > grants.epoch:
            self.granted = [max(budget["spent"], granted)
                            for budget, granted in zip(state.budgets, self.granted)]
        if any(budget["spent"] > granted for budget, granted in zip(state.budgets, self.granted)):
            return "contradiction"
        self.grants, self.state = grants, state
        return None

    @staticmethod
    def charge(grants: Record, older: Record | None, stated: list[int],
               by_bounds: bool) -> list[int] | None:
        """What is charged to each budget; None where the older record contradicts."""
        if older is not None:
            before = older.grants + [(0, 0, 0)] * (grants.count - older.count)
            stated = (stated if older.epoch != grants.epoch else []) + [0] * grants.count
            for (spent, grant, _), (spent_before, _, bound_before), told in zip(grants.grants, before, stated):
                if grant > max(bound_before, told) or spent < spent_before:
                    return None
        return [bound if by_bounds else grant for _, grant, bound in grants.grants]

    def told(self) -> dict:
        """The members that weirctl --json ledger show has for it."""
        grants, state = self.grants, self.state
        clock = max(grants.clock, state.clock)
        spent = [spent for spent, _, _ in grants.grants] + [0] * (state.count - grants.count)
        return {
            "appliance": grants.appliance, "identity": grants.identity.hex(),
            "epoch": max(grants.epoch, state.epoch), "clock_ns": clock,
            "witness": {"kind": WITNESSES[grants.witness_kind], "value": grants.witness_value,
                        "limit_bytes": grants.witness_limit},
            "budgets": [{
                "name": budget["name"], "charged_bytes": max(spent[i], budget["spent"]),
                "granted_bytes": self.granted[i], "forfeited_bytes": budget["forfeited"],
                "windows": [{"window_ns": window[0],
                             "used_bytes": window_used(window, clock) + self.granted[i] - budget["spent"]}
                            for window in budget["windows"]],
            } for i, budget in enumerate(state.budgets)],
        }


def as_json(told):
    """With what is above signed numbers as the largest of them, as weirctl has it."""
    if isinstance(told, dict):
        return {name: as_json(value) for name, value in told.items()}
    if isinstance(told, list):
        return [as_json(value) for value in told]
    return min(told, 2**63 - 1) if isinstance(told, int) else told


def read(path: Path, key_path: Path | None = None) -> File:
    return File(Path(path).read_bytes(), Key(key_path) if key_path is not None else None)
