"""`scamem put` and `scamem get`: copy files into an arena, and objects to files."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import click
import numpy as np
from numpy.typing import NDArray

import scamem
from scamem.backing.text import counted, sized

from .formats import CSV, FORMATS, STANDARD, Arrays, format_of, read, write
from .options import Size, arena_option, json_option, progress
from .show import print_json

CHUNK_BYTES = 16 << 20
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
    capacity: int | None,
    as_json: bool,
) -> None:
    """Copy FILE into the arena under NAME. Create the arena if it does not exist.

    \b
    .npy   an array
    .npz   one name for each member: NAME/member
    .csv   one structured array with a field for each column: x["column"] is a view of it.
           With --columns, one name for each column: NAME/column. Columns are int64, float64
           (missing values are NaN) or text. The first line names them.
    else   bytes, as an array of uint8; "-" is stdin

    The name keeps the data in the arena after this command has ended, until `scamem rm NAME` or a
    restart of the machine.
    """
    kind = format_of(file, wanted)
    if columns and kind != CSV:
        raise click.UsageError(f"--columns is for tables (csv), but this file is {kind}")
    found = read(file, kind)
    if columns and not isinstance(found, Mapping) and found.dtype.names:
        found = {column: found[column] for column in found.dtype.names}
    arrays = (
        {f"{name}{MEMBER}{member}": array for member, array in found.items()}
        if isinstance(found, Mapping)
        else {name: found}
    )
    with scamem.Arena.open(arena_name, capacity=capacity) as arena:
        _check_names(arena, arrays, replace)
        _publish(arena, arrays, replace)
    _report_put(arrays, arena_name, as_json)


def _check_names(arena: scamem.Arena, arrays: Arrays, replace: bool) -> None:
    """Fail before anything is copied."""
    taken = [name for name in arrays if name in arena]
    if taken and not replace:
        raise scamem.NameExistsError(
            f"{taken[0]!r} is already published; use another name, remove this one "
            f"(scamem rm {taken[0]}), or add --replace"
        )


def _publish(arena: scamem.Arena, arrays: Arrays, replace: bool) -> None:
    """Copy all arrays, then publish them. A failure removes the names published so far."""
    total = sum(array.nbytes for array in arrays.values())
    with progress("copying", total) as step:
        made = {name: _copied(arena, array, step) for name, array in arrays.items()}
    done: list[str] = []
    try:
        for name, array in made.items():
            arena.publish(name, array, replace=replace)
            done.append(name)
    except BaseException:
        for name in () if replace else done:
            with contextlib.suppress(scamem.NameNotFoundError):
                arena.unpublish(name)
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
    .csv   the fields of a structured array, or all columns NAME/column
    else   the bytes of the array; "-" is stdout

    An existing FILE is replaced. The data is written to a temporary file, which is then renamed, so
    FILE is either complete or unchanged.
    """
    kind = format_of(file, wanted)
    with scamem.Arena.join(arena_name) as arena:
        found = _value(arena, name, timeout_s)
        total = (
            sum(array.nbytes for array in found.values())
            if isinstance(found, Mapping)
            else found.nbytes
        )
        with progress("writing", total) as step, _output(file) as output:
            write(output, kind, found, step)


def _value(arena: scamem.Arena, name: str, timeout_s: float | None) -> NDArray[Any] | Arrays:
    """Return the array of a name, or the arrays of its members."""
    prefix = name + MEMBER
    members = [] if name in arena else [found for found in arena if found.startswith(prefix)]
    if members:
        return {found.removeprefix(prefix): _array(arena, found, None) for found in members}
    return _array(arena, name, timeout_s)


def _array(arena: scamem.Arena, name: str, timeout_s: float | None) -> NDArray[Any]:
    value = arena.get(name, timeout=timeout_s)
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
def _output(file: str) -> Iterator[IO[bytes]]:
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
