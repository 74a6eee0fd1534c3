"""How values travel between processes: handles, names, descriptions and pickling."""
