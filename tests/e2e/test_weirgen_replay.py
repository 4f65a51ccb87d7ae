# SPDX-License-Identifier: BSD-3-Clause
"""weirgen replay, judged at the other end of a wire: captures of real and odd frames, pace, loops."""

import subprocess

import lab as laboratory
import pytest
import test_captures
from test_weirgen import WEIRGEN, finish, send, sender, sent


def replay_captures(lab, paths, mtu, port):
    """Every frame that the MTU allows arrives as it is; the rest is counted and told. Returns how many were longer."""
    capture, visible, longer = laboratory.Capture(lab, "internet", "net0", "captures", 65535), [], 0
    for path in paths:
        frames = test_captures.load(lab, path)
        tags = [4 if frame[12:14] == b"\x81\x00" else 0 for frame in frames]
        fit = [frame for frame, tag in zip(frames, tags) if 14 <= len(frame) <= mtu + 14 + tag]
        oversize = sum(len(frame) > mtu + 14 + tag for frame, tag in zip(frames, tags))
        longer += oversize
        if not fit:
            done = laboratory.run(WEIRGEN, "replay", path, "--mtu", mtu, "--port", "net_null0", check=False)
            assert done.returncode == 2 and "no frame that can be sent" in done.stdout
            continue
        running = sender(lab, "replay", path, "--mtu", mtu, "--rate", "100 Mbit/s", "--quiet", "--catch-up", "500 ms", port=port)
        finish(running)
        told, runts = sent(lab), len(frames) - len(fit) - oversize
        assert told["skipped"] == {"oversize": oversize, "runt": runts}, path
        assert told["frames"] == len(fit)
        line = f"weirgen: {path}: left out: {oversize} frames over the MTU of {mtu}, {runts} of under 14 bytes; sent cut: {told['cut']}"
        assert running.text().count(line) == (oversize + runts + told["cut"] > 0), running.text()
        # The kernel there drops frames that end within a VLAN tag, before anyone can see them.
        visible += [(path.name, frame) for frame in fit
                    if len(frame) >= 20 or frame[12:14] not in (b"\x81\x00", b"\x88\xa8")]
    arrived = [frame.data for frame in capture.frames()]
    for number, (name, frame) in enumerate(visible):
        assert number < len(arrived) and arrived[number] == frame, (name, number, len(arrived), len(visible))
    assert len(arrived) == len(visible)
    laboratory.measured(f"weirgen replayed {len(visible)} frames of captures byte for byte at an MTU of {mtu}; {longer} were longer")
    return longer


def test_replay_captures(lab):
    lab.wire("internet", "net0", "out0")
    paths = test_captures.captures(test_captures.OURS, test_captures.SHARED)
    assert replay_captures(lab, paths, 1500, "net_af_packet0,iface=out0") > 0


def test_replay_long_frames(lab):
    """
    Captures with frames of over 1,514 bytes, over a wire that takes 9,014. Longer ones a capturing machine had joined, or
    were made to be refused: no MTU is theirs.
    """
    lab.wire("internet", "net0", "out0", mtu=9000)
    paths, longest = [], 0
    for path in test_captures.captures(test_captures.OURS, test_captures.SHARED):
        lengths = [len(frame) for frame in test_captures.load(lab, path)]
        if max(lengths, default=0) > 1514:
            paths.append(path)
            longest += sum(length > 9018 for length in lengths)
    assert paths
    assert replay_captures(lab, paths, 9000, "net_af_packet0,iface=out0,framesz=16384,blocksz=65536,framecnt=512") == longest


def test_replay_pace(lab):
    """As captured, and four times as fast, looped."""
    lab.wire("internet", "net0", "out0")
    path = lab.folder / "paced.pcap"
    frame = bytes(12) + b"\x88\xb5" + bytes(100)
    with open(path, "wb") as file:
        laboratory.write_pcap(path, [])
    with open(path, "ab") as file:
        for number in range(10):
            file.write(b"".join(value.to_bytes(4, "little")
                                for value in (1000 + number // 10, number % 10 * 100000, len(frame), len(frame))))
            file.write(frame)
    assert 0.9e9 <= send(lab, "replay", path)["elapsed_ns"] < 2e9
    told = send(lab, "replay", path, "--speed", "4x", "--loop", "3")
    assert told["frames"] == 30 and 2.9e9 / 4 <= told["elapsed_ns"] < 2e9


@pytest.mark.parametrize("arguments, status", [
    (["--loop", "0", "--duration", "10 ms"], 2), (["--loop", "3"], 2), ([], 0), (["--loop", "3", "--rate", "1 Mbit/s"], 0),
    (["--loop", "0", "--fast", "--count", "7"], 0)])
@pytest.mark.parametrize("frames", [1, 3])
def test_loop_of_no_time(folder, frames, arguments, status):
    """Nothing paces the turns of a capture whose frames all have one time: it is not sent as fast as the port takes it."""
    path, frame = folder / "once.pcap", bytes(12) + b"\x88\xb5" + bytes(46)
    laboratory.write_pcap(path, [])
    with open(path, "ab") as file:
        file.write((b"".join(value.to_bytes(4, "little") for value in (1000, 7, len(frame), len(frame))) + frame) * frames)
    done = subprocess.run([WEIRGEN, "replay", path, *arguments, "--port", "net_null0", "--quiet", "--catch-up", "1 s"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    line = f"weirgen: --loop: {path} takes no time as captured: expected --rate or --fast beside it\n"
    assert done.stderr == line if status else line not in done.stderr
