"""Studies whose truth is known: how often is a claim wrong, what is found, what do rounds save?

    python -m benchmarks.statistics_simulation [--studies 300] [--workers 2] [--only TEXT] [--max-seeds 20]

Every study draws new images, new candidates and new seeds (`benchmarks.worlds`) and goes through the
functions that the report calls. Each is judged three times on the same draws: with five and with ten fixed
seeds, and in rounds of up to twenty, with a report after each round.
"""

import argparse
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.worlds import IMAGES, MAX_SEEDS, NOISY, USUAL, World
from reports import statistics
from reports.inference.rounds import replay_tables
from reports.inference.rule import Rule
from reports.inference.standings import Standing, near_best, standings
from reports.inference.verdict import preferred

Floats = NDArray[np.float64]

CHUNK = 25  # studies a process does at a time
DESIGNS = ("5 seeds", "10 seeds", "rounds")
#: What each design of each study gives.
MEASURES = (
    "wrong", "false worse", "false tied", "covered", "marginal", "power", "decided", "winner", "equal",
    "seeds", "loss", "two below",
)  # fmt: skip
#: Edges of the bins in which probabilities are compared with what was true.
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


@dataclass(frozen=True)
class Plan:
    """A kind of study: a world and the candidates' true accuracies below the best's, in points."""

    world: World
    below: tuple[float, ...]
    spread: float = 0.0  # points; true accuracies are drawn with this standard deviation
    explored: int = 0  # candidates drawn, of which the leaders on a monitor set are confirmed

    @property
    def name(self) -> str:
        """The world and the candidates."""
        if self.explored:
            return f"{self.world.name}: {len(self.below)} leaders of {self.explored} (sd {self.spread:g})"
        if self.spread:
            return f"{self.world.name}: {len(self.below)} drawn with sd {self.spread:g}"
        if not any(self.below):
            return f"{self.world.name}: {len(self.below)} equal"
        lower = ", ".join(f"{one:g}" for one in self.below[1:])
        return f"{self.world.name}: lower by {lower}"

    def truth(self, random: np.random.Generator) -> Floats:
        """True accuracies, the largest network first."""
        if not self.spread:
            return np.array(self.world.accuracy - np.array(self.below) / 100.0)
        drawn = self.world.accuracy + self.spread / 100.0 * random.standard_normal(
            max(self.explored, len(self.below))
        )
        if self.explored:
            monitor = drawn + 0.009 * random.standard_normal(len(drawn))
            drawn = drawn[np.argsort(-monitor)[: len(self.below)]]
        return np.asarray(drawn)


def rule_of(world: World) -> Rule:
    """The rule that a study of this world is judged by."""
    return Rule(objective=world.objective, margin=0.02 if world.objective == "loss" else 0.01)


def one_study(plan: Plan, max_seeds: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """MEASURES of each design, and (probability, true) of each statement of the last design."""
    world, rule = plan.world, rule_of(plan.world)
    truth = plan.truth(random)
    tables = world.draw(truth, random)
    found = []
    level = statistics.alpha_of_look(1, rule.alpha)
    for seeds in (5, 10):
        first = [one.on(range(1, seeds + 1)) for one in tables]
        if world.lacking:
            first[-1] = first[-1].on(range(1, seeds - world.lacking + 1))
        placed = standings(first, world.majority, level, rule.margin)
        found.append(_measures([placed], truth, plan, rule, float(seeds), ""))
    names = [one.name for one in tables]
    over = {(names[-1], seed) for seed in range(1, MAX_SEEDS + 1)} - {
        (names[-1], seed) for seed in tables[-1].seeds
    }
    states = [
        one
        for one in replay_tables(tables, world.majority, rule, max_seeds, planned=names, over=over)
        if one.standings
    ]
    last = states[-1]
    seeds_used = len(last.used) / len(tables)
    found.append(
        _measures([one.standings for one in states], truth, plan, rule, seeds_used, last.decision.reason)
    )
    return np.array(found), _probabilities(last.standings, truth, rule)


def _measures(
    reports: Sequence[Sequence[Standing]],
    truth: Floats,
    plan: Plan,
    rule: Rule,
    seeds: float,
    reason: str,
) -> list[float]:
    """One number for each of MEASURES; claims count if any report made them."""
    scored = plan.world.objective == "val_accuracy"
    equal = not any(plan.below) and not plan.spread
    worse = tied = False
    for placed in reports:
        best = truth[int(placed[0].name)]
        for one in placed[1:]:
            behind = best - truth[int(one.name)]
            worse |= one.relation == "worse" and behind <= 0.0
            tied |= one.relation == "tied" and abs(behind) >= rule.margin - 1e-12 and scored
    last = reports[-1]
    best, others = truth[int(last[0].name)], last[1:]
    top = truth.max()
    known = [one for one in others if not math.isnan(one.low)]
    covered = [one.low <= truth[int(one.name)] - best <= one.high for one in known]
    lower = [one for one in last if truth[int(one.name)] < top]
    relations = {one.relation for one in others}
    chosen = preferred(
        [
            (1.0 - one.failed.mean(), one.table.parameters, one.name)
            for one in last
            if near_best(one, rule.margin)
        ]
    )
    behind = 100.0 * (top - truth[int(chosen)]) if chosen else math.nan
    comparable = scored or equal
    return [
        float(worse or tied),
        float(worse),
        float(tied),
        float(all(covered)) if covered and comparable else math.nan,
        float(np.mean(covered)) if covered and comparable else math.nan,
        float(np.mean([one.relation == "worse" for one in lower])) if lower else math.nan,
        float("underpowered" not in relations),
        float(last[0].relation == "better"),
        float(last[0].relation == "tied" or reason == "equal"),
        seeds,
        behind,
        float(behind > 2.0 + 1e-9),
    ]


def _probabilities(placed: Sequence[Standing], truth: Floats, rule: Rule) -> Floats:
    """(probability, whether it was true) of better, equal and worse than the best, of every other."""
    found = []
    for one in placed[1:]:
        if one.difference is None or math.isnan(one.low):
            continue
        delta = truth[int(one.name)] - truth[int(placed[0].name)]
        true = (delta > rule.margin, abs(delta) <= rule.margin, delta < -rule.margin)
        found += list(zip(one.difference.shares(rule.margin), map(float, true), strict=True))
    return np.array(found).reshape(-1, 2)


def chunk(plan: Plan, max_seeds: int, first: int, last: int) -> tuple[Floats, Floats]:
    """Independent studies: (studies, designs, measures), and their probabilities."""
    drawn = [one_study(plan, max_seeds, np.random.default_rng((1, index))) for index in range(first, last)]
    return np.stack([one for one, _ in drawn]), np.concatenate([said for _, said in drawn])


def overfit_chunk(first: int, last: int, seeds: int = 5, count: int = 4) -> Floats:
    """Whether a study says of any of four candidates, all exactly at tau, that it surely overfits."""
    world, rule = USUAL, Rule()
    chance = 1.0 - 1.0 / 7.0
    error = 1.0 - world.accuracy
    train = 1.0 - (error - rule.tau * chance) / (1.0 - rule.tau)
    found = []
    for index in range(first, last):
        random = np.random.default_rng((2, index))
        labels = random.integers(7, size=IMAGES)
        claimed = False
        for table in world.draw(np.full(count, world.accuracy), random, seeds):
            wrong = (labels + random.integers(1, 7, size=table.scores.shape)) % 7
            guesses = np.where(table.scores > 0.5, labels, wrong)
            own = world.draw(np.array([train]), random, seeds)[0].accuracy
            level = statistics.alpha_of_look(1, rule.alpha) / count
            one = statistics.relative_overfit(labels, guesses, own, 7, alpha=level)
            claimed |= one.low > rule.tau
        found.append(float(claimed))
    return np.array(found)


def plans() -> list[Plan]:
    """What the tables show."""
    equal = [(0.0,) * count for count in (2, 4, 8)]
    prone = (0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05)
    named = USUAL.named
    return [
        *(Plan(USUAL, below) for below in equal),
        *(Plan(NOISY, below) for below in equal),
        Plan(named("all collapse 1 in 20", collapse=prone), (0.0,) * 4),
        Plan(named("all collapse 1 in 20", collapse=prone), (0.0, 1.0, 2.0, 5.0)),
        Plan(named("one collapses 1 in 20", collapse=(0.05,)), (0.0,) * 4),
        Plan(named("one collapses 1 in 20", collapse=(0.05,)), (0.0, 2.0)),
        Plan(named("two rivals collapsed once", forced=(1, 1)), (0.0, 5.0, 0.5, 0.5)),
        Plan(named("two rivals collapsed once", forced=(1, 1)), (0.0,) * 4),
        Plan(named("one collapsed and lacks a seed", forced=(1,), lacking=1), (0.0, 5.0, 0.5)),
        Plan(named("one collapsed and lacks a seed", forced=(1,), lacking=1), (0.0,) * 3),
        Plan(NOISY.named("noisy, one three times as unsteady", unsteady=3.0), (0.0,) * 4),
        Plan(NOISY.named("noisy, one three times as unsteady", unsteady=3.0), (0.0, 3.0, 3.0)),
        Plan(named("classes as in FER-2013", classes=True), (0.0,) * 4),
        Plan(named("images in clusters of 5", cluster=5), (0.0,) * 4),
        *(Plan(named(f"{images:,} images", images=images), (0.0, 0.0)) for images in (7178, 14356)),
        Plan(named("100 images", images=100), (0.0,) * 4),
        Plan(named("100 images", images=100), (0.0, 5.0, 10.0)),
        Plan(named("300 images", images=300), (0.0,) * 4),
        Plan(named("300 images", images=300), (0.0, 3.0, 6.0)),
        Plan(World("99%", accuracy=0.99, seed_sd=0.0013, same=0.010, other=0.012), (0.0, 0.0, 1.0)),
        Plan(
            World("99%, 400 images", accuracy=0.99, images=400, seed_sd=0.0013, same=0.01, other=0.012),
            (0.0, 1.0),
        ),
        Plan(USUAL, (0.0,) * 5, spread=0.5, explored=40),
        Plan(NOISY, (0.0,) * 5, spread=0.5, explored=40),
        Plan(USUAL, (0.0, *(1.0,) * 7)),
        Plan(named("macro F1", objective="macro_f1"), (0.0,) * 4),
        Plan(named("loss", objective="loss"), (0.0,) * 4),
        Plan(named("five folds", folds=5), (0.0,) * 4),
        *(Plan(world, (0.0, gap, gap, gap)) for world in (USUAL, NOISY) for gap in (1.0, 1.5, 2.0)),
        *(Plan(world, (0.0, 5.0, 5.0, 5.0)) for world in (USUAL, NOISY)),
        Plan(USUAL, (0.0, 0.0, 10.0, 10.0)),
        Plan(USUAL, (0.0, 1.5, 5.0, 10.0)),
        Plan(USUAL, (0.0,) * 4, spread=1.0),
    ]


def percent(values: Floats) -> str:
    """A share in percent with its own standard error; empty where there is none."""
    known = values[np.isfinite(values)]
    if not known.size:
        return ""
    share = float(known.mean())
    return f"{100.0 * share:.1f} ± {100.0 * math.sqrt(share * (1.0 - share) / known.size):.1f}"


def lines(plan: Plan, numbers: Floats) -> Iterator[str]:
    """One line for each design."""
    at = {name: place for place, name in enumerate(MEASURES)}
    for place, design in enumerate(DESIGNS):
        own = numbers[:, place]
        cells = [
            percent(own[:, at[name]])
            for name in (
                "wrong",
                "false worse",
                "false tied",
                "covered",
                "marginal",
                "power",
                "winner",
                "equal",
            )
        ]
        seeds = own[:, at["seeds"]].mean()
        loss = np.nanmean(own[:, at["loss"]]) if np.isfinite(own[:, at["loss"]]).any() else math.nan
        below = 100.0 * own[:, at["two below"]].mean()
        yield f"| {plan.name} | {design} | {' | '.join(cells)} | {seeds:.1f} | {loss:.2f} | {below:.1f} |"


def calibration(said: Floats) -> Iterator[str]:
    """How often statements of a probability were true."""
    for low, high in itertools.pairwise(BINS):
        inside = said[(said[:, 0] >= low) & ((said[:, 0] < high) | (high == 1.0))]
        if len(inside):
            yield (
                f"| {low:g} to {high:g} | {len(inside):,} | {100 * inside[:, 0].mean():.1f} | "
                f"{100 * inside[:, 1].mean():.1f} |"
            )


def main() -> None:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=300, help="studies a line")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="only lines that contain this text")
    parser.add_argument("--max-seeds", type=int, default=MAX_SEEDS, help="of the rounds, 20 at most")
    chosen = parser.parse_args()
    started = time.perf_counter()
    print(
        "| world | design | wrong | false worse | false tied | all covered | covered | power | winner "
        "| equal | seeds | loss | two below |"
    )
    print("|---|---|" + "---:|" * 11)
    wanted = [plan for plan in plans() if chosen.only in plan.name]
    cuts = range(0, chosen.studies, CHUNK)
    said = np.zeros((0, 2))
    with ProcessPoolExecutor(chosen.workers) as pool:
        for plan in wanted:
            parts = [
                pool.submit(chunk, plan, chosen.max_seeds, first, min(first + CHUNK, chosen.studies))
                for first in cuts
            ]
            done = [part.result() for part in parts]
            for line in lines(plan, np.concatenate([numbers for numbers, _ in done])):
                print(line, flush=True)
            if plan.spread:
                said = np.concatenate([said, *(one for _, one in done)])
        overfit = [
            pool.submit(overfit_chunk, first, min(first + CHUNK, chosen.studies)) for first in cuts[:20]
        ]
        claimed = percent(np.concatenate([one.result() for one in overfit]))
        print(f"\nFour candidates exactly at tau, one called overfit: {claimed}%")
    print("\n| said | statements | mean probability, % | true, % |\n|---|---:|---:|---:|")
    for line in calibration(said):
        print(line)
    print(f"\n{chosen.studies} studies a line, {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
