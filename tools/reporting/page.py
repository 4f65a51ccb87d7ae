# SPDX-License-Identifier: BSD-3-Clause
"""The page: one HTML file, well-formed as XML, that loads nothing."""

from chart import escape
from evidence import MADE_BY, Input
from sections import SECTIONS, table

STYLE = """\
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 820px; padding: 16px 20px 40px; background: #ffffff; color: #222222;
  font: 15px/1.5 system-ui, "DejaVu Sans", Arial, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6em; margin: 0.2em 0; } h2 { font-size: 1.25em; margin: 2em 0 0.3em; border-bottom: 1px solid #bbbbbb; }
h3 { font-size: 1em; margin: 1.4em 0 0.2em; }
p { margin: 0.4em 0; } .note { color: #555555; font-size: 0.9em; }
figure { margin: 0.8em 0; break-inside: avoid; } figcaption { font-weight: 600; margin-bottom: 0.3em; }
svg { display: block; max-width: 100%; height: auto; font-family: system-ui, "DejaVu Sans", Arial, sans-serif; }
.narrow { display: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.86em; width: 100%; overflow-wrap: normal; }
th, td { text-align: left; vertical-align: top; padding: 3px 12px 3px 0; border-bottom: 1px solid #dddddd; }
td.w { overflow-wrap: anywhere; min-width: 8em; } ul.figures { list-style: none; margin: 0; padding: 0; }
ul.figures ul.figures { padding-left: 0.9em; }
td.n, th.n { text-align: right; } td.n { white-space: nowrap; } td:last-child, th:last-child { padding-right: 0; }
code { font-size: 0.92em; } ul { padding-left: 1.3em; }
.pass { color: #1b6e31; font-weight: 600; } .fail { color: #b00020; font-weight: 700; } .skip { color: #666666; font-weight: 600; }
.unjudged { color: #8a5200; font-weight: 700; }
.digest { font-family: monospace; font-size: 0.85em; overflow-wrap: anywhere; }
@media (max-width: 640px) {
  body { padding: 10px 12px 30px; font-size: 14px; }
  .wide { display: none; } .narrow { display: block; }
  td.n { white-space: normal; } td.w { min-width: 0; } td div { min-width: 0; }
  table.stacked thead { display: none; } table.stacked tr { display: block; border-bottom: 1px solid #bbbbbb; padding: 6px 0; }
  table.stacked td { display: flex; gap: 10px; text-align: left; white-space: normal; border: 0; padding: 1px 0; }
  table.stacked td::before { content: attr(data-title); flex: 0 0 7em; color: #666666; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .wide { display: block; } .narrow { display: none; } .scroll { overflow: visible; }
  h2, h3, figcaption { break-after: avoid; } tr { break-inside: avoid; }
}
"""


def missing_text(inputs: list[Input]) -> str:
    """A sentence for each kind that is not there."""
    there = {item.kind for item in inputs}
    named = {kind: title for title, kinds, _ in SECTIONS for kind in kinds}
    lines = [f"<li>No {escape(kind)}, for {escape(named[kind])}: <code>{escape(command)}</code> makes what it needs.</li>"
             for kind, command in MADE_BY.items() if kind not in there]
    return f'<h2 id="missing">Not in this report</h2><ul class="note">{"".join(lines)}</ul>' if lines else ""


def inputs_text(inputs: list[Input]) -> str:
    rows = [[escape(item.name), escape(item.kind), escape(item.data.get("started", "-")),
             f'<span class="digest">{item.digest}</span>'] for item in inputs]
    columns = [("file", ""), ("kind", ""), ("started", ""), ("BLAKE2b-256", "")]
    return f'<h2 id="inputs">Inputs</h2>{table(columns, rows)}'


def make(inputs: list[Input]) -> str:
    body, verdicts = [], []
    for title, kinds, draw in SECTIONS:
        fitting = [item for item in inputs if item.kind in kinds]
        if not fitting:
            continue
        verdict, content = draw(fitting)
        verdicts += verdict
        if content:
            body.append(f'<h2>{escape(title[0].upper() + title[1:])}</h2>{content}')
    summary = "".join(f'<li><span class="{kind}">{escape(word)}</span> {escape(text)}</li>' for kind, word, text in verdicts)
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<title>Weir: what was asked, and what was measured</title>
<style>
{STYLE}</style>
</head>
<body>
<h1>Weir: what was asked, and what was measured</h1>
<p class="note">Bytes are wire bytes: a frame's length without FCS, at least 60, plus 24. Units are decimal.</p>
<ul>{summary}</ul>
{chr(10).join(body)}
{missing_text(inputs)}
{inputs_text(inputs)}
</body>
</html>
"""
