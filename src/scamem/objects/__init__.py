"""Scamem objects as Python sees them: references, pins, and lookups from a page."""
