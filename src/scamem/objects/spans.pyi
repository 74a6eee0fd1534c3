import numpy as np
from numpy.typing import NDArray

from scamem.membership.member import Hold

def spans_of(held: Hold, start: int, nbytes: int) -> bytes: ...
def frames_of_runs(runs: NDArray[np.uint64]) -> NDArray[np.uint64]: ...
