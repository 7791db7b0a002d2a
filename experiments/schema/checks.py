"""What must agree across the sections of an experiment file: names, variants, recipe fields."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.schema.catalog import nearest
from experiments.schema.cells import MOST_CELLS, is_recipe
from experiments.schema.experiment_sections import ExperimentSections
from experiments.schema.hyperparameters import families, hyperparameters
from experiments.schema.sections import Range
from search.protocol import is_own_class
from search.training.recipe import Recipe
from spaces.errors import UserError
from spaces.family import Family
from spaces.space import Space

#: With fewer pairs Wilcoxon's test cannot fall below its threshold of 0.1.
FEWEST_STEPS = 5


def check(experiment: ExperimentSections) -> None:
    """Raise UserError at the first contradiction."""
    if experiment.search and experiment.grid:
        raise UserError("a file has [search] or [grid], not both; make two experiments of it.")
    if experiment.grid and not experiment.cells:
        raise UserError("the only cell of [grid] is the baseline; a grid needs one that differs from it.")
    _agreed(experiment)
    arms = Space.parse(experiment.space).families
    _said_once(experiment)
    for recipe in _recipes(experiment):
        Recipe.from_dict(recipe)
    for cell in (*experiment.cells, *([experiment.baseline_cell] if experiment.baseline_cell else [])):
        _one_candidate(cell, arms)
    _known_names(experiment)


def _agreed(experiment: ExperimentSections) -> None:
    """What several keys of [protocol] and [data] ask for must be possible at once."""
    protocol, several = experiment.protocol, experiment.protocol.explore_seeds > 1
    if protocol.pruner == "wilcoxon" and protocol.explore_seeds < FEWEST_STEPS:
        raise UserError(
            f'pruner = "wilcoxon" compares seeds, not epochs: ask for protocol.explore_seeds = {FEWEST_STEPS}'
            " or more."
        )
    if several and protocol.pruner not in ("wilcoxon", "none") and not is_own_class(protocol.pruner):
        raise UserError(
            f'protocol.explore_seeds = {protocol.explore_seeds} goes with pruner = "wilcoxon" (over seeds) '
            f'or "none": "{protocol.pruner}" compares epochs of one training.'
        )
    if protocol.also_minimize and protocol.pruner != "none":
        raise UserError(
            'protocol.also_minimize needs pruner = "none": with two objectives no trial is surely behind.'
        )
    if protocol.also_minimize and protocol.sampler == "cmaes":
        raise UserError(
            'sampler = "cmaes" knows one objective: take tpe, nsga2, gp, qmc or random with '
            "protocol.also_minimize."
        )
    if protocol.warm_start and (experiment.grid or protocol.sampler == "grid"):
        raise UserError(
            "protocol.warm_start says what a search draws first, and a grid draws nothing: leave it out."
        )
    if protocol.hours is not None and experiment.grid and not protocol.in_rounds:
        raise UserError(
            f"protocol.hours cannot end a [grid] with seeds = {protocol.seeds}: every cell is trained on "
            'every seed. Take seeds = "auto", fewer cells, seeds or epochs, or leave hours out.'
        )
    if protocol.explore_images is not None and experiment.grid:
        raise UserError(
            "protocol.explore_images says what a search explores with, and every cell of a [grid] is trained "
            "on all images: leave it out, or set data.limit."
        )
    if protocol.explore_images is not None and protocol.hours is not None:
        raise UserError(
            "protocol.hours keeps the share of the confirm stage by what explore's trainings take, and "
            "protocol.explore_images makes these shorter: leave one of them out."
        )
    if experiment.data.folds and not experiment.grid:
        raise UserError(
            "data.folds needs a [grid]: a search would choose its leaders by the images that later "
            "judge them."
        )
    if experiment.data.folds and experiment.data.labels != "keep":
        raise UserError(
            f'data.labels = "{experiment.data.labels}" needs a validation part of its own: with data.folds '
            "every image trains and judges; leave one of them out."
        )
    if experiment.data.folds and protocol.final == "retrain":
        raise UserError(
            'protocol.final = "retrain" leaves out the validation part, which data.folds trains on too: set '
            'it to "keep".'
        )
    ranges = [name for name, entry in experiment.search.items() if not isinstance(entry, list)]
    if protocol.sampler == "grid" and not experiment.grid and (ranges or not experiment.search):
        raise UserError(
            'sampler = "grid" tries every combination of the lists in [search]'
            + (f': "{ranges[0]}" is no list.' if ranges else ", and there is none.")
            + " Write a [grid] instead to train each cell on every seed at once."
        )
    count = math.prod(len(entry) for entry in experiment.search.values() if isinstance(entry, list))
    if protocol.sampler == "grid" and count > MOST_CELLS:
        raise UserError(
            f'sampler = "grid" tries each of the {count:,} combinations of the lists in [search], and '
            f"{MOST_CELLS:,} are the most: take fewer values, or another sampler."
        )


def _said_once(experiment: ExperimentSections) -> None:
    varied = "[grid]" if experiment.grid else "[search]"
    for name in experiment.varied:
        if name in experiment.fix or name in experiment.fixed:
            raise UserError(f'"{name}" is in [fix] and in {varied}; keep one.')
        if is_recipe(name) and name.removeprefix("recipe.") in experiment.recipe:
            raise UserError(f'"{name}" is in [recipe] and in {varied}; keep one.')


def _recipes(experiment: ExperimentSections) -> Iterator[dict[str, Any]]:
    """Every value of a recipe field that the file asks for, in a recipe; of a range, both ends."""
    yield dict(experiment.recipe)
    sections: tuple[Mapping[str, Any], ...] = (experiment.search, *experiment.grid, experiment.baseline or {})
    for section in sections:
        for name, entry in section.items():
            for value in _values(entry) if is_recipe(name) else ():
                yield {**experiment.recipe, name.removeprefix("recipe."): value}


def _values(entry: Any) -> Sequence[Any]:
    if isinstance(entry, Range):
        return (entry.low, entry.high)
    return entry if isinstance(entry, list) else (entry,)


def _one_candidate(cell: Mapping[str, Any], arms: Sequence[str]) -> None:
    """A variant is a whole architecture; without one, several families need a word on which it is."""
    if "variant" in cell:
        beside = [name for name in cell if name != "variant" and not is_recipe(name)]
        if beside:
            raise UserError(f'a variant is a whole architecture: "{beside[0]}" cannot be set beside it.')
        if "." not in str(cell["variant"]):
            raise UserError(f'a variant is written "family.name". Received: "{cell["variant"]}".')
        Space.parse(cell["variant"])
    elif len(arms) > 1 and cell.get("family") not in arms:
        raise UserError(
            f"every cell and [baseline] need a variant or one family of {', '.join(arms)}. "
            f'Received: "{cell.get("family", "none")}".'
        )


def _known_names(experiment: ExperimentSections) -> None:
    """Refuse a hyperparameter that no family of the space has; a hypermodel's are known once it is built."""
    if any(":" in arm for arm in experiment.space):
        return
    for name in dict.fromkeys(name for settings in _settings(experiment) for name in settings):
        if not is_recipe(name) and name not in ("family", "variant"):
            _known_name(name, experiment)


def _settings(experiment: ExperimentSections) -> tuple[Mapping[str, Any], ...]:
    return (experiment.fixed, experiment.search, *experiment.cells, experiment.baseline_cell or {})


def _known_name(name: str, experiment: ExperimentSections) -> None:
    arms, plain = _arms_meant(name, experiment.space), name.rpartition("/")[2]
    meant = families([arm for arm in arms if "." not in arm])
    if not meant:
        raise UserError(
            f'"{name}" has nothing to set: {", ".join(arms)} is a whole architecture; write its family into '
            "space."
        )
    known = frozenset[str]().union(*(hyperparameters(family) for family in meant))
    if plain in known or _is_item(name, meant, experiment):
        return
    if f"{plain}_1" in known:
        raise UserError(f'"{name}" is a list: write its items, {plain}_1, {plain}_2, ...')
    near = nearest(plain, known).removesuffix("_1")
    raise UserError(f'unknown hyperparameter "{name}"; the nearest valid one is "{near}".')


def _arms_meant(name: str, space: Sequence[str]) -> Sequence[str]:
    """The arms that a name is for: all, or of "family=inception/modules" the one that it says."""
    condition, _, plain = name.rpartition("/")
    if not condition:
        return space
    if len(space) == 1:
        raise UserError(f'"{name}" says which family, and {space[0]} is the only one: write "{plain}".')
    conditions = {f"family={arm}": arm for arm in space}
    if condition not in conditions:
        near = nearest(condition, conditions)
        raise UserError(f'unknown family in "{name}"; the nearest valid name is "{near}/{plain}".')
    return [conditions[condition]]


def _is_item(name: str, meant: Sequence[Family], experiment: ExperimentSections) -> bool:
    """Whether it is an item of a list, such as "kernels_2". Raises UserError where no list has so many."""
    stem, _, number = name.rpartition("/")[2].rpartition("_")
    having = [family for family in meant if f"{stem}_1" in hyperparameters(family)]
    if not having or not number.isdecimal():
        return False
    most = max(_longest(stem, family, experiment) for family in having)
    if number != str(int(number)) or not 1 <= int(number) <= most:
        last = f" to {stem}_{most}" if most < math.inf else f", {stem}_2, ..."
        raise UserError(f'unknown hyperparameter "{name}"; there are {stem}_1{last}.')
    return True


def _longest(stem: str, family: Family, experiment: ExperimentSections) -> float:
    """How many items a list of the family may have: as many as it draws, or as the file says of its count."""
    count = family.counts.get(stem, "")
    entries = [
        settings.get(name, 0)
        for settings in _settings(experiment)
        for name in (count, f"family={family.name}/{count}")
    ]
    said = [value for entry in entries for value in _values(entry) if isinstance(value, int)]
    return max([family.max_list_lengths().get(stem, math.inf), *said])
