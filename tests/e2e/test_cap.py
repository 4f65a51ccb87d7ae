# SPDX-License-Identifier: BSD-3-Clause
"""The cap, as the receiving host sees it: to the byte, through crashes and restarts."""

import time

import lab as laboratory

LARGEST = laboratory.wire_bytes(1442)  # of the floods' frames


def received(frames: list[laboratory.Frame]) -> int:
    return sum(frame.wire for frame in frames)


def test_cap_under_flood(pair):
    """At most the cap, and at least the cap less one largest frame."""
    cap = 12_345_678
    policy = pair.pair_policy("200 Mbit/s", "256 KB", "drop", caps=f"{{limit: {cap} B}}")
    pair.commission(policy)
    weir = pair.weir(policy)
    capture = laboratory.Capture(pair, "internet", "net0")
    laboratory.Flood(pair, "datacenter", "dc0", rate=150_000_000, seconds=4).result(20)
    status = weir.status()
    got = received(capture.frames())
    weir.stop()
    total = laboratory.named(status["budgets"], "total")
    laboratory.measured(f"cap {cap}, received {got}, {cap - got} left")
    assert cap - LARGEST <= got <= cap
    assert total["charged_wire_bytes"] == got
    assert total["caps"][0]["remaining_bytes"] == cap - got
    drops = laboratory.named(status["links"], "internet")["egress"]["dropped"]
    assert drops.get("cap", 0) > 0

    # Used up is used up: a restart lets nothing more through than what was left.
    weir = pair.weir(policy)
    capture = laboratory.Capture(pair, "internet", "net0", "again")
    laboratory.Flood(pair, "datacenter", "dc0", rate=50_000_000, seconds=1).result(20)
    more = received(capture.frames())
    weir.stop()
    assert more == 0


def test_cap_two_levels(pair):
    """Two classes with budgets under one total: each is held to its own cap, both to the total's."""
    policy = pair.policy("""\
ports:
  - name: in0
    device: net_af_packet0,iface=in0
  - name: out0
    device: net_af_packet1,iface=out0
links:
  - {name: internet, inside: in0, outside: out0}
budgets:
  - {name: total, caps: [{limit: 5 MB}]}
  - {name: first, parent: total, caps: [{limit: 3 MB}]}
  - {name: second, parent: total, caps: [{limit: 4 MB}]}
classes:
  - {name: first, budget: first, rate: 100 Mbit/s, burst: 64 KB, excess: drop}
  - {name: second, budget: second, rate: 100 Mbit/s, burst: 64 KB, excess: drop}
rules:
  - {protocol: udp, destination_ports: 9001, class: first}
  - {protocol: udp, destination_ports: 9002, class: second}
""")
    pair.commission(policy)
    weir = pair.weir(policy)
    capture = laboratory.Capture(pair, "internet", "net0")
    floods = [laboratory.Flood(pair, "datacenter", "dc0", rate=40_000_000, seconds=3, port=port)
              for port in (9001, 9002)]
    for flood in floods:
        flood.result(20)
    frames = capture.frames()
    budgets = weir.status()["budgets"]
    weir.stop()
    by_port = {port: sum(frame.wire for frame in frames if int.from_bytes(frame.data[36:38], "big") == port)
               for port in (9001, 9002)}
    assert 0 < by_port[9001] <= 3_000_000
    assert 0 < by_port[9002] <= 4_000_000
    assert 5_000_000 - LARGEST <= received(frames) <= 5_000_000
    assert laboratory.named(budgets, "first")["charged_wire_bytes"] == by_port[9001]
    assert laboratory.named(budgets, "second")["charged_wire_bytes"] == by_port[9002]
    assert laboratory.named(budgets, "total")["charged_wire_bytes"] == received(frames)


def test_cap_through_twenty_kills(pair):
    """kill -9 and restart, twenty times under flood: the sum of all runs is at most the cap."""
    cap = 30_000_000
    policy = pair.pair_policy("100 Mbit/s", "1 MB", "drop", caps=f"{{limit: {cap} B}}")
    pair.commission(policy)
    capture = laboratory.Capture(pair, "internet", "net0")
    flood = laboratory.Flood(pair, "datacenter", "dc0", rate=100_000_000, seconds=300)
    charged = []
    for run in range(20):
        weir = pair.weir(policy)
        time.sleep(0.05 + 0.01 * (run * 7 % 20))
        status = weir.status()
        charged.append(laboratory.named(status["budgets"], "total")["charged_wire_bytes"])
        weir.kill()
    weir = pair.weir(policy)
    # To the end: whatever is left is spent, then nothing more.
    weir.wait_status(lambda status: laboratory.named(status["budgets"], "total")["caps"][0]["remaining_bytes"]
                     < LARGEST)
    time.sleep(0.5)
    status = weir.status()
    flood.end()
    weir.stop()
    got = received(capture.frames())
    laboratory.measured(f"cap {cap}, received {got} over 21 runs with 20 kills, {cap - got} forfeited")
    assert 0 < got <= cap
    assert charged == sorted(charged), "a charge went backwards"
    assert laboratory.named(status["budgets"], "total")["charged_wire_bytes"] <= cap


def test_clean_stops_forfeit_nothing(pair):
    """After clean stops and restarts the ledger's charge equals what was received, to the byte."""
    policy = pair.pair_policy("80 Mbit/s", "64 KB", "shape", "20 ms", caps="{limit: 1 GB}, {limit: 500 MB, per: 1 h}")
    pair.commission(policy)
    capture = laboratory.Capture(pair, "internet", "net0")
    for _ in range(3):
        weir = pair.weir(policy)
        before = laboratory.named(weir.status()["budgets"], "total")["charged_wire_bytes"]
        flood = laboratory.Flood(pair, "datacenter", "dc0", rate=60_000_000, seconds=120)
        weir.wait_status(lambda now: laboratory.named(now["budgets"], "total")["charged_wire_bytes"] > before + 5_000_000)
        weir.stop()
        assert flood.running(), "it stopped in the middle of the flood"
        flood.end()
    weir = pair.weir(policy)
    got = received(capture.frames())
    total = laboratory.named(weir.status()["budgets"], "total")
    weir.stop()
    assert got > 10_000_000
    assert total["charged_wire_bytes"] == got
    assert [cap["used_bytes"] for cap in total["caps"]] == [got, got]


def test_missing_ledger_is_a_refusal(pair):
    """No silent new ledger: a missing file stops the start, and makes none."""
    policy = pair.pair_policy("10 Mbit/s")
    weir = pair.weir(policy, ready=False)
    assert weir.child.wait(laboratory.PATIENCE_S) == 1
    assert "ledger" in weir.text()
    assert not (pair.folder / "ledger").exists()


def test_torn_ledger_is_a_refusal(pair):
    """Both slots corrupt: refuses, says so, and changes no byte."""
    policy = pair.pair_policy("10 Mbit/s")
    pair.commission(policy)
    ledger = pair.folder / "ledger"
    content = bytearray(ledger.read_bytes())
    for offset in range(0, len(content), 512):
        content[offset] ^= 0xFF
    ledger.write_bytes(content)
    weir = pair.weir(policy, ready=False)
    assert weir.child.wait(laboratory.PATIENCE_S) == 1
    assert "ledger" in weir.text()
    assert ledger.read_bytes() == bytes(content)
