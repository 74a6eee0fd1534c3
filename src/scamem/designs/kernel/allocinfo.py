"""/proc/allocinfo (CONFIG_MEM_ALLOC_PROFILING): file and line of who allocates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(r"^\s*(\d+)\s+(\d+)\s+(\S+:\d+)\s+(?:\[(\w+)\]\s+)?func:(\S+)")


@dataclass(frozen=True, slots=True)
class AllocSite:
    """One place in the source that allocates."""

    size: int
    calls: int
    place: str
    function: str
    module: str = ""

    def format(self) -> str:
        """The line as the kernel prints it."""
        module = f" [{self.module}]" if self.module else ""
        return f"{self.size:12d} {self.calls:8d} {self.place}{module} func:{self.function}"


def parse(lines: Iterable[str]) -> list[AllocSite]:
    """Read the file; heads and lines of other kinds are skipped."""
    found = []
    for line in lines:
        match = _LINE.match(line)
        if match:
            size, calls, place, module, function = match.groups()
            found.append(AllocSite(int(size), int(calls), place, function, module or ""))
    return found


def places(sites: Iterable[AllocSite]) -> dict[str, str]:
    """file:line by function; where a function has several, the one with the most bytes."""
    best: dict[str, AllocSite] = {}
    for site in sites:
        held = best.get(site.function)
        if held is None or site.size > held.size:
            best[site.function] = site
    return {name: site.place for name, site in best.items()}
