"""What `make bench` runs: the quick benchmarks, or those that are named.

    python -m benchmarks                    list every benchmark, then run the quick ones
    python -m benchmarks NAME [ARGUMENT...] run one, with its own arguments
    python -m benchmarks --list             only list them

A benchmark is a module here with a `main` that needs no arguments; the first line of its docstring says what
it measures, and one that takes at most three minutes on two cores says `QUICK = True`.
"""

import ast
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Benchmark:
    """A module with a main: its name, what it measures, whether it is quick."""

    name: str
    summary: str
    quick: bool


def benchmarks() -> tuple[Benchmark, ...]:
    """Every benchmark, by name. Nothing is imported: some of them import Keras."""
    found = (_read(path) for path in sorted(Path(__file__).parent.glob("[!_]*.py")))
    return tuple(benchmark for benchmark in found if benchmark is not None)


def _read(path: Path) -> Benchmark | None:
    module = ast.parse(path.read_text())
    mains = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    summary = (ast.get_docstring(module) or "").split("\n", maxsplit=1)[0]
    if not mains or len(mains[0].args.args) > len(mains[0].args.defaults):
        return None
    return Benchmark(path.stem, summary, "QUICK = True" in map(ast.unparse, module.body))


def main(arguments: Sequence[str]) -> int:
    """List and run; the exit code is that of the last benchmark that failed, 2 for an unknown name."""
    every = benchmarks()
    if not arguments or arguments[0] == "--list":
        for benchmark in every:
            print(f"{benchmark.name:24} {'quick' if benchmark.quick else '':7}{benchmark.summary}")
        if arguments:
            return 0
    elif arguments[0] not in {benchmark.name for benchmark in every}:
        print(f"there is no benchmark {arguments[0]}: see python -m benchmarks --list", file=sys.stderr)
        return 2
    code = 0
    for name in arguments[:1] or [benchmark.name for benchmark in every if benchmark.quick]:
        print(f"\n== {name}", flush=True)
        code = subprocess.call([sys.executable, "-m", f"benchmarks.{name}", *arguments[1:]]) or code
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
