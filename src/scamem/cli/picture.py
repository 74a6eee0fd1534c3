"""A picture of an arena's frames in the terminal: dark where they are used."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

ROWS_MAX = 10
SHADES = "·░▒▓█"  # none of a cell's frames in use, up to a quarter, a half, three, all
FREE_STYLE = "dim"
USED_STYLE = "white"


def draw(
    free: NDArray[np.bool_], width: int, parts: Iterable[tuple[str, NDArray[np.uint64]]] = ()
) -> Text:
    """Return a picture of frames.

    Parameters
    ----------
    free : which frames are free, one a frame.
    width : columns of the terminal to fill.
    parts : (style, pfns) of frames that are to be told apart; of several in a cell the one that
        has most of it gives its style.
    """
    picture = Text(no_wrap=True)
    if len(free) == 0:
        return picture.append("no frame is online", FREE_STYLE)
    per_cell = max(1, -(-len(free) // (width * ROWS_MAX)))
    cells = -(-len(free) // per_cell)
    owners = np.where(free, 0, 1).astype(np.intp)
    styles = [FREE_STYLE, USED_STYLE]
    for style, frames in parts:
        owners[frames.astype(np.intp)] = len(styles)
        styles.append(style)
    counts = np.zeros((cells, len(styles)), dtype=np.intp)
    np.add.at(counts, (np.arange(len(free)) // per_cell, owners), 1)
    used = counts[:, 1:].sum(axis=1)
    shades = -(-used * (len(SHADES) - 1) // counts.sum(axis=1))
    chosen = np.where(used > 0, counts[:, 1:].argmax(axis=1) + 1, 0)
    for cell in range(cells):
        if cell and cell % width == 0:
            picture.append("\n")
        picture.append(SHADES[shades[cell]], styles[chosen[cell]])
    return picture


def caption(free: NDArray[np.bool_], width: int, frame_bytes: int) -> str:
    """Say what a cell of `draw` stands for."""
    per_cell = max(1, -(-len(free) // (width * ROWS_MAX)))
    return f"a cell is {per_cell:,} frames ({per_cell * frame_bytes // 1024:,} KiB)"
