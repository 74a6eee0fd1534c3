"""What an object contains, and which program a process runs, in a few words."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

from scamem.backing.text import printable
from scamem.errors import ScamemError
from scamem.handles import description
from scamem.looks.objects import ObjectInfo

KINDS: Final = {
    description.RAW: "frames",
    description.BYTES: "bytes",
    description.PICKLE: "Python object",
    description.FROZEN: "frozen value",
}
COMMAND_WIDTH: Final = 40


def contents_of(found: ObjectInfo) -> dict[str, Any]:
    """Return what a published object contains; {} for an object without a name.

    `kind` is "array", "frozen value", "bytes", "Python object" or "frames"; an array has `dtype`
    and `shape`.
    """
    for holder in found.holders:
        if holder.description:
            return _decoded(holder.description, found.nbytes)
    return {}


def _decoded(data: bytes, nbytes: int) -> dict[str, Any]:
    try:
        value = description.decode(data, nbytes)
    except ScamemError:  # of another version, or damaged: this is only a look
        return {"kind": "unknown"}
    if value.kind != description.ARRAY:
        return {"kind": KINDS.get(value.kind, "unknown")}
    dtype = np.dtype(np.uint8) if value.dtype is None else value.dtype
    return {"kind": "array", "dtype": dtype, "shape": list(value.shape)}


def contents_text(contents: dict[str, Any]) -> str:
    """Return contents as text: `float64 (3, 4)`, `table (336776,) of 19 fields`, `bytes`."""
    if not contents:
        return "-"
    if "dtype" not in contents:
        return str(contents["kind"])
    dtype, shape = contents["dtype"], str(tuple(contents["shape"])).replace(" ", "")
    if dtype.names:
        return f"table {shape} of {len(dtype.names)} fields"
    name = dtype.name if dtype.isbuiltin else str(dtype)
    return f"{name} {shape}"


@lru_cache(maxsize=4096)
def command_of(pid: int) -> str:
    """Return the beginning of a process's command line; "" if it cannot be read.

    It is kept for one look: `cache_clear` begins another, in which the process may be another.
    """
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            text = file.read(4096).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
    text = printable(text)
    program, _, rest = text.partition(" ")
    text = f"{program.rpartition('/')[2]} {rest}".strip()
    return text if len(text) <= COMMAND_WIDTH else text[: COMMAND_WIDTH - 1] + "…"
