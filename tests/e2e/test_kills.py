# SPDX-License-Identifier: BSD-3-Clause
"""A storm of kill -9: nothing is sent twice, nothing is forgotten, little is lost, whenever it hits.

WEIR_KILLS says how many (a campaign takes 300), WEIR_SEED which ones.
"""

import hashlib
import os
import random
import re
import signal
import socket
import statistics
import struct
import time
from pathlib import Path
from typing import NamedTuple

import lab as laboratory
from slow_disk import SlowDisk

KILLS = int(os.environ.get("WEIR_KILLS", "12"))
FRAME_BYTES = 1442
LARGEST = laboratory.wire_bytes(FRAME_BYTES)
RATE_BIT_S = 400_000_000
BURST_BYTES = 1_000_000
# What the class can use in 100 ms, and its burst: the documented size of a grant. Said in the policy
# as well, or a slow disk would make grants larger.
GRANT_BYTES = RATE_BIT_S // 8 // 10 + BURST_BYTES
# Where a start was killed between its two records, the bounds are charged: two grants more.
BOUND_BYTES = 3 * GRANT_BYTES
MEMORY = "128 MiB"  # a restart has to touch all of it
WAYS = ("run", "start", "apply", "stop", "twice")

POLICY = """\
ports:
  - {{name: in0, device: "net_af_packet0,iface=in0"}}
  - {{name: out0, device: "net_af_packet1,iface=out0"}}
links:
  - {{name: internet, inside: in0, outside: out0}}
budgets:
  - {{name: total, caps: [{{limit: {cap} B}}, {{limit: {cap} B, per: 1 d}}]}}
  - {{name: part, parent: total, caps: [{{limit: 1 TB}}]}} # its crashes cost it other sums: not to bind first
{more}classes:
  - {{name: bulk, budget: part, rate: {rate} bit/s, burst: {burst} B, excess: drop}}
rules:
  - {{link: internet, class: bulk}}
"""


# ---- the ledger's file, read by its format's own definition ----


class Record(NamedTuple):
    sequence: int
    epoch: int
    data: bytes


def records(content: bytes, kind: int, start: int, room: int) -> list[Record]:
    """The whole records of a kind, the newest first."""
    found = []
    for offset in (start, start + room):
        magic, version, its_kind, sequence, length = struct.unpack_from("<8sIIQI", content, offset)
        if magic != b"WEIRLDGR" or version != 2 or its_kind != kind or not 256 <= length <= room:
            continue
        data = content[offset:offset + length]
        checksum = hashlib.blake2b(data[:224] + data[256:], digest_size=32, person=b"weir-ledger-sum2")
        if checksum.digest() == data[224:256]:
            found.append(Record(sequence, struct.unpack_from("<Q", data, 112)[0], data))
    return sorted(found, reverse=True)


class Books(NamedTuple):
    charged: int  # to the root, whatever comes
    part: int  # to the budget below it: not always the same, each is granted by itself
    known: int  # of it, as spent
    forfeited: int  # ever, before the next start
    cut: bool  # the last start or a write was cut off: charged up to the bounds


def read_books(path: Path) -> Books:
    """What a start will have to charge, by what is in the file now."""
    content = path.read_bytes()
    grants, states = records(content, 2, 0, 102_400), records(content, 1, 204_800, 18_124_800)
    if len(grants[0].data) == 256:
        return Books(0, 0, 0, 0, False)  # as commissioned
    spent, grant, bound, _, part, part_bound = struct.unpack_from("<QQQQQQ", grants[0].data, 256)
    # One record alone, or a start that was cut off before both told of it: a newer one may be lost.
    cut = len(grants) == 1 or not grants[1].epoch == grants[0].epoch == states[0].epoch
    if cut:
        grant, part = bound, part_bound
    return Books(grant, part, spent, struct.unpack_from("<Q", states[0].data, 256 + 64)[0], cut)


# ---- the storm ----


def small(policy: Path) -> Path:
    policy.write_text(re.sub(r"memory: .*", f"memory: {MEMORY}", policy.read_text()))
    return policy


class Storm:
    """Lives of a Weir, one after the other, and what is known of them."""

    def __init__(self, lab: laboratory.Lab, seed: int) -> None:
        self.lab = lab
        self.random = random.Random(seed)
        self.cap = (KILLS + 2) * 25_000_000
        self.file = self.policy("policy.yaml")
        lab.commission(self.file)
        self.counter = laboratory.Counter(lab, "internet", "net0", "out0", FRAME_BYTES)
        self.ledger = lab.folder / "ledger"
        self.disk = SlowDisk(lab.folder, self.ledger)
        self.charged = 0  # to the root when the last life began
        self.part = 0  # to the budget below
        self.received = 0  # by then
        self.forfeits: list[int] = []  # said by a start, not yet known to be durable: the last one
        self.losses: list[int] = []  # charged and not received, for each kill
        self.worst = {False: 0, True: 0}  # of them, and of those that cut a start off
        self.recoveries: list[float] = []
        self.killed_at = 0.0
        self.start_s = 0.5
        self.weir: laboratory.Weir | None = None
        self.names = 0

    def policy(self, name: str, rate: int = RATE_BIT_S, more: str = "") -> Path:
        text = POLICY.format(cap=self.cap, rate=rate, burst=BURST_BYTES, more=more)
        return small(self.lab.policy(text, f"  grant_max: {GRANT_BYTES} B\n", name))

    def at_cap(self) -> bool:
        caps = laboratory.named(self.weir.status()["budgets"], "total")["caps"]
        return caps[0]["remaining_bytes"] < LARGEST

    def pause(self, most_s: float) -> None:
        time.sleep(self.random.uniform(0, most_s))

    def spawn(self, sync_ms: int) -> None:
        self.disk.order(sync_ms=sync_ms)
        self.weir = self.lab.weir(self.file, ready=False, env=self.disk.env)

    def begin(self, sync_ms: int | None = None) -> None:
        """A life that comes to forward: as soon as it does, all that was before must be charged."""
        spawned = time.monotonic()
        if sync_ms is None:
            sync_ms = self.random.choice((0, 0, 0, 20))
        self.spawn(sync_ms)
        while self.counter.wire() == self.received:
            assert self.weir.running(), self.weir.text()
            assert time.monotonic() < spawned + 60, self.weir.text()
            if "weir: ready" in self.weir.text() and self.at_cap():
                break
            time.sleep(0.001)
        now = time.monotonic()
        self.weir.wait_for("weir: ready", 60)
        self.start_s = now - spawned
        if self.killed_at and sync_ms == 0:
            self.recoveries.append(now - self.killed_at)
        self.judge_start()

    def judge_start(self) -> None:
        status = self.weir.status()
        budgets = [laboratory.named(status["budgets"], name) for name in ("total", "part")]
        for budget, charged in zip(budgets, (self.charged, self.part)):
            assert budget["charged_wire_bytes"] >= charged >= self.received, budget["name"]
        for cap in (cap for budget in budgets for cap in budget["caps"]):
            assert cap["limit_bytes"] >= cap["used_bytes"] >= self.received
        said = status["ledger"]["forfeited_bytes"]
        told = re.findall(r"ledger_forfeit: .*?(\d+) bytes", self.weir.text())
        assert told == ([str(said)] if said else []), self.weir.text()
        self.forfeits.append(said)

    def kill(self) -> None:
        """kill -9, and what must be so at once. A process that has ended by itself ended cleanly."""
        status = self.weir.end(signal.SIGKILL)
        self.killed_at = time.monotonic()
        assert status in (0, -signal.SIGKILL), self.weir.text()
        # What it sent still passes from one end of the wire to the other: its kernel holds it.
        received, books = self.counter.settled(0.02), read_books(self.ledger)
        left = received - self.received
        charged = books.charged - self.charged
        print(f"life {len(self.losses)}: {left} received, {charged} charged, {charged - left} lost, "
              f"exit status {status}{', cut off' if books.cut else ''}")
        assert 0 <= left <= charged, "sent and not charged"
        assert received <= books.charged <= self.cap
        # What is not known as spent is all that this kill can have cost.
        assert charged - left <= books.charged - books.known
        assert books.charged - books.known <= (BOUND_BYTES if books.cut else GRANT_BYTES)
        if status == 0:
            assert charged == left, "a clean stop is exact"
        self.losses.append(charged - left)
        self.worst[books.cut] = max(self.worst[books.cut], charged - left)
        self.charged, self.part, self.received = books.charged, books.part, received

    def await_state(self, most_s: float) -> None:
        """Until the next STATE record is written, of which GRANTS will be the second half."""
        end = time.monotonic() + most_s
        with open(self.ledger, "rb", buffering=0) as file:
            def headers() -> list[bytes]:
                return [os.pread(file.fileno(), 24, offset) for offset in (204_800, 18_329_600)]

            before = headers()
            while headers() == before and time.monotonic() < end and self.weir.running():
                pass

    # How a life ends.

    def run(self) -> None:
        self.begin()
        self.pause(0.4)
        self.kill()

    def start(self) -> None:
        """In the middle of the start: anywhere, or where the ledger is being written."""
        if self.random.random() < 0.3:
            self.spawn(0)
            self.pause(1.2 * self.start_s)
        else:
            self.spawn(30)  # between one record and the next
            self.await_state(60)
            self.pause(0.08)
        self.kill()

    def twice(self) -> None:
        self.run()
        self.spawn(0)
        self.pause(0.05)
        self.kill()

    def apply(self) -> None:
        """While a policy is put in force that has another rate and a budget never seen before."""
        self.begin()
        self.pause(0.1)
        self.names += 1
        path = self.policy("other.yaml", RATE_BIT_S // 2,
                           f"  - {{name: new{self.names}, parent: total, caps: [{{limit: 1 GB, per: 1 h}}]}}\n")
        body = path.read_bytes()
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.lab.folder / "control.sock"))
            link.sendall(b"POST /v1/policy HTTP/1.1\r\nHost: weir\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            if self.random.random() < 0.5:
                self.pause(0.03)
            else:
                self.await_state(1)
                self.pause(0.03)
            self.kill()

    def stop(self) -> None:
        """While a clean stop is under way, or after it."""
        self.begin()
        self.pause(0.2)
        self.weir.child.send_signal(signal.SIGTERM)
        self.pause(0.25)
        self.kill()

    def finish(self) -> None:
        """A last life, to the cap, and a clean stop; its start is timed, as few others may have been."""
        self.begin(sync_ms=0)
        self.weir.wait_status(lambda status: laboratory.named(status["budgets"], "total")["caps"][0]
                              ["remaining_bytes"] < LARGEST, 60 + self.cap / (RATE_BIT_S / 8) * 4)
        time.sleep(0.3)
        self.weir.stop()
        received, books = self.counter.settled(), read_books(self.ledger)
        assert received - self.received == books.charged - self.charged, "to the byte"
        assert self.cap - LARGEST < books.charged <= self.cap
        assert books.known == books.charged
        # Nothing is lost but what the starts have said, and they say all that can be lost.
        lost = books.charged - received
        assert lost == sum(self.losses)
        assert lost <= books.forfeited <= books.charged
        assert sum(self.forfeits) <= books.forfeited
        self.charged, self.part, self.received = books.charged, books.part, received


def test_storm_of_kills(pair):
    seed = int(os.environ.get("WEIR_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"WEIR_SEED={seed}")
    storm = Storm(pair, seed)
    # Each way comes up, in any order, then as chance has it.
    ways = list(WAYS)
    storm.random.shuffle(ways)
    flood = laboratory.Flood(pair, "datacenter", "dc0", rate=RATE_BIT_S * 5 // 4, bytes=FRAME_BYTES,
                             seconds=3600)
    while len(storm.losses) < KILLS:
        getattr(storm, ways.pop() if ways else storm.random.choice(WAYS))()
    kills = len(storm.losses)
    storm.finish()
    flood.end()
    laboratory.measured(
        f"{kills} kills under flood, seed {seed}: cap {storm.cap}, received {storm.received}, charged "
        f"{storm.charged}: {storm.charged - storm.received} forfeited, at most {storm.worst[False]} of "
        f"{GRANT_BYTES} a kill, {storm.worst[True]} of {BOUND_BYTES} where it cut a start off; kill to forwarding: median "
        f"{statistics.median(storm.recoveries):.2f} s, worst {max(storm.recoveries):.2f} s")
    assert statistics.median(storm.recoveries) < 3


def test_clean_restart(pair):
    """Stop, start, forwarding again: how long it takes, and that it costs nothing."""
    policy = small(pair.pair_policy("100 Mbit/s", "64 KB"))
    pair.commission(policy)
    counter = laboratory.Counter(pair, "internet", "net0", "out0", FRAME_BYTES)
    laboratory.Flood(pair, "datacenter", "dc0", rate=150_000_000, bytes=FRAME_BYTES, seconds=600)
    received, took = 0, []
    weir: laboratory.Weir | None = None
    for _ in range(4):
        asked = time.monotonic()
        if weir is not None:
            weir.stop()
            received = counter.settled()
            charged, = re.findall(r"^weir: budget total: charged (\d+) B", weir.text(), re.MULTILINE)
            assert int(charged) == received
        weir = pair.weir(policy, ready=False)
        while counter.wire() == received:
            assert weir.running() and time.monotonic() < asked + 60, weir.text()
            time.sleep(0.001)
        took.append(time.monotonic() - asked)
        weir.wait_for("weir: ready", 60)
        time.sleep(0.3)
        received = counter.wire()
    weir.stop()
    laboratory.measured(f"clean stop, start, forwarding: {', '.join(f'{time_s:.2f}' for time_s in took[1:])} s")
    assert statistics.median(took[1:]) < 3
