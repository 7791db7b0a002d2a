"""Numbers as the report's sentences say them."""

from collections.abc import Mapping, Sequence

from reports.records.evaluation import Objective


class Amount:
    """Differences in the words of the objective."""

    def __init__(self, objective: Objective) -> None:
        """Objective: the metric that the differences are of."""
        self.loss = objective == "loss"
        self.unit = " of macro F1" if objective == "macro_f1" else ""

    def size(self, value: float) -> str:
        """A difference without sign."""
        if self.loss:
            return f"{abs(value):.3f} of loss"
        number = f"{100 * abs(value):.1f}".removesuffix(".0")
        return f"{number} {'point' if number == '1' else 'points'}{self.unit}"

    def between(self, low: float, high: float) -> str:
        """The two ends of an interval, "0.3 to 2.5"."""
        form, scale = (".3f", 1.0) if self.loss else (".1f", 100.0)
        return f"{_plain(scale * low, form)} to {_plain(scale * high, form)}"


def _plain(value: float, form: str) -> str:
    """A rounded number without the sign of a negative zero."""
    text = format(value, form)
    return text if float(text) != 0.0 else text.replace("-", "")


def many(count: int, one: str, several: str) -> str:
    """A number and its noun."""
    return f"{count} {one if count == 1 else several}"


def listed(told: Sequence[str], most: int | None = None) -> str:
    """Join names as a sentence does: a, b and c. Beyond `most` names the rest is counted.

    Args:
        told: The names, at least one.
        most: The largest number of names; None for all.
    """
    if most is not None and len(told) > most + 1:
        return f"{', '.join(told[:most])} and {len(told) - most} others"
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


#: Labels up to this length stand in the sentences as they are.
_SHORT = 14


class Names:
    """Short names of candidates: letters in the order of the table, each explained once.

    Short labels stand for themselves.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        """Labels: candidate to label, best first."""
        lettered = len(labels) > 1 and max(map(len, labels.values())) > _SHORT
        self._labels = labels
        self._letters = {
            candidate: letter(index) for index, candidate in enumerate(labels) if lettered and index < 26
        }
        self._used: set[str] = set()

    def __call__(self, candidate: str) -> str:
        """What the sentences call a candidate."""
        self._used.add(candidate)
        return self._letters.get(candidate, self._labels[candidate])

    def defined(self) -> list[str]:
        """One sentence that explains the letters that were used; none where there are none."""
        used = [name for name in self._labels if name in self._used and name in self._letters]
        told = [f"{self._letters[name]}: {self._labels[name]}" for name in used]
        return [f"{'; '.join(told)}."] if told else []


def letter(index: int) -> str:
    """A, B, C, ..."""
    return chr(ord("A") + index)
