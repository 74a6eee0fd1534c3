"""Which frames objects get: allocation, sections, and frames that move between objects."""
