# SPDX-License-Identifier: BSD-3-Clause
"""Changes of policy under traffic: no frame lost, tightening in force within 10 ms."""

import signal
import struct
import time

import lab as laboratory
from rates import worst_excess

IN_FORCE_NS = 10_000_000
SWAPS = 100


def numbers(frames: list[laboratory.Frame]) -> list[int]:
    """Sequence numbers of the flood's datagrams, without what the hosts say to them by ICMP."""
    return [struct.unpack_from("<Q", frame.data, 42)[0] for frame in frames
            if frame.ethertype == 0x0800 and frame.data[23] == 17]


def apply(weir: laboratory.Weir, text: bytes, expected: int = 200) -> int:
    """Applies a policy. Returns the raw clock when the answer was there."""
    code, body = weir.request("POST", "/v1/policy", text)
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    assert code == expected, body
    return now


def test_no_frame_lost_by_a_hundred_swaps(pair):
    """Traffic well below its rate, both ways, while the policy changes back and forth."""
    first = pair.pair_policy("100 Mbit/s", "64 KB", "shape", "100 ms")
    second = pair.pair_policy("90 Mbit/s", "60 KB", "shape", "80 ms", name="second.yaml")
    for policy in (first, second):
        laboratory.widen(policy, "out0")
    pair.commission(first)
    weir = pair.weir(first)
    captures = [laboratory.Capture(pair, "internet", "net0", "out"), laboratory.Capture(pair, "datacenter", "dc0", "back")]
    floods = [laboratory.Flood(pair, "datacenter", "dc0", rate=20_000_000, bytes=600, seconds=120),
              laboratory.Flood(pair, "internet", "net0", rate=20_000_000, bytes=600, seconds=120,
                               source="10.77.0.2", destination="10.77.0.1")]
    texts = [second.read_bytes(), first.read_bytes()]
    weir.wait_status(lambda now: all(now["links"][0][way]["tx_frames"] > 1000 for way in ("egress", "return")))
    for swap in range(SWAPS):
        apply(weir, texts[swap % 2])
        time.sleep(0.02)
    assert all(flood.running() for flood in floods)
    for flood in floods:
        flood.end()
    sent = [flood.result(20)[0] for flood in floods]
    weir.wait_rest()
    got = [numbers(capture.frames()) for capture in captures]
    weir.stop()
    laboratory.measured(f"{SWAPS} policies applied, {sent[0]} and {sent[1]} frames sent, {len(got[0])} and {len(got[1])} arrived")
    assert got[0] == list(range(sent[0]))
    assert got[1] == list(range(sent[1]))


def test_tightening_is_in_force_within_10_ms(pair):
    """From 50 to 2 Mbit/s, then the cap down to what is used: both from 10 ms after the answer on."""
    wide = pair.pair_policy("50 Mbit/s", "64 KB", "drop")
    narrow = pair.pair_policy("2 Mbit/s", "4 KB", "drop", name="narrow.yaml")
    closed = pair.pair_policy("2 Mbit/s", "4 KB", "drop", caps="{limit: 1 B}", name="closed.yaml")
    pair.commission(wide)
    weir = pair.weir(wide)
    clocks = laboratory.Clocks()
    clocks.start()
    capture = laboratory.Capture(pair, "internet", "net0")
    flood = laboratory.Flood(pair, "datacenter", "dc0", rate=100_000_000, seconds=120)

    def sent(status: dict) -> int:
        return status["classes"][0]["tx_frames"]

    weir.wait_status(lambda now: sent(now) > 3000)
    narrowed = apply(weir, narrow.read_bytes())
    before = sent(weir.status())
    weir.wait_status(lambda now: sent(now) > before + 200)
    shut = apply(weir, closed.read_bytes())
    time.sleep(1)
    assert flood.running()
    flood.end()
    clocks.stop()
    frames = capture.frames()
    weir.stop()
    stamped = [(clocks.to_raw(frame.ns), frame.wire) for frame in frames]
    held = [item for item in stamped if narrowed + IN_FORCE_NS <= item[0] < shut]
    assert len([item for item in stamped if item[0] < narrowed]) > 1000
    assert len(held) > 100
    # A burst of 4 KB, and a tenth of a millisecond of timestamp error at this rate.
    assert worst_excess([item[0] for item in held], [item[1] for item in held], 2_000_000) <= 4_000 + 25
    late = [item for item in stamped if item[0] >= shut + IN_FORCE_NS]
    assert not late, f"{len(late)} frames after the cap was lowered"


def test_bad_policy_changes_nothing(pair):
    """A policy that is refused leaves the running one in force, as it was."""
    policy = pair.pair_policy("10 Mbit/s", "64 KB", "drop")
    pair.commission(policy)
    weir = pair.weir(policy)
    before = weir.request("GET", "/v1/policy")
    code, body = weir.request("POST", "/v1/policy", policy.read_bytes().replace(b"10 Mbit/s", b"10 Mbit"))
    assert 400 <= code < 500, body
    assert b"10 Mbit" in body
    assert weir.request("GET", "/v1/policy") == before
    weir.stop()


def test_sighup_reads_the_policy_again(pair):
    policy = pair.pair_policy("10 Mbit/s", "64 KB", "drop")
    pair.commission(policy)
    weir = pair.weir(policy)
    policy.write_text(policy.read_text().replace("10 Mbit/s", "9 Mbit/s"))
    weir.child.send_signal(signal.SIGHUP)
    status = weir.wait_status(lambda now: now["classes"][0]["rate_bit_s"] == 9_000_000)
    assert status["state"]
    policy.write_text("nonsense: true\n")
    weir.child.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert weir.status()["classes"][0]["rate_bit_s"] == 9_000_000
    weir.stop()
