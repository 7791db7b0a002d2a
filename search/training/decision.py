"""What is said about a training while it runs. Imports no Keras, so that a coordinator may."""

from enum import StrEnum


class Decision(StrEnum):
    """The answer to a reported epoch."""

    CONTINUE = "continue"
    PRUNE = "prune"  # not worth more epochs: end, with the kept weights
    STOP = "stop"  # the study is being stopped: save the checkpoint and end


class Diverged(Exception):
    """The loss of an epoch is not a finite number.

    Attributes:
        epoch: the epoch, counted from 1.
    """

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the loss is not finite after epoch {epoch}")
        self.epoch = epoch
