"""Objects that several processes use at once: growable arrays and rings."""
