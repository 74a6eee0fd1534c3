# Compiled only: other compiled modules call its C functions, and Python sees none of it.
