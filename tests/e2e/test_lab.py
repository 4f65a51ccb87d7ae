# SPDX-License-Identifier: BSD-3-Clause
"""The laboratory itself, on a machine that is busy: what stands still for a moment loses no frame, and nothing is left behind."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import lab as laboratory
import pytest


def stand_still(process: laboratory.Process, seconds: float) -> threading.Timer:
    """As where a machine gives it no CPU."""
    process.child.send_signal(signal.SIGSTOP)
    timer = threading.Timer(seconds, process.child.send_signal, [signal.SIGCONT])
    timer.start()
    return timer


@pytest.mark.parametrize("immediate", [False, True])
def test_a_capture_that_stands_still(lab, immediate):
    """All that has arrived is in it, though it is ended before it has taken that."""
    lab.wire("internet", "net0", "out0")
    capture = laboratory.Capture(lab, "internet", "net0", immediate=immediate)
    timer = stand_still(capture, 2)
    sent, _ = laboratory.Flood(lab, "box", "out0", rate=40_000_000, seconds=10, frames=500).result(20)
    frames = capture.frames()
    timer.join()
    assert len(frames) == sent == 500


def test_a_weir_that_stands_still(pair):
    """For a third of a second: nothing of what came meanwhile is lost on its way in."""
    policy = pair.pair_policy("400 Mbit/s", "1 MB", "shape", "500 ms")
    pair.commission(policy)
    weir = pair.weir(policy)
    flood = laboratory.Flood(pair, "datacenter", "dc0", rate=20_000_000, bytes=600, seconds=60)
    weir.wait_status(lambda now: now["links"][0]["egress"]["rx_frames"] > 100)
    stand_still(weir, 0.35).join()
    flood.end()
    sent, _ = flood.result(20)
    assert weir.wait_rest()["links"][0]["egress"]["rx_frames"] == sent
    weir.stop()


def test_leftovers(lab):
    """What a killed run has left is removed, with what still runs in it; what is in use stays."""
    with subprocess.Popen(["true"]) as ended:
        pass
    names = [f"weir-{ended.pid}-box", f"weir-{os.getpid()}-more", f"weir-{os.getppid()}-box"]
    folders = [Path(tempfile.gettempdir(), f"{name}-folder") for name in names]
    try:
        for name, folder in zip(names, folders):
            laboratory.run("ip", "netns", "add", name)
            folder.mkdir()
        with subprocess.Popen(["ip", "netns", "exec", names[0], "sleep", "60"]) as left:
            end = time.monotonic() + 20
            while not laboratory.run("ip", "netns", "pids", names[0]).stdout.strip():
                assert time.monotonic() < end
                time.sleep(0.01)
            laboratory.remove_leftovers()
            assert left.wait(20) == -signal.SIGKILL
        there = laboratory.run("ip", "netns", "list").stdout
        assert [name in there for name in names] == [folder.exists() for folder in folders] == [False, True, True]
        assert lab.name("box") in there
    finally:
        for name, folder in zip(names, folders):
            laboratory.run("ip", "netns", "delete", name, check=False)
            if folder.exists():
                folder.rmdir()
