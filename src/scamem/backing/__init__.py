"""Control and frame files, slot locks, joining: the only access to the system's files."""
