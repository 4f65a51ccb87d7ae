#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes the captures in this folder and the frame fuzzer's corpus, the same bytes at every run.

usage: make.py   (writes beside itself and to ../fuzz/corpus/frame)

Good frames go to good_*.pcap: Weir must forward each of them. Frames that are truncated or
contradict themselves go to bad_*.pcap: Weir must drop each of them under a named reason.
"""

import struct
import sys
from pathlib import Path

from scapy.all import (ARP, GRE, ICMP, LLC, SCTP, STP, TCP, UDP, Dot1AD, Dot1Q, Dot3, Ether, ICMPv6EchoRequest,
                       ICMPv6ND_NS, IP, IPOption_Router_Alert, IPOption_Timestamp, IPv6, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, Raw, SCTPChunkInit)

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / "fuzz" / "corpus" / "frame"
CORPUS_MTU = struct.pack(">H", 1500 - 576)  # how fuzz_frame.c reads it
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
IP4 = IP(src="10.77.0.1", dst="10.77.0.2", id=1)
IP6 = IPv6(src="fd77::1", dst="fd77::2")
PAYLOAD = Raw(bytes(range(200)))


def good_ip4() -> dict[str, bytes]:
    whole = bytes(UDP(sport=1000, dport=2000, len=8 + 1600) / Raw(bytes(1600)))
    return {
        "udp": bytes(ETHER / IP4 / UDP(sport=1000, dport=2000) / PAYLOAD),
        "udp_empty": bytes(ETHER / IP4 / UDP(sport=1000, dport=2000)),
        "tcp_syn": bytes(ETHER / IP4 / TCP(sport=1000, dport=443, flags="S", options=[
            ("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)])),
        "tcp_data": bytes(ETHER / IP4 / TCP(sport=1000, dport=443, flags="PA") / PAYLOAD),
        "icmp_echo": bytes(ETHER / IP4 / ICMP(id=1, seq=1) / PAYLOAD),
        "sctp_init": bytes(ETHER / IP4 / SCTP(sport=1000, dport=2000, tag=0) / SCTPChunkInit(init_tag=1)),
        "gre": bytes(ETHER / IP4 / GRE() / IP4 / UDP(sport=1, dport=2) / PAYLOAD),
        "esp": bytes(ETHER / IP(src="10.77.0.1", dst="10.77.0.2", proto=50) / PAYLOAD),
        "option_alert": bytes(ETHER / IP(src="10.77.0.1", dst="224.0.0.1", options=[
            IPOption_Router_Alert()]) / UDP(sport=1, dport=2) / PAYLOAD),
        "option_timestamp": bytes(ETHER / IP(src="10.77.0.1", dst="10.77.0.2", options=[
            IPOption_Timestamp(length=36, internet_address=None, timestamp=0, flg=0,
                               pointer=5)]) / TCP(sport=1, dport=2)),
        "fragment_first": bytes(ETHER / IP(src="10.77.0.1", dst="10.77.0.2", id=7, proto=17, flags="MF")
                                / Raw(whole[:1480])),
        "fragment_last": bytes(ETHER / IP(src="10.77.0.1", dst="10.77.0.2", id=7, proto=17, frag=185)
                               / Raw(whole[1480:])),
        "fragment_tiny_last": bytes(ETHER / IP(src="10.77.0.1", dst="10.77.0.2", id=8, proto=6, frag=10)
                                    / Raw(b"x")),
        "largest": bytes(ETHER / IP4 / UDP(sport=1, dport=2) / Raw(bytes(1500 - 28))),
        "padded_dirty": bytes(ETHER / IP4 / UDP(sport=1, dport=2) / Raw(b"hi")) + b"\xee" * 16,
        "trailer_dirty": bytes(ETHER / IP4 / UDP(sport=1, dport=2) / PAYLOAD) + b"\xdd" * 40,
    }


def good_ip6() -> dict[str, bytes]:
    return {
        "udp": bytes(ETHER / IP6 / UDP(sport=1000, dport=2000) / PAYLOAD),
        "tcp": bytes(ETHER / IP6 / TCP(sport=1000, dport=443, flags="S")),
        "icmp_echo": bytes(ETHER / IP6 / ICMPv6EchoRequest(id=1, seq=1) / PAYLOAD),
        "neighbour": bytes(ETHER / IPv6(src="fd77::1", dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt="fd77::2")),
        "no_next": bytes(ETHER / IPv6(src="fd77::1", dst="fd77::2", nh=59)),
        "hop_by_hop": bytes(ETHER / IP6 / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
                            / UDP(sport=1, dport=2) / PAYLOAD),
        "chain": bytes(ETHER / IP6 / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])
                       / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
                       / IPv6ExtHdrRouting(addresses=["fd77::3"]) / IPv6ExtHdrDestOpt(
                           options=[PadN(optdata=b"\0" * 12)]) / TCP(sport=1, dport=2, flags="S")),
        "fragment_first": bytes(ETHER / IP6 / IPv6ExtHdrFragment(id=9, offset=0, m=1, nh=17)
                                / UDP(sport=1, dport=2, len=1808) / Raw(bytes(1400))),
        "fragment_last": bytes(ETHER / IP6 / IPv6ExtHdrFragment(id=9, offset=176, m=0, nh=17) / Raw(bytes(400))),
        "fragment_atomic": bytes(ETHER / IP6 / IPv6ExtHdrFragment(id=9, offset=0, m=0)
                                 / UDP(sport=1, dport=2) / PAYLOAD),
        "in_ip4": bytes(ETHER / IP4 / IP6 / UDP(sport=1, dport=2) / PAYLOAD),
    }


def good_link() -> dict[str, bytes]:
    lldp = b"\x02\x07\x04\x02\0\0\0\0\x01\x04\x03\x05a\x06\x02\0\x78\0\0"
    return {
        "arp": bytes(ETHER / ARP(op=1, hwsrc="02:00:00:00:00:01", psrc="10.77.0.1", pdst="10.77.0.2")),
        "arp_padded_dirty": bytes(ETHER / ARP(op=2, hwsrc="02:00:00:00:00:01", psrc="10.77.0.1",
                                              hwdst="02:00:00:00:00:02", pdst="10.77.0.2")) + b"\xcc" * 18,
        "vlan": bytes(ETHER / Dot1Q(vlan=100) / IP4 / UDP(sport=1, dport=2) / PAYLOAD),
        "vlan_priority": bytes(ETHER / Dot1Q(vlan=0, prio=5) / IP4 / TCP(sport=1, dport=2)),
        "vlan_arp": bytes(ETHER / Dot1Q(vlan=100) / ARP(op=1, hwsrc="02:00:00:00:00:01", psrc="10.77.0.1",
                                                       pdst="10.77.0.2")),
        "qinq": bytes(ETHER / Dot1AD(vlan=200) / Dot1Q(vlan=100) / IP6 / UDP(sport=1, dport=2) / PAYLOAD),
        "qinq_same": bytes(ETHER / Dot1Q(vlan=200) / Dot1Q(vlan=100) / IP4 / UDP(sport=1, dport=2) / PAYLOAD),
        "qinq_largest": bytes(ETHER / Dot1AD(vlan=200) / Dot1Q(vlan=100) / IP4 / UDP(sport=1, dport=2)
                              / Raw(bytes(1472))),
        "lldp": bytes(Ether(src="02:00:00:00:00:01", dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(lldp)),
        "unknown": bytes(Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff", type=0x1234) / PAYLOAD),
        "unknown_empty": bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x1234)),
        "llc_stp": bytes(Dot3(src="02:00:00:00:00:01", dst="01:80:c2:00:00:00", len=38) / LLC() / STP()),
        "mpls": bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x8847)
                      / Raw(b"\0\x01\x01\x40") / IP4 / UDP(sport=1, dport=2) / PAYLOAD),
    }


def patched(frame: bytes, offset: int, value: bytes) -> bytes:
    return frame[:offset] + value + frame[offset + len(value):]


def bad(ip4: dict[str, bytes], ip6: dict[str, bytes], link: dict[str, bytes]) -> dict[str, bytes]:
    udp, tcp, udp6, arp = ip4["udp"], ip4["tcp_syn"], ip6["udp"], link["arp"]
    many = bytes(ETHER / IPv6(src="fd77::1", dst="fd77::2", nh=60)
                 / Raw(b"\x3c\0\x01\x04\0\0\0\0" * 9 + b"\x3b\0\x01\x04\0\0\0\0"))
    frames = {
        "runt": udp[:13],
        "oversize": bytes(ETHER / IP4 / UDP(sport=1, dport=2) / Raw(bytes(1473))),
        "oversize_jumbo": bytes(ETHER / IP4 / UDP(sport=1, dport=2) / Raw(bytes(9000))),
        "vlan_cut": link["vlan"][:17],
        "vlan_three": bytes(ETHER / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / IP4 / UDP(sport=1, dport=2)),
        "llc_long": patched(link["llc_stp"], 12, b"\x05\x00"),
        "llc_reserved": patched(udp, 12, b"\x05\xff"),
        "arp_cut": arp[:14 + 27],
        "arp_hardware": patched(arp, 14, b"\x00\x07"),
        "arp_lengths": patched(arp, 18, b"\x08\x10"),
        "ip4_cut": udp[:14 + 19],
        "ip4_version": patched(udp, 14, b"\x65"),
        "ip4_header_short": patched(udp, 14, b"\x44"),
        "ip4_header_beyond": patched(udp[:14 + 28], 14, b"\x4f"),
        "ip4_total_short": patched(udp, 16, b"\x00\x13"),
        "ip4_total_long": patched(udp, 16, b"\x04\x00"),
        "ip6_cut": udp6[:14 + 39],
        "ip6_version": patched(udp6, 14, b"\x45"),
        "ip6_length_long": patched(udp6, 18, b"\x04\x00"),
        "ip6_many_headers": many,
        "ip6_header_beyond": patched(ip6["hop_by_hop"], 14 + 41, b"\xff"),
        "udp_cut": patched(udp, 16, b"\x00\x1a")[:14 + 26],
        "udp_length_short": patched(udp, 14 + 24, b"\x00\x07"),
        "udp_length_long": patched(udp, 14 + 24, b"\x0f\x00"),
        "tcp_cut": patched(tcp, 16, b"\x00\x27")[:14 + 39],
        "tcp_offset_short": patched(tcp, 14 + 32, b"\x40"),
        "tcp_offset_long": patched(tcp, 14 + 32, b"\xf0"),
        "sctp_cut": patched(ip4["sctp_init"], 16, b"\x00\x1f")[:14 + 31],
        "icmp_cut": patched(ip4["icmp_echo"], 16, b"\x00\x1b")[:14 + 27],
    }
    return frames


def write(path: Path, frames: list[bytes]) -> None:
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1_700_000_000, number, len(frame), len(frame)) + frame)


def main() -> int:
    ip4, ip6, link = good_ip4(), good_ip6(), good_link()
    sets = {"good_ip4": ip4, "good_ip6": ip6, "good_link": link, "bad": bad(ip4, ip6, link)}
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, frames in sets.items():
        write(HERE / f"{name}.pcap", list(frames.values()))
        for label, frame in frames.items():
            (CORPUS / f"{name}-{label}").write_bytes(CORPUS_MTU + frame)
    print(f"{sum(map(len, sets.values()))} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
