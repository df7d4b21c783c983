from __future__ import annotations

import pytest

from edgekd import synonyms
from edgekd.recipe.canonical import member_table
from edgekd.recipe.learning import FactorizeStep
from edgekd.recipe.target import Precision

KNOWN = {
    "precision": Precision.__args__,  # type: ignore[attr-defined]
    "schedule": ("one-cycle", "cosine", "step", "constant"),
    "step": ("distil", "factorize", "prune", "quantize"),
}


@pytest.mark.parametrize("key", synonyms.NAMES)
def test_every_synonym_stands_for_a_name_that_is_there_and_is_none_itself(key: str) -> None:
    known = KNOWN.get(key, tuple(member_table(key)))
    for word, meant in synonyms.NAMES[key].items():
        assert meant in known, word
        assert word == synonyms.squeeze(word), word
        assert word not in map(synonyms.squeeze, known), word


@pytest.mark.parametrize("key", synonyms.REFUSED_NAMES)
def test_no_name_is_refused_that_is_there(key: str) -> None:
    known = KNOWN.get(key, tuple(member_table(key)))
    for word in synonyms.REFUSED_NAMES[key]:
        assert word not in map(synonyms.squeeze, known)
        assert synonyms.refuse_name(key, word, known)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("AdamW", "adamw"), ("Cross_Entropy", "cross-entropy"), ("CIFAR-10", "cifar10"), ("x", "x")],
)
def test_capitals_and_dashes_do_not_matter(written: str, meant: str) -> None:
    assert synonyms.find_name(written, ["adamw", "cross-entropy", "cifar10"]) == meant


def test_two_names_that_differ_in_dashes_alone_are_never_mixed_up() -> None:
    assert synonyms.find_name("A_B", ["a-b", "ab"]) == "A_B"
    assert "step" in FactorizeStep.model_fields
