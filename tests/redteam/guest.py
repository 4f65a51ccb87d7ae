# SPDX-License-Identifier: BSD-3-Clause
"""What of S8, S10, S12 and S15 can be done to a Weir that is given, and does it no harm.

Nothing of its life, policy or clocks is touched, and no cap is used up: an attack that could take
more than a small share of what is left of one is not run. Others may use it meanwhile.
"""

import re
import time
from pathlib import Path
from typing import NamedTuple

import lab as laboratory
from ground import Run, Skipped, Unjudged, Watch, of_given, sized
from social import AHEAD, CHAT_FRAME, STRANGER, as_stranger, events, repeat, wait_event
from traffic import FLOOD_FRAME, LARGEST, UNLIMITED_BIT_S

SHARE_OF_CAPS = 10  # at most one in so many bytes that are left
KNOCKS, KNOCK_BYTES, KNOCK_BIT_S, KNOCK_S = 200, 100, 2_000_000, 0.15
OTHERS_BIT_S = 4_000_000
USED_UP = 0.9  # share of a class's rate, from which on the class itself may have been what lost frames
LOST_MAX = 0.01  # on wires that nobody here knows
ALARM_S = 12
REFUSALS = ("403", "413", "refused")  # 413: the socket for reading takes no policy from anybody


class Way(NamedTuple):
    """A port, and the class that it leads to."""

    port: int
    name: str
    rate_bit_s: int
    burst_bytes: int
    path: tuple[str, ...]  # its budget, and those above


# ---- which class a port leads to ----


def seen_frames(status: dict) -> dict[str, int]:
    return {item["name"]: item["tx_frames"] + item["dropped_frames"] for item in status["classes"]}


def knock(run: Run, port: int) -> str:
    """The class that gained most by some frames to this port, against as long a time without them."""
    def gained(attack) -> dict[str, int]:
        before, end = seen_frames(run.weir.status()), time.monotonic() + KNOCK_S
        attack()
        time.sleep(max(0, end - time.monotonic()))
        return {name: count - before.get(name, 0) for name, count in seen_frames(run.weir.status()).items()}

    idle = gained(lambda: None)
    busy = gained(lambda: run.flood(rate=KNOCK_BIT_S, bytes=KNOCK_BYTES, frames=KNOCKS, port=port).result(20))
    more = {name: count - idle.get(name, 0) for name, count in busy.items()}
    best = max(more, key=more.get)
    if more[best] < KNOCKS // 2:
        raise Unjudged(f"port {port}: no class got what was sent to it: does the policy let it out?")
    return best


def path_of(status: dict, budget: str) -> tuple[str, ...]:
    parents = {item["name"]: item["parent"] for item in status["budgets"]}
    path = [budget]
    while parents[path[-1]] is not None:
        path.append(parents[path[-1]])
    return tuple(path)


KNOWN: dict[tuple[str, tuple[int, ...]], list[Way]] = {}  # by policy and ports: who has knocked once need not again


def ways_of(run: Run) -> list[Way]:
    """Of the ports that are given, one for each class."""
    if len(run.given.ports) < 2:
        raise Skipped("one --port is given: several are needed, of different classes")
    known = (run.digest, run.given.ports)
    if known not in KNOWN:
        KNOWN[known] = find_ways(run)
    if len(KNOWN[known]) < 2:
        raise Skipped(f"all of --port lead to class {KNOWN[known][0].name}: several are needed, of different classes")
    return KNOWN[known]


def find_ways(run: Run) -> list[Way]:
    ways: dict[str, Way] = {}
    for port in run.given.ports:
        name = knock(run, port)
        if knock(run, port) != name:
            raise Unjudged(f"port {port}: others send so much that its class can't be told")
        status = run.weir.status()
        item = laboratory.named(status["classes"], name)
        ways.setdefault(name, Way(port, name, item["rate_bit_s"], item["burst_bytes"], path_of(status, item["budget"])))
    return list(ways.values())


def must_spare(run: Run, ways: list[Way], seconds: float) -> None:
    """Leaves off where so long at these classes' rates would take much of what a cap still allows."""
    for budget in run.weir.status()["budgets"]:
        most = sum(round(way.rate_bit_s / 8 * seconds) + way.burst_bytes for way in ways if budget["name"] in way.path)
        for cap in budget["caps"]:
            if most * SHARE_OF_CAPS > cap["remaining_bytes"]:
                raise Skipped(f"it could take {sized(most)} of the {sized(cap['remaining_bytes'])} that a cap of budget "
                              f"{budget['name']} has left: more than one in {SHARE_OF_CAPS}")


# ---- what must hold of each ----


def by_way(frames: list[laboratory.Frame], ways: list[Way]) -> dict[str, list[laboratory.Frame]]:
    return {way.name: [frame for frame in frames if frame.ethertype == 0x0800 and frame.data[23] == 17
                       and frame.data[36:38] == way.port.to_bytes(2, "big")] for way in ways}


def must_hold(run: Run, watch: Watch, ways: list[Way], arrived: dict[str, list[laboratory.Frame]], before: dict,
              after: dict) -> dict[str, int]:
    """Each class its rate, each budget its charge, to the total; its caps as well. Bytes by class."""
    got = {name: sum(frame.wire for frame in frames) for name, frames in arrived.items()}
    for way in ways:
        run.must_keep_rate(watch, arrived[way.name], way.rate_bit_s, way.burst_bytes, f"{way.name}: ")
    for budget in before["budgets"]:
        name, ours = budget["name"], [way for way in ways if budget["name"] in way.path]
        if not ours:
            continue
        charged = laboratory.named(after["budgets"], name)["charged_wire_bytes"] - budget["charged_wire_bytes"]
        came = sum(got[way.name] for way in ours)
        run.must(came <= charged, f"budget {name}: {came} B of {len(ours)} classes arrived, all charged ({charged} B)")
        for cap in budget["caps"]:
            most = cap["remaining_bytes"] if cap["window_s"] is None else cap["limit_bytes"]
            run.must(came <= most, f"budget {name}: {came} B arrived, at most {most} B that a cap allowed")
    return got


class Others:
    """What is sent to the class that must not be displaced, less than is its own."""

    def __init__(self, run: Run, way: Way) -> None:
        self.run, self.way = run, way
        self.rate_bit_s = min(OTHERS_BIT_S, way.rate_bit_s * 2 // 3)
        self.turns: list[tuple[int, int, int, float]] = []  # begun, ended, frames, share of the rate that the class used

    def sent_bytes(self) -> int:
        return laboratory.named(self.run.weir.status()["classes"], self.way.name)["tx_wire_bytes"]

    def turn(self) -> tuple[int, int]:
        begun, before = self.run.now(), self.sent_bytes()
        sent, wire = self.run.flood(rate=self.rate_bit_s, bytes=CHAT_FRAME, port=self.way.port, seconds=1).result(30)
        time.sleep(0.3)
        ended, went = self.run.now(), self.sent_bytes() - before
        self.turns.append((begun, ended, sent, went / (self.way.rate_bit_s / 8e9 * (ended - begun))))
        return wire, went

    def judge(self, frames: list[laboratory.Frame]) -> tuple[int, int]:
        """Enough turns lost nothing. What all sent, and what arrived."""
        score = [(sent, sum(begun <= frame.ns < ended for frame in frames), used) for begun, ended, sent, used in self.turns]
        lost = [used for sent, arrived, used in score if arrived < sent * (1 - LOST_MAX)]
        whole, excused = len(score) - len(lost), sum(used >= USED_UP for used in lost)
        said = (f"class {self.way.name}: the frames arrived in {whole} of {len(score)} turns, in {AHEAD} more than not: "
                f"{', '.join(f'{arrived} of {sent}' for sent, arrived, _ in score)}")
        if whole - len(lost) < AHEAD <= whole - len(lost) + 2 * excused:
            self.run.note(f"{said}: whether others took all of its rate isn't known")
        else:
            self.run.must(whole - len(lost) >= AHEAD, said)
        return sum(sent for sent, _, _ in score), sum(arrived for _, arrived, _ in score)


# ---- the scenarios ----


@of_given("S8", "over classes, one of each of --port, for a second; the link is one; no cap is used up")
def split(run: Run) -> None:
    run.meet(Path)
    ways = ways_of(run)
    must_spare(run, ways, 1 * run.scale)
    before, watch = run.weir.status(), Watch(run)
    floods = [run.flood(rate=min(UNLIMITED_BIT_S, 2 * way.rate_bit_s), bytes=FLOOD_FRAME, port=way.port, seconds=run.scale)
              for way in ways]
    tried = sum(flood.result(60)[1] for flood in floods)
    run.silent(watch)
    frames, after = watch.frames(), run.weir.status()
    run.some(frames)
    got = must_hold(run, watch, ways, by_way(frames, ways), before, after)
    if sum(each > 0 for each in got.values()) < 2:
        raise Unjudged(f"only one class was used: {got}")
    run.asks(f"{len(ways)} classes at once, {sized(tried)}", classes=[way.name for way in ways], sent_bytes=tried)
    run.finds(f"{sum(got.values())} B: {' + '.join(map(str, got.values()))}", received_bytes=got)


@of_given("S10", "the class of the second of --port is flooded, that of the first has to keep its rate; no budget is used up")
def displace(run: Run) -> None:
    run.meet(Path)
    other, flooded = ways_of(run)[:2]
    must_spare(run, [flooded], ALARM_S + 3)
    must_spare(run, [other], 6)
    before, watch = run.weir.status(), Watch(run)
    starved = laboratory.named(before["classes"], flooded.name)["starved"]
    last = max((event["number"] for event in events(run)), default=0)
    flood, begun = run.flood(rate=min(UNLIMITED_BIT_S, 4 * flooded.rate_bit_s), bytes=FLOOD_FRAME, port=flooded.port), run.now()
    run.happens("the flood begins")
    others = Others(run, other)
    repeat(others.turn)
    alarm = None if starved else wait_event(run, "class_starved", ALARM_S - (run.now() - begun) / 1e9, last,
                                            f"class {flooded.name}:")
    flood.end()
    seconds = (run.now() - begun) / 1e9
    _, tried = flood.result(1)
    run.silent(watch)
    frames, after = watch.frames(), run.weir.status()
    run.some(frames)
    arrived = by_way(frames, [other, flooded])
    got = must_hold(run, watch, [other, flooded], arrived, before, after)
    sent, came = others.judge(arrived[other.name])
    if tried * 8 / seconds < 3 * flooded.rate_bit_s:
        raise Unjudged(f"{tried} B in {seconds:.1f} s are no flood for a class of {flooded.rate_bit_s} bit/s")
    if starved:
        run.note(f"class {flooded.name} starved before: its alarm is not new")
    else:
        run.must(alarm is not None and alarm["severity"] == "alarm",
                 f"an alarm names the class that is flooded: {alarm and alarm['message']}")
    run.asks(f"{tried * 8 / seconds / 1e6:.4g} Mbit/s into a class of {flooded.rate_bit_s / 1e6:g}", sent_bytes=tried,
             class_bit_s=flooded.rate_bit_s, others_bit_s=others.rate_bit_s)
    run.finds(f"{came} of {sent} frames of the others; alarm: {alarm['message'] if alarm else 'none'}", others_sent=sent,
              others_received=came, alarm=alarm, received_bytes=got)


@of_given("S12", "a user without rights tries to read its policy, and to put the very same in force again: it stays as it is")
def policy(run: Run) -> None:
    run.meet(Path)
    before, own = run.weir.status()["policy"], run.weir.request("GET", "/v1/policy")[1]
    sockets = {run.socket.resolve()}
    named = re.search(rb"^ *control_socket: *[\"']?([^\s\"'#]+)", own, re.MULTILINE)
    control = Path(named[1].decode() if named else "/run/weir/control.sock")
    if control.is_socket():
        sockets.add(control.resolve())
    else:
        run.note(f"{control} is not here: only the given socket was tried")
    last = max((event["number"] for event in events(run)), default=0)
    # What it has in force: if this were accepted after all, nothing would change.
    asked = {f"{path.name}, {what}": as_stranger(path, request, body) for path in sorted(sockets) for what, request, body in (
        ("apply", "POST /v1/policy", own), ("try", "POST /v1/policy?check=1", own), ("read", "GET /v1/policy", b""))}
    for what, answer in asked.items():
        run.must(answer in REFUSALS, f"an unprivileged user's {what} is refused ({answer})")
    run.must(run.weir.status()["policy"] == before, "the policy is the one it was")
    denied = wait_event(run, "access_denied", 5, last, str(STRANGER)) if "403" in asked.values() else None
    if "403" in asked.values():
        run.must(denied is not None, "the log names who tried")
    else:
        run.note("no stranger can so much as connect, which nobody records")
    run.note("not tried: looser policies, other names for budgets, races, a stop")
    run.asks(f"{len(asked)} tries at {len(sockets)} sockets", tries=len(asked), sockets=len(sockets))
    run.finds(f"{sum(answer in REFUSALS for answer in asked.values())} refused; "
              f"{denied['message'] if denied else 'none recorded'}", answers=asked, denied=denied)


@of_given("S15", "the classes of all of --port but the first are filled for seconds, that of the first has to keep its rate; "
          "the link is one; no cap is used up")
def employees(run: Run) -> None:
    run.meet(Path)
    api, *bulk = ways = ways_of(run)
    must_spare(run, ways, 10)
    before, watch = run.weir.status(), Watch(run)
    floods = [run.flood(rate=min(UNLIMITED_BIT_S, 2 * way.rate_bit_s), bytes=FLOOD_FRAME, port=way.port) for way in bulk]
    run.happens("logs and notebooks begin")
    others = Others(run, api)
    repeat(others.turn)
    for flood in floods:
        flood.end()
    tried = sum(flood.result(1)[1] for flood in floods)
    run.silent(watch)
    frames, after = watch.frames(), run.weir.status()
    run.some(frames)
    arrived = by_way(frames, ways)
    got = must_hold(run, watch, ways, arrived, before, after)
    if any(got[way.name] < LARGEST for way in bulk):
        raise Unjudged(f"not every class got something out: {got}")
    sent, came = others.judge(arrived[api.name])
    run.asks(f"{sized(tried)} into {len(bulk)} classes beside class {api.name}", sent_bytes=tried, classes=len(bulk))
    run.finds(f"{sum(got[way.name] for way in bulk)} B of bulk; API {came} of {sent} frames", received_bytes=got,
              api_received=came, api_sent=sent)
