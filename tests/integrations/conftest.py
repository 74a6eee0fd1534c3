"""An arena for each test of an integration."""

from tests.arrays.arenas import arena

__all__ = ["arena"]
