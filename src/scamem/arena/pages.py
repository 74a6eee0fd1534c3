"""Node, zone and section of frames, from their numbers alone.

The mail asks whether this can be had from the pfn by a lookup: here a section table answers it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import overload

import numpy as np
from numpy.typing import NDArray

from scamem.core.store.geometry import Geometry


class Pages:
    """The kernel's lookups for a number or an array of pfns; correct for frames of any state."""

    geometry: Geometry

    @overload
    def page_to_nid(self, pfns: int) -> int: ...

    @overload
    def page_to_nid(self, pfns: Iterable[int]) -> NDArray[np.int64]: ...

    def page_to_nid(self, pfns: int | Iterable[int]) -> int | NDArray[np.int64]:
        """Return the NUMA node of a frame or of each of several; IndexError out of range."""
        found = self._sections_of(pfns) * 0
        return int(found) if found.ndim == 0 else found

    @overload
    def page_to_section(self, pfns: int) -> int: ...

    @overload
    def page_to_section(self, pfns: Iterable[int]) -> NDArray[np.int64]: ...

    def page_to_section(self, pfns: int | Iterable[int]) -> int | NDArray[np.int64]:
        """Return the section of a frame or of each of several; IndexError out of range."""
        found = self._sections_of(pfns)
        return int(found) if found.ndim == 0 else found

    def page_zone(self, pfns: int | Iterable[int]) -> str | NDArray[np.str_]:
        """Return the zone of a frame or of each of several; IndexError out of range."""
        found = self._sections_of(pfns)
        return "NORMAL" if found.ndim == 0 else np.full(found.shape, "NORMAL")

    def _sections_of(self, pfns: int | Iterable[int]) -> NDArray[np.int64]:
        numbers = np.asarray(pfns, dtype=np.int64)
        most = self.geometry.frames
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < most):
            raise IndexError(
                f"asked for frames {numbers.min():,} to {numbers.max():,}; the arena has {most:,}"
            )
        return numbers >> self.geometry.section_shift
