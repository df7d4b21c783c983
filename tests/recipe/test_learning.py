from __future__ import annotations

import pytest
from pydantic import TypeAdapter
from pydantic import ValidationError

from edgekd.recipe.learning import DistilStep
from edgekd.recipe.learning import LearnStep
from edgekd.recipe.learning import TaughtStep

STEPS: TypeAdapter[object] = TypeAdapter(LearnStep)


def test_a_step_is_told_by_its_name() -> None:
    step = STEPS.validate_python({"step": "distil", "losses": ["kd"]})
    assert isinstance(step, DistilStep) and step.knowledge == "auto" and step.train is None
    recover = {"losses": ["kd"], "train": {"epochs": 3}}
    for name in ("factorize", "prune"):
        step = STEPS.validate_python({"step": name, "speedup": 1.5, "recover": recover})
        taught = getattr(step, "recover", None)
        assert isinstance(taught, TaughtStep) and taught.train is not None
        assert taught.train.epochs == 3
        bare = STEPS.validate_python({"step": name, "macs": 0.5})
        assert getattr(bare, "recover", "") is None


@pytest.mark.parametrize(
    "said",
    [
        {"step": "distil", "losses": ["kd"], "teachers": ["teacher", "teacher"]},
        {"step": "distil", "losses": ["kd"], "only": ["0", "1", "0"]},
        {"step": "quantize", "teachers": ["student", "student"]},
    ],
)
def test_nobody_is_named_twice(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="twice, want it once"):
        STEPS.validate_python(said)


def test_a_step_has_its_own_words_alone() -> None:
    with pytest.raises(ValidationError, match="extra"):
        STEPS.validate_python({"step": "distil", "losses": ["kd"], "speedup": 1.5})
    with pytest.raises(ValidationError, match="exactly one"):
        STEPS.validate_python({"step": "factorize"})
