"""Parts of an arena's frames, and of its control file."""

from __future__ import annotations

from typing import NamedTuple


class Region(NamedTuple):
    """A part of the control file, in words."""

    start: int
    words: int


class Span(NamedTuple):
    """A zone: the frames of one kind on one node, in consecutive order.

    Attributes
    ----------
    node : number of the NUMA node.
    kind : layout.KIND_NORMAL or KIND_HUGE.
    sections : how many sections it has.
    """

    node: int
    kind: int
    sections: int


def top_height(span: Span) -> int:
    """Return the levels of a zone's tree above its sections."""
    return (span.sections - 1).bit_length()
