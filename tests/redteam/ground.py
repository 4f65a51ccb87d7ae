# SPDX-License-Identifier: BSD-3-Clause
"""The ground that scenarios are fought on: a Weir, its attacker inside, and a judge outside.

A scenario is a function that takes a Run. It says what it asks for (asks), attacks, and states what
must hold (must). All of what it judges by is taken at the outside host, by a capture or by that
host's kernel; where Weir's own figures appear, it is to see whether they tell the same.

How fast this machine is must not matter: what must not be exceeded is judged at any speed, and what
must be reached is waited for.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import struct
import time
import traceback
from pathlib import Path
from typing import Callable, NamedTuple

import lab as laboratory
import rates

INSIDE_MAC, OUTSIDE_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
POINTS_MAX = 300  # of a series
PATIENCE_S = 60
UNDATED_NS = 2_000_000  # how late a stamp may be where no probes are sent
PROBES_MIN = 8
TOO_FAST = (0.002, 0.005, 0.008, 0.012, 0.02, 0.03, 0.05)  # shares of a limit


class Scenario(NamedTuple):
    id: str
    name: str
    holds: str  # what must hold
    function: Callable[["Run"], None]
    given_not: str  # why it isn't done to a Weir that is given; "": it is
    given_part: str = ""  # what of it is, where that isn't all
    given_function: Callable[["Run"], None] | None = None  # which does that


class Skipped(Exception):
    """The scenario can't be run, and why."""


class Unjudged(Exception):
    """The attack did not come about as it should have: nothing is known."""


SCENARIOS: list[Scenario] = []


def scenario(identity: str, name: str, holds: str, given_not: str = ""):
    def enter(function):
        SCENARIOS.append(Scenario(identity, name, holds, function, given_not))
        return function
    return enter


def of_given(identity: str, part: str):
    """What of a scenario is done to a Weir that is given, where that isn't all of it."""
    def enter(function):
        index = next(index for index, item in enumerate(SCENARIOS) if item.id == identity)
        SCENARIOS[index] = SCENARIOS[index]._replace(given_part=part, given_function=function)
        return function
    return enter


def sized(count: float) -> str:
    """Bytes, as people read them."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count:.0f} B"


def small(policy: Path, memory: str = "160 MiB") -> Path:
    """With less memory, which a start has to touch, all of it."""
    policy.write_text(re.sub(r"memory: .*", f"memory: {memory}", policy.read_text()))
    return policy


class Given(NamedTuple):
    """A Weir that runs already, and the interfaces of the two hosts beside it."""

    socket: Path
    inside: tuple[str, str]  # network namespace ("": this one) and interface
    outside: tuple[str, str]
    source: str
    destination: str
    ports: tuple[int, ...]
    source_mac: str
    destination_mac: str


class GivenLab(laboratory.Lab):
    """Nothing of it is made here, and nothing removed."""

    def __init__(self, folder: Path, given: Given) -> None:  # pylint: disable=super-init-not-called
        self.folder = folder
        self.prefix = ""
        self.hosts: list[str] = []
        self.processes: list[laboratory.Process] = []
        self.namespaces = {"datacenter": given.inside[0], "internet": given.outside[0]}

    def exec(self, host: str) -> list[object]:
        namespace = self.namespaces[host]
        return ["ip", "netns", "exec", namespace] if namespace else []


class GivenWeir(laboratory.Weir):
    """Asked by its socket; never started, stopped or told anything that it would do."""

    def __init__(self, path: Path) -> None:  # pylint: disable=super-init-not-called
        self.path = path

    def request(self, method: str, path: str, body: bytes = b"", sock: str = "") -> tuple[int, bytes]:
        return laboratory.request(self.path, method, path, body)

    def stop(self) -> None:
        pass


class Watch:
    """A capture of what arrives outside, with its stamps on the raw clock.

    wire: the box's port that sends to it, where it matters how far the stamps are to be trusted.
    """

    def __init__(self, run: "Run", host: str = "", interface: str = "", *, wire: str = "", snap: int = 128) -> None:
        Run.watches += 1
        self.run = run
        self.clocks = laboratory.Clocks()
        self.clocks.start()
        host, interface = (host, interface) if host else run.outside
        self.capture = laboratory.Capture(run.lab, host, interface, f"watch{Run.watches}", snap,
                                          immediate=True)
        self.counts = Path(f"/proc/{self.capture.child.pid}/net/dev")
        self.interface = interface
        # The probes enter behind Weir, on the wire that it sends on.
        self.probes = laboratory.Flood(run.lab, "box", wire, probe=True, seconds=600) if wire and not run.given else None
        self.allowance_ns = float(UNDATED_NS)

    def arrived(self) -> tuple[int, int]:
        """Frames and bytes without FCS, by the host's kernel, since it booted."""
        words = self.counts.read_text().partition(f"{self.interface}:")[2].splitlines()[0].split()
        return int(words[1]), int(words[0])

    def frames(self) -> list[laboratory.Frame]:
        """Ends it. All frames but probes, with .ns on the raw clock."""
        if self.probes is not None:
            self.probes.end()
        captured = self.capture.frames()
        self.clocks.stop()
        if self.probes is not None:
            jitter, probed = rates.capture_jitter(captured, self.probes.text())
            if probed < PROBES_MIN:
                raise Unjudged(f"only {probed} frames dated the capture's clock")
            self.allowance_ns = jitter + 2 * self.clocks.error_ns
        ours = bytes.fromhex(self.run.given.source_mac.replace(":", "")) if self.run.given else None
        return [frame._replace(ns=self.clocks.to_raw(frame.ns)) for frame in captured
                if frame.ethertype != laboratory.PROBE_ETHERTYPE and ours in (None, frame.data[6:12])]


class Run:
    """One scenario as it is run: the means of its attack, and what comes of it."""

    watches = 0
    version: str | None = None  # of the Weir that was asked last, by its own word

    def __init__(self, item: Scenario, folder: Path, seed: int, scale: int, given: Given | None) -> None:
        self.scenario = item
        self.folder = folder
        self.seed = seed
        self.random = random.Random(f"{seed} {item.id}")
        self.scale = scale  # 1: short
        self.given = given
        self.lab = GivenLab(folder, given) if given else laboratory.Lab(folder)
        self.inside = ("datacenter", given.inside[1] if given else "dc0")
        self.outside = ("internet", given.outside[1] if given else "net0")
        self.weir: laboratory.Weir | None = None
        self.asked: dict = {}
        self.measured: dict = {}
        self.asked_text = self.measured_text = ""
        self.failed: list[str] = []
        self.unjudged: list[str] = []
        self.held = 0
        self.notes: list[str] = []
        self.series: list[dict] = []
        self.events: list[dict] = []
        self.digest: str | None = None  # of the policy that its Weir began with
        self.digests: list[str] = []  # of all that were in force, in the order of their first time
        self.lost_share = 0.0  # of its time, for want of a CPU
        self.started_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)

    # ---- what it says ----

    def asks(self, text: str, **figures) -> None:
        self.asked_text = text
        self.asked.update(figures)

    def finds(self, text: str, **figures) -> None:
        self.measured_text = text
        self.measured.update(figures)

    def must(self, condition: bool, claim: str) -> None:
        """claim: what holds if the condition does, with the figures."""
        if condition:
            self.held += 1
        else:
            self.failed.append(f"not so: {claim}")

    def must_run_on(self) -> None:
        """A Weir of the run's own that ended otherwise than it was told to was brought down."""
        if self.weir is not None and not self.given and self.weir.ended_by_itself():
            self.must(False, f"Weir runs on: it ended by itself, exit status {self.weir.child.returncode}")

    def note(self, text: str) -> None:
        """To be told with a pass: what was not judged."""
        self.notes.append(text)

    def seconds(self, raw_ns: float) -> float:
        return round((raw_ns - self.started_ns) / 1e9, 6)

    def now(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)

    def happens(self, what: str) -> int:
        """An event for the evidence. Returns the raw clock."""
        now = self.now()
        self.events.append({"t_s": self.seconds(now), "what": what})
        return now

    def plot(self, name: str, frames: list[laboratory.Frame], limit_bytes: int) -> None:
        """Cumulative wire bytes at the receiver, against a cap."""
        total, points = 0, [[0.0, 0]]
        for frame in frames:
            total += frame.wire
            points.append([self.seconds(frame.ns), total])
        step = max(1, len(points) // POINTS_MAX)
        kept = points[::step] + ([points[-1]] if (len(points) - 1) % step else [])
        end = max(kept[-1][0], self.seconds(self.now()))
        self.series.append({"name": name, "unit": "B", "points": kept + [[end, total]],
                            "limit": [[0.0, limit_bytes], [end, limit_bytes]]})

    # ---- the box ----

    @property
    def socket(self) -> Path:
        """That of its Weir."""
        return self.given.socket if self.given else self.folder / "control.sock"

    def start(self, policy: Path, commission: bool = True, **options) -> laboratory.Weir:
        """Commissions and starts a Weir of the run's own."""
        small(policy)
        if commission:
            self.lab.commission(policy)
        self.weir = self.lab.weir(policy, **options)
        self.learn()
        return self.weir

    def meet(self, make_policy: Callable[[], Path]) -> laboratory.Weir:
        """The Weir that was given, or a new one by a policy between the usual two hosts."""
        if self.given:
            self.weir = GivenWeir(self.given.socket)
            self.learn()
            return self.weir
        self.lab.pair()
        return self.start(make_policy())

    def learn(self) -> None:
        status = self.weir.status()
        Run.version, self.digest = status["version"], status["policy"]["digest"]
        self.enter(self.digest)

    def enter(self, digest: str) -> None:
        if digest not in self.digests:
            self.digests.append(digest)

    def apply(self, policy: bytes) -> tuple[int, str]:
        """The answer's code and text."""
        code, answer = self.weir.request("POST", "/v1/policy", policy)
        if code == 200:
            self.enter(self.weir.status()["policy"]["digest"])
        return code, answer.decode()

    def addresses(self) -> dict:
        """Of the frames of a flood."""
        if not self.given:
            return {}
        return {"source": self.given.source, "destination": self.given.destination, "port": self.given.ports[0],
                "source_mac": self.given.source_mac, "destination_mac": self.given.destination_mac}

    def flood(self, **options) -> laboratory.Flood:
        """UDP datagrams, or the frames of a capture, from the inside."""
        return laboratory.Flood(self.lab, *self.inside, **{**self.addresses(), "seconds": 600, **options})

    def flood_of(self, stream: list[bytes], **options) -> laboratory.Flood:
        """These frames, round and round."""
        Run.watches += 1
        path = self.folder / f"attack{Run.watches}.pcap"
        laboratory.write_pcap(path, stream)
        return laboratory.Flood(self.lab, *self.inside, capture=path, **{"seconds": 600, **options})

    def root(self, status: dict | None = None) -> dict:
        budgets = (status or self.weir.status())["budgets"]
        return next(budget for budget in budgets if budget["parent"] is None)

    def charged(self) -> int:
        """To the root, as Weir tells it."""
        return self.root()["charged_wire_bytes"]

    # ---- waiting ----

    def until(self, condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
        end = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > end:
                raise Unjudged(f"{what}: not within {patience_s} s")
            time.sleep(0.02)

    def silent(self, watch: Watch, quiet_s: float = 0.4, patience_s: float = PATIENCE_S) -> None:
        """Waits until nothing but probes has come for so long; where others send as well, a second."""
        if self.given:
            time.sleep(1)
            return
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            before = self.came(watch)
            time.sleep(quiet_s)
            if self.came(watch) <= before + 1:
                return
        raise Unjudged(f"frames still come after {patience_s} s")

    @staticmethod
    def probes_sent(watch: Watch) -> int:
        return 0 if watch.probes is None else watch.probes.text().count("\n")

    def came(self, watch: Watch) -> int:
        """Frames that have come by now, but for probes: these to within one."""
        return watch.arrived()[0] - self.probes_sent(watch)

    def arrives(self, watch: Watch, frames: int = 20) -> None:
        """Waits until so many more frames have come."""
        before = self.came(watch)
        self.until(lambda: self.came(watch) >= before + frames, "frames that arrive")

    def growth(self, pid: int, held: dict[str, int]) -> dict[str, int]:
        """What a process holds more than before. A client's connection may still be open for a moment, then and now."""
        end = time.monotonic() + 5
        while True:
            grown = {name: value - held[name] for name, value in process_memory(pid).items()}
            if grown["files"] <= 0 or time.monotonic() > end:
                return grown
            time.sleep(0.05)

    # ---- judging ----

    def must_keep_rate(self, watch: Watch, frames: list[laboratory.Frame], rate_bit_s: int, burst_bytes: int,
                       what: str = "") -> float:
        """rate x window + burst in every window of any length. Returns the worst window's excess, in bytes."""
        worst = rates.worst_excess([frame.ns for frame in frames], [frame.wire for frame in frames],
                                   rate_bit_s) if frames else 0
        allowed = burst_bytes + rate_bit_s / 8e9 * watch.allowance_ns
        self.must(worst <= allowed, f"{what}no window holds more than rate x window + {burst_bytes} B: the worst "
                                    f"{worst:.0f} B, {allowed - burst_bytes:.0f} B allowed for late stamps")
        return worst

    def sees(self, watch: Watch, frames: list[laboratory.Frame], rate_bit_s: int, burst_bytes: int) -> float:
        """The least share by which the limit could have been too fast and must_keep_rate() would have failed.

        It takes a stretch in which the limit was reached all the time, and long enough for the excess to be more
        than a burst and the doubt of the stamps. As judged by a limit that is so much less.
        """
        times, sizes = [frame.ns for frame in frames], [frame.wire for frame in frames]
        for share in TOO_FAST:
            less = rate_bit_s / (1 + share)
            if frames and rates.worst_excess(times, sizes, less) > burst_bytes + less / 8e9 * watch.allowance_ns:
                return share
        raise Unjudged(f"the limit was not reached for long enough: {TOO_FAST[-1]:.0%} too much would not have been seen")

    def must_exhaust(self, got: int, cap: int, largest: int, what: str = "the cap") -> None:
        """All of a cap but what can't hold one more frame, and not a byte over it."""
        self.must(got <= cap, f"{got} B arrived, at most {what} of {cap} B")
        self.must(got > cap - largest, f"{got} B arrived, all of {what} of {cap} B but less than a frame of {largest} B")

    def must_be_charged(self, got: int, charged: int, what: str = "") -> None:
        """What arrived against what Weir charged; a Weir that is given may serve others as well."""
        if self.given:
            if got == 0 and charged > 0:
                raise Unjudged(f"{what}{charged} B were charged, and nothing of ours arrived: is it the right interface?")
            self.must(got <= charged, f"{what}{got} B arrived, all charged ({charged} B)")
        else:
            self.must(got == charged, f"{what}{got} B arrived, {charged} B charged: the same")

    def some(self, frames: list[laboratory.Frame]) -> None:
        """Where nothing comes through, nothing is known of a Weir that is given."""
        if not frames:
            raise Unjudged("nothing of what was sent arrived: give it addresses and a port that the policy lets out, "
                           "and the interface that they lead to")

    # ---- the end ----

    def kept_from_cpu(self) -> float:
        """Share of its time that a thread of Weir's or of the attack's had to wait for a CPU, the most of any: the kernel's count."""
        shares = [0.0]
        for process in self.lab.processes:
            for path in Path(f"/proc/{process.child.pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    waited_ns = int(path.read_text().split()[1])
                    shares.append(waited_ns / (self.now() - self.started_ns))
        return max(shares)

    def close(self) -> None:
        self.lab.close()

    def evidence(self, verdict: str, why: str, seconds: float) -> dict:
        return {"id": self.scenario.id, "name": self.scenario.name, "holds": self.scenario.holds, "verdict": verdict,
                "why": why, "seconds": round(seconds, 2), "asked": self.asked, "measured": self.measured,
                "checks": self.held + len(self.failed), "policy_digest": self.digest,
                "policy_digests": self.digests, "series": self.series,
                "events": self.events}


def bare(item: Scenario, verdict: str, why: str) -> dict:
    """The evidence of one that has left none."""
    return {"id": item.id, "name": item.name, "holds": item.holds, "verdict": verdict, "why": why, "seconds": 0.0, "asked": {},
            "measured": {}, "checks": 0, "policy_digest": None, "policy_digests": [], "series": [], "events": []}


def fight(item: Scenario, folder: Path, seed: int, scale: int, given: Given | None) -> tuple[dict, Run | None]:
    """Runs one scenario, whatever happens in it. Its evidence, and the run where there was one."""
    begun = time.monotonic()
    if given and item.given_not:
        return bare(item, "skip", f"not to a Weir that is given: {item.given_not}"), None
    run = Run(item, folder, seed, scale, given)
    verdict, why = "pass", ""
    try:
        (item.given_function if given and item.given_function else item.function)(run)
        if run.held + len(run.failed) == 0:
            raise Unjudged("it judged nothing")
        why = "; ".join(run.notes)
    except Skipped as reason:
        verdict, why = "skip", str(reason)
    except Exception as error:  # whatever broke: it is no pass, and the next one is still to be run
        first = (str(error).splitlines() or [type(error).__name__])[0]
        run.unjudged.append(f"could not be judged: {first}")
        (folder / "traceback.log").write_text(traceback.format_exc())
    finally:
        run.must_run_on()
        run.lost_share = run.kept_from_cpu()
        run.close()
    if run.failed or run.unjudged:
        verdict, why = "fail" if run.failed else "unjudged", "; ".join(run.failed + run.unjudged)
    return run.evidence(verdict, why, time.monotonic() - begun), run


def digest_of(scenarios: list[dict]) -> str | None:
    """One for all policies of a run; the policy's own where there was only one."""
    digests = sorted({digest for one in scenarios for digest in one["policy_digests"]})
    if len(digests) <= 1:
        return digests[0] if digests else None
    return hashlib.blake2b("\n".join(digests).encode(), digest_size=32).hexdigest()


def numbers(frames: list[laboratory.Frame]) -> list[int]:
    """Sequence numbers of a flood's datagrams."""
    return [struct.unpack_from("<Q", frame.data, 42)[0] for frame in frames
            if frame.ethertype == 0x0800 and frame.data[23] == 17]


def process_memory(pid: int) -> dict[str, int]:
    """What a process holds: resident bytes, mapped bytes, threads, open files."""
    text = Path(f"/proc/{pid}/status").read_text()
    pick = {name: int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1]) for name in ("VmRSS", "VmSize", "Threads")}
    return {"resident_bytes": pick["VmRSS"] * 1024, "mapped_bytes": pick["VmSize"] * 1024,
            "threads": pick["Threads"], "files": len(os.listdir(f"/proc/{pid}/fd"))}


def write_json(path: Path, told: dict) -> None:
    """Whole or not at all; into what is no file, as it is."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_text(json.dumps(told) + "\n")
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(json.dumps(told) + "\n")
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
