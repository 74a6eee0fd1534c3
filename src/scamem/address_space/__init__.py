"""What one process sees of an arena: direct map, vmaps, pins and I/O."""
