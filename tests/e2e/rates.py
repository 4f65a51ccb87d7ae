# SPDX-License-Identifier: BSD-3-Clause
"""Judges rates and windows by a receiver's timestamps: every window of any length at once."""

import struct

import lab as laboratory


def capture_jitter(frames: list[laboratory.Frame], probes: str) -> tuple[int, int]:
    """How late a capture's timestamp was at worst, in ns, and of how many probes.

    A probe is a frame sent between two readings of the same clock that stamps the capture, on the
    same wire, into the same capture. What lies between the first reading and the stamp is the most
    that the stamp can have been late. Probes whose sender lost its CPU in between tell nothing
    about the capture and are left out.
    """
    stamps = {struct.unpack_from("<Q", frame.data, 14)[0]: frame.ns for frame in frames
              if frame.ethertype == laboratory.PROBE_ETHERTYPE}
    lateness = []
    for line in probes.splitlines():
        number, before, after, undisturbed = map(int, line.split())
        if number in stamps and undisturbed:
            assert before <= stamps[number], "the capture's clock is not the wall clock"
            lateness.append(min(stamps[number], after) - before)
    return max(lateness), len(lateness)


def worst_excess(times_ns: list[float], sizes: list[int], rate_bit_s: int) -> float:
    """The most by which any window, of any length, exceeds rate x window: bytes.

    A window from frame i to frame j, both included, holds the sum of their sizes and lasts from i's
    time to j's. With level(j) = bytes up to and with j - rate x time(j), the worst window that ends
    at j starts where the level just before a frame was lowest: one pass covers all windows.
    """
    bytes_per_ns = rate_bit_s / 8e9
    total, lowest, worst = 0, float("inf"), float("-inf")
    start = times_ns[0]
    for time_ns, size in zip(times_ns, sizes):
        line = bytes_per_ns * (time_ns - start)
        lowest = min(lowest, total - line)
        total += size
        worst = max(worst, total - line - lowest)
    return worst


def most_within(times_ns: list[float], sizes: list[int], window_ns: float) -> int:
    """The most bytes in any window shorter than this, wherever it begins."""
    most = total = begin = 0
    for time_ns, size in zip(times_ns, sizes):
        total += size
        while time_ns - times_ns[begin] >= window_ns:
            total -= sizes[begin]
            begin += 1
        most = max(most, total)
    return most
