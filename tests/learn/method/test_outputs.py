"""A network that gives more than logits while it trains: the rest is dropped, or trained on."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn.method import outputs
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes.labels_only import learn_from_labels
from tests.learn import batch_example

CLASSES = 3

ENDS = image_classifier(classes=3, channels=3, height=8, width=8)


class Several(NamedTuple):
    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class Net(nn.Module):
    """Logits in evaluation mode; in training mode whatever `gives` makes of them and two others."""

    def __init__(self, gives: Callable[..., Any]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(4, CLASSES) for _ in range(3))
        self.gives = gives

    def forward(self, images: Tensor) -> Any:
        main, *others = (head(images.flatten(1)) for head in self.heads)
        return self.gives(main, *others) if self.training else main


FORMS: dict[str, tuple[Callable[..., Any], int]] = {
    "alone": (lambda main, one, two: main, 0),
    "tuple": (lambda main, one, two: (main, one, two), 2),
    "list of one": (lambda main, one, two: [main], 0),
    "named tuple": (lambda main, one, two: Several(main, one, two), 2),
    "named tuple, one left": (lambda main, one, two: Several(main, None, two), 1),
    "dict, logits later": (lambda main, one, two: {"aux": one, "logits": main}, 1),
    "as segmentation": (lambda main, one, two: OrderedDict(out=main, aux=one), 1),
    "with features": (lambda main, one, two: (main, torch.zeros(2, 8)), 0),
    "with a loss": (lambda main, one, two: {"loss": main.sum(), "logits": main}, 0),
}


def seen(labels: Tensor) -> TensorBatch:
    images = torch.linspace(-1, 1, 8).reshape(2, 1, 2, 2)
    return batch_example.tensor_batch(images, labels)


@pytest.mark.parametrize("form", FORMS)
def test_logits_alone_are_given(form: str) -> None:
    gives, auxiliary = FORMS[form]
    model = Net(gives).train()
    bare = copy.deepcopy(model)
    outputs.give_outputs_alone(model, ENDS)
    images = torch.randn(2, 1, 2, 2)
    for training in (True, False):
        model.train(training)
        assert torch.equal(model(images), bare.eval()(images))
    assert model.state_dict().keys() == bare.state_dict().keys()
    assert len(outputs.auxiliary_logits(bare.train()(images))) == auxiliary
    assert torch.equal(copy.deepcopy(model)(images), model(images))


@pytest.mark.parametrize("mixed", [False, True])
def test_auxiliary_logits_are_a_weighted_term(mixed: bool) -> None:
    torch.manual_seed(0)
    model = Net(FORMS["named tuple"][0]).train()
    outputs.give_outputs_alone(model, ENDS)
    labels = torch.tensor([0, 2])
    if mixed:
        labels = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    what = seen(labels)
    scheme = outputs.add_auxiliary_loss(learn_from_labels(), model, 0.3)
    (lesson,) = scheme.lessons(model, what)
    others = [head(what.inputs[0].flatten(1)) for head in model.heads[1:]]
    want = 0.3 * sum(F.cross_entropy(logits, labels) for logits in others)
    torch.testing.assert_close(lesson.own["auxiliary"], want)
    lesson.own["auxiliary"].backward()
    grads = [head.weight.grad for head in model.heads]
    assert grads[0] is None and grads[1] is not None and grads[2] is not None
    assert len(model._forward_hooks) == 1  # nothing is left open


def test_the_term_is_read_inside_another_module() -> None:
    model = Net(FORMS["tuple"][0]).train()
    outputs.give_outputs_alone(model, ENDS)
    around = nn.Sequential(nn.Identity(), model).train()
    scheme = outputs.add_auxiliary_loss(learn_from_labels(), around, 1.0)
    assert "auxiliary" in scheme.lessons(around, seen(torch.tensor([0, 1])))[0].own


def test_a_network_that_gives_none_is_refused() -> None:
    for model in (Net(FORMS["alone"][0]), nn.Sequential(nn.Flatten(), nn.Linear(4, 3))):
        outputs.give_outputs_alone(model, ENDS)
        with pytest.raises(InputError, match="gives no auxiliary logits"):
            outputs.require_auxiliary(model, (torch.zeros(2, 1, 2, 2),))
        with pytest.raises(InputError, match="gives no auxiliary logits"):
            outputs.add_auxiliary_loss(learn_from_labels(), model, 1.0).lessons(
                model, seen(torch.tensor([0, 1]))
            )
    model = Net(FORMS["tuple"][0])
    outputs.give_outputs_alone(model, ENDS)
    outputs.require_auxiliary(model, (torch.zeros(2, 1, 2, 2),))
