"""A soak: `python -m tests.soak FOLDER SECONDS SEED`, or a spawned worker of one."""

import sys

from tests.soak import supervisor, worker

if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker.main(sys.argv[2:])
    else:
        sys.exit(supervisor.main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
