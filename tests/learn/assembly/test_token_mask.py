"""What stands in padding changes neither the loss nor the gradient of any method, whether or not it names the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from pydantic import ValidationError
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import BATCH
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor as End
from edgekd.learn.assembly.connection import Connection
from edgekd.learn.assembly.connection import connect
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.teacher import run_teacher
from edgekd.learn.models.text_encoder import text_encoder
from edgekd.learn.models.text_encoder import text_filler
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Losses
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
VOCABULARY = 50
FILLING = WHOLE._replace(
    outputs=(
        End(
            "logits",
            "float32",
            (BATCH, "text_length", VOCABULARY),
            "logits",
            class_axis=2,
            target="masked_tokens",
        ),
    ),
    sizes={"vocabulary": VOCABULARY, "longest": 8},
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


def fill(*written: Any) -> tuple[Connection, nn.Module, nn.Module]:
    """What is compared of two networks that tell masked tokens."""
    torch.manual_seed(0)
    sizes = {"vocabulary": VOCABULARY, "longest": 8, "heads": 2}
    student, teacher = (
        text_filler(layers=1, width=8, **sizes),
        text_filler(layers=2, width=16, **sizes),
    )
    blank = (torch.zeros(4, 6, dtype=torch.int64), torch.ones(4, 6, dtype=torch.int64))
    terms = TypeAdapter(Losses).validate_python(list(written))
    linked = connect(terms, student, teacher.eval(), *blank, samples=40, interface=FILLING)
    return linked, student, teacher


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("name", ["kd", "forward-kl", "reverse-kl", "jsd", "logit-mse"])
def test_answers_are_compared_where_tokens_are_masked_or_at_all_of_them(
    name: str, everywhere: bool
) -> None:
    """As the published training of DistilBERT selects them: by the labels (`restrict_ce_to_mask`) or the attention mask."""
    linked, student, teacher = fill({"name": name, **({"all_tokens": True} if everywhere else {})})
    tokens = torch.randint(1, 50, (4, 6))
    masked = torch.full((4, 6), -100)
    masked[0, 1], masked[1, [0, 5]], masked[3, 2] = 7, torch.tensor([9, 11]), 4
    seen: list[Tensor] = []

    def keep(module: nn.Module, given: object, logits: Tensor) -> None:
        logits.retain_grad()
        seen.append(logits)

    student.register_forward_hook(keep)
    batch = TensorBatch(np.arange(4), 0, (tokens, MASK), {"masked_tokens": masked})
    scheme = linked.add_to_scheme(offline(run_teacher(teacher, None)))
    loss, _ = compute_lessons(linked.terms, scheme.lessons(student, batch), 0.0)
    loss.backward()
    counted = MASK == 1 if everywhere else masked > -1
    (logits,) = seen
    assert logits.grad is not None
    assert ((logits.grad.abs().sum(2) > 0) == counted).all()
    if name != "kd":
        return
    with torch.no_grad():
        theirs = teacher(tokens, MASK)
    selected = counted.unsqueeze(-1).expand_as(logits)
    mine, other = (
        torch.masked_select(each, selected).view(-1, VOCABULARY) for each in (logits, theirs)
    )
    criterion = nn.KLDivLoss(reduction="batchmean")
    want = criterion((mine / 4).log_softmax(-1), (other / 4).softmax(-1)) * 4**2
    assert float(loss.detach()) == pytest.approx(float(want.detach()), rel=2e-4)


def test_all_tokens_stand_beside_labels_and_layers() -> None:
    """The three losses of DistilBERT: soft targets at all tokens, labels where they are masked, directions of the states."""
    linked, student, teacher = fill(
        {"name": "kd", "temperature": 2.0, "weight": 5.0, "all_tokens": True},
        {"name": "cross-entropy", "weight": 2.0},
        {"name": "cosine", "layers": "hidden:last", "weight": 1.0},
    )
    masked = torch.full((4, 6), -100)
    masked[:, 1] = 7
    scheme = linked.add_to_scheme(offline(run_teacher(teacher, None)))
    tokens = torch.randint(1, 50, (4, 6))
    batch = TensorBatch(np.arange(4), 0, (tokens, MASK), {"masked_tokens": masked})
    lessons = scheme.lessons(student, batch)
    _, values = compute_lessons(linked.terms, lessons, 0.0)
    logits = student(tokens, MASK)
    want = nn.functional.cross_entropy(logits.flatten(0, 1), masked.flatten(), ignore_index=-100)
    assert float(values.shown["cross-entropy"]) == pytest.approx(float(want.detach()), rel=1e-5)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            {"name": "cross-entropy", "all_tokens": True},
            "cross-entropy', which compares with labels",
        ),
        ({"name": "dkd", "all_tokens": True}, "which compares with labels"),
        ({"name": "fitnet", "all_tokens": True}, "which takes no teacher's logits"),
        ({"name": "jsd", "all_tokens": True, "labelled_only": True}, "want one of them"),
    ],
)
def test_losses_that_cannot_compare_all_tokens_are_refused(words: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TypeAdapter(Losses).validate_python([words])


def test_answers_without_a_row_for_every_token_are_refused() -> None:
    student, teacher = networks()
    blank = (torch.zeros(4, 6, dtype=torch.int64), torch.ones(4, 6, dtype=torch.int64))
    terms = TypeAdapter(Losses).validate_python([{"name": "kd", "all_tokens": True}])
    with pytest.raises(InputError, match="loss kd: all_tokens: got logits none, want a row for"):
        connect(terms, student, teacher, *blank, samples=40, interface=WHOLE)
