"""What batch norm and dropout cost: images per processor second with them, as a share of those without.

    python -m benchmarks.regularisation [--epochs 4] [--images 2048]

One network, 64-64-128-128 kernels, as evaluations train it and as a bare `model.fit` of Keras does, in one
process, in turns epoch by epoch; medians over the epochs but the first. The aim is 0.85 with both. Takes
five minutes on two cores.
"""

import argparse
import logging
import os
import platform
import statistics

import keras

from benchmarks.training_speed import Case, Runner, bare, noise, ours
from search.training.precision import automatic

KERNELS = (64, 64, 128, 128)
#: name -> whether there is batch norm, and how much dropout
PARTS = {"without": (False, 0.0), "batch norm": (True, 0.0), "dropout": (False, 0.2), "both": (True, 0.2)}


def main() -> None:
    """Print the conditions and the table."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it wonders at so many models in one process
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=4, help="of each; the first is not counted")
    parser.add_argument("--images", type=int, default=2048, help="an epoch")
    asked = parser.parse_args()
    cases = {name: Case(KERNELS, norm, rate, asked.images, 0.0) for name, (norm, rate) in PARTS.items()}
    data = noise(next(iter(cases.values())))
    kinds = ("bare fit, float32", f"ours, {automatic()}")
    print(f"{platform.machine()}, {os.cpu_count()} cores, {keras.backend.backend()}; 64-64-128-128\n")
    runners = {
        (kind, name): Runner(
            bare(case, data, asked.epochs)
            if kind.startswith("bare")
            else ours(case, data, asked.epochs, kind.removeprefix("ours, "))
        )
        for kind in kinds
        for name, case in cases.items()
    }
    rounds = [{key: one.turn().processor for key, one in runners.items()} for _ in range(asked.epochs)][1:]
    print("| | images per processor second | with batch norm | with dropout | with both |")
    print("|---|---:|---:|---:|---:|")
    for kind in kinds:
        speed = statistics.median(asked.images / spent[kind, "without"] for spent in rounds)
        shares = (
            statistics.median(spent[kind, "without"] / spent[kind, name] for spent in rounds)
            for name in list(cases)[1:]
        )
        print(f"| {kind} | {speed:.0f} | {' | '.join(f'{share:.2f}' for share in shares)} |")


if __name__ == "__main__":
    main()
