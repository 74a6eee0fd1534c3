"""An arena for each test, and processes of the installed library."""

from tests.arrays.arenas import arena
from tests.death.conftest import nursery

__all__ = ["arena", "nursery"]
