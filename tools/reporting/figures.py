# SPDX-License-Identifier: BSD-3-Clause
"""Figures as evidence tells them: by name, with units, what is nested in them as lists within lists."""

from typing import Any

from chart import BYTES, NANOSECONDS, RATES, Unit, escape, plain, quantity

SHOWN_MAX = 40  # of one list
ENDINGS = {"bytes": BYTES, "bit_s": RATES, "ns": NANOSECONDS, "s": plain("s")}


def unit_of(key: str) -> tuple[str, list[Unit] | None]:
    """The words of a name, and the unit that it tells: "received_bytes", or "bytes_by_link" for all within it."""
    for ending, units in ENDINGS.items():
        if key.endswith(f"_{ending}"):
            return key[:-len(ending) - 1].replace("_", " "), units
    return key.replace("_", " "), BYTES if key == "bytes" or key.startswith("bytes_") else None


def nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def plain_html(value: Any, units: list[Unit] | None) -> str:
    """What is not nested. A number stays beside its unit where a line is too short."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, str) or units is None:
        return escape(str(value))
    text = quantity(value, units) if abs(value) >= 1e5 else f"{value} {units[0].name}"
    return escape(text).replace(" ", "\u00a0")


def several(items: list[str]) -> str:
    more = len(items) - SHOWN_MAX
    last = f"<li>and {more} more</li>" if more > 0 else ""
    return f'<ul class="figures">{"".join(f"<li>{item}</li>" for item in items[:SHOWN_MAX])}{last}</ul>'


def value_html(value: Any, units: list[Unit] | None) -> str:
    if isinstance(value, dict) and value:
        return figures_html(value, units)
    if isinstance(value, list) and value:
        if any(map(nested, value)) or any(isinstance(one, str) for one in value) and len(value) > 2:
            return several([value_html(one, units) for one in value])
        shown = [plain_html(one, units) for one in value[:SHOWN_MAX]]
        more = [f"and {len(value) - SHOWN_MAX} more"] if len(value) > SHOWN_MAX else []
        return ", ".join(shown + more)
    return "none" if nested(value) else plain_html(value, units)


def figures_html(figures: dict, units: list[Unit] | None = None) -> str:
    """units: of those whose name tells none."""
    items = []
    for key, value in figures.items():
        name, own = unit_of(key)
        items.append(f"{escape(name)}: {value_html(value, own or units)}")
    return several(items)
