"""The model against a reading of the kernel by hand, path by path.

HAND says which designs a careful reader expected to break on a path; DIFFERENCES says where
the model disagrees, and why. docs/designs.md tells the same. A difference that is not listed
here fails, and so does one that is listed and gone.
"""

from pathlib import Path

import pytest

from scamem.designs import Verdict
from scamem.designs.report.text import verdict_table

OBJECTS = {"4a", "4b", "4c", "4d", "choir"}
EIGHT_BYTES = {"1", "2", "3", *OBJECTS}
# `subtype` and P25 to P27 were thought of later and have no opinion by hand
HAND = {
    "P1": {"2", "4b"},
    "P2": {"4b"},
    "P3": set(),
    "P4": {"4b"},
    "P5": {"4b"},
    "P6": {"3", "4b"},
    "P7": set(),
    "P8": {"3"},
    "P9": {"3"},
    "P10": {"3"},
    "P11": {"3", *OBJECTS},
    "P12": {"3", "4a", "4b", "4c", "4d"},
    "P13": {"4d", "choir"},
    "P14": {"4d", "choir"},
    "P15": set(),
    "P16": {"4c", "4d", "choir"},
    "P17": {"4a"},
    "P18": {"4a", "4d", "choir"},
    "P19": {"4a", "4c", "4d", "choir"},
    "P20": {"3", *OBJECTS},
    "P21": EIGHT_BYTES,
    "P22": {"2", "3", *OBJECTS},
    "P23": set(),
    "P24": {"today", "1", "2", "4b"},
}
NO_LIST = "flags[] without pages[]: once vm_struct is gone nothing lists the frames to free"
DIFFERENCES = {
    ("P2", "4a"): NO_LIST,
    ("P3", "4a"): NO_LIST,
    ("P4", "2"): "vfree() during fork is a driver's mistake, which only counting survives",
    ("P4", "4a"): NO_LIST,
    ("P4", "4b"): "a VMA's reference is copied with it, as vm_file's is; dup_holds=false breaks",
    ("P8", "3"): "vm_struct counts, and words stay the folio's; vmap=claims words breaks it",
    ("P8", "4d"): "VM_MAP_PUT_PAGES: the list that vfree() needs is no longer in vm_struct",
    ("P8", "choir"): "as 4d",
    ("P10", "2"): "vfree() while mapped, and perf's race: the driver is trusted and fails",
    ("P10", "4a"): NO_LIST,
    ("P12", "1"): "16 bytes hold flags and two counts; the cgroup's pointer makes 24, so 32",
    ("P12", "3"): "vm_struct lives until the last pin, and the charge in it too",
    ("P13", "3"): "its word is a pointer too, so node and zone are as far away as for 4d",
    ("P14", "3"): "as P13",
    ("P16", "3"): "as 4c: the word is a pointer",
    ("P17", "4d"): "nr, refcount and 512 pointers are 4,104 bytes: no longer one page",
    ("P17", "choir"): "as 4d, 4,112 bytes",
    ("P18", "3"): "vm_struct comes from kmalloc and is kfree'd; GUP-fast reads its count",
    ("P19", "1"): "the word leads to the page's memdesc; overwritten, its count is lost",
    ("P19", "3"): "the word leads to vm_struct; overwritten, its count is lost",
    ("P19", "4b"): "a poisoned page cannot be unpinned, but neither can any other (P2)",
    ("P20", "2"): "no count in the page either: has_unmovable_pages() must learn the type",
}


@pytest.fixture
def broken(cells: list[Verdict]) -> dict[str, set[str]]:
    """Which designs fail on which path, in the model."""
    found: dict[str, set[str]] = {}
    for cell in cells:
        if cell.verdict == "fail":
            found.setdefault(cell.path, set()).add(cell.design)
    return found


def test_the_model_agrees_or_the_difference_is_explained(broken: dict[str, set[str]]) -> None:
    found = {
        (path, name)
        for path, by_hand in HAND.items()
        for name in (broken.get(path, set()) ^ by_hand) - {"subtype"}
    }
    assert found == set(DIFFERENCES)


def test_paths_without_an_opinion_by_hand(broken: dict[str, set[str]]) -> None:
    assert broken["P25"] == {"today", "1", "2", "3", *OBJECTS, "subtype"}
    assert broken["P26"] == {"subtype"}
    assert broken["P27"] == {"3", "4d", "choir"}


def test_the_documentation_tells_each_difference() -> None:
    text = " ".join((Path(__file__).parents[2] / "docs" / "designs.md").read_text().split())
    for (path, name), why in DIFFERENCES.items():
        if not why.startswith("as "):
            assert why in text, (path, name)


def test_the_table_of_the_documentation_is_fresh(all_cells: list[Verdict]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "designs.md").read_text()
    table = "\n".join(verdict_table(all_cells))
    assert table in text
