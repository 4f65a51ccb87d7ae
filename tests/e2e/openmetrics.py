# SPDX-License-Identifier: BSD-3-Clause
"""A strict reader of OpenMetrics text, as far as Weir uses it."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(rf"({NAME})(\{{(.*)\}})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)")
SUFFIX = {"counter": "_total", "gauge": "", "info": "_info", "stateset": ""}


def parse_labels(text: str) -> tuple[tuple[str, str], ...]:
    labels = []
    while text:
        match = LABEL.match(text)
        assert match, text
        labels.append((match[1], re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match[2])))
        text = text[match.end():]
        if text:
            assert text[0] == "," and len(text) > 1, text
            text = text[1:]
    assert len({name for name, _ in labels}) == len(labels)
    return tuple(labels)


def parse(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Sample name to labels to value. Raises AssertionError for whatever the format forbids."""
    assert text.endswith("# EOF\n") and text.count("# EOF") == 1
    samples: dict[str, dict] = {}
    family, kind, unit, described = None, None, None, set()
    for line in text[:-len("# EOF\n")].splitlines():
        assert line and line == line.strip(), line
        if line.startswith("#"):
            mark, word, name, rest = line.split(" ", 3)
            assert mark == "#" and word in ("TYPE", "UNIT", "HELP") and re.fullmatch(NAME, name)
            if name != family:
                assert word == "TYPE", f"TYPE comes first: {line}"
                assert (name not in described), f"a family comes once: {line}"
                described.add(name)
                family, kind, unit, seen = name, None, None, {}
            assert word not in seen, line
            seen[word] = rest
            if word == "TYPE":
                assert rest in SUFFIX, line
                kind = rest
                assert not name.endswith("_total"), line
            elif word == "UNIT":
                unit = rest
                assert name.endswith("_" + unit), line
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match[1], parse_labels(match[3] or ""), float(match[4])
        assert family is not None and "HELP" in seen
        assert name == family + SUFFIX[kind], f"{name} in family {family}"
        if kind == "counter":
            assert value >= 0
        if kind == "stateset":
            assert value in (0, 1) and family in dict(labels)
        assert labels not in samples.setdefault(name, {}), f"twice: {line}"
        samples[name][labels] = value
    return samples
