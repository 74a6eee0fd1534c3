from typing import TypeAlias

from scamem.membership.member import Hold
from scamem.membership.seat import Seat

Piece: TypeAlias = tuple[int, int, Hold]

class Mapped:
    seat: Seat
    address: int
    nbytes: int
    writable: bool
    def frames(self, start: int = 0, count: int | None = None) -> list[Piece]: ...
    def view(self, start: int = 0, count: int | None = None) -> MappedView: ...
    def unmap(self, start: int, count: int | None = None) -> Mapped | None: ...

class MappedView:
    mapped: Mapped
    address: int
    nbytes: int
    writable: bool
    def __buffer__(self, flags: int, /) -> memoryview: ...

def held_anew(pieces: list[Piece]) -> list[Piece]: ...
def map_frames(seat: Seat, pieces: list[Piece], writable: bool = True) -> Mapped: ...
