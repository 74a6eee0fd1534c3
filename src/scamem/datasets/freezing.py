"""`freeze`: make a value a frozen one in an arena; and what opens one again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from scamem.arrays.array import Array
from scamem.arrays.create import array
from scamem.arrays.place import locate
from scamem.core.store import layout as L
from scamem.errors import DatasetDamagedError
from scamem.handles.description import FROZEN
from scamem.handles.openers import OPENERS
from scamem.membership.member import Hold
from scamem.membership.seat import Seat, Seated

from . import layout as F
from .columns import Records, column_at
from .encoder import Encoder, Report, is_iterator
from .forms import PLAIN_ARRAYS, is_instance
from .layout import Place, damaged
from .on_frames import OnFrames
from .paths import CycleError, UnfitError, shortest_cycle
from .sequences import FrozenTuple, list_of
from .source import Source

CONTAINERS = (list, tuple, dict, set, frozenset)
SAY_EVERY_S = 0.1


def freeze(arena: Seated, obj: Any, *, progress: Any = None) -> Any:
    """Store a value in this arena as an immutable copy that all processes read in place.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena["settings"] = arena.freeze({"run": 7, "names": ["a", "b"]})
    >>> arena["settings"]["names"][1]
    'b'

    See `scamem.freeze`.
    """
    seat = arena._seat
    seat.check_open()
    if isinstance(obj, OnFrames):
        place = obj._scamem_place()
        if place is not None and place[0].seat is seat:
            return obj
    if isinstance(obj, bytearray):
        return bytes(obj)
    if type(obj) in PLAIN_ARRAYS:
        return _frozen_array(seat, obj)
    stream = is_iterator(obj)
    if not (stream or isinstance(obj, (*CONTAINERS, OnFrames)) or is_instance(obj)):
        _check(seat, obj)
        return obj
    with reporting(progress) as report:
        return _frozen(seat, obj, stream, report)


def _frozen(seat: Seat, obj: Any, stream: bool, report: Report | None) -> Any:
    encoder = Encoder(seat, report)
    try:
        root = encoder.encode_stream(obj) if stream else encoder.encode(obj, 0)
        made = encoder.finish(root)
        seat.member.mark_pickled(made)
    except UnfitError as error:
        found = shortest_cycle(obj) if isinstance(error, CycleError) and not stream else None
        found = found or error
        raise TypeError(f"cannot freeze value{found.path}: {found.why}") from None
    except RecursionError:
        raise TypeError("cannot freeze a value that is nested so deeply; flatten it") from None
    finally:
        encoder.close()
    source = Source(seat, made)
    return source.value(root, source.nbytes)


def _frozen_array(seat: Seat, obj: Any) -> Array:
    """Return a read-only copy of an array in the arena; an array of a frozen value as it is."""
    if isinstance(obj, Array) and _is_frozen(seat, obj):
        return obj
    return array(seat, obj).readonly()


def _is_frozen(seat: Seat, obj: Array) -> bool:
    """Return whether an array is part of a frozen value, so that nobody can write to it."""
    place = locate(obj)
    if place is None or place.hold.member.seat is not seat or obj.flags.writeable:
        return False
    try:
        Source(seat, place.hold.another(L.BY_PIN))
    except DatasetDamagedError:
        return False
    return True


def _check(seat: Seat, obj: Any) -> None:
    """Raise TypeError if a value that is no container cannot be frozen. It stays as it is."""
    encoder = Encoder(seat, None)
    try:
        encoder.encode(obj, 0)
    except UnfitError as error:
        raise TypeError(f"cannot freeze the value: {error.why}") from None
    finally:
        encoder.close()


# --- opening ----------------------------------------------------------------------------------


def open_frozen(seat: Seat, hold: Hold, of: bytes) -> Any:
    """Return the part of a frozen object that a handle or a name refers to.

    Ownership: the result takes `hold` over. Raises DatasetDamagedError, ScamemError.
    """
    try:
        place = Place(*F.PLACE.unpack(of)) if of else None
    except F.PLACE_ERROR:
        raise damaged("its handle says no part of it") from None
    source = Source(seat, hold)
    if place is None:
        return source.value(source.root, source.nbytes)
    if place.kind == F.VALUE:
        return source.value(place.ref & F.MASK_64, source.nbytes)
    column = column_at(source, place.ref & F.MASK_64, source.nbytes)
    if place.kind == F.ROW:
        if not isinstance(column, Records) or not 0 <= place.start < column.count:
            raise damaged(f"its handle refers to row {place.start:,} of {column.count:,}")
        return column.get(place.start)
    if place.kind not in (F.ITEMS, F.TUPLE_ITEMS) or place.step == 0:
        raise damaged("its handle refers to no part of it")
    rows = range(place.start, place.stop, place.step)
    if rows and not (min(rows[0], rows[-1]) >= 0 and max(rows[0], rows[-1]) < column.count):
        raise damaged(f"its handle refers to rows {rows} of {column.count:,}")
    return (list_of if place.kind == F.ITEMS else FrozenTuple)(column, rows)


OPENERS[FROZEN] = open_frozen


# --- progress ---------------------------------------------------------------------------------


@contextmanager
def reporting(progress: Any) -> Iterator[Report | None]:
    """Yield what is called with (done, total): a bar for True, a function as it is, or None."""
    if progress is None or progress is False:
        yield None
    elif callable(progress):
        yield progress
    elif progress is not True:
        raise TypeError(f"progress is a function of (done, total), True or None, not {progress!r}")
    else:
        try:
            from rich.progress import Progress
        except ImportError:
            yield _on_stderr()
            return
        with Progress(transient=True) as bars:
            task = bars.add_task("freezing", total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)


def _on_stderr() -> Callable[[int, int | None], None]:
    """Return what writes a line of progress to stderr, some times a second."""
    said = 0.0

    def say(done: int, total: int | None) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= SAY_EVERY_S or done == total:
            said = now
            of = f" of {total:,}" if total is not None else ""
            sys.stderr.write(f"\rfreezing: {done:,}{of} items" + ("\n" if done == total else ""))

    return say
