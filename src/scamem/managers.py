"""`SharedMemoryManager`, where `multiprocessing.managers` has its own. Change one import:

from scamem.managers import SharedMemoryManager
"""

from .shared_memory.manager import SharedMemoryManager, SharedMemoryServer

__all__ = ["SharedMemoryManager", "SharedMemoryServer"]
