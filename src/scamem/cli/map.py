"""`scamem map`: the frames of an arena as a picture, coloured by object or by holder."""

from __future__ import annotations

import colorsys
import struct
import zlib
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from scamem.backing.text import printable, sized
from scamem.looks.objects import ObjectInfo

from .contents import command_of
from .looking import Look, looked_at
from .options import arena_option
from .picture import caption, draw
from .show import console

SHOWN_MAX: Final = 8  # objects or holders with a colour of their own; the others share white
TERMINAL_WIDTH_MAX: Final = 96
ROW_CELLS: Final = 256  # frames in a row of a file's picture
ROWS_MAX: Final = 1024
CELL: Final = 4  # pixels
FREE: Final = (0xEE, 0xEE, 0xEE)
OTHERS: Final = (0x88, 0x88, 0x88)
LEGEND_LINE: Final = 18


class Part(NamedTuple):
    """Frames that are drawn in one colour."""

    label: str
    colour: tuple[int, int, int]
    frames: NDArray[np.uint64]


@click.command("map")
@arena_option
@click.option(
    "--by",
    type=click.Choice(["object", "holder"]),
    default="object",
    show_default=True,
    help="What a colour stands for.",
)
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Write an SVG file.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Write a PNG file.")
def map_command(arena_name: str, by: str, svg: Path | None, png: Path | None) -> None:
    """Draw the frames of an arena, coloured by object or by the process that holds them.

    The largest eight have a colour of their own. With --svg or --png, the picture goes to a file.
    """
    with looked_at(arena_name) as look:
        free = look.free_bitmap()
        parts = _parts(look, by)
        frame_bytes = look.stats().frame_bytes
    if svg is not None:
        svg.write_text(_svg(free, parts), encoding="utf-8")
    if png is not None:
        png.write_bytes(_png(_cells(free, parts)[0]))
    if svg is None and png is None:
        _print(free, parts, frame_bytes)


def _parts(look: Look, by: str) -> list[Part]:
    """Return the largest objects or holders, with their frames."""
    groups: dict[str, list[ObjectInfo]] = {}
    for info in look.objects():
        labels = [", ".join(map(printable, info.names)) or f"object {info.index}"]
        if by == "holder":
            labels = [_holder_label(info)]
        for label in labels:
            groups.setdefault(label, []).append(info)
    largest = sorted(groups.items(), key=lambda item: -sum(one.nr for one in item[1]))[:SHOWN_MAX]
    return [
        Part(
            f"{label}  {sized(sum(one.nbytes for one in infos))}",
            _colour(number),
            _frames([run for info in infos for run in look.runs(info.index)]),
        )
        for number, (label, infos) in enumerate(largest)
    ]


def _holder_label(info: ObjectInfo) -> str:
    """Say which processes hold an object."""
    pids = sorted({one.pid for one in info.holders if one.kind == "member" and one.count})
    if not pids:
        return "names and handles only"
    if len(pids) > 1:
        return f"pids {', '.join(map(str, pids))}"
    return f"pid {pids[0]} {command_of(pids[0])}".strip()


def _colour(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hls_to_rgb(number / SHOWN_MAX, 0.45, 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)


def _frames(runs: Sequence[tuple[int, int]]) -> NDArray[np.uint64]:
    if not runs:
        return np.empty(0, np.uint64)
    return np.concatenate([np.arange(first, first + n, dtype=np.uint64) for first, n in runs])


def _print(free: NDArray[np.bool_], parts: list[Part], frame_bytes: int) -> None:
    output = console()
    width = max(20, min(output.width, TERMINAL_WIDTH_MAX))
    styles = [("#{:02x}{:02x}{:02x}".format(*part.colour), part) for part in parts]
    output.print(draw(free, width, [(style, part.frames) for style, part in styles]))
    for style, part in styles:
        output.print(Text.assemble(("█ ", style), part.label))
    click.echo(caption(free, width, frame_bytes))


def _cells(free: NDArray[np.bool_], parts: list[Part]) -> tuple[NDArray[np.uint8], int]:
    """Return a picture, (rows, columns, 3), and how many frames one of its cells stands for.

    A cell of several frames shows the first one that is in use.
    """
    per_cell = max(1, -(-len(free) // (ROW_CELLS * ROWS_MAX)))
    rows = max(1, -(-len(free) // (ROW_CELLS * per_cell)))
    owners = np.zeros(rows * ROW_CELLS * per_cell, np.uint8)
    owners[: len(free)] = ~free
    for number, part in enumerate(parts, 2):
        owners[part.frames[part.frames < len(free)].astype(np.intp)] = number
    cells = owners.reshape(rows, ROW_CELLS, per_cell)
    first = (cells != 0).argmax(axis=2)
    shown = np.take_along_axis(cells, first[..., None], axis=2)[..., 0]
    palette = np.array([FREE, OTHERS, *(part.colour for part in parts)], np.uint8)
    return palette[shown], per_cell


def _png(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture, (rows, columns, 3), as a PNG file with CELL x CELL pixels for each cell."""
    large = picture.repeat(CELL, axis=0).repeat(CELL, axis=1)
    height, width = large.shape[:2]
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = large.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(lines.tobytes()))
        + chunk(b"IEND", b"")
    )


def _svg(free: NDArray[np.bool_], parts: list[Part]) -> str:
    """Return the picture with a legend as an SVG file."""
    picture, per_cell = _cells(free, parts)
    rows, columns = picture.shape[:2]
    legend = [*((part.label, part.colour) for part in parts), ("others", OTHERS), ("free", FREE)]
    top = rows * CELL + LEGEND_LINE
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * CELL}" '
            f'height="{top + LEGEND_LINE * len(legend)}" font-family="sans-serif" font-size="12">'
        )
    ]
    for row in range(rows):
        ends = np.flatnonzero((picture[row, 1:] != picture[row, :-1]).any(axis=1)) + 1
        for first, end in zip([0, *ends], [*ends, columns], strict=True):
            lines.append(
                f'<rect x="{first * CELL}" y="{row * CELL}" width="{(end - first) * CELL}" '
                f'height="{CELL}" fill="{_hex(picture[row, first])}"/>'
            )
    for number, (label, colour) in enumerate(legend):
        y = top + LEGEND_LINE * number
        lines.append(f'<rect x="0" y="{y}" width="12" height="12" fill="{_hex(colour)}"/>')
        lines.append(f'<text x="18" y="{y + 11}" fill="#666">{escape(label)}</text>')
    return "\n".join([*lines, f"<desc>one cell is {per_cell} frames</desc>", "</svg>", ""])


def _hex(colour: Sequence[int] | NDArray[np.uint8]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(int(part) for part in colour))
