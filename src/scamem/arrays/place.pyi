from typing import Any

from numpy.typing import NDArray

from scamem.membership.member import Hold

class Place:
    hold: Hold
    offset: int

def root(array: NDArray[Any]) -> Any: ...
def locate(array: NDArray[Any]) -> Place | None: ...
