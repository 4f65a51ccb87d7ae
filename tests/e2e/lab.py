# SPDX-License-Identifier: BSD-3-Clause
"""A laboratory of network namespaces: hosts, wires, captures, floods, and a Weir between them.

Everything that a test judges by is taken at the receiving host: by tcpdump there, or by that host
kernel's own counters. Names of namespaces carry this process's id, so that runs don't collide and
what a killed run left behind can be told from what is in use.
"""

import contextlib
import bisect
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Iterator, NamedTuple

from plain_http import request

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WEIR_BUILD", REPOSITORY / "build")).resolve()
# The Weir that is tried: that of the build, or another one of which nothing else is used.
PROGRAM = BUILD / os.environ.get("WEIR_PROGRAM", "weir")
PROBE_ETHERTYPE = 0x88B5
# Weir polls on CPU 1; what sends and captures stays away from it. All go before whatever else this
# machine does, or a test would judge that.
PRIVILEGED = ["taskset", "-c", "0", "nice", "-n", "-10"]
OVERHEAD_BYTES = 24  # FCS, preamble and start delimiter, gap
PATIENCE_S = 60  # for what has to come, on a machine that is slow or busy
# A machine may take Weir's CPU away for a moment. The 512 frames that the driver's ring has room for by itself are
# 60 ms of a flood; where it overflows, frames are lost that never were Weir's.
RING_FRAMES = 8192
SANITIZED = os.environ.get("WEIR_SANITIZED") == "1"  # slower start; rates are not judged


def wire_bytes(frame_bytes: int) -> int:
    """What a frame takes on the wire. Written here again on purpose: nothing is taken from Weir."""
    return max(frame_bytes, 60) + OVERHEAD_BYTES


def widen(policy: Path, interface: str) -> Path:
    """Gives rings for many frames to a policy's af_packet ports of an interface, by its pattern."""
    policy.write_text(re.sub(rf"\bnet_af_packet\d+,iface={interface}\b(?!,)", rf"\g<0>,framecnt={RING_FRAMES}",
                             policy.read_text()))
    return policy


def measured(text: str) -> None:
    """Reports a figure: to the test's output, and to the file that tools/check prints."""
    print(f"measured: {text}")
    if path := os.environ.get("WEIR_MEASURED"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"  {text}\n")


def run(*command: object, check: bool = True, timeout: float = 30, **options) -> subprocess.CompletedProcess:
    """Runs a command with a time limit; a failure shows what it said."""
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                          check=False, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit status {done.returncode}: {done.stdout}")
    return done


class Frame(NamedTuple):
    ns: int  # wall clock of the capturing kernel
    length: int  # on the wire, without FCS
    data: bytes  # as much of it as was captured

    @property
    def wire(self) -> int:
        return wire_bytes(self.length)

    @property
    def ethertype(self) -> int:
        return int.from_bytes(self.data[12:14], "big")


def read_pcap(path: Path) -> Iterator[Frame]:
    """Reads a classic pcap file of Ethernet frames, by the format's own definition."""
    content = Path(path).read_bytes()
    magic = content[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1 if magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1000
    number, = struct.unpack_from(order + "I", content, 0)
    if number not in (0xA1B2C3D4, 0xA1B23C4D):
        raise ValueError(f"{path}: not a pcap file")
    link_type, = struct.unpack_from(order + "I", content, 20)
    if link_type & 0xFFFF != 1:
        raise ValueError(f"{path}: link type {link_type}, expected 1 (Ethernet)")
    header = struct.Struct(order + "IIII")
    offset = 24
    while offset + 16 <= len(content):
        seconds, fraction, captured, length = header.unpack_from(content, offset)
        offset += 16
        if offset + captured > len(content):
            return  # the last record was cut off
        yield Frame(seconds * 1_000_000_000 + fraction * unit, length,
                    content[offset:offset + captured])
        offset += captured


def write_pcap(path: Path, frames: list[bytes]) -> None:
    """Writes frames as a classic pcap file, a microsecond apart."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for number, frame in enumerate(frames):
            file.write(struct.pack("<IIII", number // 1_000_000, number % 1_000_000, len(frame),
                                   len(frame)))
            file.write(frame)


class Clocks(threading.Thread):
    """Relates the wall clock (of captures) to CLOCK_MONOTONIC_RAW while it runs.

    The wall clock is steered by NTP, up to 500 ppm: as much as the accuracy that is tested.
    """

    PERIOD_S = 0.05

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.real: list[int] = []
        self.raw: list[int] = []
        self.error_ns = 0  # widest bracket that was accepted
        self.ended = threading.Event()

    def sample(self) -> None:
        best = None
        for _ in range(20):
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            real = time.clock_gettime_ns(time.CLOCK_REALTIME)
            after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            if best is None or after - before < best[0]:
                best = (after - before, (after + before) // 2, real)
        self.error_ns = max(self.error_ns, best[0])
        self.raw.append(best[1])
        self.real.append(best[2])

    def run(self) -> None:
        self.sample()
        while not self.ended.wait(self.PERIOD_S):
            self.sample()
        self.sample()

    def stop(self) -> None:
        self.ended.set()
        self.join(5)

    def to_raw(self, real_ns: int) -> float:
        """A wall-clock time on the raw clock, by straight lines between the samples."""
        at = min(max(bisect.bisect_right(self.real, real_ns) - 1, 0), len(self.real) - 2)
        real_step = self.real[at + 1] - self.real[at]
        raw_step = self.raw[at + 1] - self.raw[at]
        return self.raw[at] + (real_ns - self.real[at]) * (raw_step / real_step)


class Process:
    """A child with a log file, always ended and waited for."""

    def __init__(self, command: list[object], log: Path, **options) -> None:
        self.command = [str(part) for part in command]
        self.log = Path(log)
        self.told: set[int] = set()  # signals
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output,
                                          stderr=subprocess.STDOUT, **options)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: str, timeout: float) -> None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if re.search(pattern, self.text()):
                return
            if self.child.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{self.command[0]}: no {pattern!r} within {timeout} s, exit status "
                             f"{self.child.poll()}:\n{self.text()}")

    def running(self) -> bool:
        return self.child.poll() is None

    def ended_by_itself(self) -> bool:
        """Without a signal from here, or by another one than that."""
        status = self.child.poll()
        return status is not None and (not self.told or (status < 0 and -status not in self.told))

    def end(self, number: int = signal.SIGTERM, timeout: float = PATIENCE_S) -> int:
        """Sends a signal and waits; kills what does not end in time. Returns the exit status."""
        if self.child.poll() is None:
            self.told.add(number)
            self.child.send_signal(number)
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(5)
            raise AssertionError(f"{self.command}: did not end within {timeout} s of signal "
                                 f"{number}:\n{self.text()[-3000:]}") from None


class Capture(Process):
    """tcpdump of what arrives at an interface, with the kernel's nanosecond timestamps."""

    def __init__(self, lab: "Lab", host: str, interface: str, name: str = "capture",
                 snap: int = 128, immediate: bool = False) -> None:
        """immediate: frames are handed over one by one, and none has to be waited for."""
        self.path = lab.folder / f"{name}.pcap"
        # The kernel hands frames over in blocks, at the latest after a second; a busy one takes longer.
        self.settle_s = 0.15 if immediate else 2
        log = lab.folder / f"{name}.log"
        log.unlink(missing_ok=True)
        super().__init__(lab.exec(host) + PRIVILEGED + ["tcpdump", "-i", interface, "-Q", "in", "-n", "-s", snap,
                                           "-B", 65536, "--time-stamp-precision=nano", "-Z", "root",
                                           *(["--immediate-mode"] if immediate else []),
                                           "-w", self.path], log)
        lab.processes.append(self)
        self.wait_for("listening on", PATIENCE_S)

    def counts(self) -> list[tuple[int, int, int]]:
        """What it has said so far, each time: frames captured, received by its filter, dropped by the kernel."""
        return [tuple(map(int, found)) for found in
                re.findall(r"(\d+) packets? captured\W+(\d+) packets? received by filter\W+"
                           r"(\d+) packets? dropped by kernel", self.text())]

    def ask(self) -> tuple[int, int, int]:
        """Its counts now."""
        told, end = len(self.counts()), time.monotonic() + PATIENCE_S
        self.child.send_signal(signal.SIGUSR1)
        while len(counts := self.counts()) == told:
            assert time.monotonic() < end and self.running(), self.text()
            time.sleep(0.005)
        return counts[-1]

    def settle(self) -> None:
        """Waits until it has taken what came before: it has had its CPU whenever asked, for long enough, and is not behind.

        A capture that is ended earlier leaves frames in the kernel, and nothing tells of them.
        """
        begun = since = time.monotonic()
        before, behind = self.ask(), True
        while behind or time.monotonic() - since < self.settle_s:
            if time.monotonic() - begun > PATIENCE_S:
                return
            time.sleep(0.03)
            asked, now = time.monotonic(), self.ask()
            if time.monotonic() - asked > 0.1:
                since = asked
            behind, before = now[0] > before[0] and now[1] == before[1], now

    def frames(self) -> list[Frame]:
        """Ends the capture and reads it. Fails if the kernel dropped anything from it."""
        if self.running():
            self.settle()
            self.end(signal.SIGINT)
        counts = self.counts()
        assert counts and counts[-1][2] == 0, self.text()
        return list(read_pcap(self.path))


class Flood(Process):
    """tests/e2e/flood in a namespace."""

    count = 0

    def __init__(self, lab: "Lab", host: str, interface: str, **options: object) -> None:
        Flood.count += 1
        names = {"rate": "-r", "bytes": "-l", "seconds": "-t", "frames": "-n", "source": "-s",
                 "destination": "-d", "port": "-o", "capture": "-p", "source_mac": "-S",
                 "destination_mac": "-D"}
        arguments: list[object] = ["-i", interface]
        for key, value in options.items():
            arguments += ["-b"] if key == "probe" else [names[key], value]
        super().__init__(lab.exec(host) + PRIVILEGED + [BUILD / "tests/e2e/flood"] + arguments,
                         lab.folder / f"flood{Flood.count}.log")
        lab.processes.append(self)

    def result(self, timeout: float) -> tuple[int, int]:
        """Waits for its end. Returns frames and wire bytes sent."""
        assert self.child.wait(timeout) == 0, self.text()
        found = re.search(r"frames (\d+) wire_bytes (\d+)", self.text())
        assert found is not None, self.text()
        return int(found[1]), int(found[2])


class Counter:
    """What a host has received at an interface, by its kernel's count, read without a process.

    All frames must have one length: then a frame that the host was too busy to take, which left the
    box all the same, can be counted as well.
    """

    def __init__(self, lab: "Lab", host: str, interface: str, box_interface: str,
                 frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        self.ends = []
        for place, device in ((host, interface), ("box", box_interface)):
            holder = lab.start(place, ["sleep", "infinity"], f"counter-{device}.log")
            path, end = Path(f"/proc/{holder.child.pid}/net/dev"), time.monotonic() + PATIENCE_S
            while f"{device}:" not in path.read_text():  # not in the namespace yet
                assert time.monotonic() < end, device
                time.sleep(0.005)
            self.ends.append((path, device))
        self.first = [self.numbers(end) for end in range(2)]

    def numbers(self, end: int) -> list[int]:
        path, device = self.ends[end]
        return [int(word) for word in path.read_text().partition(f"{device}:")[2].splitlines()[0].split()]

    def read(self) -> tuple[int, int]:
        """Frames that left, and bytes of those that arrived, since this counter was made."""
        (size, frames), lost = ([now - before for now, before in zip(self.numbers(0), self.first[0])][:2],
                                self.numbers(1)[11] - self.first[1][11])
        return frames + lost, size

    def wire(self) -> int:
        """Wire bytes of all that left."""
        return self.read()[0] * wire_bytes(self.frame_bytes)

    def settled(self, quiet_s: float = 0.05) -> int:
        """The same, once nothing more has come for so long: whoever sent must have ended or stopped."""
        before, now = None, self.read()
        while now != before:
            time.sleep(quiet_s)
            before, now = now, self.read()
        assert now[1] % self.frame_bytes == 0, "frames of other lengths"
        return self.wire()


class Weir(Process):
    """A running appliance in the box's namespace."""

    count = 0

    def __init__(self, lab: "Lab", policy: Path, ready: bool = True, within: tuple = (),
                 program: str | Path = PROGRAM, **options) -> None:
        """within: a command that runs another one, in a mount namespace for example."""
        Weir.count += 1
        self.lab = lab
        super().__init__([*within, *lab.exec("box"), "nice", "-n", -15, BUILD / program, policy],
                         lab.folder / f"weir{Weir.count}.log", **options)
        lab.processes.append(self)
        if ready:
            self.wait_for(r"weir: ready", PATIENCE_S)

    def request(self, method: str, path: str, body: bytes = b"", sock: str = "control.sock") -> tuple[int, bytes]:
        return request(self.lab.folder / sock, method, path, body)

    def status(self) -> dict:
        code, body = self.request("GET", "/v1/status")
        assert code == 200, body
        return json.loads(body)

    def wait_status(self, condition, timeout: float = PATIENCE_S) -> dict:
        """Asks until condition(status) holds."""
        end = time.monotonic() + timeout
        while True:
            status = self.status()
            if condition(status):
                return status
            assert time.monotonic() < end, f"status never came: {json.dumps(status, indent=1)}"
            time.sleep(0.05)

    def waited_s(self) -> float:
        """How long its workers have waited for their CPUs, by the kernel's count, and what a hypervisor took."""
        waited = [int((task / "schedstat").read_text().split()[1]) for task in Path(f"/proc/{self.child.pid}/task").iterdir()
                  if "worker" in (task / "comm").read_text()]
        stolen = int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])
        return max(waited) / 1e9 + stolen / os.sysconf("SC_CLK_TCK")

    def wait_rest(self, quiet_s: float = 0.3) -> dict:
        """Waits until nothing has passed for so long, and nothing waits: whoever sent must have ended."""
        before, end = None, time.monotonic() + PATIENCE_S
        while True:
            status = self.status()
            now = [(link[way]["rx_frames"], link[way]["tx_frames"]) for link in status["links"] for way in ("egress", "return")]
            if now == before and not any(item["queued_bytes"] for item in status["classes"]):
                return status
            assert time.monotonic() < end, json.dumps(status, indent=1)
            before = now
            time.sleep(quiet_s)

    def stop(self) -> None:
        """A clean stop: exit status 0, and nothing that a sanitizer would report."""
        assert self.end(signal.SIGTERM) == 0, self.text()[-3000:]
        assert "ERROR: " not in self.text() and "runtime error" not in self.text(), self.text()

    def kill(self) -> None:
        assert self.end(signal.SIGKILL) == -signal.SIGKILL
        self.forget()

    def forget(self) -> None:
        """Removes what DPDK leaves behind of a process that was killed."""
        with contextlib.suppress(OSError):
            os.rmdir("/run/dpdk/weir")


def named(items: list[dict], name: str) -> dict:
    """The item of a status list that has this name."""
    found = [item for item in items if item["name"] == name]
    assert len(found) == 1, (name, items)
    return found[0]


class Lab:
    """Namespaces, wires between hosts and the box, and everything started in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"weir-{os.getpid()}-"
        self.hosts: list[str] = []
        self.processes: list[Process] = []
        self.add_host("box")

    def name(self, host: str) -> str:
        return self.prefix + host

    def exec(self, host: str) -> list[object]:
        return ["ip", "netns", "exec", self.name(host)]

    def add_host(self, host: str) -> None:
        self.hosts.append(host)  # at first: an interrupt may come at any moment
        run("ip", "netns", "add", self.name(host))
        for key in ("all", "default"):
            run(*self.exec(host), "sysctl", "-qw", f"net.ipv6.conf.{key}.disable_ipv6=1")
        run("ip", "-n", self.name(host), "link", "set", "lo", "up")

    def wire(self, host: str, interface: str, box_interface: str, address: str = "",
             mac: str = "", mtu: int = 1500) -> None:
        """A veth pair from a host to the box. The box's end is Weir's: its kernel says nothing."""
        if host not in self.hosts:
            self.add_host(host)
        there, box = self.name(host), self.name("box")
        mac_option = ["address", mac] if mac else []
        run("ip", "-n", there, "link", "add", interface, *mac_option, "mtu", mtu, "type", "veth",
            "peer", "name", box_interface, "mtu", mtu, "netns", box)
        run("ip", "-n", box, "link", "set", box_interface, "arp", "off", "multicast", "off")
        for namespace, device in ((there, interface), (box, box_interface)):
            run("ip", "netns", "exec", namespace, "ethtool", "-K", device, "tx", "off", "rx", "off",
                "sg", "off", "tso", "off", "gso", "off", "gro", "off", "txvlan", "off", "rxvlan",
                "off", check=False)
            run("ip", "-n", namespace, "link", "set", device, "up")
        if address:
            run("ip", "-n", there, "address", "add", address, "dev", interface)

    def neighbour(self, host: str, interface: str, address: str, mac: str) -> None:
        """A fixed ARP entry, so that a host asks for nothing."""
        run("ip", "-n", self.name(host), "neighbour", "replace", address, "lladdr", mac, "dev",
            interface, "nud", "permanent")

    def pair(self) -> None:
        """The usual two hosts on one link: datacenter (dc0) and internet (net0), 10.77.0.1 and .2."""
        self.wire("datacenter", "dc0", "in0", "10.77.0.1/24", "02:00:00:00:00:01")
        self.wire("internet", "net0", "out0", "10.77.0.2/24", "02:00:00:00:00:02")
        self.neighbour("datacenter", "dc0", "10.77.0.2", "02:00:00:00:00:02")
        self.neighbour("internet", "net0", "10.77.0.1", "02:00:00:00:00:01")

    def start(self, host: str, command: list[object], log: str) -> Process:
        process = Process(self.exec(host) + command, self.folder / log)
        self.processes.append(process)
        return process

    def kernel_count(self, host: str, interface: str) -> tuple[int, int]:
        """Frames and bytes (without FCS) that the host's kernel says it received."""
        told = json.loads(run("ip", "-n", self.name(host), "-s", "-j", "link", "show", "dev",
                              interface).stdout)
        return told[0]["stats64"]["rx"]["packets"], told[0]["stats64"]["rx"]["bytes"]

    def policy(self, text: str, appliance: str = "", name: str = "policy.yaml") -> Path:
        """Writes a policy file: the laboratory's appliance section, then text."""
        path = self.folder / name
        path.write_text(f"""\
appliance:
  name: laboratory
  workers: [1]
  control_lcore: 0
  memory: 512 MiB
  huge_pages: off
  allow_remote_numa: true
  ledger: {self.folder}/ledger
  control_socket: {self.folder}/control.sock
{appliance}{text}""")
        return widen(path, r"in\d+")

    def pair_policy(self, rate: str, burst: str = "64 KB", excess: str = "drop",
                    backlog: str = "", caps: str = "{limit: 1 TB}", rule: str = "{link: internet}",
                    appliance: str = "", name: str = "policy.yaml") -> Path:
        """One link between the usual two hosts, one class, one budget."""
        backlog_line = f"\n    backlog: {backlog}" if backlog else ""
        inner = rule.strip("{} ")
        return self.policy(f"""\
ports:
  - name: in0
    device: net_af_packet0,iface=in0
  - name: out0
    device: net_af_packet1,iface=out0
links:
  - name: internet
    inside: in0
    outside: out0
budgets:
  - name: total
    caps: [{caps}]
classes:
  - name: bulk
    budget: total
    rate: {rate}
    burst: {burst}
    excess: {excess}{backlog_line}
rules:
  - {{{inner}, class: bulk}}
""", appliance, name)

    def commission(self, policy: Path) -> None:
        done = run(*self.exec("box"), PROGRAM, "--commission", policy, check=False)
        assert done.returncode == 0, done.stdout

    def weir(self, policy: Path, ready: bool = True, **options) -> Weir:
        return Weir(self, policy, ready, **options)

    def close(self) -> None:
        """Ends every process, then removes the namespaces, and the wires with them."""
        for process in reversed(self.processes):
            if process.running():
                process.child.kill()
                process.child.wait(10)
            if isinstance(process, Weir):
                process.forget()
        for host in self.hosts:
            run("ip", "netns", "delete", self.name(host), check=False)


def remove_leftovers(own: bool = False) -> None:
    """Removes namespaces and folders of runs whose process is gone, and what still runs in them. own: and of this process."""
    listed = run("ip", "netns", "list", check=False).stdout
    for found in re.finditer(r"^(weir-(\d+)-\w+)", listed, re.MULTILINE):
        if Path(f"/proc/{found[2]}").exists() and not (own and int(found[2]) == os.getpid()):
            continue
        end = time.monotonic() + PATIENCE_S
        # Also what one of them has started meanwhile; and memory takes a moment to be given back.
        while (pids := run("ip", "netns", "pids", found[1], check=False).stdout.split()) and time.monotonic() < end:
            for pid in pids:
                with contextlib.suppress(OSError, ValueError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.05)
        run("ip", "netns", "delete", found[1], check=False)
    for path in Path(tempfile.gettempdir()).glob("weir-*-*"):
        found = re.match(r"weir-(\d+)-", path.name)
        if found and not Path(f"/proc/{found[1]}").exists():
            shutil.rmtree(path, ignore_errors=True)
