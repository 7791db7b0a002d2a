"""A recipe says what it is, survives JSON, and refuses what it does not know in one clear sentence."""

import json
import subprocess
import sys
from typing import Any

import pytest

from search.training.augmentation import AUGMENTATIONS, Augmentation
from search.training.recipe import Recipe
from spaces.errors import UserError


@pytest.mark.parametrize("augmentation", [*AUGMENTATIONS, {"rotation": 3, "erasing": 0.25}])
def test_a_recipe_survives_json(augmentation: Any) -> None:
    recipe = Recipe.from_dict({"optimizer": "sgd", "l2": 1e-4, "augmentation": augmentation})
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_preset_is_written_by_its_name() -> None:
    assert Recipe(augmentation=AUGMENTATIONS["published"]).to_dict()["augmentation"] == "published"
    assert Recipe(augmentation=Augmentation(zoom=0.2)).to_dict()["augmentation"]["zoom"] == 0.2


def test_whole_numbers_may_stand_for_floats_and_make_the_same_recipe() -> None:
    assert Recipe.from_dict({"learning_rate": 1, "l2": 0}).to_dict() == Recipe(learning_rate=1.0).to_dict()


ADDED = {
    "weight_average": 2.0,
    "warmup_epochs": 3,
    "warmup_share": 0.3,
    "mixup": 0.2,
    "cutmix": 1.0,
    "flip": "alternating",
    "test_time": "flip",
}


def test_later_fields_identify_a_recipe_only_where_they_are_used() -> None:
    """So what was trained before they came is the same candidate today."""
    assert not ADDED.keys() & Recipe().to_dict().keys()
    assert ADDED.keys() < Recipe().every_field().keys()
    for field, value in ADDED.items():
        used = Recipe.from_dict({field: value}).to_dict()
        assert used == {**Recipe().to_dict(), field: value}
        assert Recipe.from_dict(used).every_field()[field] == value


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"learning_rat": 1e-3}, "unknown key of recipe 'learning_rat', did you mean 'learning_rate'?"),
        ({"augmentation": "publshed"}, "unknown augmentation 'publshed', did you mean 'published'?"),
        ({"augmentation": {"rotaton": 3}}, "unknown key of augmentation 'rotaton', did you mean 'rotation'?"),
        ({"augmentation": 3}, "augmentation is 3"),
        ({"augmentation": {"zoom": 1.5}}, "augmentation.zoom is 1.5: write a number from 0 to 0.9"),
        ({"augmentation": {"flip": 1}}, "augmentation.flip is 1: write true or false"),
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm', did you mean 'adam'?"),
        ({"schedule": "x"}, "Known: plateau, cosine, constant, one_cycle"),
        ({"flip": True}, "unknown flip True. Known: augmentation, none, random, alternating"),
        ({"flip": "alternate"}, "unknown flip 'alternate', did you mean 'alternating'?"),
        ({"test_time": "flips"}, "unknown test_time 'flips', did you mean 'flip'?"),
        ({"mixup": -0.1}, "recipe.mixup is -0.1: write a number from 0 to 10"),
        ({"cutmix": "on"}, "recipe.cutmix is 'on'"),
        ({"weight_average": True}, "recipe.weight_average is True: write a number from 0 to 1000"),
        ({"warmup_share": 1.0}, "recipe.warmup_share is 1.0: write a number from 0 to 0.9"),
        ({"warmup_epochs": 1.5}, "recipe.warmup_epochs is 1.5: write a whole number"),
        ({"batch_size": 12.5}, "recipe.batch_size is 12.5: write a whole number"),
        ({"batch_size": True}, "recipe.batch_size is True"),
        ({"learning_rate": "fast"}, "recipe.learning_rate is 'fast'"),
        ({"learning_rate": float("nan")}, "recipe.learning_rate is nan"),
        ({"class_weights": "balanced"}, "recipe.class_weights is 'balanced': write true or false"),
    ],
)
def test_a_mistake_is_refused_by_name(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as refusal:
        Recipe.from_dict(table)
    assert says in str(refusal.value)


def test_what_the_coordinator_imports_loads_no_keras() -> None:
    modules = ["recipe", "augmentation", "precision", "measures.metrics", "schedule", "early_stopping"]
    modules += ["mixing", "checkpoint"]
    imports = "; ".join(f"import search.training.{module}" for module in modules)
    check = "import sys; assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{imports}; {check}"], check=True)
