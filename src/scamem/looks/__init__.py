"""Read-only looks at an arena: nothing here holds or changes anything."""
