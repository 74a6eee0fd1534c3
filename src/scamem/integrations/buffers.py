"""Objects of other libraries that are made of buffers: those in an arena travel by handle.

Pickle protocol 5 separates an object from its buffers. A buffer that lies in an arena is sent as an
Array, once for each object of the arena; the others are sent by value. It works for every type that
pickles its buffers out of band, as those of pyarrow and pandas do.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from typing import Any

import numpy as np

from scamem.arrays.array import Array
from scamem.arrays.place import locate
from scamem.handles.elsewhere import register_reducer
from scamem.handles.memory import shared_bytes
from scamem.handles.shared import is_partly_shared

DEFAULT_PROTOCOL = 4  # of multiprocessing, which has no place for buffers

Part = tuple[int, int, int] | bytes  # (which array, first byte, bytes), or a value


class _Splitting(pickle.Pickler):
    """Pickles a value without its buffers."""

    def reducer_override(self, value: Any) -> Any:
        """Pickle an Array as the ndarray that it is, and keep out of band what else would not be.

        NumPy pickles dates into the stream, since Python's buffers have no such type. pandas copies
        the chunks of an Arrow column into one, even if there is only one.
        """
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "mM":
                return dated, (value.view(np.ndarray).view(np.int64), value.dtype)
            if isinstance(value, Array):
                return value.view(np.ndarray).__reduce_ex__(5)
        chunks = getattr(value, "_pa_array", None)
        if chunks is not None and getattr(chunks, "num_chunks", 0) == 1:
            state = {**vars(value), "_pa_array": chunks.chunk(0)}
            if "_cache" in state:
                state["_cache"] = {}
            make = copyreg.__newobj__  # type: ignore[attr-defined]  # as pickle does
            return make, (type(value),), state
        return NotImplemented


def dated(numbers: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return the dates of an array of numbers; pickles that `split` made call this."""
    return numbers.view(dtype)


def split(value: Any) -> tuple[bytes, list[memoryview]]:
    """Return a value's pickle, and its buffers apart from it."""
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Splitting(stream, 5, buffer_callback=buffers.append).dump(value)
    return stream.getvalue(), [buffer.raw() for buffer in buffers]


def reduce_buffers(value: Any) -> Any:
    """Pickle a value for another process: its shared buffers by handle, all else by value."""
    if not is_partly_shared(value):
        return value.__reduce_ex__(DEFAULT_PROTOCOL)
    stream, buffers = split(value)
    found = [_shared(buffer) for buffer in buffers]
    if not any(array is not None for array in found):
        return value.__reduce_ex__(DEFAULT_PROTOCOL)
    spans: dict[tuple[int, int, bool], list[Array]] = {}
    for array in found:
        if array is not None:
            spans.setdefault(_object_of(array), []).append(array)
    arrays = {key: _spanned(parts) for key, parts in spans.items()}
    order = {key: place for place, key in enumerate(arrays)}
    parts: list[Part] = []
    for buffer, array in zip(buffers, found, strict=True):
        if array is None:
            parts.append(buffer.tobytes())
        else:
            key = _object_of(array)
            parts.append((order[key], _address(array) - _address(arrays[key]), array.nbytes))
    return load_buffers, (stream, list(arrays.values()), parts)


def load_buffers(stream: bytes, arrays: list[Array], parts: list[Part]) -> Any:
    """Return the value of a pickle whose buffers came apart from it; see `reduce_buffers`."""
    buffers: list[Any] = []
    for part in parts:
        if isinstance(part, bytes):
            buffers.append(bytearray(part))  # as writable as what pickle makes itself
        else:
            array, start, nbytes = part
            buffers.append(arrays[array].view(np.ndarray)[start : start + nbytes].data)
    return pickle.loads(stream, buffers=buffers)


def register_buffers(kind: type) -> None:
    """Let objects of exactly this type travel with their shared buffers by handle."""
    register_reducer(kind, reduce_buffers)


def _shared(buffer: memoryview) -> Array | None:
    if buffer.nbytes == 0:
        return None
    found = shared_bytes(_address(np.frombuffer(buffer, np.uint8)), buffer.nbytes)
    if found is not None and buffer.readonly:
        found.flags.writeable = False
    return found


def _address(array: np.ndarray[Any, Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _object_of(array: Array) -> tuple[int, int, bool]:
    """Return what tells apart arrays that one handle cannot carry: object, mapping, writability."""
    place = locate(array)
    if place is None:
        raise ValueError("the memory of a value was freed while the value was pickled")
    return place.hold.index, _address(array) - place.offset, bool(array.flags.writeable)


def _spanned(parts: list[Array]) -> Array:
    """Return one array from the first byte of several parts of an object to the last."""
    first = min(_address(part) for part in parts)
    end = max(_address(part) + part.nbytes for part in parts)
    found = shared_bytes(first, end - first)
    if found is None:
        raise ValueError("the memory of a value was freed while the value was pickled")
    if not parts[0].flags.writeable:
        found.flags.writeable = False
    return found
