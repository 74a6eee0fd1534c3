from typing import Any

from numpy.typing import NDArray

from .member import Member

ONLINE_BEGIN: int
ONLINE_FINISH: int
ABORT: int
OFFLINE_BEGIN: int
OFFLINE_FINISH: int
TRIM_BEGIN: int
TRIM_FINISH: int
POPULATE_BEGIN: int
POPULATE_FINISH: int
OFFLINE: int
ABSENT: int
TRIMMABLE: int

def change(member: Member, step: int, section: int = 0, most: int = 0) -> int: ...
def is_changing(member: Member) -> bool: ...
def give_up(member: Member) -> None: ...
def find_section(member: Member, wanted: int, first: int, end: int) -> int: ...
def objects_of(
    member: Member, pfns: NDArray[Any], numbers: NDArray[Any], generations: NDArray[Any]
) -> None: ...
def section_words(member: Member, first: int, count: int) -> list[int]: ...
def count_absent(member: Member) -> int: ...
def forget_surplus(member: Member) -> None: ...
def zone_free(member: Member, zone: int) -> int: ...
