"""Scattered memory: page frames that need not lie side by side, as one refcounted object."""
