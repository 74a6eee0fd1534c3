"""The comparison as one HTML page: verdicts with their traces, costs, plots, structs."""

from __future__ import annotations

from html import escape

from .. import booted
from ..comparison import Comparison
from ..rules import questions
from ..scenarios import SCENARIOS
from ..verdicts import Verdict
from .plot import Line, line_plot
from .summary import QUESTION, findings, survivors

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --line: #d4d4d4; --soft: #f5f5f5;
  --muted: #6b6b6b; --pass: #2f7a38; --harm: #fbd5cf; --refuse: #fdeecb; --link: #7a1f10; }
@media (prefers-color-scheme: dark) { :root { --ink: #dedede; --paper: #161616; --line: #3a3a3a;
  --soft: #222; --muted: #9a9a9a; --pass: #79c283; --harm: #5b211a; --refuse: #4b3a10;
  --link: #ffc7bb; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1240px; margin: 2em auto; padding: 0 1em; }
h2 { margin-top: 2em; border-bottom: 1px solid var(--line); } h3 { margin: 1.6em 0 .3em; }
.scroll { overflow-x: auto; margin: 1em 0; }
table { border-collapse: collapse; font-size: 13px; line-height: 1.35; }
th, td { border: 1px solid var(--line); padding: 3px 7px; text-align: left; vertical-align: top; }
th { background: var(--soft); } thead th { position: sticky; top: 0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.verdicts { table-layout: fixed; width: 100%; min-width: 1100px; }
.verdicts th { padding: 3px; text-align: center; }
.verdicts th:nth-child(1) { width: 2.4em; } .verdicts th:nth-child(2) { width: 14em; }
.verdicts td { text-align: center; font-size: 11px; padding: 3px 2px; }
.verdicts td.name { text-align: left; white-space: nowrap; font-size: 12px; padding: 3px; }
.pass { color: var(--pass); } .na { color: var(--muted); }
.harm { background: var(--harm); font-weight: 600; } .refuse { background: var(--refuse); }
.harm a, .refuse a { color: inherit; text-decoration: none; }
.harm a:hover, .refuse a:hover { text-decoration: underline; }
.key { padding: 0 .4em; border: 1px solid var(--line); }
pre { background: var(--soft); padding: .6em .8em; overflow-x: auto; font-size: 12px; }
.trace { margin: .3em 0 .3em 1em; font-size: 13px; } .trace a { color: inherit; }
.trace pre { display: none; } .trace:target pre { display: block; }
@media print { .trace pre { display: block; } }
svg { max-width: 100%; height: auto; }
"""

TIMED_POINTS_MIN = 3
MACHINE_FIGURES = (
    ("page word", "bytes a page"),
    ("memmap and lookup table", "bytes"),
    ("words of vmalloc pages", "bytes"),
    ("objects", "bytes"),
    ("objects, net of pages[] replaced", "bytes"),
    ("all metadata, more than today", "bytes"),
    ("metadata allocations", "a vmalloc"),
    ("nested vmallocs", "in all"),
    ("lookup table", "bytes"),
)


def page(found: Comparison) -> str:
    """The whole page; it loads nothing."""
    snapshot = found.snapshot
    body = [
        "<h1>Scattered memory: the designs, side by side</h1>",
        *_conclusion(found),
        _introduction(found),
        "<h2>Designs</h2>",
        _designs(found),
        "<h3>What each answers</h3>",
        "<p>Change one: <code>scamem designs --set DESIGN.RULE=ANSWER</code>.</p>",
        _answers(found),
        "<h2>Verdicts</h2>",
        _verdicts(found),
        f"<h2>Costs on {escape(_machine(found))}</h2>",
        _machine_costs(found),
        "<h2>How costs grow</h2>",
        *_plots(found),
        "<h2>Times</h2>",
        "<p>NumPy over the designs' layouts, ns a page; compare columns, not machines.</p>",
        _times(found),
        "<h2>Why they fail</h2>",
        "<p>Open a line for the steps that lead there; of a race, the shortest that fails.</p>",
        *_traces(found),
        "<h2>Structs</h2>",
        *_structs(found),
    ]
    if snapshot.unseen:
        items = "".join(f"<li>{escape(line)}</li>" for line in snapshot.unseen)
        body.append(f"<h2>Not seen</h2><ul>{items}</ul>")
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Scattered memory: the designs</title><style>{STYLE}</style></head><body>"
    )
    return "\n".join([head, *body, "</body></html>\n"])


def _machine(found: Comparison) -> str:
    """This machine, or the recorded or made-up one that was counted on instead."""
    snapshot = found.snapshot
    if snapshot.made_up:
        return f"{snapshot.name}, a made-up machine"
    return f"{snapshot.name}, a recorded machine" if snapshot.recorded else "this machine"


def _conclusion(found: Comparison) -> list[str]:
    """What was asked, what a booted kernel showed, which design survives what."""
    parts = [f"<p>{escape(' '.join(QUESTION))}</p>"]
    for path in booted.shipped().values():
        head, *lines = findings(booted.load(path))
        items = "".join(f"<li>{escape(line.lstrip('- '))}</li>" for line in lines)
        parts.append(f"<p>{escape(head)}</p><ul>{items}</ul>")
    rows = [tuple(escape(cell) for cell in row) for row in survivors(found.designs, found.verdicts)]
    heads = ("design", "what", "pass", "harms on", "refuses, or keeps too much, on")
    return [*parts, _table(heads, rows)]


def _introduction(found: Comparison) -> str:
    snapshot = found.snapshot
    return (
        "<p>Each design of the linux-mm thread is a set of answers; a "
        "model of the kernel's paths acts on the answers alone, and each cell is how a run of it "
        "ended. A failing cell leads to its trace.</p>"
        '<p><span class="key harm">harm</span> memory is freed under a user, lost, misplaced or '
        'not paid for. <span class="key refuse">refusal</span> the design says no, or keeps more '
        'than it needs. <span class="key pass">pass</span> <span class="key na">n/a</span> the '
        "design does not come to the point of the scenario.</p>"
        f"<p>Costs are counted on {escape(_machine(found))}, kernel "
        f"{escape(snapshot.kernel)}. Made by <code>scamem designs --html</code>.</p>"
    )


def _answers(found: Comparison) -> str:
    rows = []
    for question in questions():
        told = []
        for text, value in question.spelled().items():
            names = [d.name for d in found.designs if getattr(d.rules, question.rule) == value]
            shown = f"<b>{escape(text)}</b>"
            told.append(f"{shown} ({escape(', '.join(names))})" if names else escape(text))
        rows.append((f"<code>{escape(question.rule)}</code>", escape(question.text), *told))
    return _table(
        ("rule", "question", "answers, and whose they are"),
        [(rule, text, "; ".join(told)) for rule, text, *told in rows],
    )


def _designs(found: Comparison) -> str:
    rows = [
        (
            escape(d.name),
            escape(d.title),
            escape(d.source),
            escape(d.rules.word),
            *(str(count) for count in found.tally(d.name).values()),
        )
        for d in found.designs
    ]
    return _table(("design", "what", "where from", "page word", "pass", "fail", "n/a"), rows)


def _verdicts(found: Comparison) -> str:
    names = [design.name for design in found.designs]
    lines = [
        '<div class="scroll"><table class="verdicts"><thead><tr><th>path</th><th>scenario</th>'
    ]
    lines += [f"<th>{escape(name)}</th>" for name in names]
    lines.append("</tr></thead>")
    for play in SCENARIOS:
        lines.append(
            f'<tr><td class="name">{play.path}</td>'
            f'<td class="name" title="{escape(play.title)}">{escape(play.name)}</td>'
        )
        lines += [_cell(found.verdict(play.name, name)) for name in names]
        lines.append("</tr>")
    return "\n".join([*lines, "</table></div>"])


def _cell(cell: Verdict) -> str:
    if cell.verdict == "fail":
        style = "harm" if cell.harms else "refuse"
        link = f'<a href="#{_anchor(cell)}" title="{escape(cell.reason)}">{escape(cell.kind)}</a>'
        return f'<td class="{style}">{link}</td>'
    style = "na" if cell.verdict == "n/a" else "pass"
    return f'<td class="{style}" title="{escape(cell.reason)}">{cell.verdict}</td>'


def _anchor(cell: Verdict) -> str:
    return f"why-{cell.design}-{cell.scenario}".replace(" ", "-")


def _machine_costs(found: Comparison) -> str:
    rows = []
    for quantity, unit in MACHINE_FIGURES:
        values = [found.value(design.name, quantity, unit) for design in found.designs]
        if any(value is not None for value in values):
            cells = [_figure(value) for value in values]
            rows.append((f"{escape(quantity)}, {escape(unit)}", *cells))
    return _table(("", *(escape(design.name) for design in found.designs)), rows)


def _plots(found: Comparison) -> list[str]:
    """Growth of what was counted, and of page_to_nid where enough sizes were measured."""
    plots = [
        "<h3>Page word and all metadata of an area: bytes a page</h3>",
        line_plot(
            "bytes a page by object size",
            "pages of the object (log scale)",
            "bytes a page (log scale)",
            _lines(found, "word and metadata", 3),
        ),
        "<h3>All page words (memmap): GiB, as memory grows</h3>",
        line_plot(
            "memmap by memory",
            "memory, GiB (log scale)",
            "memmap, GiB (log scale)",
            _lines(found, "memmap", 0),
        ),
    ]
    timed = _lines(found, "page_to_nid", 2)
    if max(len(line.points) for line in timed) >= TIMED_POINTS_MIN:
        plots += [
            "<h3>page_to_nid() of a live page: ns, measured in NumPy</h3>",
            line_plot(
                "page_to_nid by object size",
                "pages of the object (log scale)",
                "ns a page (log scale)",
                timed,
            ),
        ]
    return plots


def _lines(found: Comparison, quantity: str, word: int) -> list[Line]:
    """One quantity of each design over the number that is that word of what it was counted of."""
    return [
        Line(
            design.name,
            tuple(
                (float(cost.of.split()[word].replace(",", "")), cost.value)
                for cost in found.costs
                if (cost.design, cost.quantity) == (design.name, quantity)
            ),
        )
        for design in found.designs
    ]


def _times(found: Comparison) -> str:
    timed = [cost for cost in found.costs if cost.unit == "ns a page"]
    heads = list(dict.fromkeys((cost.quantity, cost.of) for cost in timed))
    rows = []
    for quantity, of in heads:
        for_row = {c.design: c.value for c in timed if (c.quantity, c.of) == (quantity, of)}
        cells = [_figure(for_row.get(design.name)) for design in found.designs]
        if any(cells):
            rows.append((escape(f"{quantity}, {of}"), *cells))
    return _table(("", *(escape(design.name) for design in found.designs)), rows)


def _traces(found: Comparison) -> list[str]:
    parts = []
    for play in SCENARIOS:
        cells = [c for c in found.verdicts if (c.scenario, c.verdict) == (play.name, "fail")]
        if cells:
            parts.append(f"<h3>{play.path} {escape(play.name)}: {escape(play.title)}</h3>")
        for cell in cells:
            head = f"{cell.design}: {cell.kind}: {cell.reason}"
            trace = escape("\n".join(cell.trace))
            parts.append(
                f'<div class="trace" id="{_anchor(cell)}">'
                f'<a href="#{_anchor(cell)}">{escape(head)}</a><pre>{trace}</pre></div>'
            )
    return parts


def _structs(found: Comparison) -> list[str]:
    parts = []
    for design in found.designs:
        text = "\n\n".join(struct.pahole() for struct in design.structs())
        parts.append(f"<h3>{escape(design.name)}</h3><pre>{escape(text)}</pre>")
    return parts


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of cells that are HTML already; numbers are set right."""
    lines = ['<div class="scroll"><table><thead><tr>', *(f"<th>{head}</th>" for head in heads)]
    lines.append("</tr></thead>")
    for first, *cells in rows:
        lines.append(f"<tr><td>{first}</td>")
        for cell in cells:
            plain = cell.lstrip("-").replace(",", "").replace(".", "")
            style = ' class="number"' if plain.isdigit() else ""
            lines.append(f"<td{style}>{cell}</td>")
        lines.append("</tr>")
    return "\n".join([*lines, "</table></div>"])
