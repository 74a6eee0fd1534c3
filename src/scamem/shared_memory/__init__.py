"""A drop-in for multiprocessing.shared_memory."""
