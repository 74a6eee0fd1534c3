"""Datasets for the DataLoader tests: their workers find them by name."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

import scamem


class Samples(Dataset[Any]):
    """Samples of several kinds; sample k is made of k."""

    def __init__(self, length: int, size: int = 1000, kill_at: int = -1) -> None:
        self.length, self.size, self.kill_at = length, size, kill_at

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> Any:
        if k == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return {
            "x": torch.full((self.size,), float(k)),
            "y": np.full(3, k, np.int16),
            "label": k,
            "name": f"sample {k}",
        }


def look(value: Any) -> tuple[bool, float, tuple[int, ...]]:
    """Whether a tensor's memory is shared, its sum, and its strides."""
    return scamem.is_shared(value), float(value.sum()), tuple(value.stride())


def fill(value: Any, number: float) -> None:
    with torch.no_grad():
        value.fill_(number)
