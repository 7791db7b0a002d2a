"""`python -m experiments`: the command line, also where the script `candor` is not on the path."""

from experiments.cli import main

main()
