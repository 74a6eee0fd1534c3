"""How the commands read an arena: as a member, or from a copy if no member slot is free."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import click
import numpy as np
from numpy.typing import NDArray

import scamem
from scamem.looks.image import Image
from scamem.looks.objects import ObjectInfo
from scamem.looks.snapshot import taken
from scamem.looks.stats import Stats

from . import snapshot

BLOCK_BYTES = 512  # the unit of st_blocks


class Look(Protocol):
    """What the commands can show about an arena."""

    def objects(self) -> list[ObjectInfo]:
        """Return every object, with its holders."""

    def image(self) -> AbstractContextManager[Image]:
        """Return a copy of the control file as of one moment, valid inside a `with` block."""

    def stats(self) -> Stats:
        """Return the figures of the arena."""

    def runs(self, index: int) -> list[tuple[int, int]]:
        """Return (first pfn, frames) of each run of an object."""

    def free_bitmap(self) -> NDArray[np.bool_]:
        """Return which frames are free."""


class Joined:
    """An arena that this process has joined; dead members are reaped first."""

    def __init__(self, arena: scamem.Arena) -> None:
        self._arena = arena
        self.stats = arena.stats
        self.runs = arena._seat.member.runs_of
        self.free_bitmap = arena.free_bitmap

    def objects(self) -> list[ObjectInfo]:
        """Return every object as of one moment, from a copy: one lock for all of them."""
        with self.image() as image:
            return list(image.objects())

    @contextmanager
    def image(self) -> Iterator[Image]:
        """Return a copy of the control file as of one moment, after reaping dead members."""
        seat = self._arena._seat
        self._arena.reap()
        with taken(seat) as words:
            yield Image(words, seat.geometry, seat.path, seat.control.allocated_bytes())


class Copied:
    """A copy of the control file of an arena; nothing is reaped or changed."""

    def __init__(self, name: str) -> None:
        self._name = name
        first = self._take()
        self.stats = first.stats
        self.runs = first.runs
        self.free_bitmap = first.free_bitmap
        self._first = first

    def _take(self) -> Image:
        copy = snapshot.take(self._name)
        size = os.stat(copy.path).st_blocks * BLOCK_BYTES
        return Image(copy.words, copy.geometry, os.path.dirname(copy.path), size)

    @contextmanager
    def image(self) -> Iterator[Image]:
        """Return a new copy of the control file."""
        yield self._take()

    def objects(self) -> list[ObjectInfo]:
        """Return every object, with its holders."""
        return list(self._first.objects())


@contextmanager
def looked_at(name: str) -> Iterator[Look]:
    """Join a named arena; if all its slots are taken, take a copy of it instead.

    The copy shows one moment. A line on stderr says why it is used.
    """
    try:
        arena = scamem.Arena.join(name)
    except scamem.ArenaBusyError as error:
        arena = None
        click.echo(f"scamem: showing a copy of the arena: {error}", err=True)
    if arena is None:
        yield Copied(name)
        return
    with arena:
        yield Joined(arena)
