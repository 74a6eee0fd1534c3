"""Arenas, objects and references: the layer that brings core, backing and address space together.

Importing it registers this process's fork handlers, once.
"""

from .membership import install_fork_handlers

install_fork_handlers()
