"""What a person sees while a study runs: a live table on a terminal, plain lines elsewhere."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from experiments.workflows.console.notebook_display import live_in_notebook
from search.execution.messages import Epoch, EvaluationResult
from search.safety.text import line, terminal
from search.study.stages.confirm import Confirm
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.explore import Explore
from search.study.stages.refit import Refit
from search.study.stages.stage import Stage
from search.tracking import names

_STYLES = {names.COMPLETE: "green", names.FAILED: "red", names.DIVERGED: "red"}


class Progress:
    """An observer of the coordinator that draws. Quiet: it says nothing at all."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._lock = threading.Lock()
        self._stage: Stage | None = None
        self._began = time.monotonic()
        self._done_before = 0
        self._total = 0  # asked for once: the table is drawn four times a second
        self._latest: dict[str, Epoch] = {}
        self._states: Counter[str] = Counter()
        self._best: tuple[float, str] | None = None

    def say(self, text: str, heading: str = "") -> None:
        """One line, above whatever is live; the heading before it is bold. Brackets are what they are."""
        if not self._quiet:
            self._console.print(Text.assemble((heading, "bold"), terminal(text)), soft_wrap=True)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw until the block ends."""
        if self._console.is_jupyter and not self._quiet:
            with live_in_notebook(self._render):
                yield
            return
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with Live(get_renderable=self._render, console=self._console, refresh_per_second=4, transient=True):
            yield

    def began(self, stage: Stage) -> None:
        """A stage begins, or goes on."""
        with self._lock:
            self._stage, self._began = stage, time.monotonic()
            self._latest.clear()
            self._states.clear()
            self._best = None
            done, total = stage.counted(), stage.total()
            self._done_before, self._total = done, total
        if isinstance(stage, Explore):
            seeds = stage.config.protocol.explore_seeds
            each = "one seed" if seeds == 1 else f"{seeds} seeds"
            what = f"explore: {total} trials ranked on the monitor split, {each} each"
        elif isinstance(stage, Refit):
            what = "final: the selected candidate, trained on train and monitor together"
        else:
            what = f"{_confirming(stage)}: {total} evaluations on fresh seeds, measured on validation"
        if done >= total:
            self.say("; all of them are done already", what)
        else:
            self.say(f"; {done} are done already" if done else "", what)

    def begun(self, evaluation: ActiveEvaluation) -> None:
        """An evaluation is claimed."""

    def built(self, evaluation: ActiveEvaluation) -> None:
        """Its candidate is known; the live table shows it."""

    def epoch(self, evaluation: ActiveEvaluation, message: Epoch) -> None:
        """One epoch is over."""
        with self._lock:
            self._latest[evaluation.key] = message

    def ended(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        """One line for each end where nothing is live; the best so far either way."""
        with self._lock:
            self._latest.pop(evaluation.key, None)
            self._states[result.state] += 1
            label = evaluation.built.label if evaluation.built is not None else ""
            if result.state == names.COMPLETE and self._stage is not None:
                minimize = self._stage.config.protocol.direction == "minimize"
                if self._best is None or (result.score < self._best[0]) == minimize:
                    self._best = (result.score, label)
        if result.state == names.FAILED or not self._console.is_terminal:
            self.say(self._line(evaluation, result, label))

    def _line(self, evaluation: ActiveEvaluation, result: EvaluationResult, label: str) -> str:
        place = (
            f"trial {evaluation.slot}"
            if evaluation.stage == names.EXPLORE
            else f"candidate {evaluation.slot} seed {evaluation.seed}"
        )
        parts = [place, label, result.state] if label else [place, result.state]
        if result.score == result.score:
            parts.append(f"monitor {result.score:.4f}")
        if "val_accuracy" in result.metrics:
            parts.append(f"validation accuracy {result.metrics['val_accuracy']:.4f}")
        if names.SECONDS in result.metrics:
            parts.append(f"{result.metrics[names.SECONDS]:.0f} s")
        if result.reason:
            parts.append(result.reason.splitlines()[0])
        return "  " + " | ".join(parts)

    def _render(self) -> RenderableType:
        with self._lock:
            if self._stage is None:
                return Text("preparing ...")
            done, total = self._stage.counted(), self._total
            rows: list[RenderableType] = [self._bar(done, total), self._table(self._stage)]
            summary = ", ".join(f"{n} {state}" for state, n in sorted(self._states.items()))
            if self._best is not None:
                summary += f"   best on monitor so far: {self._best[0]:.4f} ({line(self._best[1])})"
            return Group(*rows, Text("  " + summary, style="dim"))

    def _bar(self, done: int, total: int) -> Table:
        assert self._stage is not None  # noqa: S101
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            Text(f"  {self._stage.name}", style="bold"),
            ProgressBar(total=max(total, 1), completed=done, width=32),
            Text(f"{done} of {total}"),
            Text(self._remaining(done, total), style="dim"),
        )
        return grid

    def _remaining(self, done: int, total: int) -> str:
        """An estimate from the pace of this run."""
        fresh, elapsed = done - self._done_before, time.monotonic() - self._began
        if fresh < 1 or done >= total:
            return ""
        seconds = elapsed / fresh * (total - done)
        return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"

    def _table(self, stage: Stage) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
        for column in ("", "architecture", "epoch", "train", "monitor"):
            table.add_column(column)
        for evaluation in stage.running():
            latest = self._latest.get(evaluation.key)
            place = (
                f"trial {evaluation.slot}"
                if evaluation.stage == names.EXPLORE
                else f"{evaluation.slot}/{evaluation.seed}"
            )
            table.add_row(
                f"  {place}",
                Text(
                    line(evaluation.built.label) if evaluation.built is not None else "drawing and building"
                ),
                f"{latest.epoch} of {evaluation.task.epochs}" if latest else "",
                f"{latest.metrics['train_accuracy']:.3f}" if latest else "",
                f"{latest.metrics['monitor_accuracy']:.3f}" if latest else "",
            )
        return table


def _confirming(stage: Stage) -> str:
    """What the confirm stage is called: with its round, where it is in rounds that go on."""
    if not (isinstance(stage, Confirm) and stage.config.protocol.in_rounds):
        return stage.name
    rounds = stage.rounds()
    return stage.name if rounds.finished else f"{stage.name}, round {len(rounds.decisions) + 1}"
