# SPDX-License-Identifier: BSD-3-Clause
"""Links and rules: return traffic, what no rule names, VLAN tags, three links under one total.

On af_packet ports the kernel has its hands on frames before DPDK sees them: it joins IPv4 fragments,
and turns an outer 802.1ad tag into an 802.1Q one. Both are tested on pcap ports: test_captures.py.
"""

import lab as laboratory
import pytest
from rates import worst_excess
from scapy.all import ICMP, IP, TCP, UDP, ARP, Dot1Q, Ether, IPv6, Raw

INSIDE, OUTSIDE = "02:00:00:00:00:01", "02:00:00:00:00:02"


def ether(**options) -> Ether:
    return Ether(src=INSIDE, dst=OUTSIDE, **options)


def send(lab: laboratory.Lab, host: str, interface: str, frames: list, name: str) -> list[bytes]:
    """Sends each frame once, in order, slowly enough for any rate here."""
    raw = [bytes(frame) for frame in frames]
    path = lab.folder / f"{name}.pcap"
    laboratory.write_pcap(path, raw)
    sent, _ = laboratory.Flood(lab, host, interface, capture=path, frames=len(raw), rate=2_000_000,
                               seconds=20).result(30)
    assert sent == len(raw)
    return raw


def padded(frame: bytes) -> bytes:
    return frame + bytes(max(0, 60 - len(frame)))


def contents(frames: list[laboratory.Frame]) -> list[bytes]:
    return [frame.data[:frame.length] for frame in frames]


def test_return_traffic(pair):
    """What comes from outside is forwarded and counted, not charged, whatever the class's rate."""
    policy = pair.pair_policy("64 kbit/s", "2 KB")
    laboratory.widen(policy, "out0")
    pair.commission(policy)
    weir = pair.weir(policy)
    capture = laboratory.Capture(pair, "datacenter", "dc0")
    sent, sent_bytes = laboratory.Flood(pair, "internet", "net0", rate=40_000_000, seconds=2,
                                        source="10.77.0.2", destination="10.77.0.1").result(20)
    status = weir.wait_status(lambda now: now["links"][0]["return"]["tx_frames"] >= sent)
    frames = capture.frames()
    weir.stop()
    flow = laboratory.named(status["links"], "internet")["return"]
    assert len(frames) == sent == flow["rx_frames"] == flow["tx_frames"]
    assert sum(frame.wire for frame in frames) == sent_bytes == flow["rx_wire_bytes"] == flow["tx_wire_bytes"]
    assert not any(flow["dropped"].values())
    assert laboratory.named(status["budgets"], "total")["charged_wire_bytes"] == 0
    assert laboratory.named(status["links"], "internet")["egress"]["rx_frames"] == 0


def test_unknown_is_refused(pair):
    """Only what a rule names leaves; the rest is dropped and counted under no_rule."""
    policy = pair.pair_policy("10 Mbit/s", rule="{link: internet, protocol: tcp, source: 10.77.0.0/24, "
                              "destination_ports: 443}")
    pair.commission(policy)
    weir = pair.weir(policy)
    capture = laboratory.Capture(pair, "internet", "net0", snap=2000)
    host, peer = "10.77.0.1", "10.77.0.2"
    wanted = ether() / IP(src=host, dst=peer) / TCP(sport=1000, dport=443) / Raw(b"wanted")
    unwanted = [
        ether() / IP(src=host, dst=peer) / TCP(sport=1000, dport=444),
        ether() / IP(src=host, dst=peer) / UDP(sport=1000, dport=443),
        ether() / IP(src="10.78.0.1", dst=peer) / TCP(sport=1000, dport=443),
        ether() / IP(src=host, dst=peer) / ICMP(),
        ether() / ARP(op=1, hwsrc=INSIDE, psrc=host, pdst=peer),
        ether() / IPv6(src="fd77::1", dst="fd77::2") / TCP(sport=1000, dport=443),
        ether(type=0x1234) / Raw(bytes(64)),
    ]
    sent = send(pair, "datacenter", "dc0", unwanted + [wanted] + unwanted, "mix")
    status = weir.wait_status(lambda now: now["links"][0]["egress"]["rx_frames"] >= len(sent))
    frames = contents(capture.frames())
    weir.stop()
    egress = laboratory.named(status["links"], "internet")["egress"]
    assert frames == [padded(bytes(wanted))]
    assert {reason: count for reason, count in egress["dropped"].items() if count} == {"no_rule": 2 * len(unwanted)}


def test_first_rule_wins_and_vlan(pair):
    """Rules by VLAN, ethertype and port, in order; tags arrive as they were sent."""
    policy = pair.policy("""\
ports:
  - {name: in0, device: "net_af_packet0,iface=in0"}
  - {name: out0, device: "net_af_packet1,iface=out0"}
links:
  - {name: internet, inside: in0, outside: out0}
budgets:
  - {name: total, caps: [{limit: 1 GB}]}
  - {name: tagged, parent: total}
classes:
  - {name: tagged, budget: tagged, rate: 10 Mbit/s, burst: 16 KB, excess: drop}
  - {name: plain, budget: total, rate: 10 Mbit/s, burst: 16 KB, excess: drop}
  - {name: house, budget: total, rate: 1 Mbit/s, burst: 16 KB, excess: drop}
rules:
  - {vlan: 100, protocol: udp, class: tagged}
  - {ethertype: arp, class: house}
  - {vlan: none, protocol: udp, destination_ports: 1000-2000, class: plain}
""")
    pair.commission(policy)
    weir = pair.weir(policy)
    capture = laboratory.Capture(pair, "internet", "net0", snap=2000)

    def udp(port: int) -> IP:
        return IP(src="10.77.0.1", dst="10.77.0.2") / UDP(sport=9, dport=port) / Raw(bytes(100))

    leave = [ether() / Dot1Q(vlan=100) / udp(5), ether() / Dot1Q(vlan=100) / Dot1Q(vlan=7) / udp(1500),
             ether() / udp(1000), ether() / udp(2000),
             ether() / ARP(op=1, hwsrc=INSIDE, psrc="10.77.0.1", pdst="10.77.0.2")]
    stay = [ether() / Dot1Q(vlan=101) / udp(1500), ether() / Dot1Q(vlan=7) / Dot1Q(vlan=100) / udp(1500),
            ether() / udp(999), ether() / udp(2001)]
    sent = send(pair, "datacenter", "dc0", [frame for two in zip(leave, stay + stay[:1]) for frame in two], "mix")
    status = weir.wait_status(lambda now: now["links"][0]["egress"]["rx_frames"] >= len(sent))
    arrived = contents(capture.frames())
    weir.stop()
    assert arrived == [padded(bytes(frame)) for frame in leave]
    counts = {item["name"]: item["tx_frames"] for item in status["classes"]}
    assert counts == {"tagged": 2, "plain": 2, "house": 1}
    wire = [laboratory.wire_bytes(len(bytes(frame))) for frame in leave]
    charged = {item["name"]: item["charged_wire_bytes"] for item in status["budgets"]}
    assert charged == {"total": sum(wire), "tagged": wire[0] + wire[1]}


def test_three_links_one_total(lab):
    """An adjacent datacenter: three links, a budget each, and the total above all holds."""
    wires = (("datacenter", "dc0", "in0"), ("internet", "net0", "out0"), ("datacenter", "dc1", "in1"),
             ("employees", "emp0", "out1"), ("employees", "emp1", "in2"), ("internet", "net1", "out2"))
    for host, interface, box in wires:
        lab.wire(host, interface, box)
    ports = "".join(f'  - {{name: {box}, device: "net_af_packet{number},iface={box}"}}\n'
                    for number, (_, _, box) in enumerate(wires))
    policy = lab.policy(f"""\
ports:
{ports}links:
  - {{name: inference-internet, inside: in0, outside: out0}}
  - {{name: inference-employees, inside: in1, outside: out1}}
  - {{name: employees-internet, inside: in2, outside: out2}}
budgets:
  - {{name: total, caps: [{{limit: 6 MB}}]}}
  - {{name: api, parent: total, caps: [{{limit: 3 MB}}]}}
  - {{name: notebooks, parent: total, caps: [{{limit: 3 MB}}]}}
  - {{name: logs, parent: total, caps: [{{limit: 3 MB}}]}}
classes:
  - {{name: api, budget: api, rate: 100 Mbit/s, burst: 64 KB, excess: drop}}
  - {{name: notebooks, budget: notebooks, rate: 100 Mbit/s, burst: 64 KB, excess: drop}}
  - {{name: logs, budget: logs, rate: 100 Mbit/s, burst: 64 KB, excess: drop}}
rules:
  - {{link: inference-internet, class: api}}
  - {{link: inference-employees, class: notebooks}}
  - {{link: employees-internet, class: logs}}
""")
    lab.commission(policy)
    weir = lab.weir(policy)
    receivers = (("internet", "net0"), ("employees", "emp0"), ("internet", "net1"))
    taken = [laboratory.Capture(lab, host, interface, interface) for host, interface in receivers]
    floods = [laboratory.Flood(lab, host, interface, rate=20_000_000, seconds=3)
              for host, interface in (("datacenter", "dc0"), ("datacenter", "dc1"), ("employees", "emp1"))]
    for flood in floods:
        flood.result(20)
    status = weir.status()
    got = [sum(frame.wire for frame in capture.frames()) for capture in taken]
    weir.stop()
    assert all(0 < each <= 3_000_000 for each in got)
    assert 6_000_000 - laboratory.wire_bytes(1442) <= sum(got) <= 6_000_000
    charged = {item["name"]: item["charged_wire_bytes"] for item in status["budgets"]}
    assert [charged[name] for name in ("api", "notebooks", "logs")] == got
    assert charged["total"] == sum(got)
    assert [link["egress"]["tx_wire_bytes"] for link in status["links"]] == got


@pytest.mark.parametrize("host,interface", [("internet", "net0"), ("box", "out0")])
def test_link_down_stops_egress(pair, host, interface):
    """The outside's link goes and returns under flood, at either end: nothing was kept for a burst."""
    policy = pair.pair_policy("5 Mbit/s", "10 KB", "shape", "100 ms")
    pair.commission(policy)
    weir = pair.weir(policy)

    def is_up(status: dict) -> bool:
        return laboratory.named(status["ports"], "out0")["up"]

    weir.wait_status(is_up)
    capture = laboratory.Capture(pair, "internet", "net0")
    flood = laboratory.Flood(pair, "datacenter", "dc0", rate=20_000_000, bytes=1000, seconds=120)
    weir.wait_status(lambda now: now["links"][0]["egress"]["tx_frames"] > 100)
    laboratory.run("ip", "-n", pair.name(host), "link", "set", interface, "down")
    weir.wait_status(lambda now: not is_up(now))
    before = weir.wait_status(lambda now: now["links"][0]["egress"]["dropped"].get("link_down", 0) > 500)
    laboratory.run("ip", "-n", pair.name(host), "link", "set", interface, "up")
    weir.wait_status(is_up)
    after = weir.wait_status(lambda now: now["links"][0]["egress"]["tx_frames"]
                             > before["links"][0]["egress"]["tx_frames"] + 100)
    flood.end()
    weir.wait_rest()
    frames = [frame for frame in capture.frames() if frame.ethertype == 0x0800]
    weir.stop()
    # Both halves of it are in the capture: it was there when the link returned.
    gap = max(later.ns - earlier.ns for earlier, later in zip(frames, frames[1:]))
    assert gap > 100_000_000
    assert len(frames) >= after["links"][0]["egress"]["tx_frames"] - before["links"][0]["egress"]["tx_frames"]
    # A stamp may be late, by up to 2 ms on a machine that is busy.
    excess = worst_excess([frame.ns for frame in frames], [frame.wire for frame in frames], 5_000_000)
    laboratory.measured(f"most that left at once as {interface}'s link returned: {excess:.0f} B, burst 10000 B")
    assert excess <= 10_000 + 5_000_000 / 8 * 0.002


def test_an_interface_made_again(pair):
    """Deleted and made anew under its name: the port comes back with it."""
    policy = pair.pair_policy("5 Mbit/s", "10 KB", "shape", "100 ms")
    pair.commission(policy)
    weir = pair.weir(policy)

    def is_up(status: dict) -> bool:
        return laboratory.named(status["ports"], "out0")["up"]

    weir.wait_status(is_up)
    laboratory.run("ip", "-n", pair.name("internet"), "link", "del", "net0")
    weir.wait_status(lambda now: not is_up(now))
    pair.wire("internet", "net0", "out0", "10.77.0.2/24", "02:00:00:00:00:02")
    weir.wait_status(is_up)
    weir.stop()
