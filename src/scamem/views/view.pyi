from typing import TypeAlias

from scamem.membership.member import Hold

Part: TypeAlias = tuple[Hold, int, int]

class View:
    hold: Hold
    address: int
    nbytes: int
    runs: int
    writable: bool
    private: bool
    growing: bool
    parts: tuple[Part, ...] | None
    def __buffer__(self, flags: int, /) -> memoryview: ...

def make_view(
    held: Hold,
    address: int,
    nbytes: int,
    writable: bool,
    runs: int,
    *,
    private: bool = False,
    parts: tuple[Part, ...] | None = None,
) -> View: ...
def make_growing_view(held: Hold, address: int, length: int) -> View: ...
def grow_view(view: View, nbytes: int, runs: int) -> None: ...
def cut_view(view: View) -> None: ...
def runs_unmapped() -> int: ...
