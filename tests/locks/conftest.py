"""An arena for each test, in which it leaves nothing; processes that stop at a chosen store."""

from tests.arrays.arenas import arena
from tests.death.conftest import nursery, stop_nursery

__all__ = ["arena", "nursery", "stop_nursery"]
