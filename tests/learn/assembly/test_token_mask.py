"""What stands in padding changes neither the loss nor the gradient of any method, whether or not it names the mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.interface import BATCH
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor as End
from edgekd.learn.assembly.connection import connect
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.teacher import run_teacher
from edgekd.learn.models.text_encoder import text_encoder
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Term
from edgekd.learn.signals import find_mask
from edgekd.learn.standalone.ends import infer_interface
from edgekd.named_member import NamedMember

WHOLE = Interface(
    (
        End("text", "int64", (BATCH, "text_length"), "index", below=50),
        End("text_mask", "int64", (BATCH, "text_length"), "mask"),
    ),
    (End("logits", "float32", (BATCH, 3), "logits", class_axis=1, target="labels"),),
    (Axis(BATCH), Axis("text_length", 1, 6, 8)),
    {"classes": 3, "vocabulary": 50, "longest": 8},
)
MASK = torch.tensor(
    [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]
)


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    sizes = {"classes": 3, "vocabulary": 50, "longest": 8}
    student = text_encoder(layers=2, width=8, heads=2, **sizes)
    return student, text_encoder(layers=2, width=16, heads=2, **sizes).eval()


def learn(words: list[dict[str, object]], tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The loss of one batch, and the gradient of every parameter."""
    student, teacher = networks()
    terms = [
        Term(
            loss=NamedMember.parse(each["name"], LOSSES, "loss"), layers=each.get("layers", "auto")
        )
        for each in words
    ]
    blank = (torch.zeros(4, 6, dtype=torch.int64), torch.ones(4, 6, dtype=torch.int64))
    torch.manual_seed(1)
    linked = connect(terms, student, teacher, *blank, samples=40, interface=WHOLE)
    scheme = linked.add_to_scheme(offline(run_teacher(teacher, None)))
    labels = {"labels": torch.tensor([0, 1, 2, 0])}
    batch = TensorBatch(np.arange(4), 0, (tokens, MASK), labels)
    loss, _ = compute_lessons(linked.terms, scheme.lessons(student, batch), 0.0)
    parameters = [*student.parameters(), *scheme.companions.parameters()]
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return loss.detach(), [each for each in found if each is not None]


def place(path: str) -> list[dict[str, str]]:
    return [{"student": path, "teacher": path}]


NAMED = ["fitnet", "cosine", "patient"]
OTHERS = ["sp", "at", "nst", "rkd", "pkt", "vid", "cc"]
"""They do not name the mask: padding is zeros to them on both sides, before and after what is trained beside."""
CASES: list[list[dict[str, object]]] = [
    *([{"name": name}] for name in [*NAMED, *OTHERS] if name in LOSSES),
    [{"name": "attention-scores", "layers": place("layers.1.attention.scores")}],
    [{"name": "attention-kl", "layers": place("layers.1.attention.scores")}],
    [{"name": "minilm", "layers": place("layers.1.attention.key")}],
]


@pytest.mark.parametrize("words", CASES, ids=lambda words: str(words[0]["name"]))
def test_padding_of_any_tokens_is_the_same_lesson(words: list[dict[str, object]]) -> None:
    words = [
        {**each, "name": {"name": "minilm", "heads": 2}} if each["name"] == "minilm" else each
        for each in words
    ]
    torch.manual_seed(3)
    tokens = torch.randint(1, 50, (4, 6))
    loss, gradient = learn(words, tokens.masked_fill(MASK == 0, 0))
    other, moved = learn(words, tokens.masked_fill(MASK == 0, 37))
    assert float(loss) > 0 and gradient
    torch.testing.assert_close(other, loss, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(moved, gradient, rtol=1e-4, atol=1e-6)


def test_a_loss_of_one_s_own_may_name_the_mask() -> None:
    seen: list[Tensor] = []

    def own(student_features: Tensor, teacher_features: Tensor, token_mask: Tensor) -> Tensor:
        seen.append(token_mask)
        return (student_features * token_mask[:, :, None]).square().sum()

    student, teacher = networks()
    blank = (torch.zeros(4, 6, dtype=torch.int64), torch.ones(4, 6, dtype=torch.int64))
    term = Term(loss=NamedMember.from_function(own, "own", {}))
    linked = connect([term], student, teacher, *blank, samples=40, interface=WHOLE, allow_code=True)
    scheme = linked.add_to_scheme(offline(run_teacher(teacher, None)))
    batch = TensorBatch(np.arange(4), 0, (blank[0], MASK), {"labels": torch.zeros(4).long()})
    compute_lessons(linked.terms, scheme.lessons(student, batch), 0.0)
    assert torch.equal(seen[-1], MASK)


def test_what_has_no_mask_is_whole() -> None:
    """Of images nothing is padding: the losses take None."""
    student = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    teacher = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    term = Term(loss=NamedMember.parse("fitnet", LOSSES, "loss"))
    linked = connect([term], student, teacher, torch.zeros(5, 4), samples=40, classes=3)
    scheme = linked.add_to_scheme(offline(run_teacher(teacher, None)))
    batch = TensorBatch(np.arange(5), 0, (torch.ones(5, 4),), {"labels": torch.zeros(5).long()})
    loss, _ = compute_lessons(linked.terms, scheme.lessons(student, batch), 0.0)
    assert loss.isfinite()


@pytest.mark.parametrize(
    ("name", "found"), [("attention_mask", 1), ("key_padding_mask", None), ("token_type_ids", None)]
)
def test_a_network_of_one_s_own_has_its_mask_by_its_name(name: str, found: int | None) -> None:
    student, _ = networks()
    example = (torch.zeros(2, 6).long(), torch.ones(2, 6).long())
    ends = infer_interface(student, [example], ("input_ids", name))
    assert find_mask(ends.inputs) == found
