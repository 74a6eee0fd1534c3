"""How values travel: handles, names, descriptions and pickling."""
