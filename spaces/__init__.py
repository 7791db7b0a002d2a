"""What can be built: families of architectures, and the spaces that a study searches.

A family is a frozen dataclass with functions that draw and build it (`spaces.family`, one file each in
`spaces.families`). A space is one family, one variant or several of them (`spaces.space`). Its
hyperparameters are `spaces.domains`. `spaces.keras_tuner` connects both with Keras Tuner. Nothing here
knows Optuna or MLflow, and importing this package loads neither Keras nor TensorFlow.
"""

from spaces.domains import Categorical, Domain, Integer, Real, Value
from spaces.errors import InfeasibleArchitecture, UserError
from spaces.family import Family, family_names, fingerprint, load_family
from spaces.shapes import Shape
from spaces.space import BuiltArchitecture, Space

__all__ = [
    "BuiltArchitecture",
    "Categorical",
    "Domain",
    "Family",
    "InfeasibleArchitecture",
    "Integer",
    "Real",
    "Shape",
    "Space",
    "UserError",
    "Value",
    "family_names",
    "fingerprint",
    "load_family",
]
