# SPDX-License-Identifier: BSD-3-Clause
"""The rate, as the receiving host sees it: in every window, and for real TCP."""

import bisect
import itertools
import json
import statistics
import time

import lab as laboratory
import pytest
from rates import capture_jitter, most_within, worst_excess

ASKED_BIT_S = 50_000_000
FLOOD_BIT_S = 150_000_000
# 40 ms at this rate: so long may the worker lose its CPU to others before credit overflows.
BURST_BYTES = 250_000
SECONDS = 10
WINDOWS = 50
TURNS = 3


def window_rates(times_ns: list[float], sizes: list[int]) -> list[float]:
    """Rates of WINDOWS windows of SECONDS, that begin 0.2 to 1.2 s after the first frame.

    Several, because what the bucket holds at both ends of one window is chance.
    """
    totals = [0, *itertools.accumulate(sizes)]
    rates = []
    for number in range(WINDOWS):
        begin = bisect.bisect_left(times_ns, times_ns[0] + 2e8 + 1e9 * number / WINDOWS)
        end = bisect.bisect_left(times_ns, times_ns[begin] + SECONDS * 1e9)
        if end < len(times_ns):
            rates.append((totals[end] - totals[begin]) * 8e9 / (times_ns[end] - times_ns[begin]))
    return rates


def test_worst_excess_judges():
    """The judge itself: a paced stream, a burst too much, and the same in windows one by one."""
    times = [1000.0 * number for number in range(1000)]
    sizes = [100] * 1000
    assert worst_excess(times, sizes, 800_000_000) == pytest.approx(100)
    assert worst_excess(times, sizes, 400_000_000) == pytest.approx(100 + 999 * 50)
    times[500] = times[499]
    by_hand = max(sum(sizes[i:j + 1]) - 0.1 * (times[j] - times[i])
                  for i in range(400, 600) for j in range(i, 600))
    assert worst_excess(times, sizes, 800_000_000) == pytest.approx(by_hand) == pytest.approx(200)
    assert most_within(times, sizes, 10_000) == 1100  # with the one too much
    assert most_within(times[:400], sizes[:400], 10_000) == 1000


def measure_rate(pair, policy, what: str, frame_bytes: int, turn: int) -> tuple[float, float] | None:
    """The class's rate over WINDOWS windows under a flood, having judged every window of any length.

    And the share of the time that the worker had to wait for its CPU. None, where the flood itself was too slow to
    judge by, or lasted too short.
    """
    weir = pair.weir(policy)
    clocks = laboratory.Clocks()
    clocks.start()
    capture = laboratory.Capture(pair, "internet", "net0", f"rate{turn}")
    # The probes enter behind Weir, on the wire that it sends on.
    probes = laboratory.Flood(pair, "box", "out0", probe=True, seconds=SECONDS + 1.5)
    waited = weir.waited_s()
    flood = laboratory.Flood(pair, "datacenter", "dc0", rate=FLOOD_BIT_S, bytes=frame_bytes,
                             seconds=SECONDS + 1.5)
    _, flooded_bytes = flood.result(SECONDS + laboratory.PATIENCE_S)
    waited = weir.waited_s() - waited
    probes.child.wait(laboratory.PATIENCE_S)
    clocks.stop()
    captured = capture.frames()
    weir.stop()

    frames = [frame for frame in captured if frame.ethertype == 0x0800]
    times = [clocks.to_raw(frame.ns) for frame in frames]
    sizes = [frame.wire for frame in frames]
    jitter_ns, probed = capture_jitter(captured, probes.text())
    assert probed > 100
    # A stamp is late by 0 to jitter: a window can look shorter by that, and by the clocks' error.
    allowance = ASKED_BIT_S / 8e9 * (jitter_ns + 2 * clocks.error_ns)
    worst = worst_excess(times, sizes, ASKED_BIT_S)

    assert worst <= BURST_BYTES + allowance
    rates = window_rates(times, sizes)
    if flooded_bytes * 8 / (SECONDS + 1.5) < 0.9 * FLOOD_BIT_S or len(rates) < WINDOWS:
        print(f"turn {turn}: {flooded_bytes} bytes were sent, {len(rates)} windows were full")
        return None
    rate = statistics.median(rates)
    laboratory.measured(
        f"{what}, frames of {frame_bytes}: {rate / 1e6:.4f} Mbit/s of {ASKED_BIT_S / 1e6:.0f} asked "
        f"({(rate / ASKED_BIT_S - 1) * 100:+.4f} %) over {SECONDS} s; worst window {worst:.0f} bytes of "
        f"{BURST_BYTES} burst + {allowance:.0f} (timestamps late by at most {jitter_ns / 1000:.1f} us, "
        f"{probed} probes)")
    return rate, waited / SECONDS


@pytest.mark.parametrize("excess,frame_bytes", [("drop", 1442), ("shape", 1442), ("shape", 200)])
def test_rate_in_every_window(pair, excess, frame_bytes):
    """A 50 Mbit/s class under a 150 Mbit/s flood: 0.1 % over 10 s, rate x window + burst in all.

    Never more, in any of up to three turns. Less is what a class gets whose worker's CPU is away for
    longer than its burst lasts: on a busy machine one turn may be so. Where all are, the last may lack what the kernel
    says that the worker's CPU was away.
    """
    policy = pair.pair_policy("50 Mbit/s", f"{BURST_BYTES} B", excess, "50 ms" if excess == "shape" else "")
    pair.commission(policy)
    for turn in range(TURNS):
        measured = measure_rate(pair, policy, excess, frame_bytes, turn)
        if measured is None:
            continue
        rate, away = measured
        assert rate / ASKED_BIT_S - 1 <= 0.001
        if rate / ASKED_BIT_S - 1 >= -0.001 - (away if turn == TURNS - 1 else 0):
            return
    raise AssertionError(f"less than asked in {TURNS} turns")


def test_starts_empty(pair):
    """A restart gives no burst: with a burst of 10 s, the first second holds a second's worth."""
    policy = pair.pair_policy("2 Mbit/s", "2500 KB", "drop")
    pair.commission(policy)
    for _ in range(2):
        launched = time.monotonic()  # the bucket can't be older than the process
        weir = pair.weir(policy)
        capture = laboratory.Capture(pair, "internet", "net0", "start")
        laboratory.Flood(pair, "datacenter", "dc0", rate=40_000_000, seconds=2).result(20)
        elapsed = time.monotonic() - launched
        weir.kill()
        sent = sum(frame.wire for frame in capture.frames())
        assert 0 < sent <= 2_000_000 / 8 * elapsed, (sent, elapsed)


def test_real_tcp(pair):
    """Real TCP through a shaped class: at least 90 % of it, in one of some turns, and never more, in wire bytes."""
    policy = pair.pair_policy("50 Mbit/s", f"{BURST_BYTES} B", "shape", "100 ms")
    pair.commission(policy)
    assert any(measure_tcp(pair, policy, turn) >= 0.9 * ASKED_BIT_S for turn in range(TURNS))


def measure_tcp(pair, policy, turn: int) -> float:
    """Bit/s that TCP got on the wire, having judged every window of any length."""
    weir = pair.weir(policy)
    server = pair.start("internet", [*laboratory.PRIVILEGED, "iperf3", "--server", "--one-off", "--forceflush"], f"server{turn}.log")
    server.wait_for("Server listening", laboratory.PATIENCE_S)
    clocks = laboratory.Clocks()
    clocks.start()
    capture = laboratory.Capture(pair, "internet", "net0", f"tcp{turn}")
    done = laboratory.run(*pair.exec("datacenter"), *laboratory.PRIVILEGED, "iperf3", "--client", "10.77.0.2", "--time", SECONDS,
                          "--json", timeout=SECONDS + laboratory.PATIENCE_S)
    clocks.stop()
    frames = [frame for frame in capture.frames() if frame.ethertype == 0x0800]
    weir.stop()
    goodput = json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]
    times = [clocks.to_raw(frame.ns) for frame in frames]
    sizes = [frame.wire for frame in frames]
    # From a second after the start, that TCP needs to open up, to the last full second.
    inside = [(time_ns, size) for time_ns, size in zip(times, sizes)
              if times[0] + 1e9 <= time_ns <= times[0] + (SECONDS - 0.5) * 1e9]
    seconds = (inside[-1][0] - inside[0][0]) / 1e9
    rate = sum(size for _, size in inside[1:]) * 8 / seconds
    laboratory.measured(f"TCP: {rate / 1e6:.3f} Mbit/s on the wire of {ASKED_BIT_S / 1e6:.0f} asked, "
          f"goodput {goodput / 1e6:.2f} Mbit/s")
    assert max(frame.length for frame in frames) <= 1514
    # Frames that a probe has not dated: allow half a millisecond of timestamp error.
    assert worst_excess(times, sizes, ASKED_BIT_S) <= BURST_BYTES + ASKED_BIT_S / 8 * 0.0005
    return rate
