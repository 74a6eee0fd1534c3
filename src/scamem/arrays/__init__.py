"""NumPy arrays whose memory is scattered page frames of an arena."""
