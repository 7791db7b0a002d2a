"""Classes of a hypermodel's own in the config of a model, and how Keras finds them when it opens that.

Imports Keras: only processes that build or open networks may import this module.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import keras

from spaces.errors import UserError
from spaces.user_code import imported

#: Packages whose classes and functions Keras finds by itself.
KERAS_PACKAGES: Final = frozenset({"keras", "keras_hub", "keras_cv", "keras_nlp", "builtins"})
#: What Keras writes into the config of every layer.
_OF_KERAS: Final = frozenset({"name", "trainable", "dtype"})


def import_custom_objects(config: Any, family: str) -> None:
    """Import the module of a hypermodel, if Keras needs it to open what that built.

    Args:
        config: The config of a model that a study kept. Never that of a file from elsewhere: what is
            imported runs.
        family: The hypermodel, "package.module:name".

    Raises:
        UserError: If the module cannot be imported, or lacks something that the config names.
    """
    wanted = list(_custom_parts(config))
    if not wanted:
        return
    module = family.partition(":")[0]
    try:
        imported(family)
    except UserError:
        raise
    except Exception as error:  # whatever somebody's module raises
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{module}, which built a kept model, cannot be imported ({reason}).") from error
    register_custom_objects(config)
    for part in wanted:
        if keras.saving.get_registered_object(_name(part)) is None:
            raise UserError(
                f"A kept model needs {_name(part)} of {part['module']}, which Keras does not find after "
                f"importing {module}: bring the module back to what it was when the study ran."
            )


def register_custom_objects(config: Any) -> None:
    """Let Keras find the custom classes of a config, in modules that are imported already.

    It imports none. It holds for the whole process: whoever opens the file later, or a copy, needs nothing
    more.

    Args:
        config: The config of a model.
    """
    for part in _custom_parts(config):
        kind = getattr(sys.modules.get(part["module"]), part["class_name"], None)
        if isinstance(kind, type) and hasattr(kind, "from_config"):
            keras.saving.get_custom_objects()[_name(part)] = _CustomClass(kind)


@dataclass(frozen=True)
class _CustomClass:
    """A class as Keras makes it from a config, also one that takes nothing of what Keras itself adds."""

    kind: Any

    def from_config(self, config: Mapping[str, Any]) -> Any:
        try:
            return self.kind.from_config({**config})
        except TypeError:
            takes = inspect.signature(self.kind.__init__).parameters
            own = {key: value for key, value in config.items() if key in takes or key not in _OF_KERAS}
            return self.kind.from_config(own)


def _custom_parts(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every class and function of a config that is not Keras' own."""
    if isinstance(config, list):
        for one in config:
            yield from _custom_parts(one)
    elif isinstance(config, dict):
        module, name = config.get("module"), config.get("class_name")
        if (
            isinstance(module, str)
            and isinstance(name, str)
            and module.partition(".")[0] not in KERAS_PACKAGES
        ):
            yield config
        yield from _custom_parts(list(config.values()))


def _name(part: Mapping[str, Any]) -> str:
    return str(part.get("registered_name") or part["class_name"])
