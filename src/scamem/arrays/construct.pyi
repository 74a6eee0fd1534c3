from typing import Any

import numpy as np

from scamem.membership.member import Hold, Member

def new_array(
    kind: type,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None,
    address: int,
    writable: bool,
    base: object,
) -> Any: ...
def copy_array(made: np.ndarray[Any, Any], source: np.ndarray[Any, Any]) -> None: ...
def address_of(array: np.ndarray[Any, Any]) -> int: ...
def array_fast(member: Member, kind: type, value: object) -> Any: ...
def put_bytes(member: Member, value: bytes) -> Hold | None: ...
def put_array(member: Member, value: object) -> Hold | None: ...
