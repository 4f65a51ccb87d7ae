# SPDX-License-Identifier: BSD-3-Clause
"""tools/report: a page that is whole, loads nothing, shows every figure, and refuses what it can't read."""

import copy
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import lab as laboratory
import pytest

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "tools/report"
sys.path.append(str(ROOT / "tools/reporting"))

import chart  # noqa: E402
import evidence  # noqa: E402

REDTEAM = {
    "kind": "redteam", "weir": {"version": "0.1.0", "commit": None}, "machine": {"dpdk": "22.11.11", "kernel": "6.1.0"},
    "policy_digest": "ab" * 32, "seed": 7,
    "started": "2026-01-01T00:00:00+00:00", "scenarios": [
        {"id": "S4", "name": "kill -9 <again> & again", "verdict": "pass", "why": "", "seconds": 8.5,
         "asked": {"kills": 2, "burst_bytes": 5_000_000, "cap_bytes": 8_796_000, "rate_bit_s": 50_000_000},
         "measured": {"received_bytes": 6_822_764, "worst_window_excess_bytes": 4_990_000, "late_stamps_ns": 1000,
                      "tricks": ["a", "b"]},
         "series": [{"name": "arrived", "unit": "B", "points": [[0, 0], [1.5, 2_000_000], [4, 6_822_764]],
                     "limit": [[0, 8_796_000], [4, 8_796_000]]}],
         "events": [{"t_s": 0.5, "what": "start"}, {"t_s": 2.5, "what": "kill -9"}]},
        {"id": "S2", "name": "slow drip", "verdict": "fail", "why": "not so: it stopped", "seconds": 1,
         "asked": {"window_bytes": 1000, "lifetime_bytes": 2000}, "measured": {"fullest_window_bytes": 1001, "received_bytes": 2001},
         "series": [], "events": []},
        {"id": "S12", "name": "policy abuse", "verdict": "skip", "why": "needs signatures", "seconds": 0, "asked": {},
         "measured": {}, "series": [], "events": []},
    ]}
BENCH = {
    "kind": "bench", "tsc_hz": 2_596_098_010, "huge_pages": False, "burst": 32, "frame_bytes": 60, "cpu": "some CPU",
    "results": {name: {"what": "egress only", "values": [value * 0.9, value * 1.1], "disturbed": 0, "median": value,
                       "times_io": value / 17} for name, value in (("testpmd io", 17.0), ("weir one-any", 40.0))}}
LEDGER = {
    "kind": "bench.ledger", "spent_bit_s": 10e9, "classes": 100, "cpu_share": 0.04, "syncs_per_s": 19.4, "sync_max_ns": 25470,
    "written_gb_per_day": 7.05, "forfeit_max_bytes": 125e6, "forfeit_bound_bytes": 388e6, "amplification": 4,
    "drive_years": {"150 TBW": 14.6}, "increments_per_day": 14.4, "tpm_years": 19.1}
SMOOTHNESS = {
    "kind": "bench.smoothness", "frame_bytes": 1514, "wire_bit_s": 10_000_000_000, "rows": [
        {"percent": percent, "mean_us": 123, "gaps": {"software": {"deviation_us": 100 / percent, "largest_us": 130},
                                                      "limiter": {"deviation_us": 0, "largest_us": 123}}}
        for percent in (1, 10, 90)]}
RECEIVE = {
    "kind": "weirgen.receive", "frames": 1000, "wire_bytes": 1_300_000, "span_ns": 1_000_000_000, "rate_bit_s": 10_400_000,
    "limits": [{"rate_bit_s": 10_000_000, "burst_bytes": 64_000, "excess_bytes": 63_000, "excess_at_least_bytes": 62_000},
               {"rate_bit_s": 20_000_000, "burst_bytes": None, "excess_bytes": 9, "excess_at_least_bytes": 9}],
    "windows": [{"window_ns": 10_000_000, "at_least_bytes": 76_000, "at_most_bytes": 76_400}],
    "flows": [{"flow": 3, "frames": 1000, "lost": 2, "duplicates": 0, "reordered": 1, "latency_kind": "one way",
               "latency": {"count": 1000, "min_ns": 9000, "p50_ns": 30_000, "p99_ns": 90_000, "max_ns": 120_000,
                           "buckets_to_ns": [[10_000, 100], [30_000, 500], [120_000, 400]]}}]}
PLAN = {
    "kind": "weirctl.plan", "file": "p.yaml", "ok": True, "survives": False, "needs_bytes": 212_500_000_000,
    "could_leave_bytes": 450_000_000_000_000,
    "asset": {"name": "frontier", "weights_bytes": 3_400_000_000_000, "compression": 16, "survive_s": 7_776_000,
              "accept_risk": "we watch it", "assumed": False},
    "paths": [{"kind": "total", "name": None, "attackers": [
        {"compression": 16, "needs_bytes": 212_500_000_000, "never": False, "after_s": 3003},
        {"compression": 100, "needs_bytes": 34_000_000_000, "never": True, "after_s": None}]}]}
SENT = {
    "kind": "weirgen.send", "frames": 10_001, "wire_bytes": 15_380_000, "elapsed_ns": 1_000_000_000, "rate_bit_s": 123_040_000,
    "behind_max_ns": 1_500_000, "given_up_ns": 500_000, "port_errors": 3, "port_unsent": 4, "cut_short": False}
GENERATOR = {
    "kind": "bench.generator", "started": "2026-01-01T00:00:00+00:00", "cpu": "some CPU", "rates": [
        {"asked_bit_s": 10_000_000, "frame_bytes": 60, "sent_frames": 59_523, "received_frames": 59_523,
         "measured_bit_s": 10_000_100.0, "error": 0.00001, "verdict": "exact"},
        {"asked_bit_s": 1_000_000_000, "frame_bytes": 1514, "sent_frames": 325_097, "received_frames": 325_000,
         "measured_bit_s": 990_000_000.0, "error": -0.01, "verdict": "NOT exact"}],
    "fastest": {"kept": {"asked_bit_s": 5_660_000_000, "frame_bytes": 1514, "sent_frames": 9, "received_frames": 9,
                         "measured_bit_s": 5_660_100_000.0, "error": 0.00002, "verdict": "exact"},
                "missed": {"asked_bit_s": 6_000_000_000, "frame_bytes": 1514, "sent_frames": 9, "received_frames": 9,
                           "measured_bit_s": 5_700_000_000.0, "error": -0.05, "verdict": "not measured"},
                "unpaced_bit_s": 6_100_000_000.0},
    "speed": {"testpmd txonly": {"values": [60.0, 62.5], "disturbed": 0, "measured": True, "median": 61.0,
                                 "times_testpmd_frames": 1},
              "weirgen fixed": {"values": [55.0, 57.5], "disturbed": 1, "measured": False, "median": 56.0,
                                "times_testpmd_frames": 1.09, "least": 0.8, "verdict": "not measured"},
              "weirgen tuples": {"values": [255.0, 257.5], "disturbed": 0, "measured": True, "median": 256.0,
                                 "times_testpmd_frames": 0.24, "least": 0.5, "verdict": "NOT held"}}}
WRITTEN = {
    "kind": "weirgen.write", "frames": 1003, "frame_bytes": 90_180, "wire_bytes": 114_342, "seed": 2 ** 63 - 1, "streams": [
        {"name": "one <a>", "flow": 4, "frames": 1000, "frame_bytes": 90_000, "wire_bytes": 114_000, "stamped": 1000},
        {"name": "two", "flow": 5, "frames": 3, "frame_bytes": 180, "wire_bytes": 342, "stamped": 0}]}
ALL = {"sent": SENT, "replayed": {**SENT, "kind": "weirgen.replay", "skipped": {"oversize": 283, "runt": 1}}, "written": WRITTEN, "generator": GENERATOR, "redteam": REDTEAM,
       "bench": BENCH, "ledger": LEDGER, "smoothness": SMOOTHNESS, "receive": RECEIVE, "plan": PLAN}
FIGURES = [
    "S4, kill -9 &lt;again&gt; &amp; again: arrived", "Windows: how much of what any window may hold was used",
    "Caps: how much of each arrived", "Limit against the rate that arrived, over the whole run",
    "Latency: share of frames that took at most so long", "Cycles a packet, Weir against testpmd",
    "How evenly frames leave: standard deviation of the gaps between them",
    "Rate asked against rate at the other end of a wire", "Cycles a frame, weirgen against testpmd txonly"]


def report(*arguments, **options):
    return subprocess.run([REPORT, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL, **options)


def write(folder, **inputs):
    paths = []
    for name, data in inputs.items():
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps(data))
    return paths


@pytest.fixture
def page(folder):
    """Makes a page of some inputs, and judges it as every page has to be."""
    def make(**inputs):
        out = folder / "out.html"
        done = report("-o", out, *write(folder, **inputs))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        text = out.read_text()
        assert_whole(text)
        return text
    return make


def assert_whole(text):
    doctype, _, rest = text.partition("\n")
    assert doctype == "<!DOCTYPE html>"
    tree = ElementTree.fromstring(rest)  # well-formed to the last tag
    assert not re.search(r"https?:|//[a-z]|<script|<link|<img|<iframe|<object|src=|href=|url\(|@import|\son[a-z]+=", text)
    assert "default-src 'none'" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]", text)
    for picture in tree.iter("svg"):
        assert_inside(picture)


def assert_inside(picture):
    """Nothing is drawn outside of a picture, letters at their largest included."""
    _, _, width, height = map(float, picture.get("viewBox").split())
    assert (picture.get("width"), picture.get("role")) == (f"{width:.0f}", "img") and picture.get("aria-label")
    for text in picture.iter("text"):
        x, y, room = float(text.get("x")), float(text.get("y")), chart.text_width(text.text or "")
        start = {"start": x, "middle": x - room / 2, "end": x - room}[text.get("text-anchor")]
        assert start >= -1 and start + room <= width + 1 and 8 <= y <= height, (text.text, width)
    for part in picture.iter("path"):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", part.get("d"))]
        assert all(0 <= x <= width for x in numbers[::2]) and all(0 <= y <= height for y in numbers[1::2])
    for part in picture.iter("rect"):
        assert float(part.get("x")) >= 0 and float(part.get("x")) + float(part.get("width")) <= width + 1
        assert float(part.get("y")) + float(part.get("height")) <= height


def test_all(page):
    text = page(**ALL)
    for caption in FIGURES:
        assert f"<figcaption>{caption}</figcaption>" in text
        assert text.count(f'aria-label="{caption}"') == 2  # wide, and for phones
    assert "Not in this report" not in text
    # Verdicts, with what was measured.
    for line in ('<span class="fail">fail</span> red team: 1 of 3 attacks were held; FAILED: S2; not run: S12',
                 '<span class="pass">pass</span> rates: 1 of 1 limits were held in every window',
                 '<span class="pass">pass</span> cycles a packet: weir one-any takes 2.35 x testpmd io, at most 2.5 is asked',
                 '<span class="fail">fail</span> sent.json: weirgen failed: of the frames, 7 were not sent',
                 '<span class="skip">risk accepted</span> policy p.yaml: frontier, 3.4 TB, compressed 16 times, '
                 "does not survive 90 d"):
        assert f"<li>{line}</li>" in text
    for shown in ("2: 2.50 s kill -9", "In the end 6 822 764 B of 8 796 000.", "arrived, cumulative (MB)", "time (s)",
                  "99.80 %: 4.99 MB of 5 MB", "100.10 %: 1.001 kB of 1 kB", "77.57 %: 6.823 MB of 8.796 MB", "needs signatures",
                  "+4.000 %", "+5.120 %", "50\u00a0min 3\u00a0s", "never", "we watch it", "40.0 cycles, 2.35 x io", "2.5 x io: asked",
                  "14.6 years (150 TBW)", "latency", "30 µs", "standard deviation (µs)", "56.0 cycles, 1.09 x testpmd&#x27;s frames, on a busy machine", "-1.000 %", ">NOT exact<", ">7<",
                  "generator: 1 of 2 rates were exact", "The fastest rate kept is 5.66 Gbit/s, +0.002 % off; 6 Gbit/s was not: "
                  "5.7 Gbit/s came, and 6.1 Gbit/s without a pace. So others were busy there, or its pace is what holds it: an idle machine tells.", "tricks: a, b"):
        assert shown in text, shown
    assert "replayed.json: left out of the capture were 283 frames over the MTU and 1 of under 14 bytes." in text
    assert "sent.json: left out" not in text
    for shown in ("one &lt;a&gt;", "114.3 kB", ">9223372036854775807<"):  # what the generator wrote
        assert shown in text, shown
    assert text == page(**ALL)  # the same inputs, the same page


@pytest.mark.parametrize("verdicts, kind, text", [
    (("pass", "unjudged", "skip"), "unjudged", "1 of 3 attacks were held; could not be judged: S2; not run: S12"),
    (("unjudged", "fail", "pass"), "fail", "1 of 3 attacks were held; FAILED: S2; could not be judged: S4"),
    (("skip", "skip", "skip"), "fail", "0 of 3 attacks were held; not run: S4, S2, S12")])
def test_verdict_of_the_red_team(page, verdicts, kind, text):
    """What could not be judged is neither held nor failed, and is said apart, of each attack and of all."""
    told = copy.deepcopy(REDTEAM)
    for one, verdict in zip(told["scenarios"], verdicts):
        one["verdict"] = verdict
    shown = page(redteam=told)
    assert f'<li><span class="{kind}">{kind}</span> red team: {text}</li>' in shown
    for word in ("pass", "fail", "skip", "unjudged"):
        assert shown.count(f'<div><span class="{word}">{word}</span></div>') == verdicts.count(word)


def test_attacks_that_were_not_chosen(page):
    """Part of the attacks is not all of them: those that were not asked for are named with those that could not run."""
    text = page(redteam={**REDTEAM, "scenarios": REDTEAM["scenarios"][::2], "not_chosen": ["S2", "S<5>"]})
    assert '<li><span class="pass">pass</span> red team: 1 of 4 attacks were held; not run: S12, S2, S&lt;5&gt;</li>' in text


@pytest.mark.parametrize("witness, beside, trust", [
    ("file", True, ", as long as nobody puts an older copy of the ledger back: its witness lies in the same folder"),
    ("none", False, ", as long as nobody puts an older copy of the ledger back: there is no witness"), ("tpm", False, ""),
    ("file", False, ", as long as nobody puts older copies of the ledger and of its witness, a file, back together")])
def test_what_survival_rests_on(page, witness, beside, trust):
    """A pass says in the same line what the ledger's word rests on."""
    text = page(plan={**PLAN, "survives": True, "witness": witness, "witness_beside_ledger": beside})
    assert f"<li><span class=\"pass\">pass</span> policy p.yaml: frontier, 3.4 TB, compressed 16 times, survives 90 d{trust}</li>" in text
    assert ("All this holds as long as" in text) == (trust != "")
    assert "does not survive 90 d</li>" in page(plan={**PLAN, "witness": witness})


@pytest.mark.parametrize("name", ALL)
def test_one(page, name):
    """What is missing is left out, with a sentence on how to make it."""
    text = page(**{name: ALL[name]})
    for kind, command in evidence.MADE_BY.items():
        assert (f"<code>{command}</code> makes what it needs" in text) == (kind != ALL[name]["kind"])
    assert text.count("<h2>") == {"redteam": 3, "receive": 3}.get(name, 1)


def test_who_asked(page):
    """A receiver's limit is nobody's wish, and what was asked of the generator is no limit."""
    text = page(receive=RECEIVE)
    assert "limit that the receiver judges by" in text and ">limit</th>" in text and ">arrived</th>" in text
    assert "asked" not in text.partition("Limits, and the rates that arrived")[2].partition("<h2")[0]
    text = page(generator=GENERATOR)
    assert ">asked</th>" in text and ">measured</th>" in text and ">limit</th>" not in text
    assert "6.1 Gbit/s without a pace. So others" in text and "5.9 Gbit/s without a pace.</p>" in page(
        generator=changed(GENERATOR, ("fastest", "unpaced_bit_s"), 5_900_000_000))
    assert "kept is 5.66 Gbit/s, +0.002 % off; none above" in page(generator=changed(GENERATOR, ("fastest", "missed"), None))
    unsure = changed(GENERATOR, ("rates", 1, "verdict"), "not measured")
    assert '<span class="skip">not measured</span> generator: 1 of 2 rates were exact, 1 could not be measured' \
        in page(generator=unsure)


def test_points_at_one_place(page):
    """Points that lie on each other share a label: no number is written over another."""
    same = changed(GENERATOR, ("rates", 1), GENERATOR["rates"][0])
    assert page(generator=same).count(">1, 2</text>") == 2
    assert ">1, 2</text>" not in page(generator=GENERATOR)
    page(generator=changed(GENERATOR, ("rates",), GENERATOR["rates"][:1] * 100))


@pytest.mark.parametrize("leaves, needs, shown", [
    (212_499_999_999, 212_500_000_000, "up to 212499999999 B can leave, and an attacker needs 212500000000 B"),
    (212_500_000_000, 212_500_000_000, "up to 212.5 GB can leave, and an attacker needs 212.5 GB"),
    (212_400_000_000, 212_500_000_000, "up to 212.4 GB can leave, and an attacker needs 212.5 GB"),
])
def test_figures_bear_the_verdict_out(page, leaves, needs, shown):
    assert shown in page(plan={**PLAN, "survives": leaves < needs, "could_leave_bytes": leaves, "needs_bytes": needs})


NESTED = {
    "turns": {"by name": {"received_frames": 3, "received_bytes": 7_654_321}, "at once": {"received_bytes": 0, "delay_ns": 2500}},
    "bytes_by_link": [1_500_000, 42], "bytes_by_trick": {"a year off": 2_500_000}, "grown": {"resident_bytes": -4096, "files": 0},
    "alarm": {"severity": "alarm", "message": "class bulk " + "is starved " * 20 + "to its end", "until": None, "open": True},
    "answers": [["loosen", 403], ["rename", 403]], "names": ["one", "two", "three, four"], "none_at_all": {}, "no_list": [],
    "many": [{"n": number} for number in range(100)], "window_s": 3, "numbers": list(range(500, 600)),
    "word": "W" * 400, "deep": {"a": {"b": {"c": {"d": {"e": {"f": "W" * 90}}}}}}}


def told(element):
    """Lists within lists as Python's; what stands before a list with it."""
    lists = [inner for inner in element if inner.tag == "ul"]
    text = element.text or ""
    return (text, [told(item) for item in lists[0]]) if lists else text


def test_nested_figures(page):
    """Whole, name by name, each with its unit; nothing is cut, and nobody has to read JSON."""
    text = page(redteam=changed(REDTEAM, ("scenarios", 0, "measured"), {"received_bytes": 5, **NESTED}))
    assert "1.5\u00a0MB" in text and "2500\u00a0ns" in text  # no line ends between the two
    tree = ElementTree.fromstring(text.partition("\n")[2].replace("\u00a0", " "))
    cell = next(cell for cell in tree.iter("td") if cell.get("data-title") == "measured outside")
    shown = told(cell[0])[1]
    assert shown[:-3] == [
        "received: 5 B",
        ("turns: ", [("by name: ", ["received frames: 3", "received: 7.654 MB"]), ("at once: ", ["received: 0 B", "delay: 2500 ns"])]),
        "bytes by link: 1.5 MB, 42 B", ("bytes by trick: ", ["a year off: 2.5 MB"]),
        ("grown: ", ["resident: -4096 B", "files: 0"]),
        ("alarm: ", ["severity: alarm", f"message: {NESTED['alarm']['message']}", "until: none", "open: yes"]),
        ("answers: ", ["loosen, 403", "rename, 403"]), ("names: ", ["one", "two", "three, four"]), "none at all: none",
        "no list: none", ("many: ", [("", [f"n: {number}"]) for number in range(40)] + ["and 60 more"]), "window: 3 s"], shown
    assert shown[-3] == f"numbers: {', '.join(map(str, range(500, 540)))}, and 60 more"
    assert shown[-2] == f"word: {'W' * 400}" and str(shown[-1]).count("W") == 90
    assert re.search(r"td\.w \{[^}]*overflow-wrap: anywhere", text)


def test_versions(page):
    for old, told in ((set(), "weir 0.1.0, DPDK 22.11.11, kernel 6.1.0, seed 7, "), ({"machine"}, "weir 0.1.0, seed 7, ")):
        assert told in page(redteam={key: value for key, value in REDTEAM.items() if key not in old})


def test_over_is_red(page):
    """A bar beyond what is allowed, and only that, is drawn in the colour of an alarm."""
    def red(excess, late_ns):
        changed = copy.deepcopy(REDTEAM)
        changed["scenarios"] = changed["scenarios"][:1]
        changed["scenarios"][0]["measured"].update(worst_window_excess_bytes=excess, late_stamps_ns=late_ns)
        return len(re.findall(f'<rect [^>]*fill="{chart.ALARM}"', page(redteam=changed)))
    assert [red(5_000_000, 0), red(5_000_001, 0), red(5_000_001, 1_000_000)] == [0, 2, 0]
    # Two caps of 1 MB, of which no one is exceeded, are no cap that is.
    def red_caps(ever):
        changed = copy.deepcopy(REDTEAM)
        changed["scenarios"] = [{**changed["scenarios"][0], "asked": {"cap_bytes": 1_000_000},
                                 "measured": {"received_bytes": 1_900_000, "bytes_by_cap": {"ever": ever, "hour": 900_000}}}]
        return len(re.findall(f'<rect [^>]*fill="{chart.ALARM}"', page(redteam=changed)))
    assert [red_caps(1_000_000), red_caps(1_000_001)] == [0, 2]
    held = copy.deepcopy(RECEIVE)
    held["limits"][0]["excess_at_least_bytes"] = 64_001
    assert "rates: 0 of 1 limits were held" in page(receive=held)
    slow = copy.deepcopy(BENCH)
    slow["results"]["weir one-any"]["times_io"] = 2.51
    assert '<span class="fail">fail</span> cycles a packet' in page(bench=slow)
    slow["results"]["weir one-any"]["disturbed"] = 1
    assert '<span class="skip">disturbed</span> cycles a packet' in page(bench=slow)


def test_what_a_receiver_cannot_judge(page):
    """More than the burst was seen, and the receiver can't say how much of it was its own stall: that is no pass."""
    def drawn(text, colour):
        return len(re.findall(f'<rect [^>]*fill="{colour}"', text))
    limit = {"rate_bit_s": 10_000_000, "burst_bytes": 64_000, "excess_bytes": 614_400, "excess_at_least_bytes": 0}
    held = {"rate_bit_s": 90_000_000, "burst_bytes": 64_000, "excess_bytes": 64_000, "excess_at_least_bytes": 0}
    text = page(receive={**RECEIVE, "limits": [limit, held], "windows": []})
    assert ('<li><span class="unjudged">unjudged</span> rates: 1 of 2 limits were held in every window; 1 could not be judged: '
            "the receiver was kept from its CPU</li>") in text
    assert '<span class="unjudged">could not be judged</span>' in text and '<span class="pass">held</span>' in text
    assert [drawn(text, colour) for colour in (chart.UNSURE, chart.COLOURS[0], chart.ALARM)] == [2, 2, 0]
    over = {**limit, "excess_at_least_bytes": 64_001}
    text = page(receive={**RECEIVE, "limits": [limit, over], "windows": []})
    assert '<span class="fail">fail</span> rates: 0 of 2 limits were held in every window; 1 could not be judged' in text
    assert [drawn(text, colour) for colour in (chart.UNSURE, chart.COLOURS[0], chart.ALARM)] == [2, 0, 2]


def test_strange_names(page):
    """Whatever stands in an input is text, and stays inside: long, hostile, odd."""
    evil = "</text><script>alert(1)</script>\u202e\x1b[2J" + "W" * 300
    hostile = copy.deepcopy(REDTEAM)
    hostile["scenarios"][0].update(name=evil, why=evil, id=evil)
    hostile["scenarios"][0]["series"][0]["name"] = evil
    hostile["scenarios"][0]["events"] = [{"t_s": moment / 50, "what": evil} for moment in range(100)]
    flows = copy.deepcopy(RECEIVE)
    flows["flows"] = [dict(flows["flows"][0], flow=flow) for flow in range(30)]
    bench = copy.deepcopy(BENCH)
    bench["results"][evil] = bench["results"]["weir one-any"]
    text = page(**{"redteam": hostile, "receive": flows, "bench": bench, "again": RECEIVE, "other": BENCH})
    assert "&lt;script&gt;" in text and "again.json" in text


@pytest.mark.parametrize("change", [0, 1e-9, 1e15])
def test_extreme_numbers(page, change):
    odd = copy.deepcopy(REDTEAM)
    series = odd["scenarios"][0]["series"][0]
    series["points"] = [[0, 0], [change, change]]
    series["limit"] = []
    odd["scenarios"][0]["events"] = []
    bench = copy.deepcopy(BENCH)
    for result in bench["results"].values():
        result.update(values=[change or 1], median=change or 1)
    empty = {**RECEIVE, "limits": [], "windows": [], "flows": [], "rate_bit_s": 0, "span_ns": 0}
    page(redteam=odd, bench=bench, receive=empty)
    page(redteam={**REDTEAM, "scenarios": []})


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, path + (key,))


def changed(data, path, value):
    """With one member replaced, or removed (...)."""
    copied = copy.deepcopy(data)
    inside = copied
    for key in path[:-1]:
        inside = inside[key]
    if value is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return copied


DEEP: list = []
for _ in range(200):
    DEEP = [DEEP, 1]


@pytest.mark.parametrize("name", ALL)
def test_wrong_members(tmp_path, name):
    """Each member in turn is left out or of a wrong type: a clear line, or a page, never a traceback."""
    refused = 0
    for path in places(ALL[name]):
        for wrong in (..., None, "x", -1, True, [], {}, [1, 2, 3], float("nan"), 1e308, -1e308, 10 ** 400, 1e-320, 2 ** 64,
                      DEEP):
            if not path or (wrong is ... and not isinstance(path[-1], str)):
                continue
            file = tmp_path / "input.json"
            file.write_text(json.dumps(changed(ALL[name], path, wrong)))
            try:
                item = evidence.load(file)
            except evidence.Bad as error:
                refused += 1
                assert re.fullmatch(rf"{file}: \S.*", str(error)), error
            else:
                import page  # pylint: disable=import-outside-toplevel
                assert_whole(page.make([item]))
    assert refused > 50


def load_report():
    loader = importlib.machinery.SourceFileLoader("report", str(REPORT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("report", loader))
    loader.exec_module(module)
    return module


ODD = (None, True, False, 0, 1, -1, 1e-9, 0.5, 1e20, -1e20, 2 ** 63, "", "x", "<b>&", "\u202e", "W" * 200, [], {}, [[0, 0]],
       [[1, 2], [3, 4]], {"a": [{"b_bytes": 1}]})


def mutate(dice, data):
    """One change somewhere: a member goes, is another's, or odd; a list gets longer, shorter or out of order."""
    place = dice.choice([path for path in places(data) if path])
    inside = data
    for key in place[:-1]:
        inside = inside[key]
    value = inside[place[-1]]
    way = dice.randrange(5)
    if way == 0 and isinstance(inside, dict):
        del inside[place[-1]]
    elif way == 1 and isinstance(value, (int, float)):
        inside[place[-1]] = value * dice.choice((-1, 0, 0.1, 10, 1e6, 1 / 3))
    elif way == 2 and isinstance(value, list) and value:
        value[:] = [copy.deepcopy(dice.choice(value)) for _ in range(dice.choice((0, 1, 3, 70)))]
    elif way == 3:
        donor = ALL[dice.choice(list(ALL))]
        for key in dice.choice(list(places(donor))):
            donor = donor[key]
        inside[place[-1]] = copy.deepcopy(donor)
    else:
        inside[place[-1]] = copy.deepcopy(dice.choice(ODD))


def garble(dice, content):
    """Bytes that are flipped, lost, doubled or cut off."""
    content = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 8))):
        at, length = dice.randrange(len(content) + 1), dice.choice((1, 1, 4, 64))
        way = dice.randrange(4)
        if way == 0:
            content[at:at + 1] = bytes([dice.randrange(256)])
        elif way == 1:
            del content[at:at + length]
        elif way == 2:
            content[at:at] = content[at:at + length]
        else:
            content[at:at + 1] = dice.choice((b"0", b"9", b"-", b".", b"e", b'"', b"[", b"}", b"\\u0000", b"null"))
    return bytes(content[:dice.randrange(len(content) + 1)] if dice.random() < 0.05 else content)


def test_random_inputs(tmp_path, capsys, monkeypatch):
    """Good inputs with random changes: one clear line and status 2, or a whole page."""
    seed = int(os.environ.get("WEIR_SEED", "0"), 0) or random.SystemRandom().randrange(1, 1 << 32)
    dice, program, out = random.Random(seed), load_report(), tmp_path / "out.html"
    counts = {0: 0, 2: 0}
    for turn in range(1000):
        paths = []
        for name in dice.sample(list(ALL), dice.choice((1, 1, 2))):
            data = copy.deepcopy(ALL[name])
            for _ in range(dice.choice((0, 1, 1, 2, 5))):
                mutate(dice, data)
            content = json.dumps(data).encode()
            paths.append(tmp_path / f"{turn}-{name}.json")
            paths[-1].write_bytes(garble(dice, content) if dice.random() < 0.2 else content)
        monkeypatch.setattr(sys, "argv", ["report", "-o", str(out), *map(str, paths)])
        hint = f"WEIR_SEED={seed}, turn {turn}: {[path.read_bytes()[:3000] for path in paths]}"
        try:
            status = program.main()
        except BaseException as error:
            raise AssertionError(hint) from error
        told_out, told_error = capsys.readouterr()
        assert told_out == "" and out.exists() == (status == 0), hint
        counts[status] += 1
        if status == 0:
            assert told_error == "", hint
            try:
                assert_whole(out.read_text())
            except Exception as error:
                raise AssertionError(hint) from error
            out.unlink()
        else:
            assert re.fullmatch(rf"report: {tmp_path}/{turn}-[a-z]+\.json: [^\n]*\S\n", told_error), hint
    assert min(counts.values()) > 20, f"WEIR_SEED={seed}: {counts}"


@pytest.mark.parametrize("content, line", [
    ("", "no JSON: .*"), ("{", "no JSON: .*"), ("[" * 100000, "no JSON: .*"), ('{"kind": "bench"} x', "no JSON: .*"),
    ('{"kind": "bench", "kind": "bench"}', "no JSON: a key stands twice in one object"),
    ('{"kind": "bench", "tsc_hz": NaN}', "no JSON: NaN is no JSON"), ("\udcff", "no JSON: .*"),
    ("[]", "kind: missing: expected redteam, .*"), ("{}", "kind: missing: expected redteam, .*"),
    ('{"kind": "x\\u001b[2J"}', r"kind: x\?\[2J: expected redteam, .*"), ('{"kind": 7}', "kind: 7: expected .*"),
    ('{"kind": "bench"}', "tsc_hz: missing"),
    (json.dumps(changed(REDTEAM, ("scenarios", 0, "series", 0, "points"), [[0, "a"]])),
     r"scenarios\[0\]\.series\[0\]\.points\[0\]: expected two numbers"),
    (json.dumps(changed(REDTEAM, ("scenarios", 0, "verdict"), "maybe")),
     r"scenarios\[0\]\.verdict: expected pass, fail, skip or unjudged"),
], ids=str)
def test_bad_input(folder, content, line):
    path, good = folder / "bad.json", write(folder, good=BENCH)[0]
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    done = report("-o", folder / "out.html", good, path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(f"report: {path}: {line}\n", done.stderr), done.stderr
    assert not (folder / "out.html").exists()


def test_what_was_missed(page):
    """Nothing is said to hold by frames that were not seen, nor by none."""
    assert "frames were missed" in page(receive={**RECEIVE, "port_missed": 7})
    for change, word, why in (({"frames": 0}, "nothing came", "nothing came"), ({"oversize": 1}, "frames were joined", "offloads had joined frames")):
        text = page(receive={**RECEIVE, **change})
        assert f'<span class="unjudged">{word}</span>' in text and text.count(f", {word}</text>") == 2
        assert f">unjudged</span> rates: 0 of 1 limits were held in every window; 1 could not be judged: {why}</li>" in text


@pytest.mark.parametrize("change, cause", [
    ({"given_up_ns": 1_000_001}, "the rates asked were not sent: 1 ms of 1 s were given up"), ({"port_unsent": 2}, "of the frames, 2 were not sent"),
    ({"port_errors": 3}, "of the frames, 3 were not sent"), ({"cut_short": True}, "it was cut short"),
    ({"ok": False}, "not all of the frames came back from a port that is a loop"), ({"given_up_ns": 1_000_000}, None), ({"given_up_ns": 9_000_000, "fast": True}, None),
    ({"cut_short": True, "endless": True}, None)])
def test_failed_generator(page, change, cause):
    """Where weirgen ended with 1, the page says so, and why; what was asked stands beside what was sent."""
    good = {**SENT, "given_up_ns": 0, "port_errors": 0, "port_unsent": 0, "asked_bit_s": 125_000_000, "ok": True, "fast": False, "endless": False}
    text = page(sent=good, replayed={**good, **change, "kind": "weirgen.replay"})
    summary = text.partition("<ul>")[2].partition("</ul>")[0]
    assert summary == (f'<li><span class="fail">fail</span> replayed.json: weirgen failed: {cause}</li>' if cause else "")
    assert text.count('<span class="fail">fail</span>') == (2 if cause else 0)
    assert ">125 Mbit/s<" in text and (">as fast as possible<" in text) == ("fast" in change)


def test_slow_generator(page):
    text = page(generator=GENERATOR)
    assert "generator: weirgen tuples at 0.24 x testpmd" in text and "at least 0.5 is asked" in text


def test_output_is_no_file(folder):
    good = write(folder, good=BENCH)[0]
    device, link, target = folder / "null", folder / "link.html", folder / "target.html"
    os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    link.symlink_to(target)
    assert report("-o", device, good).returncode == 0 and device.is_char_device()
    assert report("-o", link, good).returncode == 0 and link.is_symlink() and target.exists()
    before = good.read_bytes()
    done = report("-o", good, good)
    assert (done.returncode, done.stderr) == (2, f"report: {good}: is an input, too\n") and good.read_bytes() == before


def test_usage(folder):
    good = write(folder, good=BENCH)[0]
    assert report(good).returncode == 2 and report("-o", folder / "out.html").returncode == 2
    done = report("-o", folder / "out.html", folder / "none.json")
    assert (done.returncode, done.stderr) == (2, f"report: {folder}/none.json: No such file or directory\n")
    done = report("-o", folder / "none/out.html", good)
    assert (done.returncode, done.stderr) == (1, f"report: {folder}/none/out.html: No such file or directory\n")
    done = report("-o", "-", good)
    assert done.returncode == 0
    assert_whole(done.stdout)
    assert sorted(path.name for path in folder.iterdir()) == ["good.json"]


def test_what_the_planner_tells(folder):
    """Not only what this test made up: a page of the real thing."""
    path = folder / "plan.json"
    path.write_text(laboratory.run(laboratory.BUILD / "weirctl", "--json", "plan", ROOT / "tools/policies/public.yaml").stdout)
    done = report("-o", "-", path)
    assert done.returncode == 0 and "class answers" in done.stdout and "50\u00a0min" in done.stdout
    assert "All this holds as long as nobody puts older copies of the ledger and of its witness, a file, back" in done.stdout
    assert_whole(done.stdout)


def test_what_the_generator_writes(folder):
    """Its seed as well, at its largest."""
    path, seed = folder / "write.json", 2 ** 63 - 1
    laboratory.run(laboratory.BUILD / "weirgen", "send", ROOT / "tools/profiles/limits.yaml", "--duration", "10 ms", "--seed", seed,
                   "--write", folder / "limits.pcap", "--json", path)
    done = report("-o", "-", path)
    assert done.returncode == 0 and f">{seed}<" in done.stdout and ">bursts<" in done.stdout, done.stderr
    assert_whole(done.stdout)
