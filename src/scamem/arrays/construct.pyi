from typing import Any

import numpy as np

from scamem.arena.arena import ArenaBase
from scamem.arena.member import Hold

def new_array(
    kind: type,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    strides: tuple[int, ...] | None,
    address: int,
    writable: bool,
    base: object,
) -> Any: ...
def copy_bytes(address: int, source: object) -> None: ...
def address_of(array: np.ndarray[Any, Any]) -> int: ...
def put_array(arena: ArenaBase, value: object) -> Hold | None: ...
