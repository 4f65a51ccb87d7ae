# SPDX-License-Identifier: BSD-3-Clause
"""Plain charts as SVG, drawn for a given width: text keeps its size and never leaves the picture."""

import html
import math
from typing import NamedTuple

FONT = 12  # px
LINE = 17  # px, of text
COLOURS = ("#1f5f99", "#c1561c", "#2a7f3f", "#7a3d8f", "#8a6d00", "#00747a", "#a3324e", "#4a4a4a")
DASHES = ("", "7 3", "2 3", "9 3 2 3")  # so that lines differ in print as well
INK, PALE, ALARM, UNSURE = "#222222", "#d9d9d9", "#b00020", "#e0a030"


class Line(NamedTuple):
    name: str
    points: list[tuple[float, float]]
    colour: str = COLOURS[0]
    dash: str = ""
    steps: bool = False  # a value holds until the next point


class Bar(NamedTuple):
    name: str
    value: float
    text: str  # the value, exactly
    colour: str = COLOURS[0]
    low: float | None = None  # of several measurements
    high: float | None = None


class Unit(NamedTuple):
    """How an axis counts: what one step of its labels is worth, and is called."""
    size: float
    name: str


BYTES = [Unit(1, "B"), Unit(1e3, "kB"), Unit(1e6, "MB"), Unit(1e9, "GB"), Unit(1e12, "TB"), Unit(1e15, "PB")]
SECONDS = [Unit(1e-6, "µs"), Unit(1e-3, "ms"), Unit(1, "s"), Unit(60, "min"), Unit(3600, "h"), Unit(86400, "d")]
NANOSECONDS = [Unit(1, "ns"), Unit(1e3, "µs"), Unit(1e6, "ms"), Unit(1e9, "s")]
RATES = [Unit(1, "bit/s"), Unit(1e3, "kbit/s"), Unit(1e6, "Mbit/s"), Unit(1e9, "Gbit/s"), Unit(1e12, "Tbit/s")]


def plain(units_name: str) -> list[Unit]:
    return [Unit(1, units_name)]


def unit_for(units: list[Unit], largest: float) -> Unit:
    fitting = [unit for unit in units if unit.size <= largest]
    return fitting[-1] if fitting else units[0]


def number(value: float) -> str:
    """At most four digits that count, no exponent in what people can read."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        return f"{value:.3g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: float, units: list[Unit]) -> str:
    unit = unit_for(units, abs(value))
    text = number(value / unit.size)
    if text == "1000" and unit is not units[-1]:
        unit = units[units.index(unit) + 1]
        text = number(value / unit.size)
    return f"{text} {unit.name}".strip()


def duration(seconds: float) -> str:
    """The two largest units, rounded down: "6 min 43 s"."""
    if seconds < 60:
        return quantity(seconds, SECONDS[:3])
    names = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")]
    index = next(i for i, (size, _) in enumerate(names) if seconds >= size)
    whole = int(seconds)
    parts = [f"{whole // names[index][0]} {names[index][1]}"]
    if index + 1 < len(names) and (rest := whole % names[index][0] // names[index + 1][0]):
        parts.append(f"{rest} {names[index + 1][1]}")
    return " ".join(parts)


def text_width(text: str, size: float = FONT) -> float:
    """An upper estimate: letters of a sans serif font are at most so wide on average."""
    return sum(0.35 if c in "iljt.,:;'|! ()[]" else 0.95 if c in "MWmw%@" else 0.68 if c.isupper() else 0.6
               for c in text) * size


def shorten(text: str, width: float, size: float = FONT) -> str:
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text + "…"


def escape(text: str) -> str:
    return html.escape("".join(c if c.isprintable() else "?" for c in str(text)))


def steps_of(low: float, high: float, most: int) -> list[float]:
    """Round numbers from low to high, at most so many."""
    if not high > low:
        return [low]
    raw = (high - low) / max(1, most - 1)
    scale = 10 ** math.floor(math.log10(raw))
    step = next(scale * factor for factor in (1, 2, 5, 10, 20) if scale * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


class Axis:
    """Values to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float, logarithmic: bool = False) -> None:
        if not high > low:
            low, high = (low / 2, low * 2) if logarithmic else (low, low + 1)
        self.low, self.high, self.start, self.end, self.logarithmic = low, high, start, end, logarithmic

    def at(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        if not self.logarithmic:
            return steps_of(self.low, self.high, most)
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        every = max(1, math.ceil((last - first + 1) / most))
        return [10.0 ** power for power in range(first, last + 1, every)]


def decades(values: list[float]) -> tuple[float, float]:
    """The powers of ten around positive values."""
    low, high = min(values), max(values)
    bottom, top = 10.0 ** math.floor(math.log10(low) + 1e-9), 10.0 ** math.ceil(math.log10(high) - 1e-9)
    return bottom, top if top > bottom else bottom * 10


class Picture:
    """An SVG element that grows downwards."""

    def __init__(self, width: int, title: str) -> None:
        self.width, self.title, self.parts = width, title, []

    def add(self, part: str) -> None:
        self.parts.append(part)

    def text(self, x: float, y: float, text: str, anchor: str = "start", colour: str = INK, bold: bool = False,
             room: float | None = None) -> None:
        """room: what it must fit into; otherwise to the picture's edge."""
        if room is None:
            room = {"start": self.width - x, "end": x, "middle": 2 * min(x, self.width - x)}[anchor]
        weight = ' font-weight="bold"' if bold else ""
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>'
                 f"{escape(shorten(text, room))}</text>")

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = PALE, dash: str = "",
             width: float = 1) -> None:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
                 f'stroke-width="{width:g}"{dashed}/>')

    def path(self, points: list[tuple[float, float]], colour: str, dash: str = "") -> None:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.add(f'<path d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in points)}" fill="none" stroke="{colour}" '
                 f'stroke-width="1.8" stroke-linejoin="round"{dashed}/>')

    def svg(self, height: float) -> str:
        return (f'<svg viewBox="0 0 {self.width} {height:.0f}" width="{self.width}" height="{height:.0f}" role="img" '
                f'aria-label="{escape(self.title)}" font-size="{FONT}">' + "".join(self.parts) + "</svg>")


def legend(picture: Picture, top: float, entries: list[tuple[str, str, str]]) -> float:
    """Names of lines, (text, colour, dash), as many beside each other as fit. Returns where it ends."""
    x, y = 4.0, top
    for text, colour, dash in entries:
        needed = 34 + text_width(text)
        if x > 4 and x + needed > picture.width:
            x, y = 4.0, y + LINE
        picture.line(x, y - 4, x + 22, y - 4, colour, dash, 2)
        picture.text(x + 27, y, text)
        x += needed + 14
    return y + LINE - 6


def horizontal_axis(picture: Picture, axis: Axis, top: float, bottom: float, units: list[Unit], name: str) -> None:
    unit = unit_for(units, axis.high)
    most = max(2, int((axis.end - axis.start) / (74 if axis.logarithmic else 48)))
    for tick in axis.ticks(most):
        x = axis.at(tick)
        picture.line(x, top, x, bottom)
        label = quantity(tick, units) if axis.logarithmic else number(tick / unit.size)
        # The outermost labels stay inside, and those of a logarithmic axis out of the other axis's corner.
        half = text_width(label) / 2
        least = half + (axis.start - 3 if axis.logarithmic else 1)
        picture.text(min(max(x, least), picture.width - half - 1), bottom + 15, label, "middle")
    title = name if axis.logarithmic or not unit.name else f"{name} ({unit.name})"
    picture.text((axis.start + axis.end) / 2, bottom + 32, title, "middle")


def vertical_axis(picture: Picture, axis: Axis, left: float, right: float, units: list[Unit], name: str,
                  lift: float = 9) -> None:
    """Ticks on the left; the name above by lift, where it needs no turning of heads."""
    unit = unit_for(units, axis.high)
    most = max(2, int(abs(axis.end - axis.start) / 30))
    for tick in axis.ticks(most):
        y = axis.at(tick)
        picture.line(left, y, right, y)
        label = quantity(tick, units) if axis.logarithmic else number(tick / unit.size)
        picture.text(left - 6, y + 4, label, "end")
    title = name if axis.logarithmic or not unit.name else f"{name} ({unit.name})"
    picture.text(4, min(axis.start, axis.end) - lift, title)


def label_room(axis: Axis, units: list[Unit]) -> float:
    unit = unit_for(units, axis.high)
    labels = [quantity(tick, units) if axis.logarithmic else number(tick / unit.size) for tick in axis.ticks(6)]
    return max(text_width(label) for label in labels) + 14


def stepped(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    out = points[:1]
    for (_, before), (x, y) in zip(points, points[1:]):
        if y != before:
            out.append((x, before))
        out.append((x, y))
    return out


def lines(width: int, title: str, drawn: list[Line], x: tuple[str, list[Unit]], y: tuple[str, list[Unit]],
          marks: list[tuple[float, str]] = (), log_x: bool = False, y_high: float | None = None) -> str:
    """Lines over a common axis; marks are moments, numbered at the top."""
    picture = Picture(width, title)
    xs = [point[0] for line in drawn for point in line.points] + [mark for mark, _ in marks]
    ys = [point[1] for line in drawn for point in line.points]
    high = y_high if y_high is not None else max(ys) * 1.06 or 1
    top = 28 + (16 if marks else 0)
    bottom = top + (210 if width < 500 else 260)
    y_axis = Axis(0, high, bottom, top)
    left = max(30.0, label_room(y_axis, y[1]))
    span = decades([value for value in xs if value > 0]) if log_x else (min(0.0, *xs), max(xs))
    x_axis = Axis(*span, left, width - 12, log_x)
    vertical_axis(picture, y_axis, left, width - 12, y[1], y[0], 25 if marks else 9)
    horizontal_axis(picture, x_axis, top, bottom, x[1], x[0])
    free = left - 3
    for index, (moment, _) in enumerate(marks, 1):
        at = x_axis.at(moment)
        picture.line(at, top, at, bottom, ALARM, "3 3")
        if at - free >= text_width(str(index)) / 2 + 2:  # numbers don't run into each other
            picture.text(at, top - 4, str(index), "middle", ALARM)
            free = at + text_width(str(index)) / 2
    for line in drawn:
        points = [(x_axis.at(px), y_axis.at(py)) for px, py in (stepped(line.points) if line.steps else line.points)]
        picture.path(points, line.colour, line.dash)
    return picture.svg(legend(picture, bottom + 54, [(line.name, line.colour, line.dash) for line in drawn]))


def wrapped(text: str, width: float) -> list[str]:
    """Lines of at most that width, broken between words."""
    out, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and text_width(longer) > width:
            out.append(line)
            longer = word
        line = longer
    return out + [line]


def bar_label(bar: Bar, room: float) -> tuple[list[str], bool]:
    """Lines of the name, and whether the value stands behind the last of them or below."""
    names = wrapped(bar.name, room)
    return names, text_width(names[-1]) + text_width(bar.text) + 12 > room


def bars(width: int, title: str, drawn: list[Bar], x: tuple[str, list[Unit]],
         limits: list[tuple[float, str]] = (), high: float | None = None) -> str:
    """One bar a row, its name and value above it; limits are lines from top to bottom."""
    picture = Picture(width, title)
    values = [value for bar in drawn for value in (bar.value, bar.high) if value is not None]
    largest = max(values + [at for at, _ in limits]) * 1.04 if high is None else high
    left, right, top = 8, width - 14, 8
    axis = Axis(0, largest or 1, left, right)
    rows = [bar_label(bar, right - left) for bar in drawn]
    bottom = top + sum(LINE * (len(names) + below) + 21 for names, below in rows) + 2
    horizontal_axis(picture, axis, top, bottom, x[1], x[0])
    for index, (at, _) in enumerate(limits):
        picture.line(axis.at(at), top, axis.at(at), bottom, ALARM, DASHES[index % len(DASHES)], 1.6)
    y = top
    for bar, (names, below) in zip(drawn, rows):
        height = LINE * (len(names) + below)
        # On white, so that grid and limits don't cross the letters.
        picture.add(f'<rect x="{left}" y="{y}" width="{right - left}" height="{height}" fill="#ffffff"/>')
        for index, name in enumerate(names):
            picture.text(left, y + 13 + LINE * index, name)
        picture.text(right, y + height - 4, bar.text, "end")
        y += height
        length = max(1.0, axis.at(bar.value) - left)
        picture.add(f'<rect x="{left}" y="{y + 1}" width="{length:.1f}" height="12" fill="{bar.colour}"/>')
        if bar.low is not None and bar.high is not None and bar.high > bar.low:
            for place in (bar.low, bar.high):
                picture.line(axis.at(place), y + 2, axis.at(place), y + 12, INK, "", 1.4)
            picture.line(axis.at(bar.low), y + 7, axis.at(bar.high), y + 7, INK, "", 1.4)
        y += 21
    entries = [(text, ALARM, DASHES[index % len(DASHES)]) for index, (_, text) in enumerate(limits)]
    return picture.svg(legend(picture, bottom + 54, entries) if entries else bottom + 40)


def scatter(width: int, title: str, points: list[tuple[float, float, str]], x: tuple[str, list[Unit]],
            y: tuple[str, list[Unit]], same: str) -> str:
    """Pairs of positive values on two equal logarithmic axes, numbered, and the line where both agree."""
    picture = Picture(width, title)
    values = [value for point in points for value in point[:2]]
    span = decades([min(values) / 2, max(values) * 2])  # so that no point lies on the edge
    top, bottom = 28, 28 + (230 if width < 500 else 300)
    y_axis = Axis(*span, bottom, top, True)
    left = max(30.0, label_room(y_axis, y[1]))
    x_axis = Axis(*span, left, width - 14, True)
    vertical_axis(picture, y_axis, left, width - 14, y[1], y[0], 14)
    horizontal_axis(picture, x_axis, top, bottom, x[1], x[0])
    picture.line(x_axis.at(span[0]), y_axis.at(span[0]), x_axis.at(span[1]), y_axis.at(span[1]), "#777777", "6 4", 1.4)
    labels: list[tuple[float, float, str]] = []  # points that would write over each other share one
    for px, py, label in points:
        at_x, at_y = x_axis.at(px), y_axis.at(py)
        picture.add(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="4" fill="{COLOURS[0]}"/>')
        near = next((index for index, (x0, y0, text) in enumerate(labels)
                     if -text_width(label) < at_x - x0 < text_width(text) + 4 and abs(at_y - y0) < FONT), None)
        if near is None:
            labels.append((at_x, at_y, label))
        else:
            labels[near] = (*labels[near][:2], f"{labels[near][2]}, {label}")
    for at_x, at_y, label in labels:
        picture.text(max(1.0, min(at_x + 7, width - text_width(label) - 1)), at_y + 14, label, room=width - 2)
    return picture.svg(legend(picture, bottom + 54, [(same, "#777777", "6 4")]))


def both(draw, *arguments, **named) -> str:
    """For wide pages and for phones; the page's style shows one of them."""
    return (f'<div class="wide">{draw(760, *arguments, **named)}</div>'
            f'<div class="narrow">{draw(350, *arguments, **named)}</div>')
