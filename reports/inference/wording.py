"""Numbers as the report's sentences say them."""

from collections.abc import Sequence

from reports.inference.comparison import Objective, Pair


class Amount:
    """Differences in the words of the objective."""

    def __init__(self, objective: Objective, confidence: float) -> None:
        """Confidence is the level of the intervals, 0.95 for 95%."""
        self.loss = objective == "loss"
        self.unit = " of macro F1" if objective == "macro_f1" else ""
        self.level = f"{100 * confidence:g}%"

    def size(self, value: float) -> str:
        """A difference without sign."""
        if self.loss:
            return f"{abs(value):.3f} of loss"
        number = f"{100 * abs(value):.1f}".removesuffix(".0")
        return f"{number} {'point' if number == '1' else 'points'}{self.unit}"

    def evidence(self, pair: Pair) -> str:
        """An advantage with its interval and the seeds behind it."""
        delta = pair.difference
        if self.loss:
            lead = f"loss {'lower' if delta.estimate >= 0.0 else 'higher'} by {abs(delta.estimate):.3f}"
            ends = sorted((delta.low, delta.high) if delta.estimate >= 0.0 else (-delta.high, -delta.low))
            low, high = (f"{end:.3f}" for end in ends)
        else:
            lead = f"{_plain(100 * delta.estimate, '+.1f')} points{self.unit}"
            low, high = (_plain(100 * end, ".1f") for end in (delta.low, delta.high))
        seeds = many(delta.seeds, "paired seed", "paired seeds")
        return f"{lead}, {self.level} interval {low} to {high}, {seeds}"


def _plain(value: float, form: str) -> str:
    """A rounded number without the sign of a negative zero."""
    text = format(value, form)
    return text if float(text) != 0.0 else text.replace("-", "+" if "+" in form else "")


def many(count: int, one: str, several: str) -> str:
    """A number and its noun."""
    return f"{count} {one if count == 1 else several}"


def listed(told: Sequence[str], most: int | None = None) -> str:
    """ "a, b and c"; beyond `most` names the rest is counted."""
    if most is not None and len(told) > most + 1:
        return f"{', '.join(told[:most])} and {len(told) - most} others"
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
