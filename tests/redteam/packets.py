# SPDX-License-Identifier: BSD-3-Clause
"""Frames that attackers send: built by hand where there are many, by scapy where they are odd."""

import random
import struct

from ground import INSIDE_MAC, OUTSIDE_MAC

SOURCE, DESTINATION = "10.77.0.1", "10.77.0.2"


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def address(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


class Sender:
    """Frames from one place to another, as the policy of the Weir under attack lets out."""

    def __init__(self, given=None) -> None:
        self.source = address(given.source if given else SOURCE)
        self.destination = address(given.destination if given else DESTINATION)
        self.port = given.ports[0] if given else 9000
        self.ether = mac(given.destination_mac if given else OUTSIDE_MAC) + mac(given.source_mac if given else INSIDE_MAC)

    def ip4(self, protocol: int, body: bytes, *, identity: int = 1, ttl: int = 64, tos: int = 0,
            source: bytes = b"") -> bytes:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(body), identity, 0, ttl, protocol, 0,
                           source or self.source, self.destination)
        return self.ether + b"\x08\x00" + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body

    def udp(self, payload: bytes, *, source_port: int = 40000, **header) -> bytes:
        return self.ip4(17, struct.pack("!HHHH", source_port, self.port, 8 + len(payload), 0) + payload, **header)

    def tcp(self, options: bytes = b"", payload: bytes = b"", *, sequence: int = 1, acknowledged: int = 1,
            source_port: int = 40000, **header) -> bytes:
        """A bare ACK, unless there is a payload."""
        words = 5 + len(options) // 4
        return self.ip4(6, struct.pack("!HHIIBBHHH", source_port, self.port, sequence, acknowledged, words << 4, 0x10,
                                       65535, 0, 0) + options + payload, **header)

    def ip6_udp(self, payload: bytes, *, flow: int = 0, traffic_class: int = 0, hops: int = 64) -> bytes:
        body = struct.pack("!HHHH", 40000, self.port, 8 + len(payload), 0xFFFF) + payload
        source, destination = (bytes.fromhex("fd77") + bytes(10) + one for one in (self.source, self.destination))
        return (self.ether + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28 | traffic_class << 20 | flow, len(body), 17, hops)
                + source + destination + body)


def padded(frame: bytes) -> bytes:
    return frame + bytes(max(0, 60 - len(frame)))


def tagged(frame: bytes, vlan: int) -> bytes:
    return frame[:12] + struct.pack("!HH", 0x8100, vlan) + frame[12:]


def escapes(chance: random.Random) -> dict[str, bytes]:
    """Ways around, by name: one frame each. chance: what is inside."""
    # Here, because it takes a second to load.
    # pylint: disable=import-outside-toplevel
    from scapy.all import (ARP, DNS, DNSQR, GRE, ICMP, IP, IPv6, LLC, SNAP, STP, TCP, UDP, VXLAN, Dot1Q, Ether,
                           ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6ExtHdrDestOpt,
                           IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PPPoE, Raw)
    from scapy.contrib.mpls import MPLS
    ether = Ether(src=INSIDE_MAC, dst=OUTSIDE_MAC)
    ip, ip6 = IP(src=SOURCE, dst=DESTINATION), IPv6(src="fd77::1", dst="fd77::2")

    def secret(size: int) -> Raw:
        return Raw(chance.randbytes(size))

    inner = ip / UDP(sport=1, dport=2) / secret(40)
    label = chance.randbytes(24).hex()
    # In a later fragment, which has no ports: only data, that looks like those of a DNS query.
    query = Raw(b"\x14\xe9\x00\x35\x00\x28\x00\x00" + chance.randbytes(32))
    layers = {
        "DNS query": ether / ip / UDP(sport=5353, dport=53) / DNS(rd=1, qd=DNSQR(qname=f"{label}.example.com")),
        "DNS over TCP": ether / ip / TCP(sport=5353, dport=53, flags="PA") / secret(50),
        "ICMP echo": ether / ip / ICMP(type=8) / secret(64),
        "ICMP unreachable": ether / ip / ICMP(type=3, code=1) / secret(64),
        "ICMP of an unknown type": ether / ip / ICMP(type=253) / secret(64),
        "ARP request": ether / ARP(op=1, hwsrc=INSIDE_MAC, psrc=SOURCE, pdst=f"10.77.0.{chance.randrange(3, 250)}"),
        "ARP reply": ether / ARP(op=2, hwsrc=INSIDE_MAC, psrc=SOURCE, pdst=DESTINATION),
        "ARP with a tail": ether / ARP(op=1, hwsrc=INSIDE_MAC, psrc=SOURCE, pdst=DESTINATION) / secret(200),
        "ARP of another kind": ether / ARP(hwtype=6, op=1) / secret(20),
        "IPv6 neighbour solicitation": ether / ip6 / ICMPv6ND_NS(tgt="fd77::2"),
        "IPv6 neighbour advertisement": ether / ip6 / ICMPv6ND_NA(tgt="fd77::1") / ICMPv6NDOptDstLLAddr(
            lladdr=":".join(f"{byte:02x}" for byte in chance.randbytes(6))),
        "ICMPv6 echo": ether / ip6 / ICMPv6EchoRequest(data=chance.randbytes(64)),
        "unknown ethertype 0x1234": Ether(src=INSIDE_MAC, dst=OUTSIDE_MAC, type=0x1234) / secret(100),
        "unknown ethertype 0xffff": Ether(src=INSIDE_MAC, dst=OUTSIDE_MAC, type=0xFFFF) / secret(100),
        "LLDP": Ether(src=INSIDE_MAC, dst="01:80:c2:00:00:0e", type=0x88CC) / secret(60),
        "pause frame": Ether(src=INSIDE_MAC, dst="01:80:c2:00:00:01", type=0x8808) / Raw(b"\x00\x01" + bytes(44)),
        "MACsec": Ether(src=INSIDE_MAC, dst=OUTSIDE_MAC, type=0x88E5) / secret(60),
        "spanning tree": Ether(src=INSIDE_MAC, dst="01:80:c2:00:00:00", type=38) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP(),
        "LLC with a tail": Ether(src=INSIDE_MAC, dst=OUTSIDE_MAC, type=20) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP()
                           / secret(300),
        "one VLAN tag": ether / Dot1Q(vlan=chance.randrange(1, 4095)) / ip / UDP(sport=1, dport=9) / secret(40),
        "two VLAN tags": ether / Dot1Q(vlan=7) / Dot1Q(vlan=8) / ip / UDP(sport=1, dport=9) / secret(40),
        "three VLAN tags": ether / Dot1Q(vlan=7) / Dot1Q(vlan=8) / Dot1Q(vlan=9) / ip / UDP(sport=1, dport=9) / secret(40),
        "VLAN tag, cut": Ether(src=INSIDE_MAC, dst=OUTSIDE_MAC, type=0x8100) / Raw(b"\x00"),
        "GRE": ether / ip / GRE() / inner,
        "IP in IP": ether / ip / inner,
        "IPv6 in IPv4": ether / IP(src=SOURCE, dst=DESTINATION, proto=41) / ip6 / UDP(sport=1, dport=2) / secret(40),
        "VXLAN": ether / ip / UDP(sport=1, dport=4789) / VXLAN(vni=42) / ether / inner,
        "MPLS": Ether(src=INSIDE_MAC, dst=OUTSIDE_MAC, type=0x8847) / MPLS(label=42, s=1) / inner,
        "PPPoE": Ether(src=INSIDE_MAC, dst=OUTSIDE_MAC, type=0x8864) / PPPoE(sessionid=9) / secret(50),
        "ESP": ether / IP(src=SOURCE, dst=DESTINATION, proto=50) / secret(80),
        "protocol 253": ether / IP(src=SOURCE, dst=DESTINATION, proto=253) / secret(80),
        "IGMP": ether / IP(src=SOURCE, dst="224.0.0.1", proto=2) / secret(8),
        "multicast": Ether(src=INSIDE_MAC, dst="01:00:5e:00:00:fb") / IP(src=SOURCE, dst="224.0.0.251")
                     / UDP(sport=5353, dport=5353) / secret(60),
        "broadcast": Ether(src=INSIDE_MAC, dst="ff:ff:ff:ff:ff:ff") / IP(src=SOURCE, dst="255.255.255.255")
                     / UDP(sport=68, dport=67) / secret(60),
        "IPv4 options": ether / IP(src=SOURCE, dst=DESTINATION, options=[b"\x44\x0c" + chance.randbytes(10)])
                        / UDP(sport=1, dport=9) / secret(20),
        "bad IPv4 checksum": ether / IP(src=SOURCE, dst=DESTINATION, chksum=chance.randrange(1, 65535))
                             / UDP(sport=1, dport=9) / secret(20),
        "bad UDP checksum": ether / ip / UDP(sport=1, dport=9, chksum=chance.randrange(1, 65535)) / secret(20),
        "UDP longer than its datagram": ether / ip / UDP(sport=1, dport=9, len=900) / secret(20),
        "IPv4 longer than its frame": ether / IP(src=SOURCE, dst=DESTINATION, len=900) / UDP(sport=1, dport=9) / secret(20),
        "TCP with a wrong offset": ether / ip / TCP(sport=1, dport=9, dataofs=15) / secret(8),
        "IPv6 hop-by-hop": ether / ip6 / IPv6ExtHdrHopByHop() / UDP(sport=1, dport=9) / secret(20),
        "IPv6 destination options": ether / ip6 / IPv6ExtHdrDestOpt() / UDP(sport=1, dport=9) / secret(20),
        "IPv6 routing": ether / ip6 / IPv6ExtHdrRouting(type=4) / UDP(sport=1, dport=9) / secret(20),
        "IPv6 fragment": ether / ip6 / IPv6ExtHdrFragment(offset=185, m=0, id=chance.getrandbits(32), nh=17) / query,
        "IPv6 header chain": ether / ip6 / _chain(IPv6ExtHdrDestOpt, 9) / UDP(sport=1, dport=9) / secret(20),
        "IPv6, no next header, a tail": ether / IPv6(src="fd77::1", dst="fd77::2", nh=59) / secret(40),
    }
    made = {name: bytes(frame) for name, frame in layers.items()}
    made["UDP, padding with data"] = bytes(ether / ip / UDP(sport=1, dport=9)) + chance.randbytes(200)
    made["IPv6 UDP, padding with data"] = bytes(ether / ip6 / UDP(sport=1, dport=9)) + chance.randbytes(200)
    return made


def _chain(kind, count: int):
    head = kind()
    for _ in range(count - 1):
        head = head / kind()
    return head
