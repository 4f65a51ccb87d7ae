# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios that attack the box: its life, its ledger and its clocks."""

import mmap
import os
import shutil
import signal
import struct
import time
from pathlib import Path
from typing import Callable, NamedTuple

import ground
import lab as laboratory
import ledger_reader
from ground import Run, Unjudged, Watch, scenario, sized
from slow_disk import SlowDisk
from traffic import FLOOD_FRAME, LARGEST, ONE_LINK, policy_of

YEAR_NS = 365 * 24 * 3600 * 1_000_000_000


CUT_SYNC_MS, CUT_AFTER_S, CUT_SYNCS = 300, 0.25, 3  # a disk so slow that the power goes amid a sync, of the first few


def granted_on_disk(run: Run, content: bytes) -> dict[str, int]:
    """What each budget may have sent by a ledger, which is read by nothing of Weir's."""
    found = ledger_reader.File(content, ledger_reader.Key(run.folder / "ledger.key"))
    if found.refused:
        raise ValueError(found.refused)
    return {budget["name"]: budget["granted_bytes"] for budget in found.told()["budgets"]}


def is_ahead(run: Run, watch: Watch, disk: SlowDisk) -> bool:
    """Whether more has left than the disk has, as far as can be seen of one that is written meanwhile."""
    try:
        return run.came(watch) * LARGEST > granted_on_disk(run, disk.durable()).get("total", 0) + LARGEST
    except ValueError:
        return False


def cut_power(run: Run, watch: Watch, disk: SlowDisk, at_caps: Callable[[], bool]) -> dict[str, int]:
    """Amid a sync: one in which more has left than the disk has, if there is any. What each budget was granted by it."""
    disk.order(sync_ms=CUT_SYNC_MS)
    for _ in range(CUT_SYNCS):
        run.until(lambda: disk.syncing() or at_caps(), "a write that waits for its sync")
        time.sleep(CUT_AFTER_S)
        if is_ahead(run, watch, disk):
            break
        time.sleep(CUT_SYNC_MS / 1000 - CUT_AFTER_S)
    run.until(lambda: disk.syncing() or at_caps(), "a write that waits for its sync")
    run.weir.kill()
    run.happens("power cut")
    disk.cut()
    disk.order()
    try:
        return granted_on_disk(run, disk.ledger.read_bytes())
    except ValueError as error:
        run.must(False, f"power cut: the ledger outlives it: {error}")
        raise Unjudged("nothing can go on with that ledger") from error


class Kills(NamedTuple):
    """What S4 asks for. Of two classes one has a cap for ever, one a window's: what is done about a crash need not
    be the same for both."""

    rate: int
    burst: int
    grant: int
    count: int  # before the caps are used up; each second one is a power cut
    cap: int
    classes: dict[str, tuple[str, int]]  # by kind of cap: the name and the port


@scenario("S4", "kill -9 and power cuts, with a large burst", "no byte over the cap; no burst after a start",
          "it kills it five times or more, and uses up its cap for ever")
def kills(run: Run) -> None:
    """A bucket or a cap that a crash refills would show here, and so would what left before it was durable.

    The burst is ten seconds of the rate, so that the time which a start takes earns little beside it.
    """
    count = 4 if run.scale == 1 else 6 * run.scale
    plan = Kills(4_000_000, 5_000_000, 50_000, count, LARGEST * 200 * (count + 1),
                 {"for ever": ("ever", 9000), "in an hour": ("hour", 9001)})
    run.lab.pair()
    policy = ground.small(policy_of(
        run, ONE_LINK,
        ["name: total, caps: [{limit: 1 TB}]", f"name: ever, parent: total, caps: [{{limit: {plan.cap} B}}]",
         f"name: hour, parent: total, caps: [{{limit: {plan.cap} B, per: 1 h}}, {{limit: 1 TB}}]"],
        [f"name: {name}, budget: {name}, rate: {plan.rate} bit/s, burst: {plan.burst} B, excess: drop"
         for name, _ in plan.classes.values()],
        [f"link: internet, protocol: udp, destination_ports: {port}, class: {name}" for name, port in plan.classes.values()],
        f"  grant_min: 10 kB\n  grant_max: {plan.grant} B\n"))
    run.lab.commission(policy)
    watch = Watch(run, wire="out0")
    floods = [run.flood(rate=20 * plan.rate, bytes=FLOOD_FRAME, port=port) for _, port in plan.classes.values()]
    launches: list[int] = []
    disk, cuts = SlowDisk(run.folder, run.folder / "ledger", power=True), {}

    def launch() -> None:
        launches.append(run.happens("start"))
        run.start(policy, commission=False, env=disk.env)

    def at_caps() -> bool:
        budgets = run.weir.status()["budgets"]
        return all(laboratory.named(budgets, name)["caps"][0]["remaining_bytes"] < LARGEST
                   for name, _ in plan.classes.values())

    for number in range(count):
        before = run.came(watch)
        launch()
        run.until(lambda: run.came(watch) >= before + 20 or at_caps(), "frames that arrive")
        time.sleep(run.random.uniform(0.05, 0.35))
        if number % 2 == 1:
            cuts[len(launches)] = cut_power(run, watch, disk, at_caps)  # by the start that follows
            continue
        run.weir.kill()
        run.happens("kill -9")
    launch()
    run.until(at_caps, "the end of the caps")
    run.silent(watch, 0.3)
    budgets = run.weir.status()["budgets"]
    run.weir.kill()
    run.happens("kill -9")
    launch()  # used up is used up
    time.sleep(0.5)
    for flood in floods:
        flood.end()
    frames, ended = watch.frames(), run.now()
    for number, granted in cuts.items():
        must_be_durable(run, plan, [frame for frame in frames if frame.ns < launches[number]], granted)
    judge_lives(run, plan, watch, frames, budgets, [*launches, ended])
    run.asks(f"{count + 1 - len(cuts)} kills, {len(cuts)} power cuts; burst {sized(plan.burst)}, a cap for ever and one in an "
             f"hour of {plan.cap} B each", kills=count + 1 - len(cuts), power_cuts=len(cuts), burst_bytes=plan.burst,
             cap_bytes=plan.cap, rate_bit_s=plan.rate, grant_bytes=plan.grant)


def of_class(plan: Kills, name: str, frames: list[laboratory.Frame]) -> list[laboratory.Frame]:
    port, = (port for known, port in plan.classes.values() if known == name)
    return [frame for frame in frames if frame.data[36:38] == port.to_bytes(2, "big")]


def must_be_durable(run: Run, plan: Kills, frames: list[laboratory.Frame], granted: dict[str, int]) -> None:
    """frames: all until the power was cut."""
    arrived = {"total": frames, **{name: of_class(plan, name, frames) for name, _ in plan.classes.values()}}
    for name, own in arrived.items():
        came, durable = sum(frame.wire for frame in own), granted.get(name, 0)
        run.must(came <= durable, f"power cut: {name}: {came} B had arrived, at most the {durable} B granted on the disk")
        run.measured.setdefault("granted_not_arrived_at_cuts_bytes", []).append(durable - came)


def judge_lives(run: Run, plan: Kills, watch: Watch, frames: list[laboratory.Frame], budgets: list[dict],
                lives: list[int]) -> None:
    """budgets: as charged in the end. lives: when each start was, and the end of all."""
    # A bucket is no older than its process, and empty at first: no more than rate x age has left.
    allowed, got, early, charged = plan.rate / 8e9 * watch.allowance_ns + LARGEST, {}, {}, {}
    for kind, (name, _) in plan.classes.items():
        own = of_class(plan, name, frames)
        charged[name] = laboratory.named(budgets, name)["charged_wire_bytes"]
        came = got[name] = sum(frame.wire for frame in own)
        worst = early[name] = max(worst_after(own, launched, until, plan.rate) for launched, until in zip(lives, lives[1:]))
        run.must(worst <= allowed,
                 f"{name}: no start gives a burst: at most {worst:.0f} B above rate x age, {allowed:.0f} B allowed")
        run.must(came <= plan.cap, f"{name}: {came} B arrived in {len(lives) - 1} lives, at most the cap of {plan.cap} B {kind}")
        run.must(came >= plan.cap - (plan.count + 1) * 3 * (plan.grant + LARGEST),
                 f"{name}: {came} B arrived: no kill costs more than its grants")
        late = sum(frame.wire for frame in own if frame.ns >= lives[-2])
        run.must(late == 0, f"{name}: {late} B arrived after a start with the cap used up")
        run.must_keep_rate(watch, own, plan.rate, plan.burst, f"{name}: ")
        run.must(came <= charged[name], f"{name}: {came} B arrived, at most the {charged[name]} B charged")
        run.plot(f"arrived, of a cap {kind}", own, plan.cap)
    run.asked["late_after_start_bytes"] = round(allowed)
    run.finds(f"{' + '.join(map(str, got.values()))} B; after a start at most {max(0, *early.values()):.0f} B early",
              received_bytes=sum(got.values()), bytes_by_cap=got,
              forfeited_bytes=sum(charged.values()) - sum(got.values()), worst_after_start_bytes=round(max(early.values())))


def worst_after(frames: list[laboratory.Frame], launched: int, ended: int, rate_bit_s: int) -> float:
    """The most by which what arrived since a launch was more than rate x age."""
    total, worst = 0, float("-inf")
    for frame in frames:
        if launched <= frame.ns < ended:
            total += frame.wire
            worst = max(worst, total - rate_bit_s / 8e9 * (frame.ns - launched))
    return worst if total else 0.0


# ---- the ledger ----


WITNESS_EVERY = 1_000_000
FILES = ("ledger", "ledger.key", "witness/witness")


class Vault:
    """A box's ledger, key and witness, kept and put back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, name: str) -> None:
        to = self.folder / f"kept-{name}"
        (to / "witness").mkdir(parents=True)
        for file in FILES:
            shutil.copy2(self.folder / file, to / file)

    def put(self, name: str, *files: str) -> None:
        for file in files or FILES:
            (self.folder / file).unlink(missing_ok=True)
            shutil.copy2(self.folder / f"kept-{name}" / file, self.folder / file)


@scenario("S11", "ledger rolled back, torn, swapped; disk full, read-only", "refuses or stops; nothing lost",
          "it stops it, puts other files in place of its ledger, key and witness, and makes its disk fail")
def ledger(run: Run) -> None:
    rate, grant = 100_000_000, 1_000_000
    cap = LARGEST * 12_000
    run.lab.pair()
    (run.folder / "witness").mkdir()
    (run.folder / "other").mkdir()
    policy = ground.small(run.lab.pair_policy(
        f"{rate} bit/s", "256 KB", caps=f"{{limit: {cap} B}}", appliance=f"""\
  grant_max: {grant} B
  witness: file
  witness_path: {run.folder}/witness/witness
  witness_every: {WITNESS_EVERY} B
"""))
    run.lab.commission(policy)
    vault = Vault(run.folder)
    vault.keep("new")
    counter = laboratory.Counter(run.lab, "internet", "net0", "out0", FLOOD_FRAME)
    flood = run.flood(rate=2 * rate, bytes=FLOOD_FRAME)
    for name in ("then", "now"):
        run.start(policy, commission=False)
        before = counter.wire()
        run.until(lambda: counter.wire() > before + 3_000_000, "frames that arrive")
        run.weir.stop()
        vault.keep(name)
    stopped = counter.settled()
    refusals = refuse_all(run, policy, vault, counter, stopped)
    faults = fail_disk(run, policy, vault, counter, grant)
    # All is as it was left: it goes on with what was charged, to the end of the cap.
    left = counter.settled()
    run.start(policy, commission=False)
    charged = run.charged()
    run.must(charged >= left, f"nothing was lost: {charged} B are charged at the start, {left} B had left before")
    run.until(lambda: run.root()["caps"][0]["remaining_bytes"] < LARGEST, "the end of the cap")
    time.sleep(0.3)
    got = counter.settled()
    run.weir.stop()
    flood.end()
    run.must(got <= cap, f"{got} B arrived in all lives, at most the cap of {cap} B")
    forfeit = len(faults) * (grant + 2 * WITNESS_EVERY) + LARGEST
    run.must(got >= cap - forfeit, f"{got} B arrived in all lives: each fault costs no more than its grants")
    run.asks(f"{len(refusals)} false ledgers, {len(faults)} disk faults; cap {cap} B", false_ledgers=len(refusals),
             disk_faults=len(faults), cap_bytes=cap)
    run.finds(f"{sum(refusals.values())} refused; at most {max(faults.values())} B after a fault, {grant} granted",
              refusals=refusals, bytes_after_fault=faults, received_bytes=got)


def refuse_all(run: Run, policy: Path, vault: Vault, counter: laboratory.Counter, stopped: int) -> dict[str, bool]:
    """Starts with something other in place of the ledger: none may run, send, or change a file."""
    path = run.folder / "ledger"
    content = (run.folder / "kept-now/ledger").read_bytes()
    heads = [offset for offset in range(0, len(content), 4096) if content[offset:offset + 8] == b"WEIRLDGR"]

    def torn(offsets: list[int]) -> bytes:
        """Everything behind a random place of these records is another write's."""
        made = bytearray(content)
        for offset in offsets:
            at = offset + run.random.randrange(64, 224)
            made[at:at + 64] = run.random.randbytes(64)
        return bytes(made)

    def another_box() -> bytes:
        text = policy.read_text()
        for old, new in (("name: laboratory", "name: other"), (f"{run.folder}/ledger", f"{run.folder}/other/ledger"),
                         (f"{run.folder}/witness/witness", f"{run.folder}/other/witness")):
            text = text.replace(old, new)
        other = run.folder / "other.yaml"
        other.write_text(text)
        run.lab.commission(other)
        return (run.folder / "other/ledger").read_bytes()

    cases = {
        "an older copy": lambda: path.write_bytes((run.folder / "kept-then/ledger").read_bytes()),
        "the first copy": lambda: path.write_bytes((run.folder / "kept-new/ledger").read_bytes()),
        "older copy, with its key": lambda: vault.put("then", "ledger", "ledger.key"),
        "another box's": lambda: path.write_bytes(another_box()),
        "torn records": lambda: path.write_bytes(torn(heads)),
        "zeros": lambda: path.write_bytes(bytes(len(content))),
        "cut": lambda: path.write_bytes(content[:run.random.randrange(len(content))]),
        "gone": path.unlink,
        "no key": (run.folder / "ledger.key").unlink,
        "no witness": (run.folder / "witness/witness").unlink,
    }
    refused = {}
    for name, change in cases.items():
        change()
        before = {file: (run.folder / file).read_bytes() for file in FILES if (run.folder / file).exists()}
        weir = run.lab.weir(policy, ready=False)
        try:
            status = weir.child.wait(30)
        except Exception:  # it runs
            status = None
            weir.kill()
        after = {file: (run.folder / file).read_bytes() for file in FILES if (run.folder / file).exists()}
        said = weir.text().strip()
        refused[name] = status == 1 and said.startswith(("weir: ledger", "weir: witness")) and "\n" not in said
        run.must(refused[name], f"ledger: {name}: refused for it, in one line (exit status {status}: {said[-200:]})")
        run.must(after == before, f"ledger: {name}: no file was changed")
        vault.put("now")
    got = counter.settled()
    run.must(got == stopped, f"{got - stopped} B arrived while every start was refused")
    return refused


def fail_disk(run: Run, policy: Path, vault: Vault, counter: laboratory.Counter, grant: int) -> dict[str, int]:
    """The disk fails under traffic: what leaves then is what was granted. Bytes after each fault."""
    after = {}
    for fault, name in (("write ENOSPC 0 0", "full"), ("write EROFS 0 0", "read-only"), ("sync EIO 0 1", "one sync fails"))[
            :2 if run.scale == 1 else 3]:
        disk = SlowDisk(run.folder, run.folder / "ledger")
        disk.mark.unlink(missing_ok=True)
        run.start(policy, commission=False, env=disk.env)
        before = counter.wire()
        run.until(lambda: counter.wire() > before + 1_000_000, "frames that arrive")
        disk.order(fail=fault)
        run.happens(f"disk: {name}")
        run.until(disk.mark.exists, "the fault")
        at_fault = counter.wire()
        run.weir.wait_status(lambda now: now["state"] == "ledger_failed")
        time.sleep(0.3)
        stopped = counter.settled()
        after[name] = stopped - at_fault
        run.must(after[name] <= grant, f"disk {name}: {after[name]} B arrived after the fault, at most the {grant} B granted")
        granted = run.root()["granted_wire_bytes"]
        run.must(stopped <= granted, f"disk {name}: {stopped} B arrived in all, at most the {granted} B that are durable")
        run.weir.end(signal.SIGTERM, 30)
        run.must(counter.settled() == stopped, f"disk {name}: nothing leaves any more")
        disk.order()
    return after


# ---- clocks ----


class Shift:
    """tests/e2e/shift_clock.c: the clocks of a Weir that is started with env, and of nothing else."""

    REAL, BOOT, MONOTONIC = 0, 8, 16

    def __init__(self, folder: Path) -> None:
        path = folder / "shift"
        path.write_bytes(bytes(24))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 24)
        self.env = {**os.environ, "LD_PRELOAD": str(laboratory.BUILD / "tests/e2e/libshift_clock.so"),
                    "WEIR_SHIFT_PATH": str(path)}

    def set(self, clock: int, ns: int) -> None:
        struct.pack_into("=q", self.map, clock, ns)


@scenario("S13", "clock a year ahead, a year back; suspend; reboot", "no credit for any window",
          "it is to be started with clocks that can be shifted: otherwise this would set the machine's")
def clocks(run: Run) -> None:
    """The clocks of Weir alone are shifted, by a preloaded library: this machine's stay as they are."""
    window = LARGEST * 500
    run.lab.pair()
    policy = run.lab.pair_policy("100 Mbit/s", "64 KB", caps=f"{{limit: {window} B, per: 1 h}}, {{limit: 1 GB}}")
    shift = Shift(run.folder)
    counter = laboratory.Counter(run.lab, "internet", "net0", "out0", FLOOD_FRAME)
    run.start(policy, env=shift.env)
    flood = run.flood(rate=20_000_000, bytes=FLOOD_FRAME)

    def full() -> bool:
        return run.root()["caps"][0]["remaining_bytes"] < LARGEST or run.root()["caps"][1]["remaining_bytes"] < LARGEST

    run.until(full, "the window's cap")
    time.sleep(0.2)
    got = counter.settled()
    run.must_exhaust(got, window, LARGEST, "the window")
    tricks = [("wall clock a year ahead", [(Shift.REAL, YEAR_NS)]), ("wall clock a year back", [(Shift.REAL, -YEAR_NS)]),
              ("suspended for a year", [(Shift.BOOT, YEAR_NS)]),
              ("suspended ten times for 50 min", [(Shift.BOOT, YEAR_NS + minute * 3_000_000_000_000) for minute in range(1, 11)]),
              ("boot clock a year back", [(Shift.BOOT, 0)])]
    came = {}

    def watch(name: str) -> None:
        time.sleep(0.4)
        came[name] = counter.settled() - got
        run.must(came[name] == 0, f"{name}: {came[name]} B arrived beyond the window's cap")

    for name, steps in tricks:
        run.happens(name)
        for clock, ns in steps:
            shift.set(clock, ns)
            time.sleep(0.06)  # the ledger looks every millisecond
        watch(name)
        run.must(run.weir.running(), f"{name}: it still runs")
        if name == "suspended for a year" and run.weir.status()["uptime_s"] < 0.99 * YEAR_NS / 1e9:
            raise Unjudged("the shifted clock has not reached Weir")
    lives = [("off for a year", YEAR_NS), ("booted anew", -(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 1_000_000_000))]
    for name, boot_ns in lives:
        run.weir.stop()
        shift.set(Shift.BOOT, boot_ns)
        shift.set(Shift.REAL, abs(boot_ns))
        run.happens(name)
        run.start(policy, commission=False, env=shift.env)
        watch(name)
    run.must(flood.running(), "the attack goes on to the end")
    run.weir.stop()
    flood.end()
    run.asks(f"{sized(window)} per 1 h; {len(tricks) + len(lives)} tricks", window_bytes=window,
             tricks=[name for name, _ in tricks + lives])
    run.finds(f"{got} B, and {max(came.values())} B by any trick", received_bytes=got, bytes_by_trick=came)
