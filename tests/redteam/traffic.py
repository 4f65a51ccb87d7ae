# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios that attack with what they send: volume, slowness, hiding places, ways around, crowds."""

import math
from collections import Counter
from typing import NamedTuple

import ground
import judge
import lab as laboratory
import packets
import rates
from ground import Run, Skipped, Unjudged, Watch, scenario, sized

FLOOD_FRAME = 1442
LARGEST = laboratory.wire_bytes(FLOOD_FRAME)
UNLIMITED_BIT_S = 1_000_000_000  # more than software ports carry here

MANY = """\
ports:
{ports}links:
{links}budgets:
{budgets}classes:
{classes}rules:
{rules}"""


def policy_of(run: Run, wires: list[tuple[str, str, str]], budgets: list[str], classes: list[str], rules: list[str],
              appliance: str = "", name: str = "policy.yaml"):
    """wires: a link's name, its inside and its outside port."""
    ports = [port for _, inside, outside in wires for port in (inside, outside)]
    return run.lab.policy(MANY.format(
        ports="".join(f'  - {{name: {port}, device: "net_af_packet{number},iface={port}"}}\n'
                      for number, port in enumerate(ports)),
        links="".join(f"  - {{name: {link}, inside: {inside}, outside: {outside}}}\n" for link, inside, outside in wires),
        budgets="".join(f"  - {{{budget}}}\n" for budget in budgets),
        classes="".join(f"  - {{{one}}}\n" for one in classes),
        rules="".join(f"  - {{{rule}}}\n" for rule in rules)), appliance, name)


ONE_LINK = [("internet", "in0", "out0")]


def given_bounds(run: Run, before: dict, after: dict) -> tuple[int, int, int]:
    """Of a Weir that is given: what all classes that sent may send, by rate and burst; what was left of its caps."""
    sent = {item["name"]: item["tx_frames"] for item in before["classes"]}
    used = [item for item in after["classes"] if item["tx_frames"] > sent.get(item["name"], 0)]
    left = min(cap["remaining_bytes"] for cap in run.root(before)["caps"])
    return sum(item["rate_bit_s"] for item in used), sum(item["burst_bytes"] for item in used), left


@scenario("S1", "dump at line rate", "rate and burst in every window; the cap to the byte")
def dump(run: Run) -> None:
    """As much and as fast as the wire takes, until nothing more comes out."""
    # A thousand bursts, so that one per cent too much is ten of them.
    rate, burst, cap = 100_000_000, 32_000, LARGEST * 22_000 * run.scale
    scaled = 810_000_000_000 // cap
    run.meet(lambda: run.lab.pair_policy(f"{rate} bit/s", f"{burst} B", caps=f"{{limit: {cap} B}}"))
    before, watch = run.weir.status(), Watch(run, wire="out0")
    flood = run.flood(rate=UNLIMITED_BIT_S, bytes=FLOOD_FRAME, **({"seconds": 2 * run.scale} if run.given else {}))
    run.happens("the dump begins")
    if run.given:
        flood.result(120)
    else:
        run.arrives(watch)
    run.silent(watch)
    flood.end()
    _, tried = flood.result(1)
    frames, after = watch.frames(), run.weir.status()
    run.some(frames)
    got = sum(frame.wire for frame in frames)
    if run.given:
        rate, burst, cap = given_bounds(run, before, after)
        run.must(got <= cap, f"{got} B arrived, at most {cap} B that were left")
    else:
        run.must_exhaust(got, cap, LARGEST)
        if tried <= cap:
            raise Unjudged(f"{tried} B were sent, no more than the cap")
    worst = run.must_keep_rate(watch, frames, rate, burst)
    seen = None
    try:
        seen = run.sees(watch, frames, rate, burst)
    except Unjudged as reason:
        if not run.given:
            raise
        run.note(f"{reason}: others share the classes' rates, or they are less than the wire takes")
    run.must_be_charged(got, run.root(after)["charged_wire_bytes"] - run.root(before)["charged_wire_bytes"])
    run.plot("arrived", frames, cap)
    run.asks(f"{rate / 1e6:g} Mbit/s + {sized(burst)}; cap {cap} B", rate_bit_s=rate, burst_bytes=burst, cap_bytes=cap,
             scale=f"1:{scaled}" if not run.given else None, sent_bytes=tried)
    sharp = f", and {seen:.1%} too fast would show" if seen else ""
    run.finds(f"{got} B of {sized(tried)} sent; worst window +{worst:.0f} B{sharp}", received_bytes=got,
              worst_window_excess_bytes=round(worst), late_stamps_ns=round(watch.allowance_ns), too_fast_seen=seen)


@scenario("S2", "slow drip at 99 % of the window's cap", "each window; stops at the lifetime cap",
          "it uses up the lifetime cap, at 99 % of a window's: months, by a policy of use")
def drip(run: Run) -> None:
    """Always a little less than would be noticed; then beside it as much as the rate lets through.

    The drip alone would keep a window whose cap comes back all at once at fixed times. Full windows of it and a
    flood that spends each new one at once do not.
    """
    frame_bytes, window_s = 200, 1
    each = laboratory.wire_bytes(frame_bytes)
    window, lifetime = each * 1000, each * (2500 + 1500 * (run.scale - 1))
    run.lab.pair()
    run.start(run.lab.pair_policy("10 Mbit/s", "10 KB", caps=f"{{limit: {lifetime} B}}, {{limit: {window} B, per: {window_s} s}}",
                                  appliance="  grant_min: 10 kB\n  grant_max: 20 kB\n"))
    watch = Watch(run, wire="out0")
    flood = run.flood(rate=window * 8 * 99 // 100 // window_s, bytes=frame_bytes)
    run.happens("the drip begins")
    run.arrives(watch, 1200)  # for more than a window
    surge = run.flood(rate=8_000_000, bytes=frame_bytes)
    run.happens("a flood begins beside it")
    # To the end by Weir's own word, which is not judged by, and a while beyond it.
    run.until(lambda: run.root()["caps"][0]["remaining_bytes"] < each, "the lifetime cap")
    run.silent(watch, 0.8)
    run.must(flood.running() and surge.running(), "the drip and the flood go on after the cap")
    flood.end()
    surge.end()
    frames = watch.frames()
    got = sum(frame.wire for frame in frames)
    most = rates.most_within([frame.ns for frame in frames], [frame.wire for frame in frames],
                             window_s * 1e9 - watch.allowance_ns)
    run.must(most <= window, f"{most} B in the fullest window of {window_s} s, at most {window} B")
    run.must(got == lifetime, f"{got} B arrived, exactly the cap of {lifetime} B")
    run.must_be_charged(got, run.charged())
    run.plot("arrived", frames, lifetime)
    run.asks(f"{window} B per {window_s} s; {lifetime} B for ever; a flood at the end", window_bytes=window,
             window_s=window_s, lifetime_bytes=lifetime, drip_share=0.99)
    run.finds(f"{got} B; fullest window {most} B", received_bytes=got, fullest_window_bytes=most)


@scenario("S3", "128 bytes in each of very many sessions", "counted whole; no table grows")
def sessions(run: Run) -> None:
    """A new source address and port for each frame: what counts by flow forgets, or grows."""
    count = 15_000 if run.scale == 1 else 60_000
    sender = packets.Sender(run.given)
    run.meet(lambda: run.lab.pair_policy("1 Gbit/s", "1 MB", caps="{limit: 1 TB}"))
    pid = None if run.given else run.weir.child.pid

    def crowd() -> list[bytes]:
        return [sender.udp(run.random.randbytes(128), source_port=run.random.randrange(1, 65536),
                           source=None if run.given else bytes([10, *run.random.randbytes(3)]))
                for _ in range(count)]

    def pour(frames: list[bytes]) -> int:
        sent, _ = run.flood_of(frames, frames=count, rate=30_000_000).result(120)
        return sent

    pour(crowd())  # touches the memory that any traffic touches
    watch, before, held = Watch(run), run.weir.status(), ground.process_memory(pid) if pid else {}
    tried = 0
    for _ in range(run.scale):
        tried += pour(crowd())
    run.silent(watch)
    frames, after = watch.frames(), run.weir.status()
    grown = run.growth(pid, held) if pid else {}
    got = sum(frame.wire for frame in frames)
    each = laboratory.wire_bytes(14 + 20 + 8 + 128)
    run.must(len(frames) > 0 and got == each * len(frames), f"{len(frames)} frames arrived, each of {each} B")
    run.must_be_charged(got, run.root(after)["charged_wire_bytes"] - run.root(before)["charged_wire_bytes"])
    sources = len({frame.data[26:30] + frame.data[34:36] for frame in frames})
    for name in ("links", "classes", "budgets", "ports", "workers"):
        run.must(len(after[name]) == len(before[name]), f"as many {name} as before")
    for name, value in grown.items():
        # Less than 8 bytes a session: no table of them has entries as small.
        room = 8 * tried if name == "resident_bytes" else 0
        run.must(value <= room, f"{name} of the process grew by {value}, at most {room}")
    run.asks(f"{tried} sessions, {each} B each", sessions=tried, frame_wire_bytes=each)
    run.finds(f"{len(frames)} came, {sized(got)} charged; memory +{grown.get('resident_bytes', 0)} B", received_bytes=got,
              received_frames=len(frames), received_sessions=sources, grown=grown)


@scenario("S5", "data in the options of ACKs, under a download", "ACK bytes are charged, and keep to the rate")
def acks(run: Run) -> None:
    """The download is what everyone looks at; its acknowledgements carry 40 bytes each the other way."""
    sender, each = packets.Sender(run.given), laboratory.wire_bytes(14 + 20 + 60)
    rate, burst, cap = 20_000_000, 64_000, each * 6000 * run.scale
    run.meet(lambda: run.lab.pair_policy(f"{rate} bit/s", f"{burst} B", caps=f"{{limit: {cap} B}}",
                                         rule="{link: internet, protocol: tcp}"))
    before, watch = run.weir.status(), Watch(run, wire="out0", snap=200)
    download = None if run.given else laboratory.Flood(
        run.lab, "internet", "net0", rate=60_000_000, bytes=FLOOD_FRAME, seconds=600, source=packets.DESTINATION,
        destination=packets.SOURCE)
    stream = [sender.tcp(b"\xfd\x28" + run.random.randbytes(38), acknowledged=1460 * number) for number in range(4000)]
    flood = run.flood_of(stream, rate=40_000_000, **({"frames": 4000} if run.given else {}))
    if run.given:
        flood.result(60)
    else:
        run.arrives(watch)
    run.silent(watch)
    flood.end()
    if download is not None:
        download.end()
    frames, after = watch.frames(), run.weir.status()
    if run.given and not frames:
        raise Skipped("no ACK came through: its policy lets none out, or it was not sent the right way")
    if not run.given and run.weir.status()["links"][0]["return"]["tx_frames"] == 0:
        raise Unjudged("nothing of the download came through")
    got, carried = sum(frame.wire for frame in frames), 38 * len(frames)
    known = {bytes(frame[14:]) for frame in stream}
    run.must(all(frame.data[14:frame.length] in known for frame in frames), "what arrived is what was sent")
    run.must(got == each * len(frames), f"each ACK takes {each} B")
    if not run.given:
        run.must_exhaust(got, cap, each)
        worst = run.must_keep_rate(watch, frames, rate, burst)
        run.asked.update(rate_bit_s=rate, burst_bytes=burst)
        run.measured.update(worst_window_excess_bytes=round(worst), late_stamps_ns=round(watch.allowance_ns))
    run.must_be_charged(got, run.root(after)["charged_wire_bytes"] - run.root(before)["charged_wire_bytes"])
    run.asks(f"ACKs with 38 B of data, {each} B each; cap {cap} B", cap_bytes=cap, ack_wire_bytes=each)
    run.finds(f"{got} B of ACKs with {sized(carried)} inside", received_bytes=got, carried_bytes=carried)


@scenario("S6", "shortest frames, data in the padding", "84 B a frame; padding comes out as zeros")
def padding(run: Run) -> None:
    """Meters that count payload see nothing of it."""
    sender = packets.Sender(run.given)
    # Kept below the rate, so that every frame is judged by what becomes of it.
    short = [sender.udp(run.random.randbytes(run.random.randrange(0, 18))) for _ in range(1500 * run.scale)]
    short = [frame + run.random.randbytes(60 - len(frame)) for frame in short]
    short += [sender.udp(b"x") for _ in range(200)]  # that the sender did not even pad
    tailed = {"IPv4": sender.udp(b""), "IPv6": sender.ip6_udp(b""), "tagged": packets.tagged(sender.udp(b""), 7),
              "tagged twice": packets.tagged(packets.tagged(sender.udp(b""), 7), 8),
              "tagged IPv6": packets.tagged(sender.ip6_udp(b""), 7)}
    long = [frame + run.random.randbytes(run.random.randrange(20, 1400)) for _ in range(60 * run.scale)
            for frame in tailed.values()]
    run.meet(lambda: run.lab.pair_policy("50 Mbit/s", "500 KB", caps="{limit: 1 GB}"))
    before, watch = run.weir.status(), Watch(run, snap=1600)
    sent, _ = run.flood_of(short, frames=len(short), rate=20_000_000).result(120)
    run.silent(watch)
    between = run.root()["charged_wire_bytes"]
    sent += run.flood_of(long, frames=len(long), rate=20_000_000).result(120)[0]
    run.silent(watch)
    frames, after = watch.frames(), run.weir.status()
    stream = short + long
    expected = Counter(judge.forwarded(frame, 1500) for frame in stream)
    arrived = Counter(frame.data[:frame.length] for frame in frames)
    got, hidden = sum(frame.wire for frame in frames), sum(len(frame) - judge.meaning(frame, 1500) for frame in stream)
    leaked = sum(any(frame.data[judge.meaning(frame.data[:frame.length], 1500):frame.length]) for frame in frames)
    shortest = sum(frame.length <= 60 for frame in frames)
    if shortest < 100 or len(frames) == shortest:
        raise Unjudged(f"only {shortest} of {sent} frames arrived that were the shortest, and {len(frames)} in all")
    run.must(leaked == 0, f"{leaked} frames came with something in their padding")
    run.must(not arrived - expected, f"{(arrived - expected).total()} frames came otherwise than with zeroed padding")
    run.must_be_charged(got, run.root(after)["charged_wire_bytes"] - run.root(before)["charged_wire_bytes"])
    if not run.given:  # each by itself: nothing else is charged, and nothing was too fast
        least = between - run.root(before)["charged_wire_bytes"]
        run.must(least == 84 * shortest, f"{shortest} shortest frames are charged {least} B, 84 each")
        missing = [kind for kind, frame in tailed.items() if not any(one.data[:len(frame)] == frame for one in frames)]
        if missing:
            raise Unjudged(f"no frame with a tail came that was {', '.join(missing)}")
    run.asks(f"{sent} frames with {sized(hidden)} in their padding", frames=sent, hidden_bytes=hidden)
    run.finds(f"{len(frames)} came, {got} B charged, {leaked} with data", received_frames=len(frames), received_bytes=got,
              leaked_frames=leaked)


class Sign(NamedTuple):
    """What one frame says: in fields that nobody looks at, by its size, and in its payload."""

    word: int  # IPv4's identification, 16 bits, or IPv6's flow label, 20
    hops: int
    tos: int
    payload: bytes
    version: int

    @property
    def bits(self) -> int:
        """With those of the size: which of so many it is."""
        return (16 if self.version == 4 else 20) + 8 + 8 + SIZE_BITS + 8 * len(self.payload)


SIZE_BITS = 4
SIZE_LEAST = {4: 60, 6: 62}  # of a frame: none is padded, which would hide its size


def hide(sender: packets.Sender, sign: Sign) -> bytes:
    if sign.version == 4:
        return sender.udp(sign.payload, identity=sign.word, ttl=sign.hops, tos=sign.tos)
    return sender.ip6_udp(sign.payload, flow=sign.word, hops=sign.hops, traffic_class=sign.tos)


def read_sign(frame: laboratory.Frame) -> Sign | None:
    """By the frame as it arrived."""
    data = frame.data[:frame.length]
    if frame.ethertype == 0x0800:
        return Sign(int.from_bytes(data[18:20], "big"), data[22], data[15], data[42:], 4)
    if frame.ethertype == 0x86DD:
        word = int.from_bytes(data[14:18], "big")
        return Sign(word & 0xFFFFF, data[21], word >> 20 & 0xFF, data[62:], 6)
    return None


def random_signs(run: Run, count: int) -> list[Sign]:
    dice, signs = run.random, []
    for number in range(count):
        version = 4 if number % 2 == 0 or run.given else 6
        size = SIZE_LEAST[version] + dice.randrange(1 << SIZE_BITS)
        signs.append(Sign(dice.getrandbits(16 if version == 4 else 20), dice.getrandbits(8), dice.getrandbits(8),
                          dice.randbytes(size - (42 if version == 4 else 62)), version))
    return signs


@scenario("S7", "IP ID, TTL, DSCP, flow label, sizes and timing as carriers", "all charged; 8 x charged bounds it")
def carriers(run: Run) -> None:
    """A message in all of a frame and in the fields that nobody looks at, read again outside, and the most that could be."""
    sender, count = packets.Sender(run.given), 3000 * run.scale
    run.meet(lambda: run.lab.pair_policy("50 Mbit/s", "500 KB", caps="{limit: 1 GB}"))
    before, watch = run.weir.status(), Watch(run, snap=128)
    signs = random_signs(run, count)
    run.flood_of([hide(sender, sign) for sign in signs], frames=count, rate=4_000_000).result(120)
    run.silent(watch)
    frames, after = watch.frames(), run.weir.status()
    judge_carriers(run, signs, frames, run.root(after)["charged_wire_bytes"] - run.root(before)["charged_wire_bytes"])


def judge_carriers(run: Run, signs: list[Sign], frames: list[laboratory.Frame], charged: int) -> None:
    """charged: by Weir, for them."""
    if len(frames) < len(signs) // 10:
        raise Unjudged(f"only {len(frames)} of {len(signs)} frames came through")
    # A sign is as good as unique: which one it is shows which frame it was, should others be lost.
    right = list((Counter(map(read_sign, frames)) & Counter(signs)).elements())
    wrong, read_bits = len(frames) - len(right), sum(sign.bits for sign in right)
    if run.given and len(right) < len(signs) // 10:
        raise Unjudged(f"only {len(right)} of {len(signs)} signs were read as they were made: something else changes them")
    if not run.given:
        run.must(wrong == 0, f"the channel is there: {wrong} of {len(frames)} frames came with other signs than they were given")
    hidden_bits = read_bits - sum(8 * len(sign.payload) for sign in right)
    seconds = max((frames[-1].ns - frames[0].ns) / 1e9, 1e-9)
    content, lengths = sum(8 * frame.length for frame in frames), 14 * len(frames)
    # log2 C(T, N) <= N log2(e T / N), T in ns: where in time N frames lie, at the capture's resolution.
    possible = content + lengths + len(frames) * math.log2(math.e * max(seconds * 1e9 / len(frames), 1))
    bound = 8 * charged
    run.must(read_bits <= bound, f"{read_bits} bits were read outside, at most {bound}, 8 times what was charged")
    run.must(possible <= bound, f"content, lengths and times can carry {possible:.0f} bits, at most {bound}, 8 times what "
                                "was charged")
    got = sum(frame.wire for frame in frames)
    run.must_be_charged(got, charged)
    run.asks(f"{sum(sign.bits for sign in signs)} bits in all of {len(signs)} frames", frames=len(signs),
             sent_bits=sum(sign.bits for sign in signs))
    run.finds(f"{read_bits} bits read, {hidden_bits} of them hidden, {hidden_bits / seconds / 1e3:.4g} kbit/s; at most "
              f"{possible:.3g} of {bound:.3g} could be", read_bits=read_bits, hidden_bits=hidden_bits,
              hidden_rate_bit_s=round(hidden_bits / seconds), wrong_signs=wrong, received_bytes=got,
              possible_bits=round(possible), bound_bits=bound, seconds=round(seconds, 3))


SHARED_BIT_S, SHARED_BURST, SHARED_PORT = 10_000_000, 64_000, 9002
SPLIT_LATE_NS = 50_000_000  # of stamps by three captures, none of them dated


def is_shared(frame: laboratory.Frame) -> bool:
    return frame.data[36:38] == SHARED_PORT.to_bytes(2, "big")


@scenario("S8", "split over links and classes, each under its own limit", "the total above all holds, and a class its rate")
def split(run: Run) -> None:
    """Each way out stays within its own limits; together they would carry more than the total.

    One class leaves by all links: it has one rate over all of them, not one on each.
    """
    hosts = [("internet", "net0"), ("partner", "par0"), ("backup", "bak0")]
    for number, (host, interface) in enumerate(hosts):
        run.lab.wire("datacenter", f"dc{number}", f"in{number}")
        run.lab.wire(host, interface, f"out{number}")
    total, own = LARGEST * 4000 * run.scale, LARGEST * 2400 * run.scale
    names = [f"{host}-{kind}" for host, _ in hosts for kind in ("bulk", "chat")]
    run.start(policy_of(
        run, [(host, f"in{number}", f"out{number}") for number, (host, _) in enumerate(hosts)],
        [f"name: total, caps: [{{limit: {total} B}}]", "name: shared, parent: total"]
        + [f"name: {host}, parent: total, caps: [{{limit: {own} B}}]" for host, _ in hosts],
        [f"name: {name}, budget: {name.partition('-')[0]}, rate: 30 Mbit/s, burst: 64 KB, excess: drop" for name in names]
        + [f"name: shared, budget: shared, rate: {SHARED_BIT_S} bit/s, burst: {SHARED_BURST} B, excess: drop"],
        [f"link: {name.partition('-')[0]}, protocol: udp, destination_ports: {9000 if 'bulk' in name else 9001}, class: {name}"
         for name in names] + [f"protocol: udp, destination_ports: {SHARED_PORT}, class: shared"]))
    watches = [Watch(run, host, interface) for number, (host, interface) in enumerate(hosts)]
    floods = [laboratory.Flood(run.lab, "datacenter", f"dc{number}", rate=rate, bytes=FLOOD_FRAME, seconds=600, port=port)
              for number in range(len(hosts))
              for port, rate in ((9000, 50_000_000), (9001, 50_000_000), (SHARED_PORT, 2 * SHARED_BIT_S))]
    run.happens("all begin")
    run.until(lambda: run.root()["caps"][0]["remaining_bytes"] < LARGEST, "the total's cap")
    for watch in watches:
        run.silent(watch, 0.3)
    for flood in floods:
        flood.end()
    taken = [watch.frames() for watch in watches]
    got = judge_split(run, watches, dict(zip((host for host, _ in hosts), taken)), total, own)
    for (host, _), frames in zip(hosts, taken):
        run.plot(host, frames, own)
    run.asks(f"total {total} B over {len(hosts)} links of {own} B; a class of {SHARED_BIT_S / 1e6:g} Mbit/s on all of them",
             total_bytes=total, own_bytes=own, links=len(hosts), classes=len(names) + 1, shared_bit_s=SHARED_BIT_S)
    run.finds(f"{sum(got.values())} B: {' + '.join(map(str, got.values()))}", received_bytes=sum(got.values()),
              bytes_by_budget=got)


def judge_split(run: Run, watches: list[Watch], taken: dict[str, list[laboratory.Frame]], total: int,
                own: int) -> dict[str, int]:
    """Bytes by budget: of each link's own classes, and of the one that all links share."""
    together = sorted((frame for frames in taken.values() for frame in frames), key=lambda frame: frame.ns)
    shared = list(filter(is_shared, together))
    got = {host: sum(frame.wire for frame in frames if not is_shared(frame)) for host, frames in taken.items()}
    ways = [host for host, each in got.items() if each > total // 10]
    got["shared"] = sum(frame.wire for frame in shared)
    budgets = run.weir.status()["budgets"]
    run.must_exhaust(sum(got.values()), total, LARGEST, "the total")
    for name, each in got.items():
        run.must(name == "shared" or each <= own, f"{name}: {each} B arrived, at most its own {own} B")
        charged = laboratory.named(budgets, name)["charged_wire_bytes"]
        run.must(charged == each, f"{name}: {charged} B charged, {each} B arrived")
    watches[0].allowance_ns = SPLIT_LATE_NS
    run.must_keep_rate(watches[0], shared, SHARED_BIT_S, SHARED_BURST, "the class of all links: ")
    if len(ways) < 2 or sum(any(map(is_shared, frames)) for frames in taken.values()) < 2:
        raise Unjudged(f"only one way out was used: {got}")
    run.must_be_charged(sum(got.values()), run.charged())
    run.plot("all together", together, total)
    return got


# Ways out that a sensible policy has, and the frames above that may take them.
OPEN = {"DNS query", "ICMP echo", "ICMP unreachable", "ICMP of an unknown type", "ARP request", "ARP reply", "ARP with a tail"}


@scenario("S9", "ways around: DNS, ICMP, ARP, ND, odd ethertypes, tags, tunnels", "dropped or charged, none free")
def around(run: Run) -> None:
    """One of each kind. By a policy that knows three of them, and by one that lets all out."""
    def policies(rules: list[str], name: str):
        return policy_of(run, ONE_LINK, ["name: total, caps: [{limit: 1 GB}]", "name: house, parent: total"],
                         ["name: house, budget: house, rate: 10 Mbit/s, burst: 64 KB, excess: drop",
                          "name: rest, budget: total, rate: 10 Mbit/s, burst: 64 KB, excess: drop"], rules, name=name)

    kinds = packets.escapes(run.random)
    known = ["ethertype: arp, class: house", "vlan: none, ethertype: ipv4, protocol: icmp, class: house",
             "vlan: none, protocol: udp, destination_ports: 53, class: house"]
    run.meet(lambda: policies(known, "policy.yaml"))
    stream = [packets.padded(frame) for frame in kinds.values()] * run.scale
    counts = {}
    for turn in ("as it is",) if run.given else ("a policy that knows three", "a policy that lets all out"):
        if turn == "a policy that lets all out":
            wide = ground.small(policies([*known, "class: rest"], "wide.yaml")).read_bytes()
            code, answer = run.apply(wide)
            if code != 200:
                raise Unjudged(f"the second policy was refused: {answer}")
        before, watch = run.weir.status(), Watch(run, snap=1600)
        sent, _ = run.flood_of(stream, frames=len(stream), rate=2_000_000).result(60)
        run.silent(watch)
        frames, after = watch.frames(), run.weir.status()
        judge_escapes(run, turn, kinds, frames, before, after)
        counts[turn] = {"sent_frames": sent, "received_frames": len(frames),
                        "received_bytes": sum(frame.wire for frame in frames)}
    run.asks(f"{len(kinds)} kinds of frame", kinds=len(kinds), open_kinds=len(OPEN))
    run.finds("; ".join(f"{counts[turn]['received_frames']} came, {counts[turn]['received_bytes']} B, by {turn}"
                        for turn in counts), **{"turns": counts})


def judge_escapes(run: Run, turn: str, kinds: dict[str, bytes], frames: list[laboratory.Frame], before: dict,
                  after: dict) -> None:
    sound = {}
    for name, frame in kinds.items():
        try:
            sound[judge.forwarded(packets.padded(frame), 1500)] = name
        except judge.Unsound:
            pass
    got = sum(frame.wire for frame in frames)
    arrived = [frame.data[:frame.length] for frame in frames]
    strange = [frame.hex() for frame in arrived if frame not in sound]
    run.must(not strange, f"{turn}: {len(strange)} frames came that nobody sent, or that must not leave: {strange[:1]}")
    run.must_be_charged(got, run.root(after)["charged_wire_bytes"] - run.root(before)["charged_wire_bytes"], f"{turn}: ")
    names = {sound[frame] for frame in arrived if frame in sound}
    run.must("pause frame" not in names, f"{turn}: no pause frame leaves")
    if turn == "a policy that knows three":
        run.must(names <= OPEN, f"{turn}: what no rule names stays: {sorted(names - OPEN)}")
        run.must(bool(names), f"{turn}: what rules name leaves: {sorted(names)}")
    elif turn == "a policy that lets all out":
        run.must(names > OPEN, f"{turn}: more kinds leave: {len(names)} of {len(sound)} that are sound")
    # Each budget by itself: a class that is charged nowhere would show here.
    if not run.given:
        house = sum(laboratory.wire_bytes(len(frame)) for frame in arrived if sound.get(frame) in OPEN)
        charged = (laboratory.named(after["budgets"], "house")["charged_wire_bytes"]
                   - laboratory.named(before["budgets"], "house")["charged_wire_bytes"])
        run.must(charged == house, f"{turn}: {house} B by house's rules arrived, {charged} B charged to it")
