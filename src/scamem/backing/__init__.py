"""Control and frame files, slot locks, joining: the only door to the system's files."""
