"""What a model may be used for, and what no accuracy on pictures can show."""

from reports.card.parts import CardSection

#: Names that data sets of facial expressions give to their classes.
_EMOTIONS = frozenset(
    (
        *("anger", "angry", "contempt", "disgust", "disgusted", "fear", "fearful", "happiness", "happy"),
        *("joy", "neutral", "sad", "sadness", "surprise", "surprised"),
    )
)


def are_emotions(classes: tuple[str, ...]) -> bool:
    """Whether the classes are emotions: at least three of them are, and at most one is something else."""
    known = sum(name.strip().lower() in _EMOTIONS for name in classes)
    return known >= 3 and len(classes) - known <= 1


def intended_use(classes: tuple[str, ...], shape: tuple[int, ...], synthetic: bool) -> CardSection:
    """For what the model is meant, and for what it is not."""
    emotions = are_emotions(classes)
    size = " × ".join(map(str, shape))
    what = "which facial expression a picture shows" if emotions else "which class a picture belongs to"
    meant: tuple[str, ...] = (
        f"To say {what}, one of {len(classes)}: {', '.join(classes)}. It takes pictures of {size} (height, "
        "width, channels) like those that it was trained on: of the same kind, cropped alike.",
        "Every picture gets one of these classes, also one that shows none of them.",
    )
    if synthetic:
        meant = (*meant, "It has only ever seen drawn pictures: do not use it on photographs.")
    limits = (*_FACES, *_ANY) if emotions else _ANY
    return CardSection("Intended use and its limits", paragraphs=meant, points=limits)


_FACES = (
    "It reads a face, not a feeling. The labels are what people who looked at a picture called its "
    "expression; "
    "what the person in it felt was never asked. The same face goes with different feelings in different "
    "people, situations and cultures, and much that is felt does not show (Barrett, Adolphs, Marsella, "
    "Martinez "
    "and Pollak, Emotional Expressions Reconsidered, 2019).",
    "People who label such pictures often disagree, so a part of the mistakes is the labels', and no "
    "network can "
    "be right about all of them.",
    "Do not use it to decide about a person: at work, in school, in hiring, insurance, policing, at a "
    "border, in "
    "health care, or to tell whether somebody lies. In the European Union, inferring emotions at the "
    "workplace "
    "and in education is prohibited but for medical and safety reasons (Regulation 2024/1689, article 5).",
    "How well it does for people of different age, sex, skin colour or culture was not measured: the data "
    "do not "
    "say who is in the pictures. Measure it on people like those it is meant for, with their consent.",
)
_ANY = (
    "Its accuracy holds for pictures drawn as those of the validation split were: other cameras, light, "
    "crops or "
    "sources make it worse, by an amount that this study does not know.",
    "An answer with its probability is evidence, not a decision: leave the decision to a person who can "
    "say no.",
)
