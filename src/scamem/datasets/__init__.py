"""Frozen datasets: immutable containers on frames, read in place by any number of processes."""
