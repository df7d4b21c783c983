"""Texts of any length to classes, whatever padding follows and whoever shares the batch; deployable."""

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
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import tracing
from tests import ends_example
from tests.learn.deploy_example import deploy

VOCABULARY, LONGEST, CLASSES = ends_example.VOCABULARY, 128, 3
SHAPE = ("batch", "tokens_length")
TEXT = Interface(
    (
        Tensor("tokens", "int64", SHAPE, "index", below=VOCABULARY),
        Tensor("tokens_mask", "int64", SHAPE, "mask"),
    ),
    (Tensor("logits", "float32", ("batch", CLASSES), "logits", class_axis=1, target="labels"),),
    (Axis("batch"), Axis("tokens_length", 1, 16, LONGEST)),
    {"classes": CLASSES, "vocabulary": VOCABULARY, "longest": LONGEST},
)
SMALL = {"layers": 2, "width": 32, "heads": 4}


def plan(**changes: int) -> Blueprint:
    return Blueprint(builder="text-encoder", arguments={**SMALL, **changes}, interface=TEXT)


def texts(count: int, length: int, seed: int = 0) -> Inputs:
    return ends_example.texts(count, length, seed)


def test_parameters_by_hand() -> None:
    width = 32
    attention = 4 * (width * width + width)
    inside = width * 4 * width + 4 * width + 4 * width * width + width
    layer = attention + inside + 2 * 2 * width
    ends = VOCABULARY * width + LONGEST * width + 2 * width + width * CLASSES + CLASSES
    assert count_parameters(build(plan())) == 2 * layer + ends


def test_it_trains() -> None:
    model = build(plan())
    model(*texts(4, 9)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("length", [1, 5, 33, 128])
def test_neither_padding_nor_the_others_of_a_batch_change_an_answer(length: int) -> None:
    torch.manual_seed(0)
    model = build(plan()).eval()
    ids, mask = texts(4, length)
    with torch.no_grad():
        together = model(ids, mask)
        for row in range(4):
            count = int(mask[row].sum())
            alone = model(ids[row : row + 1, :count], mask[row : row + 1, :count])
            torch.testing.assert_close(alone, together[row : row + 1], rtol=1e-4, atol=1e-6)
        longer = [torch.nn.functional.pad(x, (0, LONGEST - length), value=0) for x in (ids, mask)]
        longer[0] += (1 - longer[1]) * 7  # other padding than before
        torch.testing.assert_close(model(*longer), together, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_is_traced_runs_in_half_the_bits(dtype: torch.dtype) -> None:
    model = build(plan()).eval()
    given = texts(3, 9)
    traced = tracing.trace(model, TEXT)
    with torch.no_grad(), torch.autocast("cpu", dtype):
        found = traced(*given)
    torch.testing.assert_close(found.float(), model(*given), atol=0.02, rtol=0.02)


def test_the_order_of_tokens_counts() -> None:
    torch.manual_seed(0)
    model = build(plan()).eval()
    ids, mask = torch.arange(8)[None], torch.ones(1, 8, dtype=torch.int64)
    with torch.no_grad():
        assert not torch.allclose(model(ids, mask), model(ids.flip(1), mask), rtol=1e-4)


def test_a_text_of_padding_alone_gives_numbers() -> None:
    model = build(plan()).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 4).long(), torch.zeros(1, 4).long()).isfinite().all()


def test_heads_that_do_not_divide_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="text-encoder: heads: got 3, want a divisor of width 32"):
        build(plan(heads=3))


def test_data_without_a_vocabulary_is_refused_in_one_line() -> None:
    bare = TEXT._replace(sizes={"classes": CLASSES})
    with pytest.raises(InputError, match="text-encoder: wants vocabulary, longest") as caught:
        build(Blueprint(builder="text-encoder", interface=bare))
    assert "\n" not in str(caught.value)


def test_both_engines_answer_as_torch_at_every_length_whatever_padding_and_batch(
    tmp_path: Path,
) -> None:
    batches = [texts(8, length, seed=1) for length in (5, 9, 16, 33)]
    for deployed in deploy(plan(), batches, tmp_path):
        for length in (5, 33, LONGEST):
            ids, mask = texts(4, length, seed=7)
            (together,) = deployed.run(TEXT, (ids, mask))
            with torch.no_grad():
                others = [deployed.model(ids, mask).numpy()]
            padded = [torch.nn.functional.pad(x, (0, LONGEST - length)) for x in (ids, mask)]
            padded[0] += (1 - padded[1]) * 7  # other padding than before
            others += deployed.run(TEXT, tuple(padded))
            counts = mask.sum(1).tolist()
            alone = [(ids[n : n + 1, :c], mask[n : n + 1, :c]) for n, c in enumerate(counts)]
            others.append(np.concatenate([deployed.run(TEXT, one)[0] for one in alone]))
            for other in others:
                assert other.shape == together.shape
                assert np.sqrt(np.square(other - together).mean()) < deployed.allowed[0]


@pytest.mark.parametrize(
    ("name", "size", "target"),
    [("text-tagger", CLASSES, "tags"), ("text-filler", VOCABULARY, "masked_tokens")],
)
def test_every_token_is_answered_whatever_padding_follows(
    name: str, size: int, target: str
) -> None:
    torch.manual_seed(0)
    end = Tensor("logits", "float32", (*SHAPE, size), "logits", class_axis=2, target=target)
    tags = TEXT._replace(outputs=(end,))
    tagger = build(Blueprint(builder=name, arguments=SMALL, interface=tags)).eval()
    ids, mask = texts(4, 9, seed=7)
    with torch.no_grad():
        together = tagger(ids, mask)
        assert together.shape == (4, 9, size)
        for row in range(4):
            count = int(mask[row].sum())
            alone = tagger(ids[row : row + 1, :count], mask[row : row + 1, :count])
            torch.testing.assert_close(alone[0], together[row, :count], rtol=1e-4, atol=1e-6)
