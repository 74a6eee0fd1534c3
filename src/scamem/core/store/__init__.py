"""Words in shared memory: layout, access, journal and lock."""
