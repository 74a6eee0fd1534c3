"""The same nurseries as the tests of death have."""

from tests.death.conftest import nursery, stop_nursery

__all__ = ["nursery", "stop_nursery"]
