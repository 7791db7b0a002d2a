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

from search.execution.messages import Epoch
from search.study.evaluation import Outcome, Work
from search.study.explore import Explore
from search.study.refit import Final
from search.study.stage import Stage
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
            self._console.print(Text.assemble((heading, "bold"), text), soft_wrap=True)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw until the block ends."""
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
            seeds = stage.setting.protocol.explore_seeds
            each = "one seed" if seeds == 1 else f"{seeds} seeds"
            what = f"explore: {total} trials ranked on the monitor split, {each} each"
        elif isinstance(stage, Final):
            what = "final: the selected candidate, trained on train and monitor together"
        else:
            what = f"confirm: {total} evaluations on fresh seeds, measured on validation"
        if done >= total:
            self.say("; all of them are done already", what)
        else:
            self.say(f"; {done} are done already" if done else "", what)

    def begun(self, work: Work) -> None:
        """An evaluation is claimed."""

    def built(self, work: Work) -> None:
        """Its candidate is known; the live table shows it."""

    def epoch(self, work: Work, message: Epoch) -> None:
        """One epoch is over."""
        with self._lock:
            self._latest[work.key] = message

    def ended(self, work: Work, outcome: Outcome) -> None:
        """One line for each end where nothing is live; the best so far either way."""
        with self._lock:
            self._latest.pop(work.key, None)
            self._states[outcome.state] += 1
            label = work.built.label if work.built is not None else ""
            if outcome.state == names.COMPLETE and self._stage is not None:
                minimize = self._stage.setting.protocol.direction == "minimize"
                if self._best is None or (outcome.score < self._best[0]) == minimize:
                    self._best = (outcome.score, label)
        if outcome.state == names.FAILED or not self._console.is_terminal:
            self.say(self._line(work, outcome, label))

    def _line(self, work: Work, outcome: Outcome, label: str) -> str:
        place = (
            f"trial {work.slot}" if work.stage == names.EXPLORE else f"candidate {work.slot} seed {work.seed}"
        )
        parts = [place, label, outcome.state] if label else [place, outcome.state]
        if outcome.score == outcome.score:
            parts.append(f"monitor {outcome.score:.4f}")
        if "val_accuracy" in outcome.metrics:
            parts.append(f"validation accuracy {outcome.metrics['val_accuracy']:.4f}")
        if names.SECONDS in outcome.metrics:
            parts.append(f"{outcome.metrics[names.SECONDS]:.0f} s")
        if outcome.reason:
            parts.append(outcome.reason.splitlines()[0])
        return "  " + " | ".join(parts)

    def _render(self) -> RenderableType:
        with self._lock:
            if self._stage is None:
                return Text("preparing ...")
            done, total = self._stage.counted(), self._total
            rows: list[RenderableType] = [self._bar(done, total), self._table(self._stage)]
            summary = ", ".join(f"{n} {state}" for state, n in sorted(self._states.items()))
            if self._best is not None:
                summary += f"   best on monitor so far: {self._best[0]:.4f} ({self._best[1]})"
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
        for work in stage.running():
            latest = self._latest.get(work.key)
            place = f"trial {work.slot}" if work.stage == names.EXPLORE else f"{work.slot}/{work.seed}"
            table.add_row(
                f"  {place}",
                Text(work.built.label if work.built is not None else "drawing and building"),
                f"{latest.epoch} of {work.task.epochs}" if latest else "",
                f"{latest.metrics['train_accuracy']:.3f}" if latest else "",
                f"{latest.metrics['monitor_accuracy']:.3f}" if latest else "",
            )
        return table
