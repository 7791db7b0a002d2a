"""Images per second of children x threads on this machine, for several networks.

    python -m benchmarks.arrangements [--seconds 6]

What a study's calibration measures in a second, at length: every arrangement that keeps all cores busy trains
the same network in the precision of this machine, with evaluation, batch norm's statistics and checkpoints.
"""

import argparse
import platform
from pathlib import Path
from tempfile import TemporaryDirectory

from search.datasets.prepare import prepare
from search.execution.devices import cores
from search.execution.fork_client import ForkServer
from search.protocol import Protocol
from search.study.config import StudyConfig
from search.training.precision import automatic
from search.workers.thread_benchmark import arrangements, benchmark_threads

QUICK = True

NETWORKS = ("benchmarks.contenders.network:build", "plain_cnn", "lenet", "inception")
IMAGES = 2048


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6, help="for each, after its first epoch")
    asked = parser.parse_args()
    wide = arrangements(cores())
    print(f"{platform.machine()}, {cores()} cores, {automatic()}, batches of 64, {IMAGES} images an epoch\n")
    print(f"| network | {' | '.join(f'{n} x {threads}' for n, threads in wide)} |")
    print(f"|---|{'---:|' * len(wide)}")
    with TemporaryDirectory(prefix="candor-") as scratch:
        folder = Path(scratch)
        data = prepare("synthetic:train=3000,validation=100,test=100", folder, say=lambda text: None)
        server = ForkServer(folder / "children.log")
        server.start()
        server.wait_until_ready(180)
        for space in NETWORKS:
            config = StudyConfig(
                experiment="arrangements",
                question="Which is the fastest?",
                space=space,
                recipe={"batch_size": 64, "augmentation": "light"},
                protocol=Protocol(),
                data=data,
                precision=automatic(),
                threads=1,
                identity={},
            )
            speeds = benchmark_threads(server, config, cores(), seconds=asked.seconds, images=IMAGES)
            print(f"| {space} | {' | '.join(f'{speeds[one]:,.0f}' for one in wide)} |", flush=True)
        server.close()


if __name__ == "__main__":
    main()
