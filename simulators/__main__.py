"""`python -m simulators ...` is `numune simulate ...`."""

import sys

from simulators.cli import command

sys.exit(command(sys.argv[1:]))
