"""How the commands read an arena: as a member, or from a copy if no member slot is free."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
import numpy as np
from numpy.typing import NDArray

import scamem
from scamem.looks.image import Image
from scamem.looks.objects import ObjectInfo
from scamem.looks.stats import Stats

from . import snapshot

BLOCK_BYTES = 512  # the unit of st_blocks


class Look(Protocol):
    """What the commands can show about an arena."""

    def objects(self) -> list[ObjectInfo]:
        """Return every object, with its holders."""

    def stats(self) -> Stats:
        """Return the figures of the arena."""

    def runs(self, index: int) -> list[tuple[int, int]]:
        """Return (first pfn, frames) of each run of an object."""

    def free_bitmap(self) -> NDArray[np.bool_]:
        """Return which frames are free."""


class Joined:
    """An arena that this process has joined; dead members are reaped first."""

    def __init__(self, arena: scamem.Arena) -> None:
        self.objects = arena.objects
        self.stats = arena.stats
        self.runs = arena._seat.member.runs_of
        self.free_bitmap = arena.free_bitmap


class Copied:
    """A copy of the control file of an arena; nothing is reaped or changed."""

    def __init__(self, name: str) -> None:
        taken = snapshot.take(name)
        size = os.stat(taken.path).st_blocks * BLOCK_BYTES
        self._image = Image(taken.words, taken.geometry, os.path.dirname(taken.path), size)
        self.stats = self._image.stats
        self.runs = self._image.runs
        self.free_bitmap = self._image.free_bitmap

    def objects(self) -> list[ObjectInfo]:
        """Return every object, with its holders."""
        return list(self._image.objects())


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
