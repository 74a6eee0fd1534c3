"""Reading what a running kernel tells of its memory, or a recorded snapshot of that."""
