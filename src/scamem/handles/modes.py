"""How a process sees what it loads: read-only, shared and writable, or copy-on-write.

| mode | writes by this process | writes by others |
| --- | --- | --- |
| `"r"` | ValueError by NumPy; SIGSEGV: the pages cannot be written | are seen |
| `"w"` | are seen by all | are seen |
| `"c"` | stay here, and copy the pages that they touch | are seen in pages not written here |
| None | as the value was stored | are seen |
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Literal

Mode = Literal["r", "w", "c"]
MODES: Final[tuple[Mode, ...]] = ("r", "w", "c")

_receiving: Mode | None = None


def checked_mode(mode: str | None, writable: bool = True) -> Mode | None:
    """Return the mode that a caller asks for; writable=False is the short form of mode="r".

    Raises
    ------
    ValueError : there is no such mode, or the two contradict each other.
    """
    if mode is None:
        return None if writable else "r"
    for known in MODES:
        if mode == known:
            break
    else:
        raise ValueError(
            f"asked for mode={mode!r}; there are 'r' (read-only), 'w' (shared and writable) and "
            "'c' (copy-on-write)"
        )
    if not writable and known != "r":
        raise ValueError(f"asked for writable=False and mode={mode!r}; give one of them")
    return known


class ReceiveMode:
    """What `receive_mode` returns: used in a `with` statement, it restores the mode before."""

    def __init__(self, mode: Mode | None) -> None:
        global _receiving
        self._before = _receiving
        _receiving = mode

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        global _receiving
        _receiving = self._before


def receive_mode(mode: str | None) -> ReceiveMode:
    """Set how this process sees arrays that arrive by pickle, from now on or within a block.

    >>> import pickle
    >>> x = scamem.zeros(3)
    >>> with scamem.by_handle():
    ...     data = pickle.dumps(x)
    >>> with scamem.receive_mode("c"):
    ...     y = pickle.loads(data)
    >>> y += 1    # stays in this process
    >>> x.tolist()
    [0.0, 0.0, 0.0]

    In a worker: `ProcessPoolExecutor(initializer=scamem.receive_mode, initargs=("c",))`.

    Parameters
    ----------
    mode : "r", "c" or "w", as of `Arena.get`. "w" and None: as they were sent.

    Threads: the mode is the process's, for all threads. fork: the child begins with it.
    """
    return ReceiveMode(checked_mode(mode))


def received() -> Mode | None:
    """Return the mode of arrays that arrive by pickle; None: as they were sent."""
    return None if _receiving == "w" else _receiving
