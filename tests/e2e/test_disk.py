# SPDX-License-Identifier: BSD-3-Clause
"""The ledger's disk: slow, full, read-only, failing. What then leaves is judged by the receiver."""

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator

import lab as laboratory
import pytest
from slow_disk import SlowDisk

FRAME_BYTES = 1442
LARGEST = laboratory.wire_bytes(FRAME_BYTES)


class Box:
    """A Weir between the usual two hosts, and the count at the receiver."""

    def __init__(self, lab: laboratory.Lab, rate_bit_s: int, burst: str = "2 MB", cap: str = "1 TB",
                 appliance: str = "", ledger: str = "", **options) -> None:
        self.lab = lab
        self.options = options
        self.rate_bit_s = rate_bit_s
        self.policy = lab.pair_policy(f"{rate_bit_s} bit/s", burst, "drop", caps=f"{{limit: {cap}}}",
                                      appliance=appliance)
        if ledger:
            text = self.policy.read_text()
            self.policy.write_text(text.replace(f"ledger: {lab.folder}/ledger", f"ledger: {ledger}"))
        self.counter = laboratory.Counter(lab, "internet", "net0", "out0", FRAME_BYTES)
        self.weir: laboratory.Weir | None = None

    def commission(self) -> None:
        laboratory.run(*self.options.get("within", ()), laboratory.BUILD / "weir", "--commission", self.policy)

    def start(self) -> None:
        self.weir = self.lab.weir(self.policy, **self.options)

    def flood(self, seconds: float = 3600, share: float = 1.25) -> laboratory.Flood:
        return laboratory.Flood(self.lab, "datacenter", "dc0", rate=int(self.rate_bit_s * share),
                                bytes=FRAME_BYTES, seconds=seconds)

    def rate(self, seconds: float) -> float:
        """Wire bits per second that arrive."""
        before, started = self.counter.wire(), time.monotonic()
        time.sleep(seconds)
        return (self.counter.wire() - before) * 8 / (time.monotonic() - started)

    def ledger(self) -> dict:
        return self.weir.status()["ledger"]

    def total(self) -> dict:
        return laboratory.named(self.weir.status()["budgets"], "total")

    def dropped(self, reason: str) -> int:
        link = laboratory.named(self.weir.status()["links"], "internet")
        return link["egress"]["dropped"].get(reason, 0)

    def stop(self) -> None:
        """A clean stop, and the ledger's last word to the byte."""
        self.weir.stop()
        charged, = re.findall(r"^weir: budget total: charged (\d+) B", self.weir.text(), re.MULTILINE)
        assert int(charged) == self.counter.settled()

    def forwards(self) -> None:
        """Waits until frames arrive."""
        before, end = self.counter.wire(), time.monotonic() + laboratory.PATIENCE_S
        while self.counter.wire() == before:
            assert time.monotonic() < end, self.weir.text()
            time.sleep(0.01)


# ---- full, read-only ----


class Mount:
    """A small file system that only this test's processes see, and that ends with them."""

    def __init__(self, lab: laboratory.Lab, kind: str) -> None:
        self.place = lab.folder / "disk"
        self.place.mkdir()
        image = lab.folder / "image"
        if kind == "ext4":
            with image.open("wb") as file:
                file.truncate(64 << 20)
            laboratory.run("mkfs.ext4", "-q", "-m", "0", image)
            mount = ["mount", "-o", "loop,errors=remount-ro", image, self.place]
        else:
            mount = ["mount", "-t", "tmpfs", "-o", "size=48M", "weir", self.place]
        # A namespace of mounts that a process holds, which ends with this one.
        self.holder = laboratory.Process(
            ["unshare", "--mount", "--propagation", "slave", "setpriv", "--pdeathsig", "KILL", "sh", "-c",
             f"{' '.join(map(str, mount))} && echo mounted && exec sleep infinity"], lab.folder / "mount.log")
        lab.processes.append(self.holder)
        self.holder.wait_for("mounted", laboratory.PATIENCE_S)
        self.within = ("nsenter", "--mount", "--root", "--target", self.holder.child.pid)
        self.path = Path(f"/proc/{self.holder.child.pid}/root{self.place}")

    def device(self) -> str:
        """Of what is mounted there: loop0."""
        mounts = Path(f"/proc/{self.holder.child.pid}/mounts").read_text()
        return re.search(rf"^/dev/(\S+) {self.place} ", mounts, re.MULTILINE)[1]

    def fill(self) -> int:
        """To the last byte. Returns how many there were."""
        filled = 0
        with open(self.path / "full", "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filled += file.write(bytes(size))
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())
        with pytest.raises(OSError, match="No space left"):
            (self.path / "more").write_bytes(b"x" * 4096)
        return filled


@contextlib.contextmanager
def mounted(lab: laboratory.Lab, kind: str) -> Iterator[Mount]:
    disk = Mount(lab, kind)
    try:
        yield disk
    finally:
        for process in reversed(lab.processes):  # those that have files open there
            if isinstance(process, laboratory.Weir) and process.running():
                process.end(signal.SIGKILL)
        disk.holder.end(signal.SIGKILL)


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_full_disk(pair, kind):
    """Filled to the last byte under traffic: the ledger's room was taken at commissioning."""
    with mounted(pair, kind) as disk:
        box = Box(pair, 200_000_000, ledger=str(disk.place / "ledger"), within=disk.within)
        box.commission()
        box.start()
        box.flood()
        box.forwards()
        filled = disk.fill()
        assert filled > 1 << 20
        syncs, received = box.ledger()["syncs"], box.counter.wire()
        end = time.monotonic() + laboratory.PATIENCE_S
        while box.ledger()["syncs"] < syncs + 20 or box.counter.wire() < received + 40_000_000:
            assert time.monotonic() < end, box.weir.text()
            time.sleep(0.1)
        # Filling it kept the disk busy, and so its syncs; but none failed, and traffic goes on.
        assert box.ledger()["failed"] is False and box.weir.status()["state"] == "running"
        # A new budget is a longer record, and a window makes it move: in room that is there already.
        text = box.policy.read_text()
        more = text.replace("classes:", "  - {name: more, parent: total, caps: [{limit: 1 GB, per: 1 h}]}\nclasses:")
        assert box.weir.request("POST", "/v1/policy", more.encode())[0] == 200
        box.stop()
        box.start()
        assert box.total()["charged_wire_bytes"] >= received
        box.forwards()
        box.stop()
        laboratory.measured(f"{kind} full under traffic after {filled} bytes: {box.counter.wire()} bytes received and "
                            "charged")


# ---- failing ----


def judge_failure(box: Box, before: int, largest_grant: int) -> int:
    """What must be so once the ledger has failed; before: a count taken after that moment."""
    status = box.weir.wait_status(lambda now: now["state"] == "ledger_failed")
    assert status["ledger"]["failed"] is True
    dropped = box.dropped("ledger")
    end = time.monotonic() + laboratory.PATIENCE_S
    while box.dropped("ledger") < dropped + 1000:  # what was granted is used up
        assert time.monotonic() < end, box.weir.text()
        time.sleep(0.02)
    stopped = box.counter.settled()
    assert stopped - before <= largest_grant
    granted = box.total()["granted_wire_bytes"]
    assert stopped <= granted, "more than is durable"
    assert re.search(r"^weir: alarm: ledger_failed: ", box.weir.text(), re.MULTILINE), box.weir.text()
    time.sleep(0.5)
    assert box.counter.wire() == stopped, "egress goes on"
    # It can still be asked, refuses what it can't record, and stays failed.
    done = laboratory.run(laboratory.BUILD / "weirctl", "--socket", box.lab.folder / "control.sock", "status", check=False)
    assert done.returncode == 0 and "ledger" in done.stdout, done.stdout
    code, answer = box.weir.request("POST", "/v1/policy", box.policy.read_bytes())
    assert code == 503 and "ledger" in json.loads(answer)["error"]
    return stopped


def judge_resumption(box: Box, stopped: int, cap: int) -> None:
    """The fault is gone: a restart goes on where the ledger is, and the cap holds over both runs."""
    assert box.weir.end(signal.SIGTERM) == 1, box.weir.text()
    assert box.counter.settled() == stopped
    box.start()
    charged = box.total()["charged_wire_bytes"]
    assert charged >= stopped
    box.forwards()
    box.weir.wait_status(lambda now: laboratory.named(now["budgets"], "total")["caps"][0]["remaining_bytes"]
                         < LARGEST, 60)
    box.weir.stop()
    received = box.counter.settled()
    assert cap - LARGEST - (charged - stopped) < received <= cap


FAULTS = [f"{call} {error} {after} {times}" for call in ("write", "sync")
          for error, after, times in (("ENOSPC", 0, 0), ("EROFS", 3, 0), ("EIO", 0, 1))]


@pytest.mark.parametrize("fault", FAULTS)
def test_failing_disk(pair, fault):
    """ENOSPC, EROFS, EIO; for ever, later, or just once: a sync that failed is never tried again."""
    cap, largest_grant = 60_000_000, 3_000_000
    disk = SlowDisk(pair.folder, pair.folder / "ledger")
    box = Box(pair, 200_000_000, "500 KB", f"{cap} B", f"  grant_max: {largest_grant} B\n", env=disk.env)
    box.commission()
    box.start()
    box.flood()
    box.forwards()
    time.sleep(0.5)
    disk.order(fail=fault)
    end = time.monotonic() + laboratory.PATIENCE_S
    while not disk.mark.exists():
        assert time.monotonic() < end, box.weir.text()
    before = box.counter.wire()
    stopped = judge_failure(box, before, largest_grant)
    assert os.strerror(getattr(errno, fault.split()[1])) in box.weir.text()
    laboratory.measured(f"{fault.split()[1]} at {fault.split()[0]}: {stopped - before} bytes arrived after it, of "
                        f"at most {largest_grant} granted")
    disk.order()
    judge_resumption(box, stopped, cap)


def test_read_only_disk(pair):
    """For real: the kernel makes the file system read-only under the ledger, as it does on an error."""
    cap, largest_grant = 60_000_000, 3_000_000
    with mounted(pair, "ext4") as disk:
        trigger = Path(f"/sys/fs/ext4/{disk.device()}/trigger_fs_error")
        box = Box(pair, 200_000_000, "500 KB", f"{cap} B", f"  grant_max: {largest_grant} B\n",
                  ledger=str(disk.place / "ledger"), within=disk.within)
        box.commission()
        box.start()
        box.flood()
        box.forwards()
        time.sleep(0.5)
        trigger.write_text("weir's test")
        before = box.counter.wire()
        stopped = judge_failure(box, before, largest_grant)
        assert "Read-only file system" in box.weir.text()
        laboratory.measured(f"file system made read-only: {stopped - before} bytes arrived after it, of at most "
                            f"{largest_grant} granted")
        # Weir lets go of it, then it is mounted anew.
        assert box.weir.end(signal.SIGTERM) == 1
        laboratory.run(*disk.within, "umount", disk.place)
        subprocess.run(["e2fsck", "-fy", str(pair.folder / "image")], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False)
        laboratory.run(*disk.within, "mount", "-o", "loop,errors=remount-ro", pair.folder / "image", disk.place)
        judge_resumption(box, stopped, cap)


# ---- slow ----


LATENCIES_MS = (0, 10, 100)
STEADY_S = 1.5
TURNS = 4  # at most: a machine that is busy with something else for a moment proves nothing
FLOOD_SHARE = 1.15
rates_carried: list[int] = []  # found once


def burst_of(rate_bit_s: int) -> str:
    """A thirtieth of a second: so long the machine may take a CPU away before credit is lost."""
    return f"{rate_bit_s // 8 // 30} B"


def carries(pair: laboratory.Lab, rate_bit_s: int) -> bool:
    """Whether this machine's software ports keep up with a class of this rate."""
    box = Box(pair, rate_bit_s, burst_of(rate_bit_s))
    if not (pair.folder / "ledger").exists():
        box.commission()
    box.start()
    flood = box.flood(share=FLOOD_SHARE)
    box.forwards()
    reached = max(box.rate(0.5) for _ in range(4))
    flood.end()
    box.weir.stop()
    print(f"{rate_bit_s} bit/s asked: {reached:.0f} reached")
    return reached > 0.98 * rate_bit_s


@pytest.fixture
def slow_box(pair):
    """Of 1 Gbit/s and less, the highest rate that the machine carries, with a disk to order."""
    if not rates_carried:
        rates = (1_000_000_000, 500_000_000, 250_000_000, 100_000_000)
        rates_carried.append(next(rate for rate in rates if rate == rates[-1] or carries(pair, rate)))
    rate_bit_s = rates_carried[0]
    # In memory, so that all the time it takes is what was ordered.
    with mounted(pair, "tmpfs") as memory:
        disk = SlowDisk(pair.folder, memory.place / "ledger")
        box = Box(pair, rate_bit_s, burst_of(rate_bit_s), ledger=str(memory.place / "ledger"), within=memory.within,
                  env=disk.env)
        box.commission()
        yield box, disk


class Score:
    """The best of some turns, at one latency."""

    def __init__(self) -> None:
        self.rate_bit_s = 0.0
        self.denied = 1.0  # of what could have left, the part that was dropped for want of a grant

    def measure(self, box: Box, seconds: float) -> str:
        dropped, before = box.dropped("ledger"), box.counter.wire()
        rate_bit_s = box.rate(seconds)
        dropped, left = (box.dropped("ledger") - dropped) * LARGEST, box.counter.wire() - before
        self.rate_bit_s = max(self.rate_bit_s, rate_bit_s)
        self.denied = min(self.denied, dropped / (dropped + left))
        return f"{rate_bit_s / 1e6:.0f} Mbit/s ({100 * dropped / (dropped + left):.2f} % denied)"

    def keeps_up(self, plain: "Score", asked_bit_s: int) -> bool:
        """97 % of what arrives without latency, or of what is asked, if a full bucket gave more.

        Where the machine did not let it come to that, at least no frame was dropped for the ledger.
        """
        return self.denied <= 0.03 and (self.rate_bit_s >= 0.97 * min(plain.rate_bit_s, asked_bit_s)
                                        or self.denied == 0)


def judge_scores(scores: dict[int, Score], box: Box) -> list[int]:
    """The latencies that cost throughput."""
    return [ms for ms, score in scores.items() if not score.keeps_up(scores[0], box.rate_bit_s)]


def report_scores(what: str, scores: dict[int, Score], box: Box) -> None:
    for ms, score in scores.items():
        laboratory.measured(f"{what}, sync {ms} ms slower: {score.rate_bit_s / 1e6:.0f} Mbit/s of "
                            f"{box.rate_bit_s / 1e6:.0f}, {score.rate_bit_s / scores[0].rate_bit_s * 100:.1f} % of that "
                            f"at 0 ms; {score.denied * 100:.2f} % dropped for want of a grant")


def test_slow_sync_costs_no_throughput(slow_box):
    """Syncs of 0, 10, 100 ms by turns, under flood: what arrives stays the same."""
    box, disk = slow_box
    scores = {ms: Score() for ms in LATENCIES_MS}
    box.start()
    flood = box.flood(share=FLOOD_SHARE)
    box.forwards()
    for turn in range(TURNS):
        for ms in LATENCIES_MS:
            disk.order(sync_ms=ms)
            time.sleep(0.5)  # it is found out at the first slow sync
            print(f"turn {turn}, {ms} ms: {scores[ms].measure(box, STEADY_S)}")
        if not judge_scores(scores, box):
            break
    assert box.ledger()["sync_max_s"] >= LATENCIES_MS[-1] / 1000, "the library is not in front of the ledger"
    flood.end()
    box.stop()
    report_scores("steady", scores, box)
    assert not judge_scores(scores, box)


def test_slow_sync_from_the_first_byte(slow_box):
    """The same in the first second of traffic, after a start and after a pause."""
    box, disk = slow_box
    whens = ("after a start", "after a pause")
    scores = {when: {ms: Score() for ms in LATENCIES_MS} for when in whens}
    for turn in range(TURNS):
        for ms in LATENCIES_MS:
            disk.order(sync_ms=ms)
            box.start()
            for when in whens:
                before = box.counter.settled()
                flood = box.flood(share=FLOOD_SHARE)
                while box.counter.wire() == before:
                    assert flood.running(), box.weir.text()
                print(f"turn {turn}, {ms} ms, {when}: {scores[when][ms].measure(box, 1)}")
                flood.end()
                time.sleep(1)  # with nothing to do, grants shrink
            sync_max_s = box.ledger()["sync_max_s"]
            assert sync_max_s >= ms / 1000
            print(f"longest sync {sync_max_s} s")
            box.stop()
        if not any(judge_scores(scores[when], box) for when in whens):
            break
    for when in whens:
        report_scores(f"first second {when}", scores[when], box)
    for when in whens:
        assert not judge_scores(scores[when], box), when
