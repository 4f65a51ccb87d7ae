# SPDX-License-Identifier: BSD-3-Clause
"""weirgen, judged at the other end of a wire: by tcpdump, and by what was made to be lost."""

import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import lab as laboratory
import pytest

WEIRGEN = laboratory.BUILD / "weirgen"
REPORT = Path(__file__).parents[2] / "tools/report"
MIXED = """\
seed: 11
duration: 1 s
streams:
  - name: tuples
    rate: 3 Mbit/s
    arrival: poisson
    size: imix
    source: 10.0.0.0/8
    destination: 192.0.2.0/24
    source_ports: 1024-65535
    protocols: [udp, tcp, icmp, esp]
    source_mac: 02:00:00:00:00:01-02:00:00:00:00:ff
  - name: six
    rate: 1 Mbit/s
    size: 92-1400
    vlan: 10-20
    source: 2001:db8::/32
    destination: fd00::1-fd00::ff
    protocols: [udp, tcp, icmpv6]
  - name: raw
    ethertype: 0x88b5
    size: 60-1514
    steps:
      - {for: 100 ms, rate: 1 Mbit/s, to: 4 Mbit/s}
      - {for: 50 ms, rate: 0 bit/s}
  - name: tokens
    size: 120-300
    protocols: [tcp]
    sessions: {count: 40, frames: 5-20, gap: 10 ms - 30 ms, pause: 50 ms - 500 ms}
"""
# A ring for all frames of a test: a receiver that has to wait for its CPU loses none.
RECEIVING = ["receive", "--port", "net_af_packet0,iface=net0,framecnt=8192"]
FIXED = "seed: 5\nstreams:\n  - {name: steady, rate: %s, size: %d}\n"


numbers = itertools.count()


def weirgen(lab, host, *arguments, sends=True):
    """Starts one; a sender polls away from a receiver."""
    worker = ["--worker", "1", "--control", "0"] if sends else ["--worker", "0", "--control", "1"]
    return lab.start(host, [WEIRGEN, *arguments, *worker], f"weirgen{next(numbers)}.log")


def finish(process, *status):
    assert process.child.wait(120) in (status or (0,)), process.text()


def sender(lab, *arguments, port="net_af_packet0,iface=out0"):
    return weirgen(lab, "box", *arguments, "--port", port, "--json", lab.folder / "sent.json")


def sent(lab):
    return json.loads((lab.folder / "sent.json").read_text())


def send(lab, *arguments, port="net_af_packet0,iface=out0", status=0):
    """Runs a sender in the box to its end, whatever its CPU is kept from. Returns its JSON."""
    finish(sender(lab, *arguments, "--catch-up", "500 ms", port=port), status)
    return sent(lab)


def received(process, lab, *status):
    """The JSON of a receiver that ends, which tools/report takes too."""
    finish(process, *status)
    result = lab.folder / "result.json"
    laboratory.run(REPORT, result, lab.folder / "sent.json", "-o", lab.folder / "report.html")
    return json.loads(result.read_text())


@pytest.fixture
def wire(lab):
    lab.wire("internet", "net0", "out0")
    return lab


def profile(lab, text):
    path = lab.folder / "profile.yaml"
    path.write_text(text)
    return path


def written(lab, path, name, *arguments):
    """Frames of a profile, by --write, and the file's bytes."""
    output = lab.folder / name
    laboratory.run(WEIRGEN, "send", path, "--write", output, *arguments)
    return list(laboratory.read_pcap(output)), output.read_bytes()


def test_same_seed_same_frames(wire):
    """Counts, bytes and every frame are what the seed says: in a file, and twice on the wire."""
    path = profile(wire, MIXED)
    frames, first = written(wire, path, "one.pcap")
    assert written(wire, path, "two.pcap")[1] == first
    assert written(wire, path, "three.pcap", "--seed", "12")[1] != first
    for turn in range(2):
        capture = laboratory.Capture(wire, "internet", "net0", f"turn{turn}", 9000)
        told = send(wire, "send", path)
        received = capture.frames()
        assert [frame.data for frame in received] == [frame.data for frame in frames]
        assert told["frames"] == len(received) == sum(stream["frames"] for stream in told["streams"])
        assert told["wire_bytes"] == sum(frame.wire for frame in received)
        assert told["frame_bytes"] == sum(frame.length for frame in received)
        assert [stream["name"] for stream in told["streams"]] == ["tuples", "six", "raw", "tokens"]
    assert len(frames) > 1000


@pytest.mark.parametrize("rate, size", [("10 Mbit/s", 60), ("100 Mbit/s", 1514)])
def test_rate(wire, rate, size):
    """Never more than the rate by any time; and not much less, on a machine that is shared."""
    bit_s = float(rate.split()[0]) * 1e6
    path = profile(wire, FIXED % (rate, size))
    for turn in range(3):
        clocks = laboratory.Clocks()
        clocks.start()
        capture = laboratory.Capture(wire, "internet", "net0", f"rate{turn}")
        told = send(wire, "send", path, "--duration", "1 s")
        frames = capture.frames()
        clocks.stop()
        expected = int(bit_s / 8 / (size + 24))
        assert told["frames"] == len(frames) == expected
        span_ns = clocks.to_raw(frames[-1].ns) - clocks.to_raw(frames[0].ns)
        # The first frame is due when its own bytes are allowed: the span has one frame less.
        measured = sum(frame.wire for frame in frames[1:]) * 8e9 / span_ns
        laboratory.measured(f"weirgen {rate}, {size} bytes: {100 * (measured / bit_s - 1):+.3f} %")
        # A first or last frame that a busy machine held back for 50 ms is 5 %: tools/bench generator tells
        # how exact rates are.
        if -0.05 < measured / bit_s - 1 < 0.05 or laboratory.SANITIZED:
            return
    pytest.fail("not within 5 % in three turns")


def spoil(frames, seed):
    """Loses, repeats and delays some frames. Returns what is left, and how many of each."""
    dice = random.Random(seed)
    left, counts = [], {"lost": 0, "duplicates": 0, "reordered": 0}
    for number, frame in enumerate(frames):
        inner = 10 < number < len(frames) - 10
        if inner and dice.random() < 0.02:
            counts["lost"] += 1
        elif inner and dice.random() < 0.02:
            counts["duplicates"] += 1
            left += [frame, frame]
        else:
            left.append(frame)
    place = 20
    while place < len(left) - 20:
        if len(set(left[place - 1:place + 4])) == 5:  # none of them is a second copy
            left.insert(place + 3, left.pop(place))  # behind three that came after it
            counts["reordered"] += 1
        place += dice.randrange(20, 60)
    return left, counts


def test_receive_counts(wire):
    """What was lost, repeated and delayed on purpose is what the receiver finds."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    frames, _ = written(wire, profile(wire, FIXED % ("20 Mbit/s", 200)), "all.pcap", "--count", "4600")
    first, late, *rest = [frame.data for frame in frames]
    left, counts = spoil(rest, seed)
    # The second comes last, so late that nobody knows whether it came before.
    left, counts["lost"], counts["stale"] = [first, *left, late], counts["lost"] + 1, 1
    spoilt, result, captured = (wire.folder / name for name in ("spoilt.pcap", "result.json", "seen.pcapng"))
    laboratory.write_pcap(spoilt, left)
    receiver = weirgen(wire, "internet", *RECEIVING, "--count", len(left), "--json", result, "--capture", captured, "--limit", "1 Gbit/s + 1 GB", "--window",
                       "100 ms", "--duration", "30 s", sends=False)
    receiver.wait_for("receiving on", laboratory.PATIENCE_S)
    told = send(wire, "replay", spoilt, "--rate", "20 Mbit/s")
    seen = received(receiver, wire)
    assert (told["kind"], seen["kind"]) == ("weirgen.replay", "weirgen.receive")
    assert told["frames"] == seen["frames"] == seen["stamped"] == len(left)
    assert seen["port_missed"] == told["port_unsent"] == 0
    assert told["wire_bytes"] == seen["wire_bytes"] == len(left) * 224
    flow, = seen["flows"]
    assert {key: flow[key] for key in counts} == counts
    assert flow["first"] == 0 and flow["highest"] == 4599 and flow["reorder_max"] >= 3
    assert flow["stray"] == flow["early"] == 0
    shown = dict(zip(*(line.split() for line in receiver.text().splitlines()[-2:])))
    assert {key: int(shown[title]) for key, title in (("lost", "LOST"), ("duplicates", "TWICE"), ("reordered", "REORDERED"),
                                                      ("stale", "STALE"))} == counts
    assert flow["latency"]["count"] == len(left) and flow["latency_kind"] == "variation"
    window, = seen["windows"]
    assert 224 <= window["at_least_bytes"] <= window["at_most_bytes"] <= seen["wire_bytes"]
    assert [frame.data for frame in laboratory.read_pcap(converted(wire, captured))] == left


@pytest.mark.parametrize("joined_by", ["itself", "others"])
def test_joined_frames(wire, joined_by):
    """Offloads make few long frames of many, which the ring's room cuts: no limit is judged by those."""
    inside, outside = (wire.exec(host) for host in ("box", "internet"))
    if joined_by == "itself":
        laboratory.run(*outside, "ethtool", "-K", "net0", "gro", "on")
    receiver = weirgen(wire, "internet", *RECEIVING, "--quiet", "--count", "5", "--duration", "20 s", "--limit", "1 Gbit/s + 1 MB",
                       "--json", wire.folder / "result.json", sends=False)
    if joined_by == "itself":
        finish(receiver, 2)
        assert receiver.text() == ("weirgen: net_af_packet0,iface=net0,framecnt=8192: the interface joins frames before they can be "
                                   "counted: ethtool -K INTERFACE gro off lro off\n")
        return
    # As long as the sending end's segments. The receiver sets the MTU when it starts, once.
    sending = "import socket as s; l = s.socket(s.AF_PACKET, s.SOCK_RAW); l.bind(('out0', 0)); l.send(bytes(12) + b'\\x12\\x34' + bytes(3000))"
    end = time.monotonic() + 20
    while receiver.running() and time.monotonic() < end:
        laboratory.run(*outside, "ip", "link", "set", "net0", "mtu", "9000")
        laboratory.run(*inside, "ip", "link", "set", "out0", "mtu", "9000")
        laboratory.run(*inside, sys.executable, "-c", sending, check=False)
    finish(receiver, 1)
    oversize = json.loads((wire.folder / "result.json").read_text())["oversize"]
    assert oversize > 0 and receiver.text() == (f"weirgen: {oversize} frames were longer than the MTU of 1500: offloads have joined "
                                                "them, and their bytes are not those of the wire\n")


def converted(lab, path):
    """A pcapng file, by tcpdump, as a pcap file."""
    output = lab.folder / "converted.pcap"
    laboratory.run("tcpdump", "-r", path, "-w", output, "-Z", "root")
    return output


def judge(wire, limit, *sending, framecnt=8192):
    """Starts a receiver that judges by a limit, and a sender that keeps to 20 Mbit/s, for a second if it has its CPU."""
    path = profile(wire, FIXED.replace("size:", "stamp: live, size:") % ("20 Mbit/s", 1000))
    port = f"net_af_packet0,iface=net0,framecnt={framecnt}" + ("" if framecnt > 256 else ",blocksz=4096")
    receiver = weirgen(wire, "internet", "receive", "--port", port, "--idle", "500 ms", "--limit", limit, "--window",
                       "1 ms", "--json", wire.folder / "result.json", "--duration", "30 s", sends=False)
    receiver.wait_for("receiving on", laboratory.PATIENCE_S)
    running = sender(wire, "send", path, "--count", "2441", *sending)
    wait_for_frames(wire, 10)
    return receiver, running


def wait_for_frames(wire, number):
    """Until so many have arrived, by the kernel's count there."""
    end = time.monotonic() + laboratory.PATIENCE_S
    while wire.kernel_count("internet", "net0")[0] < number and time.monotonic() < end:
        time.sleep(0.02)


def keep_from_cpu(process, times, meanwhile=lambda: None):
    """As a busy machine does. meanwhile: returns when it has been long enough."""
    for _ in range(times):
        os.kill(process.child.pid, signal.SIGSTOP)
        time.sleep(0.15)
        meanwhile()
        os.kill(process.child.pid, signal.SIGCONT)
        time.sleep(0.05)


# Far less than what a machine holds back in 150 ms, and more than what the kernel holds back by itself.
AHEAD = 100_000


def test_receive_judges(wire):
    """A limit that does not hold is a failure, by the sender's own rate."""
    receiver, running = judge(wire, "19 Mbit/s + 1 KB", "--catch-up", "500 ms")
    finish(running)
    seen = received(receiver, wire, 1)
    judged, = seen["limits"]
    assert judged["excess_at_least_bytes"] <= judged["excess_bytes"] <= judged["excess_at_most_bytes"]
    assert "more than" in receiver.text()
    # 20 Mbit/s against 19 for a second, less what the machine held back.
    assert judged["excess_bytes"] > 50000
    flow, = seen["flows"]
    assert flow["lost"] == 0 and flow["latency_kind"] == "one way"
    assert 0 < flow["latency"]["min_ns"] < 1e9


def received_unjudged(receiver, wire):
    """Of a receiver that may be kept from its CPU: no pass where it saw more than the burst, and a line that says why."""
    seen = received(receiver, wire, 0, 1)
    judged, = seen["limits"]
    unjudged = judged["excess_bytes"] > AHEAD
    assert judged["excess_at_least_bytes"] <= AHEAD and receiver.child.returncode == int(unjudged)
    assert receiver.text().count("could not be judged: the receiver was kept from its CPU") == int(unjudged)
    assert ("1 could not be judged" in (wire.folder / "report.html").read_text()) == unjudged
    return seen


def test_receive_says_what_it_cannot_judge(wire):
    """A burst of ten times what is allowed while the receiver stands still: neither held nor broken."""
    path = profile(wire, "streams:\n  - {name: burst, rate: 200 Mbit/s, size: 1514, count: 700}\n")
    receiver = weirgen(wire, "internet", *RECEIVING, "--limit", f"10 Mbit/s + {AHEAD} B", "--count", "700", "--duration",
                       "30 s", "--json", wire.folder / "result.json", sends=False)
    receiver.wait_for("receiving on", laboratory.PATIENCE_S)
    os.kill(receiver.child.pid, signal.SIGSTOP)
    send(wire, "send", path)
    time.sleep(0.7)
    os.kill(receiver.child.pid, signal.SIGCONT)
    judged, = received_unjudged(receiver, wire)["limits"]
    assert judged["excess_bytes"] > 9 * AHEAD and receiver.child.returncode == 1


def test_receive_accuses_nobody(wire):
    """A receiver that is kept from its CPU, for far longer than the burst takes, holds nothing against an honest rate."""
    receiver, running = judge(wire, f"20 Mbit/s + {AHEAD} B")
    # The sender may itself be kept from its CPU.
    keep_from_cpu(receiver, 3, lambda: wait_for_frames(wire, wire.kernel_count("internet", "net0")[0] + 2 * AHEAD // 1000))
    finish(running, 0, 1)
    seen = received_unjudged(receiver, wire)
    judged, = seen["limits"]
    window, = seen["windows"]
    assert seen["frames"] == sent(wire)["frames"] == 2441 and seen["look_max_ns"] > 100e6
    assert judged["excess_at_least_bytes"] <= AHEAD < judged["excess_at_most_bytes"]
    assert window["at_least_bytes"] <= 2500 + AHEAD < window["at_most_bytes"]


def test_sender_kept_from_its_cpu(wire):
    """It gives up what it lost, says so, and sends no burst for it; nothing is left out."""
    receiver, running = judge(wire, f"20 Mbit/s + {AHEAD} B")
    keep_from_cpu(running, 3)
    finish(running, 1)
    assert "given up" in running.text() and sent(wire)["given_up_ns"] > 100e6
    seen = received_unjudged(receiver, wire)
    assert seen["frames"] == sent(wire)["frames"] == 2441


def test_receiver_misses(wire):
    """Frames that find no room are counted, and no limit is said to hold without them."""
    receiver, running = judge(wire, "1 Gbit/s + 10 MB", "--catch-up", "500 ms", framecnt=64)
    keep_from_cpu(receiver, 3)
    finish(running)
    seen = received(receiver, wire, 1)
    assert seen["port_missed"] > 0 and "frames were missed" in receiver.text()
    assert seen["frames"] + seen["port_missed"] == sent(wire)["frames"] == 2441
    assert seen["flows"][0]["lost"] <= seen["port_missed"]


def test_slow_interface(wire):
    """An interface that sends slower than it is given frames: those that count as sent have left in the end."""
    laboratory.run(*wire.exec("box"), "tc", "qdisc", "add", "dev", "out0", "root", "tbf", "rate", "100mbit", "burst",
                   "16kb", "limit", "100mb")
    before, _ = wire.kernel_count("internet", "net0")
    told = send(wire, "send", profile(wire, FIXED % ("1 Gbit/s", 1500)), "--fast", "--count", "3000",
                port="net_af_packet0,iface=out0,qdisc_bypass=0")
    after, _ = wire.kernel_count("internet", "net0")
    assert after - before == told["frames"] == 3000 and told["port_unsent"] == 0


def test_dropping_interface(wire):
    """What the kernel drops behind the driver's back, once the other end is down, does not count as sent."""
    running = sender(wire, "send", profile(wire, FIXED % ("1 Mbit/s", 1500)), "--duration", "3 s")
    wait_for_frames(wire, 10)
    laboratory.run(*wire.exec("internet"), "ip", "link", "set", "net0", "down")
    finish(running, 1)
    arrived, told = wire.kernel_count("internet", "net0")[0], sent(wire)
    assert told["port_unsent"] + told["port_errors"] > 0 and "not sent" in running.text()
    assert arrived + told["port_unsent"] + told["port_errors"] == told["frames"]


def memif(lab, text, *arguments, busy=False):
    """Sends from one process to another by shared memory. Returns what both say."""
    lab.add_host("internet")
    port = f"net_memif0,socket={lab.folder}/memif.sock,socket-abstract=no,role="
    receiver = weirgen(lab, "internet", "receive", "--port", port + "server", "--idle", "1 s", "--json",
                       lab.folder / "result.json", "--duration", "40 s", sends=False)
    receiver.wait_for("receiving on", laboratory.PATIENCE_S)
    running = sender(lab, "send", profile(lab, text), *arguments, "--catch-up", "500 ms", port=port + "client")
    if busy:
        time.sleep(0.9)
        os.kill(receiver.child.pid, signal.SIGSTOP)
        time.sleep(0.7)
        os.kill(receiver.child.pid, signal.SIGCONT)
    finish(running)
    told, seen = sent(lab), received(receiver, lab)
    flow, = seen["flows"]
    assert told["frames"] == seen["frames"] == flow["frames"]
    assert told["wire_bytes"] == seen["wire_bytes"] == told["frames"] * 324
    assert (flow["first"], flow["highest"], flow["lost"]) == (0, told["frames"] - 1, 0)
    return told, seen


def test_memif(lab):
    told, _ = memif(lab, FIXED % ("20 Mbit/s", 300), "--duration", "1 s")
    assert told["frames"] == 7716


def test_memif_fast(lab):
    """Faster than the receiver can: the ring is full all the time, and nothing is lost."""
    told, _ = memif(lab, FIXED % ("20 Mbit/s", 300), "--fast", "--count", "200000")
    assert told["frames"] == 200000


def test_memif_late(lab):
    """All frames still lie in the ring when the last was sent, and the receiver takes them later."""
    memif(lab, FIXED.replace("size:", "start: 1 s, size:") % ("1 Gbit/s", 300), "--count", "500", busy=True)


STREAM = "  - {name: %s, size: 60, rate: %s}\n"


@pytest.mark.parametrize("streams, arguments, asked, status", [
    (STREAM % ("a", "7 Mbit/s") + STREAM % ("b", "5 Mbit/s"), ["--catch-up", "5 s"], 12_000_000, 0),
    (STREAM % ("a", "7 Mbit/s") + STREAM % ("b", "5 Mbit/s, start: 1 ms"), ["--catch-up", "5 s"], None, 0),
    (STREAM % ("a", "7 Mbit/s"), ["--fast", "--count", "10"], None, 0), (STREAM % ("a", "400 Gbit/s"), [], 400_000_000_000, 1)])
def test_what_was_asked(lab, streams, arguments, asked, status):
    """The result tells the rate that was asked, and whether it was sent; a page of it too."""
    running = sender(lab, "send", profile(lab, f"duration: 20 ms\nstreams:\n{streams}"), *arguments, port="net_null0")
    finish(running, status)
    told = sent(lab)
    assert (told["asked_bit_s"], told["ok"], told["fast"], told["endless"]) == (asked, status == 0, "--fast" in arguments, False)
    laboratory.run(REPORT, lab.folder / "sent.json", "-o", lab.folder / "report.html")
    page = (lab.folder / "report.html").read_text()
    assert ("weirgen failed: the rates asked were not sent: " in page) == (status == 1)
    assert asked is None or f">{asked / 1e6:.6g} Mbit/s<" in page


def test_ring(lab):
    """A ring is a loop: what is sent comes back, more than the ring holds."""
    told = send(lab, "send", profile(lab, FIXED % ("100 Mbit/s", 300)), "--count", "20000", port="net_ring0")
    assert told["frames"] == told["returned"] == 20000 and told["kind"] == "weirgen.send"


def test_no_link(lab):
    """Nobody at the other end: one line, not a burst of frames for later."""
    running = sender(lab, "send", profile(lab, FIXED % ("100 Mbit/s", 300)), "--count", "10",
                     port=f"net_memif0,socket={lab.folder}/memif.sock,socket-abstract=no,role=server")
    end = time.monotonic() + 20
    while not (lab.folder / "memif.sock").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(1)
    assert running.running()  # it waits for it
    running.child.send_signal(signal.SIGINT)
    finish(running, 1)
    assert running.text().endswith(": no link\n")


def test_outputs(folder):
    """What is written replaces nothing that is read, follows no link, and is whole or not there."""
    text, known = FIXED % ("10 Mbit/s", 300), folder / "known"
    path, link, output = folder / "p.yaml", folder / "link.pcap", folder / "out.pcap"
    path.write_text(text)
    known.write_text("precious")
    link.symlink_to(known)
    hard = folder / "hard"
    hard.hardlink_to(path)

    def write(*arguments, count="10"):
        return subprocess.run([WEIRGEN, "send", path, "--count", count, "--quiet", *arguments], cwd=folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)

    for where in (path, "p.yaml", hard, link, folder):
        for option in ("--write", "--json"):
            other = ["--write", output] if option == "--json" else []
            done = write(option, where, *other)
            assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    for same in (output, "out.pcap", "./out.pcap", f"{folder}/../{folder.name}//out.pcap"):
        assert write("--write", output, "--json", same).returncode == 2, same
    # Told before, not when all is done.
    done = write("--write", output, "--json", "nowhere/out.json")
    assert (done.returncode, done.stderr) == (2, "weirgen: nowhere/out.json: No such file or directory\n")
    assert path.read_text() == text and known.read_text() == "precious" and not output.exists()
    # Stopped amid: what was there stays, and nothing else.
    output.write_text("older")
    output.chmod(0o640)
    with subprocess.Popen([WEIRGEN, "send", path, "--count", "1000000000", "--write", output], stderr=subprocess.PIPE,
                          text=True) as process:
        end = time.monotonic() + 20
        while not list(folder.glob(".out.pcap.*")) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert "stopped before the end" in process.communicate(timeout=30)[1] and process.returncode == 1
    assert output.read_text() == "older"
    assert write("--write", "out.pcap", "--json", "out.json").returncode == 0
    assert output.stat().st_size == 24 + 10 * 316 and output.stat().st_mode & 0o777 == 0o640
    assert json.loads((folder / "out.json").read_text())["frames"] == 10
    assert {entry.name for entry in folder.iterdir()} == {"p.yaml", "known", "link.pcap", "hard", "out.pcap", "out.json"}
    assert write("--write", "/dev/null").returncode == 0 and Path("/dev/null").is_char_device()


@pytest.mark.parametrize("limit, status", [("1 Mbit/s + 1 KB", 1), ("1 Mbit/s", 0)])
def test_nothing_came(limit, status):
    """A receiver at the wrong place has seen no limit held."""
    done = subprocess.run([WEIRGEN, "receive", "--port", "net_ring0", "--duration", "50 ms", "--quiet", "--limit", limit],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (status, "weirgen: no frame arrived: no limit was judged\n" if status else "")


def test_nobody_reads(folder):
    """Who reads its lines may go: what was asked for in files is finished and whole, and it is told."""
    path, result, output = folder / "p.yaml", folder / "sent.json", folder / "came.pcapng"
    path.write_text(FIXED % ("100 kbit/s", 60))
    started = [subprocess.Popen([WEIRGEN, *map(str, arguments), "--duration", "1.2 s"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for arguments in (["send", path, "--port", "net_null0", "--catch-up", "5 s", "--json", result],
                                 ["receive", "--port", "net_ring0", "--capture", output, "--json", folder / "came.json"])]
    for process in started:
        process.stdout.close()  # a line comes each second
    ended = []
    for process in started:
        with process.stderr:
            ended.append((process.wait(30), process.stderr.read()))
    assert [status for status, _ in ended] == [1, 1] and all(
        re.fullmatch("weirgen: standard output: (Broken pipe|not all could be written)\n", text) for _, text in ended), ended
    assert json.loads(result.read_text())["frames"] == int(1.2 * 100_000 / 8 / 84)
    assert output.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a" and json.loads((folder / "came.json").read_text())["frames"] == 0
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("where, cause", [("a closed pipe", "Broken pipe"), ("/dev/full", "No space left on device")])
@pytest.mark.parametrize("arguments", [["--write", "-"], ["--write", "/dev/null", "--json", "-"]])
def test_standard_output_is_lost(folder, arguments, where, cause):
    """One line, which says why."""
    path = folder / "p.yaml"
    path.write_text(FIXED % ("10 Mbit/s", 300))
    reading, writing = os.pipe()
    os.close(reading)
    with open(where if where[0] == "/" else writing, "wb") as output:
        done = subprocess.run([WEIRGEN, "send", path, "--quiet", "--count", "1000", *arguments], stdin=subprocess.DEVNULL,
                              stdout=output, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (1, f"weirgen: standard output: {cause}\n")


@pytest.mark.parametrize("arguments, line", [
    ([], "weirgen: expected a command (see weirgen --help)"),
    (["fly"], "weirgen: fly: expected send, replay, receive or help (see weirgen --help)"),
    (["send"], "weirgen: send: expected PROFILE.yaml behind it"),
    (["send", "x.yaml"], "weirgen: send: expected --port DEVICE (see weirgen help send)"),
    (["send", "/nonexistent.yaml", "--write", "x"], "weirgen: /nonexistent.yaml: No such file or directory"),
    *[(["send", "x.yaml", "--write", "x", *other], f"weirgen: {other[0]}: expected no --write beside it") for other in (
        ["--fast"], ["--catch-up", "1 s"], ["--mtu", "9000"], ["--worker", "1"], ["--control", "0"], ["--pages", "huge"])],
    *[(["replay", "x.pcap", "--port", "net_null0", *one, *other], f"weirgen: {one[0]}: expected no {other[0]} beside it")
      for one, other in ((["--speed", "2x"], ["--rate", "1 Mbit/s"]), (["--speed", "2x"], ["--fast"]),
                         (["--rate", "1 Mbit/s"], ["--fast"]))],
    (["receive", "--port", "net_null0", "--fast"],
     "weirgen: --fast: receive does not take it (see weirgen help receive)"),
    (["receive", "--port", "net_null0", "--limit", "5"],
     "weirgen: --limit: 5: expected a limit such as '50 Mbit/s + 64 KB' (see weirgen --help)"),
    (["send", "x.yaml", "--seed", "9223372036854775808", "--write", "x"],
     "weirgen: --seed: 9223372036854775808: expected a whole number, 0 to 9223372036854775807 (see weirgen --help)"),
    (["replay", "x.pcap", "--speed", "2"],
     "weirgen: --speed: 2: expected a factor such as 2x or 0.5x (see weirgen --help)"),
    (["replay", "/nonexistent.pcap", "--port", "net_null0"],
     "weirgen: /nonexistent.pcap: No such file or directory"),
    (["receive", "--port", "nothing", "--count", "1"],
     "weirgen: port weirgen: device nothing: neither a PCI address nor a virtual device that can be made: "
     "No such device"),
])
def test_bad_usage(arguments, line):
    done = subprocess.run([WEIRGEN, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(line + "\n")  # DPDK may say something of its own before


@pytest.mark.parametrize("arguments", [["--help"], ["help"], ["help", "send"], ["replay", "--help"], ["receive", "-h"],
                                       ["--version"]])
def test_help(arguments):
    done = laboratory.run(WEIRGEN, *arguments)
    assert done.stdout.startswith(("usage: weirgen", "weirgen "))
