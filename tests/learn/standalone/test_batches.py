"""Whatever a loader gives is taken apart, or refused in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data import IterableDataset
from torch.utils.data import TensorDataset

from edgekd.errors import InputError
from edgekd.learn.standalone.batches import LoaderSamples
from edgekd.learn.standalone.batches import input_names
from edgekd.learn.standalone.batches import read_batch
from tests.learn.standalone_example import Texts
from tests.learn.standalone_example import text_batches

X, Y = torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("value", "inputs", "targets"),
    [
        (X, 1, []),
        ((X, Y), 1, ["labels"]),
        ([X, Y], 1, ["labels"]),
        (((X, X), Y), 2, ["labels"]),
        (((X, X), {"a": Y, "b": Y}), 2, ["a", "b"]),
        ({"x": X, "labels": Y, "text": "a", "indices": Y}, 1, ["labels"]),
    ],
)
def test_batches_are_taken_apart(value: Any, inputs: int, targets: list[str]) -> None:
    own = read_batch(value, ("x", "y"))
    assert len(own.inputs) == inputs and list(own.targets) == targets
    assert (own.indices is not None) == isinstance(value, dict)


def test_inputs_by_name_come_in_the_order_of_forward() -> None:
    (batch,) = text_batches(5)
    assert input_names(Texts()) == ("ids", "mask")
    ids, mask = read_batch(batch, ("ids", "mask")).inputs
    assert ids is batch["ids"] and mask is batch["mask"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "got str"),
        ((X, Y, Y), "as many samples|want a tensor"),
        ((X, Y[:3]), "as many samples in each"),
        ({"pixels": X}, "got pixels, want what the network takes: x"),
        ((X, None), "got NoneType"),
    ],
)
def test_what_is_no_batch_is_refused(value: Any, message: str) -> None:
    if isinstance(value, tuple) and len(value) == 3:
        assert len(read_batch(value).inputs) == 3  # three inputs and no labels
        return
    with pytest.raises(InputError, match=message):
        read_batch(value, ("x",))


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ((X, Y), "got a pair of inputs and labels, want a DataLoader"),
        ([X, Y], "got a pair of inputs and labels"),
        ((X.flatten(1), X.flatten(1)[:, :1]), "got a pair of inputs and labels"),
        (X, "got a tensor, want a DataLoader"),
        (TensorDataset(X, Y), "got TensorDataset, want a DataLoader"),
        (torch.nn.Sequential(torch.nn.Flatten()), "got the module Sequential, want a DataLoader"),
        (3, "got int, want a DataLoader"),
    ],
)
def test_what_gives_no_batches_is_refused_with_what_is_wanted(batches: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^batches: {message}"):
        LoaderSamples(batches, ("x",))
    assert len(LoaderSamples([X, X], ("x",))) == 2 * len(X)


def test_a_loader_gives_as_many_batches_every_epoch() -> None:
    loader = DataLoader(TensorDataset(X, Y), batch_size=3, drop_last=False)
    samples = LoaderSamples(loader, ())
    assert (samples.steps, samples.batch_size, len(samples)) == (2, 3, 6)
    assert [len(batch.inputs[0]) for batch in samples.open(epoch=0, start=0)] == [3, 1]
    assert [batch.indices.tolist() for batch in samples.open(epoch=0, start=1)] == [[3]]
    assert len(LoaderSamples(iter([(X, Y)]), ())) == 4  # read into memory
    with pytest.raises(InputError, match="got none"):
        LoaderSamples([], ())


def test_a_stream_is_read_into_memory() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            yield from ((X[0], Y[0]) for _ in range(6))

    samples = LoaderSamples(DataLoader(Stream(), batch_size=2), ())
    assert (samples.steps, samples.batch_size) == (3, 2)
    assert len(list(samples.open(epoch=1, start=0))) == 3


def test_a_loader_that_runs_dry_is_told() -> None:
    class Once:
        """Says that it has two batches, and gives one."""

        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Iterator[Any]:
            yield X, Y

    samples = LoaderSamples(Once(), ())
    with pytest.raises(InputError, match="got 1 in epoch 3, want 2 as at first"):
        list(samples.open(epoch=2, start=0))
