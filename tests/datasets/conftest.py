"""An arena for each test, in which it leaves nothing."""

from tests.arrays.arenas import arena

__all__ = ["arena"]
