"""What `benchmarks.replay` compares: ways to search, in tables whose first row the others are measured by."""

from typing import Any, NamedTuple

from benchmarks.surrogate import EPOCHS

Options = tuple[tuple[str, Any], ...]
#: A space of 162 networks, so that draws come twice.
SMALL: Options = (("conv_stages", 2), ("dense_layers", 1), ("recipe.learning_rate", 1e-3))


class Contest(NamedTuple):
    """How a search goes about it, by the names that experiment files use."""

    sampler: str = "tpe"
    pruner: str = "median"
    options: Options = ()  # of the pruner
    sampler_options: Options = ()
    fixed: Options = ()  # what all networks have
    patience: int = EPOCHS  # epochs without a better one
    repeats: bool = False  # whether what was drawn before is trained again
    images: str = "faces"  # whose curves
    length: int = 40  # of the search: the time that so many whole trainings take
    baseline: bool = False  # whether that is trained first
    leads: int = 0  # so many leaders of a search on the other images, before anything is drawn

    def __str__(self) -> str:
        return f"{self.sampler}{_listed(self.sampler_options)} | {self.pruner}{_listed(self.options)}"


def _listed(options: Options) -> str:
    return f" ({', '.join(f'{name} {value}' for name, value in options)})" if options else ""


WHOLE = Contest(patience=3)
_SHORT = WHOLE._replace(baseline=True, length=20)
_HALVING = (("min_resource", 2), ("reduction_factor", 3))
#: Where a search of the other images has been before.
OTHER = {"faces": "fer2013", "fer2013": "faces"}


def _by_name(*contests: Contest) -> dict[str, Contest]:
    return {str(contest): contest for contest in contests}


#: name -> headings and rows, of which the first is what the others are compared with.
TABLES: dict[str, tuple[str, dict[str, Contest]]] = {
    "samplers": (
        "sampler | pruner",
        _by_name(
            *(Contest("tpe", pruner) for pruner in ("median", "percentile", "patient", "hyperband", "none")),
            Contest("tpe", "successive_halving"),
            Contest("tpe", "successive_halving", _HALVING),
            Contest("tpe", "median", (("n_startup_trials", 4),), (("n_startup_trials", 8),)),
            Contest("random", "median"),
            *(Contest(sampler, "none") for sampler in ("random", "qmc", "nsga2")),
        ),
    ),
    "parts": (
        "without",
        {
            "nothing": WHOLE,
            "pruning": WHOLE._replace(pruner="none"),
            "TPE (random draws)": WHOLE._replace(sampler="random"),
            "early stopping": WHOLE._replace(patience=EPOCHS),
        },
    ),
    "repeats": (
        "without, among 162 networks",
        {
            "nothing": WHOLE._replace(fixed=SMALL),
            "refusal of repeats": WHOLE._replace(fixed=SMALL, repeats=True),
        },
    ),
    **{
        f"fidelity-{images}": (
            f"trainings, {images}",
            {
                "pruned by the median": _SHORT._replace(images=images),
                "halved after 2 and 6 epochs": _SHORT._replace(
                    images=images, pruner="successive_halving", options=_HALVING
                ),
            },
        )
        for images in OTHER
    },
    **{
        f"beginnings-{images}": (
            f"first, {images}",
            {
                "the baseline": _SHORT._replace(images=images),
                "draws alone": _SHORT._replace(images=images, baseline=False),
                f"the baseline, and the leader on {OTHER[images]}": _SHORT._replace(images=images, leads=1),
                f"the baseline, and five leaders on {OTHER[images]}": _SHORT._replace(images=images, leads=5),
            },
        )
        for images in OTHER
    },
}
