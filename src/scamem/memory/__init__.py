"""Which frames: allocation, sections, and frames that move between objects."""
