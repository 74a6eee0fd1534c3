from typing import TypeAlias

from typing_extensions import Buffer

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
    def __len__(self) -> int: ...
    def __getitem__(self, key: int | slice, /) -> int | memoryview: ...
    def __setitem__(self, key: int | slice, value: int | Buffer, /) -> None: ...
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
