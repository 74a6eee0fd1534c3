"""scamem with other libraries: one module for each, which imports that library.

`scamem.integrations.arrow`, `.pandas`, `.polars`, `.torch` and `.dask`. Importing a module lets the
library's objects travel by handle between processes, where their memory lies in an arena.
"""
