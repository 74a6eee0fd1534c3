"""The comparison as one HTML page: verdicts with their traces, costs, plots, structs."""

from __future__ import annotations

from html import escape

from ..comparison import Comparison
from ..scenarios import SCENARIOS
from ..verdicts import Verdict
from .plot import Line, line_plot

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; }
th, td { border: 1px solid #ccc; padding: 2px 6px; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.pass { background: #e2f3e2; } .fail { background: #fbdcd9; font-weight: bold; }
.na { color: #777; }
pre { background: #f6f6f6; padding: .6em; overflow-x: auto; font-size: 12px; }
summary { cursor: pointer; } summary.fail { background: none; }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd; } pre { background: #222; }
  .pass { background: #1d3a1d; } .fail { background: #51211d; } svg { background: #eee; }
}
"""

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
        _introduction(found),
        "<h2>Designs</h2>",
        _designs(found),
        "<h2>Verdicts</h2>",
        _verdicts(found),
        "<h2>Costs on this machine</h2>",
        _machine_costs(found),
        "<h2>How they grow</h2>",
        *_plots(found),
        "<h2>Times</h2>",
        "<p>NumPy over the designs' layouts, ns a page; compare columns, not machines.</p>",
        _times(found),
        "<h2>Why they fail</h2>",
        *_traces(found),
        "<h2>Structs</h2>",
        *_structs(found),
    ]
    if snapshot.unseen:
        items = "".join(f"<li>{escape(line)}</li>" for line in snapshot.unseen)
        body.append(f"<h2>Not seen</h2><ul>{items}</ul>")
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Scattered memory: the designs</title><style>{STYLE}</style></head><body>"
    )
    return "\n".join([head, *body, "</body></html>\n"])


def _introduction(found: Comparison) -> str:
    snapshot = found.snapshot
    made_up = " (a made-up machine)" if snapshot.made_up else ""
    return (
        f"<p>Counted on: {escape(snapshot.name)}, kernel {escape(snapshot.kernel)}{made_up}. "
        "Each cell is the end of a run of the model; open a failing one for its trace.</p>"
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
    lines = ["<table><tr><th>path</th><th>scenario</th>"]
    lines += [f"<th>{escape(name)}</th>" for name in names]
    lines.append("</tr>")
    for play in SCENARIOS:
        lines.append(
            f'<tr><td>{play.path}</td><td title="{escape(play.title)}">{escape(play.name)}</td>'
        )
        lines += [_cell(found.verdict(play.name, name)) for name in names]
        lines.append("</tr>")
    return "\n".join([*lines, "</table>"])


def _cell(cell: Verdict) -> str:
    style = "na" if cell.verdict == "n/a" else cell.verdict
    if cell.verdict == "fail":
        link = f'<a href="#{_anchor(cell)}" title="{escape(cell.reason)}">{escape(cell.kind)}</a>'
        return f'<td class="{style}">{link}</td>'
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
    by_object = [
        Line(
            design.name,
            tuple(
                (float(cost.of.split()[3].replace(",", "")), cost.value)
                for cost in found.costs
                if (cost.design, cost.quantity) == (design.name, "word and metadata")
            ),
        )
        for design in found.designs
    ]
    by_memory = [
        Line(
            design.name,
            tuple(
                (float(cost.of.split()[0].replace(",", "")), cost.value)
                for cost in found.costs
                if (cost.design, cost.quantity) == (design.name, "memmap")
            ),
        )
        for design in found.designs
    ]
    return [
        "<h3>Bytes a page for the page's word and all metadata of its area</h3>",
        line_plot("bytes a page by object size", "pages of the object", "bytes a page", by_object),
        "<h3>The memmap, from 24 GiB to 64 TiB</h3>",
        line_plot("memmap by memory", "memory, GiB", "memmap, GiB", by_memory),
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
    for cell in found.verdicts:
        if cell.verdict != "fail":
            continue
        head = f"{cell.design}, {cell.path} {cell.scenario}: {cell.kind}: {cell.reason}"
        trace = escape("\n".join(cell.trace))
        parts.append(
            f'<details id="{_anchor(cell)}"><summary>{escape(head)}</summary>'
            f"<pre>{trace}</pre></details>"
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
    lines = ["<table><tr>", *(f"<th>{head}</th>" for head in heads), "</tr>"]
    for first, *cells in rows:
        lines.append(f"<tr><td>{first}</td>")
        for cell in cells:
            style = ' class="number"' if cell[:1].isdigit() or cell[:1] == "-" else ""
            lines.append(f"<td{style}>{cell}</td>")
        lines.append("</tr>")
    return "\n".join([*lines, "</table>"])
