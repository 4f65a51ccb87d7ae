# SPDX-License-Identifier: BSD-3-Clause
"""What tools/report reads: each kind of JSON, checked whole before anything is made of it."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

BYTES_MAX = 64 << 20  # of one input
NUMBER_MAX = 1e21  # nothing that is measured here comes near, and sums and squares stay far from a float's end
NUMBER_MIN = 1e-12  # above 0: the same for quotients
DEPTH_MAX = 8  # of what is shown as it is


class Bad(Exception):
    """One line: what is wrong with an input."""


class Maybe(NamedTuple):
    """null, or what it says."""
    shape: Any


class Table(NamedTuple):
    """An object with any keys, all values of one shape."""
    shape: Any


class Positive:
    """A number above 0."""


class Count:
    """A whole number, at least 0."""


class Pair:
    """[number, number]."""


class Anything:
    """Whatever is there."""


# A key that ends in "?" may be missing. Further keys are ignored: newer programs may tell more.
SCENARIO = {
    "id": str, "name": str, "verdict": str, "why": str, "seconds": float, "asked": Table(Anything),
    "measured": Table(Anything),
    "series": [{"name": str, "unit": str, "points": [Pair], "limit": [Pair]}],
    "events": [{"t_s": float, "what": str}],
}
ATTACKER = {"compression": Positive, "needs_bytes": Count, "never": bool, "after_s": Maybe(float), "survives?": bool}
LATENCY = {"count": Count, "min_ns": Count, "p50_ns": Count, "p99_ns": Count, "max_ns": Count, "buckets_to_ns": [Pair]}
SENT = {"frames": Count, "wire_bytes": Count, "elapsed_ns": Count, "rate_bit_s": Count, "behind_max_ns": Count,
        "given_up_ns": Count, "port_errors": Count, "port_unsent": Count, "cut_short": bool,
        "ok?": bool, "fast?": bool, "endless?": bool, "asked_bit_s?": Maybe(Positive),
        "skipped?": {"oversize": Count, "runt": Count}}
RATE = {"asked_bit_s": Positive, "frame_bytes": Positive, "sent_frames": Count, "received_frames": Count,
        "measured_bit_s": Positive, "error": float, "verdict": str}
KINDS = {
    "redteam": {
        "weir": {"version": Maybe(str), "commit": Maybe(str)}, "machine?": {"dpdk": Maybe(str), "kernel": str},
        "policy_digest": Maybe(str), "seed": Count, "started": str, "scenarios": [SCENARIO], "not_chosen?": [str],
    },
    "bench": {
        "tsc_hz": Positive, "huge_pages": bool, "burst": Positive, "frame_bytes": Positive, "cpu?": str, "started?": str,
        "results": Table({"what": str, "values": [Positive], "disturbed": Count, "median": Positive,
                          "times_io": Positive}),
    },
    "bench.ledger": {
        "spent_bit_s": Positive, "classes": Positive, "cpu_share": float, "syncs_per_s": float, "sync_max_ns": float,
        "written_gb_per_day": float, "forfeit_max_bytes": float, "forfeit_bound_bytes": float, "amplification": Positive,
        "drive_years": Table(float), "increments_per_day": Positive, "tpm_years": float, "started?": str,
    },
    "bench.smoothness": {
        "frame_bytes": Positive, "wire_bit_s": Positive, "started?": str,
        "rows": [{"percent": Positive, "mean_us": Positive,
                  "gaps": Table({"deviation_us": float, "largest_us": float})}],
    },
    "weirgen.receive": {
        "frames": Count, "wire_bytes": Count, "span_ns": Count, "rate_bit_s": Count, "port_missed?": Count, "oversize?": Count,
        "limits": [{"rate_bit_s": Positive, "burst_bytes": Maybe(Count), "excess_bytes": Count,
                    "excess_at_least_bytes": Count}],
        "windows": [{"window_ns": Positive, "at_least_bytes": Count, "at_most_bytes": Count}],
        "flows": [{"flow": Count, "frames": Count, "lost": Count, "duplicates": Count, "reordered": Count,
                   "latency_kind": str, "latency": LATENCY}],
    },
    "weirgen.send": SENT,
    "weirgen.replay": SENT,
    "weirgen.write": {
        "frames": Count, "wire_bytes": Count, "seed": Count,
        "streams": [{"name": str, "flow": Count, "frames": Count, "wire_bytes": Count}],
    },
    "bench.generator": {
        "cpu?": str, "started?": str,
        "speed?": Table({"values": [Positive], "disturbed": Count, "measured": bool, "median": Positive,
                         "times_testpmd_frames": Positive, "least?": Positive, "verdict?": str}),
        "rates?": [RATE],
        "fastest?": {"kept": RATE, "missed": Maybe(RATE), "unpaced_bit_s": Maybe(Positive)},
    },
    "weirctl.plan": {
        "file": str, "witness?": str, "witness_beside_ledger?": bool, "ok": bool, "survives": bool, "needs_bytes": Positive, "could_leave_bytes": Count,
        "asset": {"name": str, "weights_bytes": Positive, "compression": Positive, "survive_s": Positive,
                  "accept_risk": Maybe(str), "assumed": bool},
        "paths": [{"kind": str, "name": Maybe(str), "attackers": [ATTACKER]}],
    },
}
# Which command makes each kind, for the sentence about what is missing.
MADE_BY = {
    "redteam": "tools/redteam --json FILE",
    "bench": "tools/bench --json FILE",
    "bench.ledger": "tools/bench ledger --json FILE",
    "bench.smoothness": "tools/bench smoothness --json FILE",
    "weirgen.receive": "weirgen receive --json FILE",
    "weirgen.send": "weirgen send PROFILE --json FILE",
    "weirgen.replay": "weirgen replay CAPTURE --json FILE",
    "weirgen.write": "weirgen send PROFILE --write CAPTURE --json FILE",
    "bench.generator": "tools/bench generator --json FILE",
    "weirctl.plan": "weirctl --json plan POLICY",
}


class Input(NamedTuple):
    name: str  # the file's, for labels
    kind: str
    digest: str
    data: dict


def is_number(value: Any) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool) and -NUMBER_MAX < value < NUMBER_MAX)


def expected(value: Any, shape: Any) -> str | None:
    """What a plain value should have been, or None where it is."""
    if shape is float:
        return None if is_number(value) else "a number below 10^21"
    if shape is Positive:
        return None if is_number(value) and value >= NUMBER_MIN else "a number above 0, 10^-12 to 10^21"
    if shape is Count:
        good = isinstance(value, int) and is_number(value) and value >= 0
        return None if good else "a whole number, 0 to 10^21"
    if shape is Pair:
        good = isinstance(value, list) and len(value) == 2 and all(map(is_number, value))
        return None if good else "two numbers"
    if shape is str:
        return None if isinstance(value, str) else "a string"
    if shape is bool:
        return None if isinstance(value, bool) else "true or false"
    return None


def check_anything(value: Any, place: str, depth: int = 0) -> None:
    """What is shown as it is: still no number that can't be reckoned with, and nothing without end."""
    if depth > DEPTH_MAX:
        raise Bad(f"{place}: expected no more than {DEPTH_MAX} levels")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not is_number(value):
        raise Bad(f"{place}: expected a number below 10^21")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_anything(inner, place, depth + 1)


def check(value: Any, shape: Any, place: str) -> None:
    if shape is Anything:
        check_anything(value, place)
    elif isinstance(shape, Maybe):
        if value is not None:
            check(value, shape.shape, place)
    elif isinstance(shape, Table):
        if not isinstance(value, dict):
            raise Bad(f"{place}: expected an object")
        for key, inner in value.items():
            check(inner, shape.shape, f"{place}.{key}")
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise Bad(f"{place}: expected an object")
        for key, inner in shape.items():
            name = key.rstrip("?")
            if name in value:
                check(value[name], inner, f"{place}.{name}")
            elif not key.endswith("?"):
                raise Bad(f"{place}.{name}: missing")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise Bad(f"{place}: expected a list")
        for index, inner in enumerate(value):
            check(inner, shape[0], f"{place}[{index}]")
    elif (wanted := expected(value, shape)) is not None:
        raise Bad(f"{place}: expected {wanted}")


def no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def once(pairs: list[tuple[str, Any]]) -> dict:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return dict(pairs)


def judge_more(kind: str, data: dict) -> None:
    """What the shapes don't say."""
    if kind == "redteam":
        for index, scenario in enumerate(data["scenarios"]):
            if scenario["verdict"] not in ("pass", "fail", "skip", "unjudged"):
                raise Bad(f"scenarios[{index}].verdict: expected pass, fail, skip or unjudged")
            for number, series in enumerate(scenario["series"]):
                times = [point[0] for point in series["points"]]
                if not times or times != sorted(times):
                    raise Bad(f"scenarios[{index}].series[{number}].points: expected points in the order of time")
    if kind == "bench":
        if "testpmd io" not in data["results"]:
            raise Bad("results: expected testpmd io, by which all is judged")
        for name, result in data["results"].items():
            if not result["values"]:
                raise Bad(f"results.{name}.values: expected at least one")
    if kind == "bench.generator":
        if any(rate["verdict"] not in ("exact", "NOT exact", "not measured") for rate in data.get("rates", [])):
            raise Bad("rates: expected each verdict exact, NOT exact or not measured")
        if any(not result["values"] for result in data.get("speed", {}).values()):
            raise Bad("speed: expected at least one value of each")
    if kind == "weirgen.receive":
        for index, flow in enumerate(data["flows"]):
            buckets = flow["latency"]["buckets_to_ns"]
            bounds = [bound for bound, _ in buckets]
            if bounds != sorted(bounds) or any(value < 0 for pair in buckets for value in pair):
                raise Bad(f"flows[{index}].latency.buckets_to_ns: expected rising bounds and counts, at least 0")


def load(path: Path) -> Input:
    """Reads and checks one input. Raises Bad."""
    try:
        with open(path, "rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise Bad(f"{path}: {error.strerror}") from error
    if len(content) > BYTES_MAX:
        raise Bad(f"{path}: longer than {BYTES_MAX} bytes")
    try:
        data = json.loads(content.decode("utf-8"), parse_constant=no_constant, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Bad(f"{path}: no JSON: {str(error)[:200]}") from error
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        shown = "missing" if kind is None else str(kind)[:60]
        raise Bad(f"{path}: kind: {shown}: expected {', '.join(KINDS)}")
    try:
        check(data, KINDS[kind], "")
        judge_more(kind, data)
    except Bad as error:
        raise Bad(f"{path}: {str(error).lstrip('.')}") from error
    return Input(path.name, kind, hashlib.blake2b(content, digest_size=32).hexdigest(), data)
