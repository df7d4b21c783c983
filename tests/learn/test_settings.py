"""What a recipe may say of one loss, and how a stored one is read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic import ValidationError

from edgekd import files
from edgekd.learn.layer_settings import LayerPair
from edgekd.learn.losses import LOSSES
from edgekd.learn.model_settings import Input
from edgekd.learn.settings import CombineSettings
from edgekd.learn.settings import Losses
from edgekd.learn.settings import PrivacySettings
from edgekd.learn.settings import Ramp
from edgekd.learn.settings import Term
from edgekd.learn.signals import needs
from edgekd.learn.signals import pairs_layers

EMBEDDED = ("pad-l2", "srd", "srd-correlation", "rkd", "cc", "cc-taylor", "pkt", "crd")
"""By their papers what these compare is the vector before the classifier."""


def terms(*written: Any) -> tuple[Term, ...]:
    return TypeAdapter(Losses).validate_python(list(written))


def test_what_pairs_layers() -> None:
    inside = {n for n, member in LOSSES.items() if any("embedding" in s for s in needs(member))}
    assert set(EMBEDDED) <= inside
    assert not any(pairs_layers(LOSSES[name]) for name in (*EMBEDDED, "kd", "cross-entropy"))
    assert all(pairs_layers(LOSSES[name]) for name in ("fitnet", "fsp", "irg", "simkd"))


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("layers", [0.5, {"student": "layer1", "teacher": "layer1"}])
def test_layers_do_not_go_with_what_enters_the_classifier(name: str, layers: Any) -> None:
    with pytest.raises(ValidationError, match="which compares what enters the classifier alone"):
        terms({"name": name, "layers": layers})
    assert terms({"name": name, "layers": "auto"})[0].layers == "auto"


def test_no_layers_are_no_layers() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        terms({"name": "fitnet", "layers": []})
    (term,) = terms({"name": "fitnet", "layers": [{"student": "a", "teacher": "b"}]})
    assert term.layers == (LayerPair(student="a", teacher="b"),)


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        ({"name": "nope"}, "unknown loss 'nope'"),
        ("nope", "unknown loss 'nope'"),
        ({"name": "kd", "arguments": {"temperature": -4.0}}, "greater than 0"),
        ({"name": "kd", "arguments": {"T": 4.0}}, "unknown key 'T'"),
    ],
)
def test_a_term_as_it_is_stored_is_checked_as_one_that_is_written(loss: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        terms({"loss": loss})
    with pytest.raises(ValidationError, match=told):
        Term.model_validate({"loss": loss})


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_stored_term_comes_back_to_the_same_bytes(name: str) -> None:
    (term,) = terms({"name": name, "weight": 0.5})
    stored = files.canonical_json(term.model_dump(mode="json"))
    (again,) = terms(json.loads(stored))
    assert again == term and files.canonical_json(again.model_dump(mode="json")) == stored


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Input, {"height": 16385}),
        (Input, {"width": 10**9}),
        (Input, {"channels": 10**9}),
        (Ramp, {"epochs": 1.0, "end": 1e300}),
        (CombineSettings, {"temperature": 1e300}),
        (PrivacySettings, {"epsilon": 1.0, "delta": 0.02}),
    ],
)
def test_sizes_have_limits(made: Any, words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="less than or equal"):
        made(**words)


def test_a_weight_has_a_limit() -> None:
    with pytest.raises(ValidationError, match="less than or equal"):
        terms({"name": "kd", "weight": 1e10})
    assert max(member.weight for member in LOSSES.values()) < 1e9
