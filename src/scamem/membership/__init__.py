"""A process's seat in an arena: joining, references, fork, leaving.

Importing it registers this process's fork handlers, once.
"""

from .membership import install_fork_handlers

install_fork_handlers()
