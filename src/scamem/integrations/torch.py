"""torch tensors on frames: the memory of a tensor is an array's, and goes to processes by handle.

Importing this module lets every tensor whose memory lies in an arena, and every view of one, travel
by handle through `torch.multiprocessing`, `multiprocessing` and loky. Other tensors travel as
before. `collate` makes a DataLoader's batches in an arena.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.multiprocessing.reductions import reduce_tensor
from torch.nn import Parameter
from torch.utils.data._utils.collate import collate as collate_by
from torch.utils.data._utils.collate import default_collate_fn_map

from scamem.arena import Arena
from scamem.arrays import create
from scamem.arrays.array import Array
from scamem.arrays.construct import new_array
from scamem.arrays.place import locate
from scamem.defaults import default
from scamem.handles.elsewhere import register_elsewhere, register_reducer
from scamem.handles.memory import shared_bytes
from scamem.looks.objects import loans
from scamem.membership.seat import Seat

from .buffers import DEFAULT_PROTOCOL

KEPT_MAX = 64  # batches that a worker keeps until they are loaded
U8 = np.dtype(np.uint8)


def tensor(array: Any, arena: Arena | None = None, *, readonly: bool = False) -> torch.Tensor:
    """Return a tensor over an array's memory: what is written to one is seen in the other.

    >>> x = scamem.zeros(3)
    >>> t = scamem.integrations.torch.tensor(x)
    >>> _ = t.fill_(2)
    >>> x.tolist()
    [2.0, 2.0, 2.0]

    Parameters
    ----------
    array : an Array, or an ndarray over an arena's memory. Another array, or anything that
        np.asarray takes, is copied into `arena` first (None: the default arena).
    readonly : allow an array that is read-only. torch knows no read-only tensors: a write to this
        one ends the process with SIGSEGV if the array is mapped read-only, as `arena.get` does.

    Raises
    ------
    ValueError : the array is read-only; or it has negative strides, or another byte order.
    TypeError : torch has no such dtype.

    Ownership: the tensor, and each view of it, holds the memory.
    """
    register_elsewhere()  # joblib may have been imported in the meantime
    if not isinstance(array, np.ndarray) or (locate(array) is None and _found(array) is None):
        array = create.array((default() if arena is None else arena)._seat, array)
    plain = array.view(np.ndarray)
    if plain.flags.writeable:
        return torch.from_numpy(plain)
    if not readonly:
        raise ValueError(
            "asked for a tensor over an array that is read-only, which a tensor cannot be. Get it "
            "writable, copy it (scamem.copy(x)), or say readonly=True and never write to the tensor"
        )
    writable = new_array(
        np.ndarray, plain.dtype, plain.shape, plain.strides, _address(plain), True, plain
    )
    return torch.from_numpy(writable)


def asarray(tensor: torch.Tensor, arena: Arena | None = None) -> Array:
    """Return a tensor as an Array over the same memory if it lies in an arena, else as a copy.

    Parameters
    ----------
    tensor : on the CPU and dense, with any strides. Gradients are not followed.
    arena : where a copy is made; None: the default arena.

    Raises
    ------
    TypeError : NumPy has no such dtype, as bfloat16; `tensor.view(torch.int16)` has.
    TypeError, RuntimeError : the tensor is on another device or not dense; as `Tensor.numpy`.

    Ownership: the Array holds the memory.
    """
    plain = tensor.detach().numpy()
    found = _found(plain)
    if found is None:
        return create.array((default() if arena is None else arena)._seat, plain)
    base = found.base
    made: Array = new_array(
        Array, plain.dtype, plain.shape, plain.strides, _address(plain), True, base
    )
    made.flags.writeable = found.flags.writeable
    return made


def collate(batch: list[Any]) -> Any:
    """Put a batch together as torch's default_collate does, with its tensors in the default arena.

        DataLoader(dataset, batch_size=32, num_workers=4, collate_fn=collate)

    The loader then receives each batch by handle: no file descriptor is opened, no file is made in
    /dev/shm, and nothing is copied after the samples were put together.

    Raises
    ------
    TypeError, RuntimeError : as default_collate. OutOfMemoryError : names the limit.

    Death: a worker that is killed leaves nothing; the DataLoader raises RuntimeError as always.
    """
    return collate_by(batch, collate_fn_map=COLLATE)


def _collate_tensors(batch: list[Any], *, collate_fn_map: Any = None) -> torch.Tensor:
    first = batch[0]
    plain = all(_is_plain(one) and not one.requires_grad for one in batch)
    nbytes = first.numel() * first.element_size() * len(batch)
    if not plain or nbytes == 0:
        made: torch.Tensor = default_collate_fn_map[torch.Tensor](
            batch, collate_fn_map=collate_fn_map
        )
        return made
    seat = default()._seat
    data = create.empty(seat, nbytes, np.uint8)
    out = _view(data, first.dtype, (len(batch), *first.shape), None)
    torch.stack(batch, 0, out=out)
    if torch.utils.data.get_worker_info() is not None:
        _unread.keep(seat, data)
    return out


class _Unread:
    """Batches that a worker has sent and its loader has not loaded: they are kept until it has.

    A loan alone keeps a batch only for its grace, and a loader may pause for longer.
    """

    def __init__(self) -> None:
        self.kept: list[tuple[Array, bool]] = []  # and whether it was seen to be lent

    def keep(self, seat: Seat, data: Array) -> None:
        """Keep a new batch, and drop those that were loaded."""
        lent = {loan.object for loan in loans(seat)}
        place = [(array, locate(array)) for array, _ in self.kept]
        now = [found is not None and found.hold.index in lent for _, found in place]
        kept = [
            (array, seen or is_lent)
            for (array, seen), is_lent in zip(self.kept, now, strict=True)
            if is_lent or not seen
        ]
        self.kept = [*kept[-KEPT_MAX + 1 :], (data, False)]


_unread = _Unread()
COLLATE = {**default_collate_fn_map, torch.Tensor: _collate_tensors}


def _is_plain(tensor: torch.Tensor) -> bool:
    """Return whether a tensor is no more than strided memory on the CPU."""
    return (
        type(tensor) in (torch.Tensor, Parameter)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not (tensor.is_quantized or tensor.is_nested or tensor.is_conj() or tensor.is_neg())
    )


def _address(array: np.ndarray[Any, Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _found(array: np.ndarray[Any, Any]) -> Array | None:
    """Return the bytes of an arena that an array lies in; None if it lies in none."""
    low, high = np.lib.array_utils.byte_bounds(array)
    return shared_bytes(low, high - low)


def _view(data: Array, dtype: torch.dtype, shape: Any, strides: Any) -> torch.Tensor:
    """Return a tensor over bytes of an arena; strides in elements, None for C order."""
    flat = tensor(data, readonly=True).view(dtype)
    return flat.view(shape) if strides is None else flat.as_strided(shape, strides)


def _reduced(value: torch.Tensor) -> Any:
    """Return how a tensor in an arena is pickled by handle; None for any other tensor."""
    if not _is_plain(value) or value.numel() == 0 or (value.requires_grad and not value.is_leaf):
        return None
    reach = sum((n - 1) * step for n, step in zip(value.shape, value.stride(), strict=True))
    data = shared_bytes(value.data_ptr(), (reach + 1) * value.element_size())
    if data is None:
        return None
    torch.utils.hooks.warn_if_has_hooks(value)
    about = (value.dtype, tuple(value.shape), tuple(value.stride()), value.requires_grad)
    return load_tensor, (data, *about, type(value) is Parameter)


def load_tensor(
    data: Any, dtype: torch.dtype, shape: Any, strides: Any, requires_grad: bool, parameter: bool
) -> torch.Tensor:
    """Return a tensor over bytes that came by handle; pickles of tensors call this."""
    made = _view(data, dtype, shape, strides)
    if parameter:
        return Parameter(made, requires_grad)
    return made.requires_grad_(requires_grad)


def _reduce(value: torch.Tensor) -> Any:
    found = _reduced(value)
    return reduce_tensor(value) if found is None else found


def _reduce_elsewhere(value: torch.Tensor) -> Any:
    found = _reduced(value)
    return value.__reduce_ex__(DEFAULT_PROTOCOL) if found is None else found


for _kind in (torch.Tensor, Parameter):
    register_reducer(_kind, _reduce, _reduce_elsewhere)
