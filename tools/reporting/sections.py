# SPDX-License-Identifier: BSD-3-Clause
"""The sections of the page: each takes the inputs of its kinds and gives verdicts and HTML."""

import re
from typing import Callable

import chart
from chart import BYTES, COLOURS, DASHES, NANOSECONDS, RATES, SECONDS, Bar, Line, escape, number, quantity
from evidence import Input
from figures import figures_html

Verdict = tuple[str, str, str]  # pass, fail, skip or unjudged; the word; what it is about


def table(columns: list[tuple[str, str]], rows: list[list[str]], stacked: bool = True) -> str:
    """
    columns: title and class ("n": a number, "w": many words). Cells are HTML. stacked: on a phone each row
    becomes a block, a line a cell.
    """
    head = "".join(f'<th class="{kind}">{escape(title)}</th>' for title, kind in columns)
    body = "".join("<tr>" + "".join(f'<td class="{kind}" data-title="{escape(title)}"><div>{cell}</div></td>'
                                    for cell, (title, kind) in zip(row, columns)) + "</tr>" for row in rows)
    style = ' class="stacked"' if stacked else ""
    return f'<div class="scroll"><table{style}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(caption: str, content: str, note: str = "") -> str:
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{content}{below}</figure>"


def marked(kind: str, word: str | None = None) -> str:
    return f'<span class="{kind}">{escape(word or kind)}</span>'


def percent(part: float, whole: float) -> str:
    """Never 100 % for less, nor for more."""
    share = part / whole * 100
    text = f"{share:.2f}"
    if text == "100.00" and part != whole:
        text = "99.99" if part < whole else "100.01"
    return f"{text} %"


def labelled(inputs: list[Input], item: Input, text: str) -> str:
    """With the file's name, where there are several of the kind."""
    return text if len(inputs) == 1 else f"{item.name}: {text}"


# ---- the red team ----


def redteam_head(item: Input) -> str:
    weir = item.data["weir"]
    parts = [f"weir {weir['version'] or 'of unknown version'}"]
    if weir["commit"]:
        parts.append(f"commit {weir['commit']}")
    machine = item.data.get("machine", {"dpdk": None, "kernel": None})
    parts += [f"{what} {machine[key]}" for key, what in (("dpdk", "DPDK"), ("kernel", "kernel")) if machine[key]]
    parts += [f"seed {item.data['seed']}", f"started {item.data['started']}"]
    digest = f" Policies: {item.data['policy_digest']}." if item.data["policy_digest"] else ""
    return f'<p class="note">{escape(item.name)}: {escape(", ".join(parts))}.{escape(digest)}</p>'


def draw_redteam(inputs: list[Input]) -> tuple[list[Verdict], str]:
    verdicts, parts = [], []
    for item in inputs:
        scenarios = item.data["scenarios"]
        counts = {word: [one["id"] for one in scenarios if one["verdict"] == word]
                  for word in ("pass", "fail", "skip", "unjudged")}
        kind = "fail" if counts["fail"] else "unjudged" if counts["unjudged"] else "pass" if counts["pass"] else "fail"
        known = len(scenarios) + len(item.data.get("not_chosen", []))
        text = f"{len(counts['pass'])} of {known} attacks were held"
        text += f"; FAILED: {', '.join(counts['fail'])}" if counts["fail"] else ""
        text += f"; could not be judged: {', '.join(counts['unjudged'])}" if counts["unjudged"] else ""
        not_run = counts["skip"] + item.data.get("not_chosen", [])
        text += f"; not run: {', '.join(not_run)}" if not_run else ""
        verdicts.append((kind, kind, labelled(inputs, item, f"red team: {text}")))
        rows = []
        for one in scenarios:
            why = f'<br/><span class="note">{escape(one["why"])}</span>' if one["why"] else ""
            rows.append([escape(one["id"]), marked(one["verdict"]), f"{escape(one['name'])}{why}", figures_html(one["asked"]),
                         figures_html(one["measured"]), f"{one['seconds']:.1f}"])
        parts.append(redteam_head(item) + table(
            [("id", ""), ("verdict", ""), ("attack", "w"), ("asked", "w"), ("measured outside", "w"), ("seconds", "n")], rows))
    return verdicts, "".join(parts)


def event_list(events: list[dict]) -> str:
    """"1: 1.26 s kill -9", at most the first 30."""
    shown = [f"{index}: {event['t_s']:.2f} s {event['what']}" for index, event in enumerate(events[:30], 1)]
    more = [f"and {len(events) - 30} more"] if len(events) > 30 else []
    return "; ".join(shown + more)


def draw_cumulative(inputs: list[Input]) -> tuple[list[Verdict], str]:
    """What had arrived by when, under the cap, through whatever happened."""
    parts = []
    for item in inputs:
        for scenario in item.data["scenarios"]:
            # Series with the same limit share a picture, so that their sum can be seen beside it.
            for index, series in enumerate(scenario["series"]):
                units = BYTES if series["unit"] == "B" else chart.plain(series["unit"])
                drawn = [Line(series["name"], [tuple(point) for point in series["points"]], COLOURS[0], "", True)]
                if series["limit"]:
                    most = series["limit"][-1][1]
                    drawn.append(Line(f"limit: {quantity(most, units)}", [tuple(point) for point in series["limit"]],
                                      chart.ALARM, DASHES[1]))
                last = series["points"][-1][1]
                caption = f"{scenario['id']}, {scenario['name']}: {series['name']}"
                marks = [(event["t_s"], event["what"]) for event in scenario["events"]]
                note = f"In the end {last:,} {series['unit']}".replace(",", " ")
                note += f" of {series['limit'][-1][1]:,}.".replace(",", " ") if series["limit"] else "."
                note += f" {event_list(scenario['events'])}." if marks and index == 0 else ""
                parts.append(figure(labelled(inputs, item, caption), chart.both(
                    chart.lines, caption, drawn, ("time", SECONDS[2:3]), ("arrived, cumulative", units), marks), note))
    if not parts:
        return [], '<p class="note">No scenario of these inputs has a series.</p>'
    return [], "".join(parts)


# Figures of the red team that belong together: what was measured, of what was asked at most.
WINDOW_PAIRS = (("worst_window_excess_bytes", "burst_bytes", "most above rate x time in any window, of the burst"),
                ("fullest_window_bytes", "window_bytes", "fullest window, of its cap"),
                ("worst_after_start_bytes", "late_after_start_bytes",
                 "most above rate x age after a start, of what late stamps explain"))
CAP_KEYS = ("cap_bytes", "lifetime_bytes", "total_bytes")


def whole(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def share_bar(name: str, part: float, most: float, slack: float = 0, high: float | None = None) -> Bar:
    """slack: by how much a measurement may be wrong. Red where more came than that allows."""
    colour = chart.ALARM if part > most + slack else COLOURS[0]
    text = f"{percent(max(part, 0), most)}: {quantity(part, BYTES)} of {quantity(most, BYTES)}"
    return Bar(name, max(part, 0) / most * 100, text, colour, None if high is None else part / most * 100,
               None if high is None else high / most * 100)


def redteam_shares(item: Input, prefix: str) -> tuple[list[Bar], list[Bar]]:
    windows, caps = [], []
    for scenario in item.data["scenarios"]:
        asked, measured = scenario["asked"], scenario["measured"]
        rate = asked.get("rate_bit_s")
        late_ns = measured.get("late_stamps_ns")
        slack = rate / 8e9 * late_ns if whole(rate) and whole(late_ns) else 0
        for key, of, text in WINDOW_PAIRS:
            if whole(measured.get(key)) and whole(asked.get(of)) and asked[of] >= 1:
                windows.append(share_bar(f"{prefix}{scenario['id']}: {text}", measured[key], asked[of], slack))
        cap = next((asked[key] for key in CAP_KEYS if whole(asked.get(key)) and asked[key] >= 1), None)
        if cap is not None:
            caps += [share_bar(f"{prefix}{scenario['id']}: {text}", got, cap) for text, got in arrived_of_caps(measured)]
    return windows, caps


def arrived_of_caps(measured: dict) -> list[tuple[str, float]]:
    """What it is, and bytes: each by itself where each had such a cap of its own."""
    got, each = measured.get("received_bytes"), measured.get("bytes_by_cap")
    if isinstance(each, dict) and each and all(map(whole, each.values())):
        return [(f"all that arrived of {name}, of its cap", value) for name, value in each.items()]
    got = sum(got.values()) if isinstance(got, dict) and all(map(whole, got.values())) else got
    return [("all that arrived, of the cap", got)] if whole(got) else []


def receive_shares(item: Input, prefix: str) -> list[Bar]:
    out = []
    for limit in item.data["limits"]:
        rate, burst = limit["rate_bit_s"], limit["burst_bytes"]
        if not burst:
            continue
        slack = limit["excess_bytes"] - limit["excess_at_least_bytes"]
        bar = share_bar(f"{prefix}most above {quantity(rate, RATES)} x time in any window, of the burst",
                        limit["excess_bytes"], burst, slack)
        kind, word = limit_verdict(limit, item.data)
        out.append(bar._replace(colour=chart.UNSURE, text=f"{bar.text}, {word}") if kind == "unjudged" else bar)
        for window in item.data["windows"]:
            most = rate * window["window_ns"] / 8e9 + burst
            out.append(share_bar(f"{prefix}busiest {quantity(window['window_ns'], NANOSECONDS)}, of "
                                 f"{quantity(rate, RATES)} x time + burst", window["at_least_bytes"], most, 0,
                                 window["at_most_bytes"]))
    return out


def draw_headroom(inputs: list[Input]) -> tuple[list[Verdict], str]:
    windows, caps, parts = [], [], []
    for item in inputs:
        prefix = f"{item.name}, " if len(inputs) > 1 else ""
        if item.kind == "redteam":
            more, of_caps = redteam_shares(item, prefix)
            windows, caps = windows + more, caps + of_caps
        else:
            windows += receive_shares(item, prefix)
    axis = ("share of what was allowed", chart.plain("%"))
    if windows:
        caption = "Windows: how much of what any window may hold was used"
        parts.append(figure(caption, chart.both(chart.bars, caption, windows, axis, [(100, "allowed")]),
                            "Judged over every window of any length, wherever it starts. Where the clock that stamps frames "
                            "can be late, a bar may pass 100 % by as much; it is red if it passes by more. It is "
                            "yellow where a receiver was kept from its CPU and can't tell whether the limit held."))
    if caps:
        caption = "Caps: how much of each arrived"
        parts.append(figure(caption, chart.both(chart.bars, caption, caps, axis, [(100, "allowed")]),
                            "Less than all arrives where a crash forfeits what was granted, or where the attack ended."))
    return [], "".join(parts)


# ---- the generator ----


NOT_JUDGED = {"could not be judged": "the receiver was kept from its CPU", "nothing came": "nothing came",
              "frames were joined": "offloads had joined frames"}


def limit_verdict(limit: dict, data: dict) -> tuple[str, str]:
    """As weirgen's own exit status."""
    if limit["burst_bytes"] is None:
        return "skip", "no burst given"
    if limit["excess_at_least_bytes"] > limit["burst_bytes"]:
        return "fail", "over"
    if data.get("port_missed", 0) > 0:
        return "fail", "frames were missed"
    if data["frames"] == 0:
        return "unjudged", "nothing came"
    if data.get("oversize", 0) > 0:
        return "unjudged", "frames were joined"
    if limit["excess_bytes"] > limit["burst_bytes"]:
        return "unjudged", "could not be judged"  # the receiver can't say how much of it was its own stall
    return "pass", "held"


def mbit(bit_s: float) -> str:
    return f"{bit_s / 1e6:.6g} Mbit/s"


def draw_rates(inputs: list[Input]) -> tuple[list[Verdict], str]:
    points, rows, kinds, words = [], [], [], []
    for item in inputs:
        for limit in item.data["limits"]:
            kind, word = limit_verdict(limit, item.data)
            kinds.append(kind)
            words.append(word)
            most, measured = limit["rate_bit_s"], item.data["rate_bit_s"]
            if measured > 0:
                points.append((most, measured, str(len(rows) + 1)))
            burst = limit["burst_bytes"]
            seconds = item.data["span_ns"] / 1e9
            allowed = f"{burst * 8 / seconds / most * 100:+.3f} %" if burst is not None and seconds > 0 else "-"
            rows.append([str(len(rows) + 1), escape(item.name), mbit(most), mbit(measured),
                         f"{(measured / most - 1) * 100:+.3f} %", allowed, quantity(limit["excess_bytes"], BYTES),
                         "-" if burst is None else quantity(burst, BYTES), marked(kind, word)])
    if not rows:
        return [], ('<p class="note">The receiver was not given a limit to judge by: '
                    "<code>weirgen receive --limit 'RATE + BURST'</code>.</p>")
    parts = []
    if points:
        caption = "Limit against the rate that arrived, over the whole run"
        parts.append(figure(caption, chart.both(chart.scatter, caption, points, ("limit that the receiver judges by", RATES),
                                                ("arrived", RATES), "arrived = limit"),
                            "Below the line: less arrived than the limit allows. What was sent to it, the generator tells."))
    parts.append(table([("no.", "n"), ("file", ""), ("limit", "n"), ("arrived", "n"), ("above the limit by", "n"),
                        ("burst may add", "n"), ("above rate x time", "n"), ("burst", "n"), ("verdict", "")], rows))
    failed, judged = kinds.count("fail"), len(kinds) - kinds.count("skip")
    if judged == 0:
        return [], "".join(parts)
    kind = "fail" if failed else "unjudged" if "unjudged" in kinds else "pass"
    text = f"rates: {kinds.count('pass')} of {judged} limits were held in every window"
    for word, why in NOT_JUDGED.items():
        text += f"; {words.count(word)} could not be judged: {why}" if word in words else ""
    return [(kind, kind, text)], "".join(parts)


GIVEN_UP_PARTS = 1000  # more than this part of the time, and the rates asked were not sent


def sent_causes(data: dict) -> list[str]:
    """Why it is no pass, as weirgen's own exit status."""
    causes = []
    if data["given_up_ns"] > data["elapsed_ns"] // GIVEN_UP_PARTS and not data.get("fast", False):
        causes.append(f"the rates asked were not sent: {quantity(data['given_up_ns'], NANOSECONDS)} of "
                      f"{quantity(data['elapsed_ns'], NANOSECONDS)} were given up")
    unsent = data["port_errors"] + data["port_unsent"]
    causes += [f"of the frames, {unsent} were not sent"] if unsent else []
    if data["cut_short"] and not data.get("endless", False):
        causes.append("it was cut short")
    if not causes and not data.get("ok", True):
        causes.append("not all of the frames came back from a port that is a loop")
    return causes


def draw_sent(inputs: list[Input]) -> tuple[list[Verdict], str]:
    verdicts, rows, notes = [], [], []
    for item in inputs:
        data, causes = item.data, sent_causes(item.data)
        kind = "fail" if causes else "pass"
        if causes:
            verdicts.append((kind, kind, f"{item.name}: weirgen failed: {'; '.join(causes)}"))
        unsent = data["port_errors"] + data["port_unsent"]
        asked = "as fast as possible" if data.get("fast") else mbit(data["asked_bit_s"]) if data.get("asked_bit_s") else "-"
        rows.append([escape(item.name), str(data["frames"]), quantity(data["wire_bytes"], BYTES), asked, mbit(data["rate_bit_s"]),
                     quantity(data["behind_max_ns"], NANOSECONDS), quantity(data["given_up_ns"], NANOSECONDS),
                     str(unsent) if unsent == 0 else marked("fail", str(unsent)), "yes" if data["cut_short"] else "no",
                     marked(kind)])
        skipped = data.get("skipped", {"oversize": 0, "runt": 0})
        if skipped["oversize"] + skipped["runt"] > 0:
            notes.append(f'<p class="note">{escape(item.name)}: left out of the capture were {skipped["oversize"]} frames over '
                         f'the MTU and {skipped["runt"]} of under 14 bytes.</p>')
    return verdicts, table([("file", ""), ("frames", "n"), ("on the wire", "n"), ("asked", "n"), ("sent at", "n"),
                            ("behind, at most", "n"), ("given up", "n"), ("of the frames, not sent", "n"), ("stopped", ""),
                            ("verdict", "")], rows) + "".join(notes)


def draw_written(inputs: list[Input]) -> tuple[list[Verdict], str]:
    """A stream a row, and all of a file where it has several."""
    rows = []
    for item in inputs:
        streams, seed = item.data["streams"], str(item.data["seed"])
        parts = [(one["name"], str(one["flow"]), one) for one in streams]
        for name, flow, counts in parts + ([("all", "-", item.data)] if len(streams) != 1 else []):
            rows.append([escape(item.name), escape(name), flow, str(counts["frames"]), quantity(counts["wire_bytes"], BYTES), seed])
    return [], table([("file", ""), ("stream", "w"), ("flow", "n"), ("frames", "n"), ("would be on the wire", "n"),
                      ("seed", "n")], rows)


WORDS = {"exact": "pass", "NOT exact": "fail", "not measured": "skip"}


def fastest_text(fastest: dict) -> str:
    kept, missed, unpaced = fastest["kept"], fastest["missed"], fastest["unpaced_bit_s"]
    text = f"The fastest rate kept is {quantity(kept['asked_bit_s'], RATES)}, {100 * kept['error']:+.3f} % off"
    if missed is None:
        return f"{text}; none above it was tried."
    text += f"; {quantity(missed['asked_bit_s'], RATES)} was not: {quantity(missed['measured_bit_s'], RATES)} came"
    text += f", and {quantity(unpaced, RATES)} without a pace." if unpaced else "."
    more = unpaced is not None and missed["asked_bit_s"] <= unpaced
    return text + (" So others were busy there, or its pace is what holds it: an idle machine tells." if more else "")


def draw_generator(inputs: list[Input]) -> tuple[list[Verdict], str]:
    verdicts, parts = [], []
    for item in inputs:
        rates, speed = item.data.get("rates", []), item.data.get("speed", {})
        if rates:
            caption = labelled(inputs, item, "Rate asked against rate at the other end of a wire")
            points = [(rate["asked_bit_s"], rate["measured_bit_s"], str(index + 1)) for index, rate in enumerate(rates)]
            parts.append(figure(caption, chart.both(chart.scatter, caption, points, ("asked", RATES), ("measured", RATES),
                                                    "measured = asked")))
            rows = [[str(index + 1), mbit(rate["asked_bit_s"]), f"{rate['frame_bytes']} B", mbit(rate["measured_bit_s"]),
                     f"{100 * rate['error']:+.3f} %", str(rate["sent_frames"]), str(rate["received_frames"]),
                     marked(WORDS[rate["verdict"]], rate["verdict"])] for index, rate in enumerate(rates)]
            parts.append(table([("no.", "n"), ("asked", "n"), ("frame", "n"), ("measured", "n"), ("deviation", "n"),
                                ("sent", "n"), ("received", "n"), ("verdict", "")], rows))
            if "fastest" in item.data:
                parts.append(f'<p class="note">{escape(fastest_text(item.data["fastest"]))}</p>')
            exact = sum(rate["verdict"] == "exact" for rate in rates)
            failed = any(rate["verdict"] == "NOT exact" for rate in rates)
            kind = "fail" if failed else "pass" if exact == len(rates) else "skip"
            word = "not measured" if kind == "skip" else kind
            unsure = sum(rate["verdict"] == "not measured" for rate in rates)
            text = f"generator: {exact} of {len(rates)} rates were exact" + (f", {unsure} could not be measured" if unsure else "")
            verdicts.append((kind, word, labelled(inputs, item, text)))
        if speed:
            caption = labelled(inputs, item, "Cycles a frame, weirgen against testpmd txonly")
            drawn = [Bar(name, result["median"], f"{result['median']:.1f} cycles, {result['times_testpmd_frames']:.2f} x testpmd's frames"
                         + ("" if result["measured"] else ", on a busy machine"),
                         "#8a8a8a" if name.startswith("testpmd") else COLOURS[0], min(result["values"]), max(result["values"]))
                     for name, result in speed.items()]
            parts.append(figure(caption, chart.both(chart.bars, caption, drawn, ("cycles a frame", chart.plain("")), [])))
            for name, result in speed.items():
                if "least" in result and "verdict" in result:
                    kind = {"held": "pass", "NOT held": "fail"}.get(result["verdict"], "skip")
                    text = f"generator: {name} at {result['times_testpmd_frames']:.2f} x testpmd's frames, at least " \
                           f"{number(result['least'])} is asked"
                    verdicts.append((kind, result["verdict"] if kind == "skip" else kind, labelled(inputs, item, text)))
    return verdicts, "".join(parts)


def draw_latency(inputs: list[Input]) -> tuple[list[Verdict], str]:
    drawn, rows, names = [], [], {"one way": "one way", "variation": "beyond the fastest frame"}
    for item in inputs:
        for flow in item.data["flows"]:
            latency, total = flow["latency"], sum(count for _, count in flow["latency"]["buckets_to_ns"])
            name = f"{item.name + ', ' if len(inputs) > 1 else ''}flow {flow['flow']}"
            by = names.get(flow["latency_kind"], "not measured")
            if total > 0 and flow["latency_kind"] in names:
                points, sofar = [], 0.0
                for bound, count in latency["buckets_to_ns"]:
                    sofar += count
                    points.append((max(bound, 1), sofar / total * 100))
                if len(drawn) < len(COLOURS):
                    at = len(drawn)
                    drawn.append(Line(f"{name}, {by}", [(points[0][0], 0.0)] + points, COLOURS[at], DASHES[at % len(DASHES)],
                                      True))
                times = [quantity(latency[key], NANOSECONDS) for key in ("min_ns", "p50_ns", "p99_ns", "max_ns")]
            else:
                times = ["-"] * 4
            rows.append([escape(name), str(flow["frames"]), str(flow["lost"]), str(flow["duplicates"]), str(flow["reordered"]),
                         escape(by)] + times)
    if not rows:
        return [], '<p class="note">No flow of these inputs bears stamps.</p>'
    parts = []
    if drawn:
        caption = "Latency: share of frames that took at most so long"
        note = "" if len([row for row in rows if row[6] != "-"]) == len(drawn) else \
            f"The first {len(drawn)} flows; the table has all."
        parts.append(figure(caption, chart.both(chart.lines, caption, drawn, ("latency", NANOSECONDS),
                                                ("share of frames", chart.plain("%")), (), True, 100.0), note))
    parts.append(table([("flow", ""), ("frames", "n"), ("lost", "n"), ("twice", "n"), ("out of order", "n"), ("latency", ""),
                        ("least", "n"), ("median", "n"), ("99 %", "n"), ("most", "n")], rows))
    return [], "".join(parts)


# ---- the benches ----

ONE_CLASS, ONE_CLASS_TIMES = "weir one-any", 2.5  # as tools/bench asks


def draw_bench(inputs: list[Input]) -> tuple[list[Verdict], str]:
    verdicts, parts = [], []
    for item in inputs:
        data = item.data
        io = data["results"]["testpmd io"]["median"]
        drawn = []
        for name, result in data["results"].items():
            colour = "#8a8a8a" if name.startswith("testpmd") else COLOURS[0]
            drawn.append(Bar(f"{name}: {result['what']}", result["median"],
                             f"{result['median']:.1f} cycles, {result['times_io']:.2f} x io", colour, min(result["values"]),
                             max(result["values"])))
        disturbed = sum(result["disturbed"] for result in data["results"].values())
        one = data["results"].get(ONE_CLASS)
        if one is not None:
            held = one["times_io"] <= ONE_CLASS_TIMES and disturbed == 0
            kind = "skip" if disturbed else "pass" if held else "fail"
            word = "disturbed" if disturbed else kind
            verdicts.append((kind, word, labelled(inputs, item, f"cycles a packet: {ONE_CLASS} takes {one['times_io']:.2f} x "
                                                  f"testpmd io, at most {ONE_CLASS_TIMES} is asked")))
        caption = labelled(inputs, item, "Cycles a packet, Weir against testpmd")
        note = (f"Frames of {data['frame_bytes']} B without FCS, null ports, bursts of {data['burst']}, "
                f"{'huge' if data['huge_pages'] else 'normal'} pages, {data.get('cpu') or 'CPU not told'}, TSC "
                f"{quantity(data['tsc_hz'], [chart.Unit(1e9, 'GHz')])}. The bar is the median, the whisker lowest and highest.")
        note += f" {disturbed} runs shared their CPU: don't trust this." if disturbed else ""
        limits = [(io, "testpmd io"), (io * ONE_CLASS_TIMES, f"{ONE_CLASS_TIMES} x io: asked of one class")]
        parts.append(figure(caption, chart.both(chart.bars, caption, drawn, ("cycles a packet", chart.plain("")), limits), note))
    return verdicts, "".join(parts)


def draw_ledger(inputs: list[Input]) -> tuple[list[Verdict], str]:
    parts = []
    for item in inputs:
        data = item.data
        drives = ", ".join(f"{number(years)} years ({name})" for name, years in data["drive_years"].items())
        parts.append(f"<h3>{escape(item.name)}</h3>" + table([("", ""), ("", "w")], [[escape(key), escape(value)] for key, value in (
            ("spent", f"{quantity(data['spent_bit_s'], RATES)} by {data['classes']} classes"),
            ("CPU of the ledger's thread", f"{data['cpu_share'] * 100:.1f} %"),
            ("syncs", f"{data['syncs_per_s']:.1f} a second, the longest {quantity(data['sync_max_ns'], NANOSECONDS)}"),
            ("written", f"{number(data['written_gb_per_day'])} GB a day"),
            ("a crash costs the root", f"{quantity(data['forfeit_max_bytes'], BYTES)}, and where a record is lost too "
             f"{quantity(data['forfeit_bound_bytes'], BYTES)}"),
            (f"a drive that writes {number(data['amplification'])} bytes for one", drives),
            ("a TPM's counter", f"{number(data['tpm_years'])} years, at {number(data['increments_per_day'])} increments a day"),
        )], False))
    return [], "".join(parts)


def draw_smoothness(inputs: list[Input]) -> tuple[list[Verdict], str]:
    parts = []
    for item in inputs:
        names = list(dict.fromkeys(name for row in item.data["rows"] for name in row["gaps"]))
        drawn = []
        for at, name in enumerate(names[:len(COLOURS)]):
            points = [(row["percent"], row["gaps"][name]["deviation_us"]) for row in item.data["rows"] if name in row["gaps"]]
            drawn.append(Line(name, points, COLOURS[at], DASHES[at % len(DASHES)]))
        if not drawn:
            continue
        caption = labelled(inputs, item, "How evenly frames leave: standard deviation of the gaps between them")
        parts.append(figure(caption, chart.both(
            chart.lines, caption, drawn, ("rate of the class, of the wire's", chart.plain("%")),
            ("standard deviation", chart.plain("µs"))),
            f"Frames of {item.data['frame_bytes']} B on a wire of {quantity(item.data['wire_bit_s'], RATES)}, in simulated time, "
            "a model in place of the NIC."))
    return [], "".join(parts)


# ---- the planner ----


def when_text(attacker: dict) -> str:
    if attacker["never"]:
        return "never"
    if attacker["after_s"] is None:
        return "over 584 years"
    return "at once" if attacker["after_s"] == 0 else chart.duration(attacker["after_s"])


def unbroken(text: str) -> str:
    """A number stays beside its unit where a line is too short."""
    return re.sub(r"(?<=\d) (?=\D)", "\u00a0", text)


def apart(first: float, second: float) -> tuple[str, str]:
    """Two sums of bytes: in full where they differ, and fewer digits would not show it."""
    texts = quantity(first, BYTES), quantity(second, BYTES)
    return texts if texts[0] != texts[1] or first == second else (f"{first} B", f"{second} B")


TRUST = {"none": "as long as nobody puts an older copy of the ledger back: there is no witness",
         "beside": "as long as nobody puts an older copy of the ledger back: its witness lies in the same folder",
         "file": "as long as nobody puts older copies of the ledger and of its witness, a file, back together"}


def draw_plan(inputs: list[Input]) -> tuple[list[Verdict], str]:
    verdicts, parts = [], []
    for item in inputs:
        data, asset = item.data, item.data["asset"]
        survive = chart.duration(asset["survive_s"])
        text = f"policy {data['file']}: {asset['name']}, {quantity(asset['weights_bytes'], BYTES)}, compressed " \
               f"{number(asset['compression'])} times, {'survives' if data['survives'] else 'does not survive'} {survive}"
        risk = asset["accept_risk"]
        kind = "pass" if data["survives"] else "skip" if risk else "fail"
        trust = TRUST.get("beside" if data.get("witness_beside_ledger") else data.get("witness", ""))
        verdicts.append((kind, {"pass": "pass", "skip": "risk accepted", "fail": "fail"}[kind],
                         f"{text}, {trust}" if trust and data["survives"] else text))
        attackers = data["paths"][0]["attackers"] if data["paths"] else []
        columns = [("path", "")] + [(f"{number(at['compression'])}x", "n") for at in attackers]
        rows = [[escape(f"{path['kind']} {path['name'] or ''}".strip())] + [unbroken(escape(when_text(at))) for at in path["attackers"]]
                for path in data["paths"] if len(path["attackers"]) == len(attackers)]
        leaves, needs = apart(data["could_leave_bytes"], data["needs_bytes"])
        head = f"<h3>{escape(item.name)}</h3><p>{escape(text[0].upper() + text[1:])}: by then up to " \
               f"{escape(leaves)} can leave, and an attacker needs {escape(needs)}.</p>"
        head += '<p class="note">Assumed: the policy says nothing of what it protects.</p>' if asset["assumed"] else ""
        head += f'<p class="note">All this holds {escape(trust)}.</p>' if trust else ""
        head += f'<p><span class="fail">Risk accepted</span>, says the policy: {escape(risk)}</p>' if risk else ""
        parts.append(head + table(columns, rows, False))
    note = '<p class="note">When a whole copy can have left at the earliest, by how many times it is compressed.</p>'
    return verdicts, note + "".join(parts)


Draw = Callable[[list[Input]], tuple[list[Verdict], str]]
SECTIONS: list[tuple[str, tuple[str, ...], Draw]] = [
    ("what the policy is worth", ("weirctl.plan",), draw_plan),
    ("the red team's attacks", ("redteam",), draw_redteam),
    ("cumulative bytes against the cap", ("redteam",), draw_cumulative),
    ("window headroom", ("redteam", "weirgen.receive"), draw_headroom),
    ("limits, and the rates that arrived", ("weirgen.receive",), draw_rates),
    ("what the generator sent", ("weirgen.send", "weirgen.replay"), draw_sent),
    ("what the generator wrote in place of sending", ("weirgen.write",), draw_written),
    ("how exact and fast the generator is", ("bench.generator",), draw_generator),
    ("latency", ("weirgen.receive",), draw_latency),
    ("cycles a packet", ("bench",), draw_bench),
    ("what the ledger costs", ("bench.ledger",), draw_ledger),
    ("how evenly frames leave", ("bench.smoothness",), draw_smoothness),
]
