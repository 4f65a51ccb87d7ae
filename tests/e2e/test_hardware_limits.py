# SPDX-License-Identifier: BSD-3-Clause
"""Limits in the NIC, with real traffic: the outside port is a model NIC, which can be made to cheat.

weir-lab is Weir linked with that model; what it sends leaves on out0, and is judged behind it.
"""

import bisect
import itertools
import json
import re
import socket
import subprocess
import time

import lab as laboratory
import pytest
from fake_server import WEIRCTL
from test_policy_change import slow_rules
from test_rate import capture_jitter, worst_excess

MBIT = 1_000_000
# "some" and "most" go by queues of their own. 82599s divide 10 Gbit/s by at most 1023, so "few" can't.
CLASSES = {"few": (5, 1001), "some": (20, 1002), "most": (50, 1003)}
BURST_BYTES = 250_000
TURNS = 3
EXTRA_ETHERTYPE = 0x88B5  # of the frames that a model sends by itself, and of padding
SINK = "02:00:00:00:00:01"


class Nic:
    """Orders to the model, on its control socket."""

    def __init__(self, lab: laboratory.Lab) -> None:
        self.path, self.own = lab.folder / "nic", lab.folder / "nic-answers"

    def ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.settimeout(laboratory.PATIENCE_S)
            link.bind(str(self.own))
            try:
                link.sendto(command.encode(), str(self.path))
                return link.recv(65536).decode()
            finally:
                self.own.unlink()

    def order(self, command: str) -> None:
        assert self.ask(command) == "ok\n"

    def stats(self) -> dict[str, int]:
        """What its first line tells in numbers."""
        return {name: int(number) for name, number in
                re.findall(r"(\w+) (\d+)", self.ask("stats").splitlines()[0])}

    def limits(self) -> list[int | None]:
        """What its registers hold for each queue, bit/s."""
        return [None if "unlimited" in line else int(line.split()[-1])
                for line in self.ask("stats").splitlines()[1:]]


class Box:
    """weir-lab between the usual two hosts, out0 being the model's."""

    def __init__(self, lab: laboratory.Lab) -> None:
        self.lab, self.nic, self.weir = lab, Nic(lab), None

    def policy(self, classes: str, rules: str, family: str = "ixgbe", required: bool = False,
               name: str = "policy.yaml", tested: bool = False):
        return self.lab.policy(f"""\
ports:
  - {{name: in0, device: "net_af_packet0,iface=in0"}}
  - name: out0
    device: model0,family={family},queues=16,speed=10G,iface=out0,control={self.nic.path}
    limiter_required: {str(required).lower()}
{f"    limiter_test: {{destination: {SINK}, time: 1 s}}" if tested else ""}
links:
  - {{name: internet, inside: in0, outside: out0}}
budgets:
  - {{name: total, caps: [{{limit: 1 TB}}]}}
classes:
{classes}rules:
{rules}""", name=name)

    def one(self, rate_mbit_s: int = 20, name: str = "policy.yaml", **options):
        """A policy of one class."""
        return self.policy(f"  - {{name: bulk, budget: total, rate: {rate_mbit_s} Mbit/s, "
                           f"burst: {BURST_BYTES} B, excess: drop}}\n",
                           "  - {link: internet, class: bulk}\n", name=name, **options)

    def start(self, policy, commission: bool = True, **options) -> laboratory.Weir:
        if commission:
            self.lab.commission(policy)
        self.weir = self.lab.weir(policy, program="weir-lab", **options)
        return self.weir

    def flood(self, mbit_s: float, seconds: float, **options) -> laboratory.Flood:
        return laboratory.Flood(self.lab, "datacenter", "dc0", rate=int(mbit_s * MBIT), seconds=seconds, **options)

    def ctl(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([WEIRCTL, "--socket", str(self.lab.folder / "control.sock"), *map(str, arguments)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    def hardware(self) -> tuple[dict, int]:
        """The one outside port as weirctl tells of it, and weirctl's exit status."""
        done = self.ctl("--json", "hardware")
        assert done.stderr == ""
        port, = json.loads(done.stdout)["ports"]
        return port, done.returncode

    def wait_hardware(self, condition, timeout: float = laboratory.PATIENCE_S) -> dict:
        end = time.monotonic() + timeout
        while True:
            port, _ = self.hardware()
            if condition(port):
                return port
            assert time.monotonic() < end, json.dumps(port, indent=1)
            time.sleep(0.05)

    def events(self, kind: str) -> int:
        """How often Weir has told of something."""
        return len(re.findall(rf"^weir: (?:\w+: )?{kind}: ", self.weir.text(), re.MULTILINE))

    def wait_event(self, kind: str, number: int = 1, timeout: float = laboratory.PATIENCE_S) -> None:
        end = time.monotonic() + timeout
        while self.events(kind) < number:
            assert time.monotonic() < end and self.weir.running(), self.weir.text()
            time.sleep(0.02)

    def arrived(self) -> int:
        """Frames that the receiver's kernel has counted."""
        return self.lab.kernel_count("internet", "net0")[0]

    def lost(self) -> int:
        """Frames that left the box and that the receiver's kernel was too busy to take."""
        told = json.loads(laboratory.run("ip", "-n", self.lab.name("box"), "-s", "-j", "link", "show", "dev",
                                         "out0").stdout)
        return told[0]["stats64"]["tx"]["dropped"]

    def wait_arriving(self, more: int = 100) -> int:
        first, end = self.arrived(), time.monotonic() + laboratory.PATIENCE_S
        while (now := self.arrived()) < first + more:
            assert time.monotonic() < end, (first, now)
            time.sleep(0.02)
        return now

    def egress(self) -> dict:
        return self.weir.status()["links"][0]["egress"]


@pytest.fixture
def box(pair):
    assert (laboratory.BUILD / "weir-lab").exists(), "build weir-lab first"
    return Box(pair)


def three_classes() -> tuple[str, str]:
    """Rates by destination port, the last also for TCP."""
    classes = "".join(f"  - {{name: {name}, budget: total, rate: {rate} Mbit/s, burst: {BURST_BYTES} B, "
                      f"excess: {'shape, backlog: 100 ms' if name == 'most' else 'drop'}}}\n"
                      for name, (rate, _) in CLASSES.items())
    rules = "".join(f"  - {{protocol: udp, destination_ports: {port}, class: {name}}}\n"
                    for name, (_, port) in CLASSES.items())
    return classes, rules + "  - {protocol: tcp, class: most}\n  - {link: internet, class: few}\n"


def by_class(port: dict) -> dict[str, dict]:
    """Queues by the classes in them."""
    return {name: queue for queue in port["queues"] for name in queue["classes"]}


def rate_over(times: list[int], sizes: list[int], begin_ns: int, end_ns: int) -> float:
    """Bit/s between two moments."""
    totals = [0, *itertools.accumulate(sizes)]
    first, last = bisect.bisect_left(times, begin_ns), bisect.bisect_left(times, end_ns)
    return (totals[last] - totals[first]) * 8e9 / (end_ns - begin_ns)


def holds(frames: list[laboratory.Frame], rate_mbit_s: int, jitter_ns: float) -> float:
    """Asserts rate x window + burst in all windows. Returns the worst, in bytes beyond the rate."""
    worst = worst_excess([frame.ns for frame in frames], [frame.wire for frame in frames], rate_mbit_s * MBIT)
    # The wall clock is steered by up to 500 ppm.
    steered = (frames[-1].ns - frames[0].ns) * 5e-4
    assert worst <= BURST_BYTES + rate_mbit_s * MBIT / 8e9 * (jitter_ns + steered)
    return worst


def udp_port(frame: laboratory.Frame) -> int:
    return int.from_bytes(frame.data[36:38], "big") if frame.ethertype == 0x0800 and frame.data[23] == 17 else 0


# ---- limits that hold ----


def test_three_classes(box):
    """Each class has its rate at the receiver, in every window, and weirctl tells how it is held."""
    seconds = 4
    policy = box.policy(*three_classes())
    box.start(policy)
    before, status = box.hardware()
    assert status == 0
    assert {queue["verdict"] for queue in by_class(before).values()} == {"software", "unmeasured"}
    capture = laboratory.Capture(box.lab, "internet", "net0")
    probes = laboratory.Flood(box.lab, "box", "out0", probe=True, seconds=seconds)
    floods = [box.flood(2 * rate, seconds, port=port) for rate, port in CLASSES.values()]
    for flood in floods:
        flood.result(seconds + 20)
    probes.child.wait(20)
    port, status = box.hardware()
    text = box.ctl("hardware")
    captured = capture.frames()  # what waited has left by then
    egress, stats, lost = box.egress(), box.nic.stats(), box.lost()
    box.weir.stop()

    jitter_ns, _ = capture_jitter(captured, probes.text())
    arrived = {name: [frame for frame in captured if udp_port(frame) == number]
               for name, (_, number) in CLASSES.items()}
    for name, (rate, _) in CLASSES.items():
        frames = arrived[name]
        worst = holds(frames, rate, jitter_ns)
        first = frames[0].ns + 500_000_000
        measured = rate_over([frame.ns for frame in frames], [frame.wire for frame in frames], first,
                             first + (seconds - 2) * 1_000_000_000)
        laboratory.measured(f"limits in a model NIC, {name}: {measured / MBIT:.3f} Mbit/s of {rate}, "
                            f"worst window {worst:.0f} B of {BURST_BYTES}")
        # Upwards holds() has judged. Downwards: what a machine that is busy otherwise leaves of it.
        assert measured >= 0.8 * rate * MBIT
    # All that Weir says it sent has arrived, and the NIC agrees.
    total = sum(map(len, arrived.values()))
    assert total <= egress["tx_frames"] == stats["frames"] <= total + lost
    assert stats["unprogrammed"] == stats["send_errors"] == stats["discarded"] == 0

    queues = by_class(port)
    assert status == text.returncode == 0 and (port["limiter"], port["verdict"]) == ("queue", "ok")
    assert (queues["few"]["queue"], queues["few"]["verdict"]) == (0, "software")
    assert queues["few"]["asked_bit_s"] is queues["few"]["programmed_bit_s"] is None
    for name in ("some", "most"):
        asked, programmed = queues[name]["asked_bit_s"], queues[name]["programmed_bit_s"]
        assert asked == CLASSES[name][0] * MBIT and 0.99 * asked <= programmed <= asked
        assert queues[name]["queue"] > 0 and queues[name]["classes"] == [name]
        assert queues[name]["verdict"] == "held", port
        assert queues[name]["measured_bit_s"] <= 1.01 * programmed
        assert re.search(rf"^out0 +{queues[name]['queue']} +{name} .* held$", text.stdout, re.MULTILINE)
    assert queues["some"]["queue"] != queues["most"]["queue"]
    assert port["sent_frames"] <= port["charged_frames"]


def test_tcp(box):
    """Real TCP through a queue that the NIC limits: most of the rate, and never more."""
    seconds = 3
    box.start(box.policy(*three_classes()))
    server = box.lab.start("internet", [*laboratory.PRIVILEGED, "iperf3", "--server", "--one-off", "--forceflush"], "server.log")
    server.wait_for("Server listening", laboratory.PATIENCE_S)
    capture = laboratory.Capture(box.lab, "internet", "net0")
    probes = laboratory.Flood(box.lab, "box", "out0", probe=True, seconds=seconds)
    done = laboratory.run(*box.lab.exec("datacenter"), *laboratory.PRIVILEGED, "iperf3", "--client", "10.77.0.2", "--time", seconds,
                          "--json", timeout=seconds + 30)
    probes.child.wait(20)
    port, status = box.hardware()
    captured = capture.frames()
    box.weir.stop()
    jitter_ns, _ = capture_jitter(captured, probes.text())
    frames = [frame for frame in captured if frame.ethertype == 0x0800]
    goodput = json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]
    rate = CLASSES["most"][0]
    worst = holds(frames, rate, jitter_ns)
    laboratory.measured(f"limits in a model NIC, TCP: goodput {goodput / MBIT:.2f} Mbit/s of {rate} on the wire, "
                        f"worst window {worst:.0f} B of {BURST_BYTES}")
    assert goodput >= 0.5 * rate * MBIT
    assert status == 0 and by_class(port)["most"]["verdict"] == "held"


@pytest.mark.parametrize("after", [80, 8])
def test_new_rate(box, after):
    """weirctl apply changes the rate: the NIC and the receiver see it, and no frame is lost on the way.

    8 Mbit/s is less than an 82599 holds on this link: then the class moves to the queue without a limit. Never more
    than the new rate, in any turn; less may be the machine's doing, in one.
    """
    assert any(change_rate(box, after, turn) >= 0.9 * after * MBIT for turn in range(TURNS))


def change_rate(box, after: int, turn: int) -> float:
    """From 40 Mbit/s. What was measured then."""
    before = 40
    box.start(box.one(before), commission=turn == 0)
    capture = laboratory.Capture(box.lab, "internet", "net0", f"turn{turn}")
    flood = box.flood(100, 60)
    box.wait_arriving(2000)
    limit, = [rate for rate in box.nic.limits() if rate == before * MBIT]
    done = box.ctl("apply", box.one(after, name="after.yaml"))
    told = time.clock_gettime_ns(time.CLOCK_REALTIME)
    assert done.returncode == 0, done.stderr
    port, status = box.hardware()
    queue = by_class(port)["bulk"]
    if after >= 10:
        assert status == 0 and queue["asked_bit_s"] == after * MBIT and queue["queue"] > 0
        assert 0.99 * after * MBIT <= queue["programmed_bit_s"] <= after * MBIT
        assert queue["programmed_bit_s"] in box.nic.limits()
    else:
        assert status == 0 and (queue["queue"], queue["verdict"]) == (0, "software")
        assert limit in box.nic.limits(), "what waits there would leave at any rate"
    time.sleep(1.7)
    flood.end()
    sent, _ = flood.result(10)
    egress = box.weir.wait_rest()["links"][0]["egress"]
    box.weir.wait_status(lambda _: box.nic.stats()["frames"] == egress["tx_frames"])
    frames = capture.frames()
    stats, lost = box.nic.stats(), box.lost()
    box.weir.stop()
    # Sent = arrived + dropped for a reason.
    assert len(frames) <= egress["tx_frames"] == stats["frames"] <= len(frames) + lost
    assert sent == stats["frames"] + egress["dropped"]["rate"]
    assert sum(egress["dropped"].values()) == egress["dropped"]["rate"]
    assert stats["unprogrammed"] == stats["discarded"] == 0
    # From the answer on, at most what a bucket may hold, and the new rate.
    late = [frame for frame in frames if frame.ns >= told]
    measured = rate_over([frame.ns for frame in late], [frame.wire for frame in late],
                         told + 500_000_000, told + 1_500_000_000)
    laboratory.measured(f"{before} to {after} Mbit/s in a model NIC: {measured / MBIT:.3f} Mbit/s")
    holds(late, after, 5_000_000)
    return measured


def test_link_and_reset(box):
    """After a link change, a reset and a change of speed no frame leaves before its limits are back."""
    box.start(box.policy(*three_classes()))
    box.wait_event("limits_set")
    capture = laboratory.Capture(box.lab, "internet", "net0")
    floods = [box.flood(2 * rate, 120, port=port) for rate, port in CLASSES.values()]

    def wait_starts(number: int) -> None:
        end = time.monotonic() + laboratory.PATIENCE_S
        while box.nic.stats()["starts"] < number:
            assert time.monotonic() < end, box.nic.stats()
            time.sleep(0.01)

    def limited(port: dict) -> dict[str, int]:
        return {name: queue["programmed_bit_s"] for name, queue in by_class(port).items()
                if queue["programmed_bit_s"] is not None}

    def returns(order: str, down: bool, number: int) -> dict:
        """down: after the link went down, and Weir has emptied the NIC's rings."""
        starts, unprogrammed = (box.nic.stats()[name] for name in ("starts", "unprogrammed"))
        if down:
            box.nic.order("link down")
            wait_starts(starts + 1)
        begin = time.monotonic()
        box.nic.order(order)
        if not down:
            wait_starts(starts + 1)
        # The model's link is down for half a second: only then can it have let out what waited.
        in_time = down or time.monotonic() - begin < 0.45
        box.wait_event("limits_set", number)
        box.wait_hardware(lambda port: port["state"] == "up")
        box.wait_arriving(500)
        stats = box.nic.stats()
        assert stats["unprogrammed"] == unprogrammed or not in_time, (order, stats)
        port, status = box.hardware()
        assert status == 0 and (port["limiter"], port["verdict"]) == ("queue", "ok"), port
        held = limited(port)
        limits = box.nic.limits()
        for name, rate in held.items():
            assert limits[by_class(port)[name]["queue"]] == rate, (order, name, limits)
        return held

    box.wait_arriving(500)
    usual = limited(box.hardware()[0])
    assert set(usual) == {"some", "most"}
    assert returns("link up", True, 2) == usual
    assert returns("reset", False, 3) == usual
    slower = returns("speed 1G", False, 4)  # divided by at most 1023: now the NIC can hold all three
    assert set(slower) == set(CLASSES)
    for name, (rate, _) in CLASSES.items():
        assert slower[name] <= rate * MBIT
    assert returns("speed 2500M", True, 5) == slower  # and are not 2.5 times as fast for it
    for flood in floods:
        flood.end()
    frames = capture.frames()
    box.weir.stop()
    for name, (rate, port) in CLASSES.items():
        holds([frame for frame in frames if udp_port(frame) == port], rate, 5_000_000)


# ---- NICs that are not to be trusted ----


@pytest.mark.parametrize("faster", [False, True])
def test_padding(box, faster):
    """A limit is tested with padding before what came in leaves, and one that does not hold is found by then."""
    rate = 50
    capture = laboratory.Capture(box.lab, "internet", "net0")
    box.start(box.one(rate, tested=True, required=not faster))
    if faster:
        box.nic.order("faster 4")
    flood = box.flood(2 * rate, 60)
    port = box.wait_hardware(lambda now: now["test"] != "running")
    box.weir.wait_status(lambda now: now["links"][0]["egress"]["rx_frames"] >= 2000)
    flood.end()
    frames = capture.frames()
    box.weir.stop()

    padding = [frame for frame in frames if frame.ethertype == EXTRA_ETHERTYPE]
    own = [frame for frame in frames if udp_port(frame)]
    assert padding and own and padding[0].ns <= own[0].ns
    assert {frame.data[:6].hex(":") for frame in padding} == {SINK}
    assert {frame.length for frame in padding} == {1514} and not any(any(frame.data[14:]) for frame in padding)
    holds(padding + own, rate, 5_000_000)
    if faster:
        # What waits then still leaves by its queue, and the class goes on by another one.
        assert (port["test"], port["verdict"], port["limiter"]) == ("fast", "fast", "soft")
        assert box.events("limiter_fast") == 1
    else:
        assert (port["test"], port["verdict"]) == ("held", "ok") and box.events("limits_tested") == 1
        assert by_class(port)["bulk"]["tested"] in ("held", "slow")
        assert own[0].ns - padding[0].ns >= 800_000_000 and padding[-1].ns <= own[0].ns



@pytest.mark.parametrize("required", [False, True])
def test_faster(box, required):
    """Four times as fast as programmed: noticed, and the rate stays what it was, or the port stops."""
    rate = 50
    box.start(box.one(rate, required=required))
    capture = laboratory.Capture(box.lab, "internet", "net0")
    # What fills the bucket makes frames wait in the NIC.
    flood = box.flood(2 * rate, 60)
    box.wait_arriving(1000)
    assert box.hardware()[1] == 0
    box.nic.order("faster 4")
    box.wait_event("limiter_fast")
    if required:
        port = box.wait_hardware(lambda now: now["state"] == "down")
        stopped = box.arrived()
        box.weir.wait_status(lambda now: now["links"][0]["egress"]["dropped"].get("link_down", 0) > 500)
        assert box.arrived() == stopped
    else:
        port, status = box.hardware()
        assert status == 1 and port["alarm"] is True
        assert (port["verdict"], port["limiter"], by_class(port)["bulk"]["verdict"]) == ("fast", "soft", "software")
        assert "fast" in {queue["verdict"] for queue in port["queues"]}
        box.wait_arriving(1000)
    text = box.ctl("hardware")
    assert text.returncode == 1 and re.search(r"^out0 .* fast$", text.stdout, re.MULTILINE)
    flood.end()
    frames = capture.frames()
    assert box.events("limiter_fast") == 1
    box.weir.stop()
    # A cheat included: software has it.
    worst = holds(frames, rate, 5_000_000)
    laboratory.measured(f"a model NIC four times as fast: worst window {worst:.0f} B of {BURST_BYTES} at the receiver")
    if not required:
        total = sum(frame.wire for frame in frames) * 8e9 / (frames[-1].ns - frames[0].ns)
        assert total >= 0.8 * rate * MBIT


def test_extra_frames(box):
    """Ten frames that nobody charged: the link stops, and only a restart brings it back."""
    policy = box.one(50)
    box.start(policy)
    flood = box.flood(10, 120)
    box.wait_arriving(500)
    capture = laboratory.Capture(box.lab, "internet", "net0", snap=64)
    box.nic.order("extra 10")
    box.wait_event("port_breach")
    box.wait_hardware(lambda port: port["state"] == "breached")
    port, status = box.hardware()
    assert status == 1 and (port["verdict"], port["alarm"]) == ("breach", True)
    assert port["sent_frames"] > port["charged_frames"]
    before = box.egress()["dropped"].get("link_down", 0)
    stopped = box.arrived()
    box.weir.wait_status(lambda now: now["links"][0]["egress"]["dropped"].get("link_down", 0) > before + 1000)
    assert box.arrived() == stopped and flood.running()
    # The link going down and up is no way out.
    box.nic.ask("link down")
    box.nic.ask("link up")
    before = box.egress()["dropped"]["link_down"]
    box.weir.wait_status(lambda now: now["links"][0]["egress"]["dropped"]["link_down"] > before + 500)
    assert box.arrived() == stopped
    own = sum(frame.ethertype == EXTRA_ETHERTYPE for frame in capture.frames())
    assert 0 < own <= 10
    box.weir.stop()
    box.start(policy, commission=False)
    box.wait_arriving(500)
    assert box.hardware()[1] == 0
    flood.end()
    box.weir.stop()


def test_hidden_frames(box):
    """Counters that leave out half of what left: told, as nothing else would be noticed by them."""
    box.start(box.one(50))
    flood = box.flood(10, 60)
    box.wait_arriving(200)
    assert box.hardware()[1] == 0
    box.nic.order("underreport 50")
    box.wait_event("port_counters")
    port, status = box.hardware()
    assert status == 1 and (port["verdict"], port["alarm"]) == ("counters", True)
    box.wait_arriving(200)
    flood.end()
    box.weir.stop()


def test_required_and_not_to_be_had(box):
    """i40e limits ports and traffic classes, not queues: with limiter_required Weir doesn't start."""
    policy = box.one(50, family="i40e", required=True)
    weir = box.start(policy, ready=False)
    assert weir.child.wait(60) == 1
    weir.forget()
    lines = [line for line in weir.text().splitlines() if "limiter_required" in line]
    assert len(lines) == 1 and re.search(r"port out0: limiter_required: .*i40e.*not a queue", lines[0]), weir.text()
    assert weir.text().splitlines()[-1] == lines[0] and box.arrived() == 0
    # Without, it does, in software.
    box.start(box.one(50, family="i40e"), commission=False)
    port, status = box.hardware()
    assert status == 0 and (port["limiter"], port["verdict"]) == ("soft", "software")
    assert "not a queue" in port["reason"]
    flood = box.flood(10, 60)
    box.wait_arriving(200)
    flood.end()
    box.weir.stop()


def test_required_of_a_policy(box):
    """A policy by which a class would be limited in software alone is refused in one line, and changes nothing."""
    box.start(box.one(50, required=True))
    before, limits, digest = box.hardware()[0], box.nic.limits(), box.weir.status()["policy"]
    assert 50 * MBIT in limits
    done = box.ctl("apply", box.one(8, required=True, name="after.yaml"))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"[^\n]*port out0: limiter_required: [^\n]*in software alone would be bulk[^\n]*\n", done.stderr)
    after, status = box.hardware()
    assert status == 0 and box.nic.limits() == limits and box.weir.status()["policy"] == digest
    assert by_class(after)["bulk"]["programmed_bit_s"] == by_class(before)["bulk"]["programmed_bit_s"] == 50 * MBIT
    flood = box.flood(10, 60)
    box.wait_arriving(200)
    flood.end()
    # One that can be had is taken.
    done = box.ctl("apply", box.one(20, required=True, name="after.yaml"))
    assert done.returncode == 0, done.stderr
    assert 20 * MBIT in box.nic.limits()
    box.weir.stop()


def test_extra_frames_while_compiling(box):
    """A port that sends what nobody charged is stopped while a policy compiles, not after it."""
    box.start(box.one(50))
    rules = "  - {link: internet, class: bulk}\n"
    bulk = f"  - {{name: bulk, budget: total, rate: 50 Mbit/s, burst: {BURST_BYTES} B, excess: drop}}\n"
    for count in (40, 80, 160, 320, 640):
        slow = box.policy(bulk, slow_rules(count, "bulk") + rules, name="slow.yaml")
        begin = time.monotonic()
        done = box.ctl("check", slow)
        took = time.monotonic() - begin
        if took > 1.5:  # many looks, on a machine of any speed
            break
    else:
        assert done.returncode == 0, done.stderr
    checking = subprocess.Popen([WEIRCTL, "--socket", str(box.lab.folder / "control.sock"), "check", str(slow)],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begin = time.monotonic()
    try:
        time.sleep(took / 4)
        box.nic.order("extra 10")
        while "port_breach" not in box.weir.text() and checking.poll() is None:
            time.sleep(0.02)
        noticed = time.monotonic()
    finally:
        checking.wait(60)
    # Long before the end, at which it would be looked at anyway.
    assert time.monotonic() - noticed > took / 4
    box.weir.stop()
