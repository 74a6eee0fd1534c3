"""Page frames: zones, the page allocator and sections."""
