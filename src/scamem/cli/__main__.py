"""`python -m scamem.cli`: the command line, wherever its script was installed."""

import sys

from . import main

sys.exit(main())
