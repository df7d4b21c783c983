"""Published weights of a text model: bodies, classifiers, some of their layers, old names."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edgekd.interface import Interface
from edgekd.learn.text_weights import fit_text_weights
from tests.learn.text_network_example import CLASSES
from tests.learn.text_network_example import NEXT
from tests.learn.text_network_example import VECTOR
from tests.learn.text_network_example import build
from tests.learn.text_network_example import describe

transformers = pytest.importorskip("transformers")


def publish(kind: str, interface: Interface, **changed: Any) -> dict[str, torch.Tensor]:
    """The weights of a model as the package writes them."""
    torch.manual_seed(5)
    auto = {3: transformers.AutoModel, 2: transformers.AutoModelForSequenceClassification}
    fields = describe(kind, **changed)
    config = transformers.AutoConfig.for_model(**fields)
    if interface is NEXT:
        return dict(transformers.AutoModelForCausalLM.from_config(config).state_dict())
    return dict(auto[3 if interface is VECTOR else 2].from_config(config).state_dict())


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "mpnet", "albert"])
def test_a_body_alone_gets_a_head_and_a_classifier_serves_as_a_body(kind: str) -> None:
    body = publish(kind, VECTOR)
    model = build(describe(kind), CLASSES)
    fitted = fit_text_weights(model, body, begins_head=True)
    assert set(fitted.tensors) == set(model.state_dict())
    assert any("begins untrained" in note for note in fitted.notes)
    assert set(fit_text_weights(model, body, begins_head=False).tensors) < set(model.state_dict())
    whole = publish(kind, CLASSES, num_labels=3)
    assert set(fit_text_weights(model, whole, begins_head=False).tensors) == set(model.state_dict())
    vector = build(describe(kind), VECTOR)
    fitted = fit_text_weights(vector, whole, begins_head=False)
    assert set(fitted.tensors) == set(vector.state_dict())
    if kind != "distilbert":  # its body has no part of its own
        assert any("left out" in note for note in fitted.notes)


def test_the_layers_that_are_chosen_come_along() -> None:
    body = publish("bert", VECTOR, num_hidden_layers=6)
    fields = describe("bert", num_hidden_layers=6)
    for knobs, chosen in (({"layers": 3}, (0, 3, 5)), ({"keep_layers": "0,2,4,5"}, (0, 2, 4, 5))):
        model = build(fields, VECTOR, **knobs)
        fitted = fit_text_weights(model, body, begins_head=False)
        assert set(fitted.tensors) == set(model.state_dict())
        for new, old in enumerate(chosen):
            name = "encoder.layer.{}.output.dense.weight"
            assert torch.equal(
                fitted.tensors[f"network.{name.format(new)}"], body[name.format(old)]
            )
        assert f"of {6} are taken" in fitted.notes[0]


def test_old_names_of_norms_and_weights_of_ours() -> None:
    body = publish("bert", VECTOR)
    old = {n.replace("LayerNorm.weight", "LayerNorm.gamma"): value for n, value in body.items()}
    model = build(describe("bert"), VECTOR)
    assert set(fit_text_weights(model, old, begins_head=False).tensors) == set(model.state_dict())
    again = fit_text_weights(model, model.state_dict(), begins_head=False)
    assert set(again.tensors) == set(model.state_dict()) and not again.notes


def test_tied_weights_are_no_head_that_begins_anew() -> None:
    whole = publish("llama", NEXT, tie_word_embeddings=True)
    del whole["lm_head.weight"]
    model = build(describe("llama", tie_word_embeddings=True), NEXT)
    fitted = fit_text_weights(model, whole, begins_head=True)
    assert "network.lm_head.weight" not in fitted.tensors and not fitted.notes
