# SPDX-License-Identifier: BSD-3-Clause
"""An independent reader of frames: which ones are sound, and what of them means something.

Written from the protocols' own definitions, and on purpose not from Weir's parser: where the two
disagree about a frame, a test fails and a person has to decide who is right.
"""

TAGS = (0x8100, 0x88A8, 0x9100)
IP6_HEADERS_MAX = 8
EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)
LEAST_HEADER = {1: 8, 6: 20, 17: 8, 58: 8, 132: 12, 136: 8}


class Unsound(Exception):
    """Why a frame must not be forwarded: oversize, or unsound in some other way."""


def number(data: bytes, offset: int, length: int = 2) -> int:
    if offset + length > len(data):
        raise Unsound("truncated")
    return int.from_bytes(data[offset:offset + length], "big")


def need(condition: bool, reason: str) -> None:
    if not condition:
        raise Unsound(reason)


def transport(protocol: int, data: bytes, fragmented: bool) -> None:
    need(len(data) >= LEAST_HEADER.get(protocol, 0), "truncated")
    if protocol == 6:
        need(20 <= (data[12] >> 4) * 4 <= len(data), "TCP data offset")
    elif protocol == 17:
        length = number(data, 4)
        need(length >= 8 and (fragmented or length == len(data)), "UDP length")
    elif protocol == 136:
        coverage = number(data, 4)
        need(coverage == 0 or (coverage >= 8 and (fragmented or coverage <= len(data))), "UDP-Lite coverage")


def ip4(data: bytes, mtu: int) -> int:
    """Returns how many bytes belong to the datagram."""
    header, total = (number(data, 0, 1) & 15) * 4, number(data, 2)
    need(len(data) >= 20, "truncated")
    need(data[0] >> 4 == 4 and 20 <= header <= total, "IPv4 header")
    need(total <= mtu, "oversize")
    need(total <= len(data), "truncated")
    flags = number(data, 6)
    if flags & 0x1FFF == 0:
        transport(data[9], data[header:total], bool(flags & 0x2000))
    return total


def ip6(data: bytes, mtu: int) -> int:
    need(len(data) >= 40, "truncated")
    need(data[0] >> 4 == 6, "IPv6 version")
    total, following = 40 + number(data, 4), data[6]
    need(not (total == 40 and following == 0), "jumbogram")
    need(total <= mtu, "oversize")
    need(total <= len(data), "truncated")
    data = data[:total]
    at, fragmented = 40, False
    for count in range(IP6_HEADERS_MAX + 1):
        if following not in EXTENSIONS:
            transport(following, data[at:], fragmented)
            return total
        need(count < IP6_HEADERS_MAX, "too many headers")
        need(at + 8 <= total, "truncated")
        need(following != 0 or count == 0, "hop-by-hop options not first")
        if following == 44:
            need(not fragmented, "fragment of a fragment")
            place = number(data, at + 2)
            fragmented = bool(place & 0xFFF9)
            following, at = data[at], at + 8
            if place & 0xFFF8:
                return total
        else:
            size = (data[at + 1] + 2) * 4 if following == 51 else (data[at + 1] + 1) * 8
            need(at + size <= total, "truncated")
            following, at = data[at], at + size
    raise Unsound("too many headers")


def meaning(frame: bytes, mtu: int) -> int:
    """Bytes of a sound frame that mean something; what follows is padding. Raises Unsound."""
    need(len(frame) >= 14, "runt")
    at, tags = 14, 0
    kind = number(frame, 12)
    while kind in TAGS:
        need(tags < 2, "VLAN tags")
        kind = number(frame, at + 2)
        at, tags = at + 4, tags + 1
    rest = frame[at:]
    need(len(rest) <= mtu, "oversize")
    if kind == 0x0800:
        return at + ip4(rest, mtu)
    if kind == 0x86DD:
        return at + ip6(rest, mtu)
    if kind == 0x0806:
        need(rest[:6] == b"\x00\x01\x08\x00\x06\x04" and len(rest) >= 28, "ARP")
        return at + 28
    if kind < 0x0600:
        need(kind <= 1500 and kind <= len(rest), "LLC length")
        return at + kind
    return len(frame)


def forwarded(frame: bytes, mtu: int) -> bytes:
    """The frame as it must leave: padding zeroed, padded to 60. Raises Unsound."""
    end = meaning(frame, mtu)
    return frame[:end] + bytes(max(len(frame), 60) - end)
