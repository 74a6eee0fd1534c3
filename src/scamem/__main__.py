"""`python -m scamem`: the command line, without its installed script."""

import sys

from scamem.cli import main

sys.exit(main())
