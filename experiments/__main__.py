"""`python -m experiments`: the command line, also where the script `candor` is not on the path."""

import os
import sys

# Before any other import: `python -m` puts the current folder first, and a search.py there is not ours.
_own = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))  # noqa: PTH118, PTH120
_here = os.path.realpath(".")
sys.path[:] = [entry for entry in sys.path if _here == _own or os.path.realpath(entry or ".") != _here]

from experiments.cli import main  # noqa: E402

main()
