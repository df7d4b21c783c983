"""Terms bound to their knobs: summed, refused, tried out beforehand."""

from __future__ import annotations

import pytest
import torch

from edgekd.errors import InputError
from edgekd.learn.assembly import connection
from edgekd.learn.losses import LOSSES
from edgekd.learn.method import loss
from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember


def words(*names: str) -> list[Term]:
    return [Term(loss=NamedMember.parse(name, LOSSES, "loss")) for name in names]


def terms(*names: str) -> tuple[loss.BoundTerm, ...]:
    return loss.bind_terms(words(*names))


def test_a_name_used_twice_gets_a_number() -> None:
    assert [term.name for term in terms("kd", "dkd", "kd")] == ["kd", "dkd", "kd#2"]


def test_a_signal_that_nobody_gives_is_an_error() -> None:
    logits = torch.zeros(2, 3)
    with pytest.raises(InputError, match="loss kd: got no teacher_logits from this scheme"):
        loss.compute(terms("kd"), {"student_logits": logits})


@pytest.mark.parametrize(
    ("name", "batch_size", "classes", "told"),
    [("dkd", 8, 2, "got 2 classes, want at least 3"), ("dist", 1, 10, "got a batch of 1, want 2")],
)
def test_what_cannot_be_computed_is_said_beforehand(
    name: str, batch_size: int, classes: int, told: str
) -> None:
    with pytest.raises(InputError, match=f"^loss {name}: {told}"):
        connection.connect_outputs(words("kd", name), batch_size, classes=classes, samples=20)
