"""What the loop sees of a batch, and which batches it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd.errors import InputError
from edgekd.learn.arithmetic import to_device
from edgekd.learn.data.loader import Batch
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.learn.teacher_answers import fill_knowledge
from edgekd.learn.teacher_answers import write_knowledge
from edgekd.learn.training.batches import fit_batch
from edgekd.learn.training.batches import require_full_batch
from edgekd.learn.training.batches import to_tensors
from edgekd.learn.training.fit import fit
from edgekd.learn.views.image_tensors import PendingImages
from edgekd.progress import Silent
from tests.learn.training.test_fit import assert_same
from tests.learn.training.test_fit import run
from tests.learn.training.test_fit import samples


@pytest.mark.parametrize("channels_last", [False, True])
def test_channels_come_first_in_the_asked_memory_order(channels_last: bool) -> None:
    images = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    batch = Batch(np.arange(2), 0, (images.transpose(0, 3, 1, 2),), {"labels": np.array([1, 0])})
    resolved = Arithmetic(precision="fp32", channels_last=channels_last, threads=1)
    seen = to_tensors(batch, resolved, 1.5, 4)
    assert torch.equal(seen.inputs[0].cpu(), torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert seen.inputs[0].is_contiguous(memory_format=layout)
    assert (seen.targets["labels"].tolist(), seen.epoch, seen.epochs) == ([1, 0], 1.5, 4)


@pytest.mark.parametrize(
    ("said", "samples", "size"),
    [({}, 87, 16), ({}, 128, 128), ({}, 1, 1), ({"batch_size": 128}, 87, 128)],
)
def test_the_usual_batch_is_fitted_to_the_samples(
    said: dict[str, int], samples: int, size: int
) -> None:
    notes: list[str] = []
    training = Training(epochs=3, **said)
    fitted = fit_batch(training, samples, notes.append)
    assert (fitted.batch_size, fitted.epochs) == (size, 3)
    assert (fitted is training) == (not notes)


def test_no_batch_is_larger_than_what_there_is() -> None:
    require_full_batch(8, 8)
    with pytest.raises(
        InputError, match="batch_size: got 9, want at most the 8 training samples"
    ) as failed:
        require_full_batch(9, 8)
    assert failed.value.hint == "write batch_size: 2 in that train"
    with pytest.raises(InputError) as failed:
        require_full_batch(128, 87)
    assert failed.value.hint == "write batch_size: 16 in that train"


def test_an_accelerator_is_given_pinned_copies_that_nobody_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: calls.append("pinned") or self)
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, device, **words: calls.append((device, words)) or self
    )
    to_device(torch.zeros(2), torch.device("cuda", 0))
    assert calls == ["pinned", (torch.device("cuda", 0), {"non_blocking": True})]
    calls.clear()
    to_device(torch.zeros(2), torch.device("cpu"))
    assert calls == [(torch.device("cpu"), {})]


@pytest.mark.parametrize(
    ("device", "said", "want"), [("cpu", 0, 0), ("cuda", 0, 2), ("cuda", 1, 1), ("cpu", 3, 3)]
)
def test_batches_are_prepared_ahead_of_an_accelerator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, said: int, want: int
) -> None:
    monkeypatch.setattr("edgekd.learn.arithmetic.choose_device", lambda: torch.device(device))
    asked: list[int] = []

    def batches(**words: Any) -> Iterator[Batch]:
        asked.append(words["workers"])
        return iter(())

    list(run(tmp_path, training={"workers": said}, batches=batches).open_epoch(0, 0))
    assert asked == [want]


def test_where_an_accelerator_finishes_views_the_same_is_learned_and_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything on the way to one and back, on the CPU: threads prepare, images come pending and are finished there."""
    finished: list[int] = []
    finish = PendingImages.finish

    def counted(self: PendingImages, device: torch.device) -> torch.Tensor:
        finished.append(len(self.own.pixels))
        return finish(self, device)

    monkeypatch.setattr(PendingImages, "finish", counted)
    learned, stored = [], []
    for there in (False, True):
        monkeypatch.setattr("edgekd.learn.arithmetic.has_accelerator", lambda there=there: there)
        made = run(tmp_path / str(there))
        fit(made)
        learned.append(made.model.state_dict())
        path = tmp_path / f"{there}.npy"
        write_knowledge(made.model, samples(), path, made.resolved, Silent())
        folder = tmp_path / f"{there}-store"
        folder.mkdir()
        settings = KnowledgeSettings(encoding="fp16")
        shards = fill_knowledge(
            made.model, samples(), settings, {}, folder, made.resolved, Silent()
        )
        stored.append([path.read_bytes(), *(shards[name].read_bytes() for name in sorted(shards))])
        assert finished.count(16) == 6 * 4 * there and (96 in finished) == there
    assert_same(*learned)
    assert stored[0] == stored[1]
