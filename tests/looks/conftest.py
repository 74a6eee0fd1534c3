"""An arena for each test."""

from tests.arrays.arenas import arena

__all__ = ["arena"]
