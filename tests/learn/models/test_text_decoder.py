"""The next token of any text: nothing that comes later, no padding and no neighbour changes an answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.errors import InputError
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.blueprint import build
from edgekd.learn.complexity import count_parameters
from edgekd.learn.export import to_onnx
from edgekd.runtimes import ort
from tests import ends_example

VOCABULARY, LONGEST = ends_example.VOCABULARY, 64
SHAPE = ("batch", "text_length")
TEXT = Interface(
    (
        Tensor("text", "int64", SHAPE, "index", below=VOCABULARY),
        Tensor("text_mask", "int64", SHAPE, "mask"),
    ),
    (Tensor("logits", "float32", (*SHAPE, VOCABULARY), "logits", 0, 2, "next_tokens"),),
    (Axis("batch"), Axis("text_length", 1, 16, LONGEST)),
    {"vocabulary": VOCABULARY, "longest": LONGEST},
)
PLAN = Blueprint(
    builder="text-decoder", arguments={"layers": 2, "width": 32, "heads": 4}, interface=TEXT
)


def test_parameters_by_hand() -> None:
    width = 32
    layer = 4 * (width * width + width) + 8 * width * width + 5 * width + 4 * width
    ends = VOCABULARY * width + LONGEST * width + 2 * width + width * VOCABULARY + VOCABULARY
    assert count_parameters(build(PLAN)) == 2 * layer + ends


def test_no_token_sees_what_comes_later() -> None:
    torch.manual_seed(0)
    model = build(PLAN).eval()
    ids, mask = torch.randint(VOCABULARY, (2, 12)), torch.ones(2, 12, dtype=torch.int64)
    with torch.no_grad():
        whole = model(ids, mask)
        for length in (1, 5, 11):
            other = torch.cat([ids[:, :length], (ids[:, length:] + 3) % VOCABULARY], 1)
            torch.testing.assert_close(model(other, mask)[:, :length], whole[:, :length])
            assert not torch.allclose(model(other, mask)[:, length], whole[:, length])


def test_heads_that_do_not_divide_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="text-decoder: heads: got 3, want a divisor of width 32"):
        build(PLAN.model_copy(update={"arguments": {"width": 32, "heads": 3}}))


def test_token_by_token_is_as_all_at_once_whatever_padding_and_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plan = PLAN.model_copy(update={"arguments": {"layers": 1, "width": 16, "heads": 2}})
    model = build(plan).eval()
    path = to_onnx.write(model, tmp_path / "model.onnx", TEXT)
    session = ort.load({path.name: path}, "fp32", 1)
    ids, mask = ends_example.texts(3, 9, 7)
    names = [end.name for end in TEXT.inputs]
    (together,) = session.run(dict(zip(names, (ids.numpy(), mask.numpy()), strict=True)))
    with torch.no_grad():
        np.testing.assert_allclose(together, model(ids, mask).numpy(), atol=1e-5)
    for row, count in enumerate(mask.sum(1).tolist()):
        for length in range(1, count + 1):
            begun = (each[row : row + 1, :length].numpy() for each in (ids, mask))
            (alone,) = session.run(dict(zip(names, begun, strict=True)))
            np.testing.assert_allclose(alone[0], together[row, :length], atol=1e-5)
