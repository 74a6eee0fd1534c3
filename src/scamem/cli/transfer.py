"""`scamem put` and `scamem get`: copy files into an arena, and objects to files."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import click
import numpy as np
from numpy.typing import NDArray

import scamem
from scamem.backing import places
from scamem.backing.text import counted, sized
from scamem.handles.names import encode_name
from scamem.integrations.delimited import delimiter_of, is_compressed

from . import tables
from .formats import CSV, FORMATS, RAW, STANDARD, Arrays, format_of, read, write
from .options import Size, arena_option, json_option, progress
from .show import print_json

CHUNK_BYTES = 16 << 20
SETTLED_S = 0.2  # new members of a name come within this time of each other
MEMBER = "/"  # between a name and the name of its member

format_option = click.option(
    "--as",
    "wanted",
    type=click.Choice(FORMATS),
    help="Format of the file. Default: by the ending of its name, else raw.",
)


@click.command("put")
@click.argument("file")
@click.argument("name")
@arena_option
@format_option
@click.option("--replace", is_flag=True, help="Replace the object that NAME refers to.")
@click.option("--columns", is_flag=True, help="For a table: one name for each column, NAME/column.")
@click.option("--arrow", is_flag=True, help="For CSV: an Arrow table instead of an array.")
@click.option(
    "--capacity",
    type=Size(),
    metavar="SIZE",
    help="Largest size of a new arena, such as 4G. Default: the memory of this machine.",
)
@json_option
def put_command(
    file: str,
    name: str,
    arena_name: str,
    wanted: str | None,
    replace: bool,
    columns: bool,
    arrow: bool,
    capacity: int | None,
    as_json: bool,
) -> None:
    """Copy FILE into the arena under NAME. Create the arena if it does not exist.

    \b
    .npy   an array
    .npz   one name for each member: NAME/member
    .csv   one structured array with a field for each column: x["column"] is a view of it.
           Columns are int64, uint64 or float64 (missing values are NaN) if each value can be
           written again as it was, else text: 01234 stays 01234. The first line names them.
           Also .tsv, .csv.gz and .tsv.gz.
    .parquet .arrow .feather
           an Arrow table: scamem.integrations.arrow.get(NAME)
    else   bytes, as an array of uint8; "-" is stdin

    With --columns, a table gets one name for each column: NAME/column.

    The name keeps the data in the arena after this command has ended, until `scamem rm NAME` or a
    restart of the machine.
    """
    kind = format_of(file, wanted)
    _check_options(kind, columns, arrow)
    found = read(file, kind)
    if arrow or (kind in tables.TABLES and not columns):
        _put_table(found, name, arena_name, capacity, replace, as_json)
        return
    if kind == CSV or columns:
        found = _arrays_of(found, columns)
    members = found if isinstance(found, Mapping) else {}
    arrays = {f"{name}{MEMBER}{key}": array for key, array in members.items()} or {name: found}
    if found is members and not members:
        raise click.ClickException(f"{file} has no arrays; nothing was put")
    with _arena_to_fill(arena_name, capacity) as arena:
        _check_names(arena, list(arrays), replace)
        _publish(arena, arrays, replace)
    _report_put(arrays, arena_name, as_json)


def _check_options(kind: str, columns: bool, arrow: bool) -> None:
    if columns and kind != CSV and kind not in tables.TABLES:
        raise click.UsageError(f"--columns is for tables (csv), but this file is {kind}")
    if arrow and (columns or kind != CSV):
        raise click.UsageError("--arrow is for csv files, and excludes --columns")
    if arrow:
        tables.check_there("--arrow: Arrow")


def _arrays_of(found: Any, columns: bool) -> NDArray[Any] | Arrays:
    """Return a table as one structured array, or as an array for each column."""
    if isinstance(found, np.ndarray):
        return {name: found[name] for name in found.dtype.names or ()} if columns else found
    arrays = tables.arrays_of(found.read_all() if hasattr(found, "read_all") else found)
    if columns:
        return arrays
    fields = [(name, array.dtype) for name, array in arrays.items()]
    whole = np.empty(found.num_rows, fields)
    for name, array in arrays.items():
        whole[name] = array
    return whole


def _put_table(
    source: Any, name: str, arena_name: str, capacity: int | None, replace: bool, as_json: bool
) -> None:
    """Store a table in Arrow's form and publish it."""
    with _arena_to_fill(arena_name, capacity) as arena:
        _check_names(arena, [name], replace)
        handle, table = tables.put(arena, source)
        arena.publish(name, handle, replace=replace)
    columns = dict(zip(table.column_names, map(str, table.schema.types), strict=True))
    if as_json:
        about = {"name": name, "arena": arena_name, "columns": columns}
        print_json([{**about, "rows": table.num_rows, "nbytes": table.nbytes}])
        return
    shape = f"{counted(table.num_rows, 'row')}, {counted(len(columns), 'column')}"
    click.echo(f"{name}: {shape}, an Arrow table, {sized(table.nbytes)}")


@contextlib.contextmanager
def _arena_to_fill(name: str, capacity: int | None) -> Iterator[scamem.Arena]:
    """Join an arena, or create it; remove a new one again if the command fails."""
    try:
        arena, created = scamem.Arena.join(name), False
    except scamem.ArenaNotFoundError:
        arena, created = scamem.Arena.open(name, capacity=capacity), True
    with arena:
        try:
            yield arena
        except BaseException:
            if created and len(arena) == 0:
                places.remove(name)
            raise


def _check_names(arena: scamem.Arena, names: list[str], replace: bool) -> None:
    """Fail before anything is copied."""
    for name in names:
        try:
            encode_name(name)
        except ValueError as error:
            raise click.ClickException(f"{name:.60}: {error}; nothing was put") from None
    taken = [name for name in names if name in arena]
    if taken and not replace:
        raise scamem.NameExistsError(
            f"{taken[0]!r} is already published; use another name, remove this one "
            f"(scamem rm {taken[0]}), or add --replace"
        )


def _publish(arena: scamem.Arena, arrays: Arrays, replace: bool) -> None:
    """Copy all arrays, then publish them. A failure removes those of the names that are new."""
    total = sum(array.nbytes for array in arrays.values())
    with progress("copying", total) as step:
        made = {name: _copied(arena, array, step) for name, array in arrays.items()}
    new: list[str] = []
    try:
        for name, array in made.items():
            was_there = name in arena
            arena.publish(name, array, replace=replace)
            if not was_there:
                new.append(name)
    except BaseException as error:
        for name in new:
            with contextlib.suppress(scamem.NameNotFoundError):
                arena.unpublish(name)
        if isinstance(error, ValueError) and any(array.dtype.names for array in made.values()):
            raise click.ClickException(
                f"{error}. A table of many columns: add --columns or --arrow"
            ) from error
        raise


def _copied(arena: scamem.Arena, source: NDArray[Any], step: Callable[[int], None]) -> scamem.Array:
    """Copy an array into the arena part by part; a mapped file is read into it."""
    if isinstance(source, np.memmap) and source.nbytes:
        return _read(arena, source, step)
    fortran = source.flags.f_contiguous and not source.flags.c_contiguous
    made = arena.empty(source.shape, source.dtype, "F" if fortran else "C")
    into, from_ = (made.T, source.T) if fortran else (made, source)
    if into.ndim == 0 or into.nbytes <= CHUNK_BYTES:
        into[...] = from_
        step(source.nbytes)
        return made
    rows = max(1, CHUNK_BYTES * len(into) // into.nbytes)
    for start in range(0, len(into), rows):
        part = into[start : start + rows]
        part[...] = from_[start : start + rows]
        step(part.nbytes)
    return made


def _read(
    arena: scamem.Arena, source: np.memmap[Any, Any], step: Callable[[int], None]
) -> scamem.Array:
    """Read a mapped file into the arena, which is faster than to copy the mapping."""
    fortran = source.flags.f_contiguous and not source.flags.c_contiguous
    shape = source.shape[::-1] if fortran else source.shape
    seen = 0

    def progressed(done: int, _: int) -> None:
        nonlocal seen
        step(done - seen)
        seen = done

    made = arena.from_file(str(source.filename), source.dtype, shape, source.offset, progressed)
    return made.T if fortran else made


def _report_put(arrays: Arrays, arena_name: str, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "arena": arena_name,
                    "dtype": _dtype_json(array.dtype),
                    "shape": list(array.shape),
                    "nbytes": array.nbytes,
                }
                for name, array in arrays.items()
            ]
        )
        return
    for name, array in arrays.items():
        click.echo(f"{name}: {_about(array)}")


def _dtype_json(dtype: np.dtype[Any]) -> Any:
    return np.lib.format.dtype_to_descr(dtype)


def _about(array: NDArray[Any]) -> str:
    fields = array.dtype.names
    kind = counted(len(fields), "column") if fields else str(array.dtype)
    shape = " x ".join(f"{length:,}" for length in array.shape) or "a single value"
    return f"{shape}, {kind}, {sized(array.nbytes)}"


@click.command("get")
@click.argument("name")
@click.argument("file")
@arena_option
@format_option
@click.option(
    "--wait",
    "timeout_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait until the name is published.",
)
def get_command(
    name: str, file: str, arena_name: str, wanted: str | None, timeout_s: float | None
) -> None:
    """Save the object NAME to FILE.

    \b
    .npy   the array
    .npz   the array, or all members NAME/member
    .csv   a table: the fields of a structured array, all columns NAME/column, or an Arrow table.
           Also .tsv (with tabs), .csv.gz and .tsv.gz.
    .parquet .arrow .feather
           a table, in the same forms
    else   the bytes of an array of uint8; "-" is stdout. --as raw: the bytes of any array

    An existing FILE is replaced. The data is written to a temporary file, which is then renamed, so
    FILE is either complete or unchanged.
    """
    kind = format_of(file, wanted)
    if kind in tables.TABLES:
        tables.check_there(kind)
    if timeout_s is not None and math.isnan(timeout_s):
        raise click.UsageError("--wait takes a number of seconds, not NaN")
    with scamem.Arena.join(arena_name) as arena:
        found = _value(arena, name, timeout_s)
        if kind == RAW and not wanted and file != STANDARD and not _is_bytes(found):
            raise click.UsageError(
                f"{name!r} is not bytes, and {file!r} has no ending that says how to write it "
                f"({', '.join(FORMATS[:-1])}); --as raw writes its bytes as they are"
            )
        table = tables.opened(found) if kind == CSV or kind in tables.TABLES else None
        if table is not None:
            with progress("writing", table.nbytes) as step, _output(file, kind) as output:
                if kind == CSV:
                    tables.write_csv(output, table, step, delimiter_of(file))
                else:
                    tables.write(output, kind, table, step)
            return
        total = (
            sum(array.nbytes for array in found.values())
            if isinstance(found, Mapping)
            else found.nbytes
        )
        with progress("writing", total) as step, _output(file, kind) as output:
            write(output, kind, found, step, delimiter_of(file))


def _is_bytes(found: NDArray[Any] | Arrays) -> bool:
    return isinstance(found, np.ndarray) and found.dtype == np.uint8 and found.ndim == 1


def _value(arena: scamem.Arena, name: str, timeout_s: float | None) -> NDArray[Any] | Arrays:
    """Return the array of a name, or the arrays of its members; wait until there is either.

    Members for which it waited are complete when no more have come for SETTLED_S seconds.
    """
    members = _members(arena, name)
    seen: list[str] = []
    end_s = time.monotonic() + (timeout_s or 0)
    while name not in arena and (not members or (seen and members != seen)):
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            break
        with contextlib.suppress(scamem.NameNotFoundError):
            arena.get(name, timeout=min(left_s, SETTLED_S))
        seen, members = members or [name], _members(arena, name)
    if name in arena or not members:
        return _array(arena, name)
    return {found.removeprefix(name + MEMBER): _array(arena, found) for found in members}


def _members(arena: scamem.Arena, name: str) -> list[str]:
    """Return the names of an object's members, in the order in which they were published."""
    found = [
        (version, member)
        for member in arena.keys(name + MEMBER)
        if (version := _version(arena, member))
    ]
    return [member for _, member in sorted(found)]


def _version(arena: scamem.Arena, name: str) -> int:
    try:
        return arena.version(name)
    except scamem.NameNotFoundError:
        return 0  # unpublished meanwhile


def _array(arena: scamem.Arena, name: str) -> NDArray[Any]:
    value = arena.get(name)
    if isinstance(value, scamem.Scamem):
        return np.frombuffer(memoryview(value.map(writable=False)), np.uint8)
    if isinstance(value, bytes):
        return np.frombuffer(value, np.uint8)
    if not isinstance(value, np.ndarray):
        raise click.ClickException(
            f"{name!r} is a {type(value).__name__}; `scamem get` writes only arrays and bytes. "
            f"Use it in Python: scamem.Arena.join(...)[{name!r}]"
        )
    return value


@contextlib.contextmanager
def _output(file: str, kind: str) -> Iterator[IO[bytes]]:
    """Open a file to write; one for CSV whose name ends in .gz is compressed."""
    with _new_file(file) as output:
        if kind != CSV or not is_compressed(file):
            yield output
            return
        # Without a name and a time in it, the same data gives the same file.
        compressed: Any = gzip.GzipFile("", "wb", fileobj=output, mtime=0)
        with compressed:
            yield compressed


@contextlib.contextmanager
def _new_file(file: str) -> Iterator[IO[bytes]]:
    """Open a file to write, which gets its name when it is complete.

    A file that exists and is not a regular file (a pipe, a device) is written to directly.
    """
    if file == STANDARD:
        yield sys.stdout.buffer
        return
    try:
        found = os.stat(file)
    except FileNotFoundError:
        found = None
    if found is not None and not stat.S_ISREG(found.st_mode):
        with open(file, "wb") as output:
            yield output
        return
    target = os.path.realpath(file)
    beside = f"{target}.{secrets.token_hex(4)}.part"
    try:
        with open(beside, "xb") as output:
            if found is not None:
                os.chmod(beside, stat.S_IMODE(found.st_mode))
            yield output
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
