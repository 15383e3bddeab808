"""`python -m ptheta` is the command line."""

import sys

from ptheta.cli.main import main

sys.exit(main())
