"""What `scamem kernel` tells of a snapshot: areas, who made them, ranges, bytes a design."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..catalogue import designs
from ..costs import Cost, machine_costs, table_sizes
from ..topology import MemoryRange, rows_to_rebuild, table
from . import allocinfo
from .pages import BUDDY, flag_letters, flag_names
from .snapshot import Snapshot
from .vmallocinfo import CallerSum, by_caller


@dataclass(frozen=True, slots=True)
class KernelReport:
    """Figures of one snapshot."""

    snapshot: Snapshot
    areas: int
    areas_with_pages: int
    pages: int
    user_mappable: int
    ioremap: int
    vmap: int
    nested: int
    callers: list[CallerSum]
    places: dict[str, str]
    sizes: list[tuple[int, int]]
    """(pages, how many areas), most frequent first."""
    zone_rows: list[MemoryRange]
    exact_rows: list[MemoryRange]
    mixed_sections: list[int]
    overlapping_spans: list[tuple[str, str]]
    costs: list[Cost]


def report(snapshot: Snapshot) -> KernelReport:
    """Count everything once."""
    areas = snapshot.areas
    with_pages = [area for area in areas if area.pages]
    sizes = Counter(area.pages or 0 for area in with_pages)
    zone_rows = rows_to_rebuild(
        [MemoryRange(zone.start, zone.end, zone.node, zone.name) for zone in snapshot.zones]
    )
    costs: list[Cost] = []
    mixed: list[int] = []
    if snapshot.zones:
        topology = snapshot.topology()
        costs = machine_costs(designs(), snapshot.area_sizes(), topology, snapshot.name)
        costs += table_sizes(topology, snapshot.name)
        mixed = [int(block) for block in getattr(table(topology, "section"), "mixed", ())]
    return KernelReport(
        snapshot=snapshot,
        areas=sum("vmalloc" in area.words for area in areas),
        areas_with_pages=len(with_pages),
        pages=sum(area.pages or 0 for area in with_pages),
        user_mappable=sum(area.user_mappable for area in areas),
        ioremap=sum("ioremap" in area.words for area in areas),
        vmap=sum("vmap" in area.words for area in areas),
        nested=sum("vpages" in area.words for area in areas),
        callers=by_caller(areas),
        places=allocinfo.places(allocinfo.parse(snapshot.sites)),
        sizes=sizes.most_common(),
        zone_rows=zone_rows,
        exact_rows=snapshot.ranges(),
        mixed_sections=mixed,
        overlapping_spans=overlapping(snapshot),
        costs=costs,
    )


def overlapping(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Zones whose spans overlap, so that zone_spans_pfn() alone does not decide."""
    zones = sorted(snapshot.zones, key=lambda zone: zone.start)
    return [
        (f"node {a.node} {a.name}", f"node {b.node} {b.name}")
        for number, a in enumerate(zones)
        for b in zones[number + 1 :]
        if b.start < a.end
    ]


def flag_rows(snapshot: Snapshot, limit: int = 12) -> list[tuple[str, int, str, str]]:
    """page-types' summary: flags, page count, letters, names; most pages first."""
    rows = sorted(snapshot.page_flags.items(), key=lambda item: -item[1])[:limit]
    return [
        (
            f"0x{int(value, 16):016x}",
            count,
            flag_letters(int(value, 16)),
            flag_names(int(value, 16)),
        )
        for value, count in rows
    ]


def free_frames(snapshot: Snapshot) -> int:
    """Frames that kpageflags shows as buddy (heads of blocks only)."""
    return sum(count for value, count in snapshot.page_flags.items() if int(value, 16) & BUDDY)


def as_json(found: KernelReport) -> dict[str, object]:
    """The report for --json."""
    snapshot = found.snapshot
    return {
        "name": snapshot.name,
        "kernel": snapshot.kernel,
        "made_up": snapshot.made_up,
        "areas": found.areas,
        "areas_with_pages": found.areas_with_pages,
        "pages": found.pages,
        "user_mappable": found.user_mappable,
        "ioremap": found.ioremap,
        "vmap": found.vmap,
        "nested_vmallocs": found.nested,
        "unpurged": snapshot.unpurged,
        "callers": [
            {
                "caller": row.caller,
                "place": found.places.get(row.caller, ""),
                "areas": row.areas,
                "pages": row.pages,
                "user_mappable": row.user_mappable,
            }
            for row in found.callers
        ],
        "sizes": [{"pages": pages, "areas": count} for pages, count in found.sizes],
        "ranges_by_zone_span": len(found.zone_rows),
        "ranges_exact": [
            {"start": row.start, "end": row.end, "node": row.node, "zone": row.zone}
            for row in found.exact_rows
        ],
        "sections_of_several_zones": found.mixed_sections,
        "overlapping_zone_spans": found.overlapping_spans,
        "user_mappings": snapshot.mappings,
        "costs": [row.as_json() for row in found.costs],
        "unseen": snapshot.unseen,
    }
