"""A picture of the frames of an arena in the terminal; used frames are dark."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from scamem.backing.text import counted, sized

ROWS_MAX = 10
SHADES = "·░▒▓█"  # used frames of a cell: none, up to 1/4, 1/2, 3/4, all
FREE_STYLE = "dim"
USED_STYLE = "white"


def draw(
    free: NDArray[np.bool_], width: int, parts: Iterable[tuple[str, NDArray[np.uint64]]] = ()
) -> Text:
    """Return a picture of frames.

    Parameters
    ----------
    free : for each frame, whether it is free.
    width : columns of the terminal to fill.
    parts : (style, pfns) of frames to show in a style of their own. A cell takes the style of the
        part that has most frames in it.
    """
    picture = Text(no_wrap=True)
    if len(free) == 0:
        return picture.append("no frames are online", FREE_STYLE)
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
    """Say how many frames one cell of `draw` stands for."""
    per_cell = max(1, -(-len(free) // (width * ROWS_MAX)))
    return f"one cell is {counted(per_cell, 'frame')} ({sized(per_cell * frame_bytes)})"
