from .member import Hold

class View:
    hold: Hold
    address: int
    nbytes: int
    runs: int
    writable: bool
    def __buffer__(self, flags: int, /) -> memoryview: ...

def make_view(held: Hold, address: int, nbytes: int, writable: bool, runs: int) -> View: ...
def runs_unmapped() -> int: ...
