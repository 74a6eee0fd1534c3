"""Objects that several processes work on: growable arrays and rings."""
