"""Unrelated processes share a named arena: one publishes, another waits for the name."""

import subprocess
import sys

import numpy as np

import scamem

NAME = "scamem-example"
READER = """
import sys, scamem
arena = scamem.Arena.join(sys.argv[1])
frame = arena.get("camera/latest", timeout=60)
print("the reader sees", frame.shape, "mean", frame.mean())
"""


def main() -> None:
    """Publish a picture, and let an unrelated process read it."""
    with scamem.Arena.open(NAME, capacity=64 << 20) as arena:
        reader = subprocess.Popen([sys.executable, "-c", READER, NAME])
        picture = arena.zeros((480, 640), np.uint8)
        picture += 7  # filled in place: publishing copies nothing
        arena["camera/latest"] = picture
        reader.wait()
        print("held by", [holder.kind for holder in arena.objects()[0].holders])
        del picture, arena["camera/latest"]
        print(arena.stats().objects, "objects left")


if __name__ == "__main__":
    main()
