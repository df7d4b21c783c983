"""A training waits for the device once a line of progress, and a loss that is no number is still told with its step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from edgekd.learn.method import teacher as finished
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.loss_values import LossValues
from edgekd.learn.method.loss_values import NotFiniteLoss
from edgekd.learn.method.loss_values import read_values
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.schemes.offline import offline
from edgekd.learn.training import checkpoint
from edgekd.learn.training import monitor
from edgekd.learn.training.fit import TrainingDiverged
from edgekd.learn.training.fit import fit
from tests.learn.training.test_fit import KD
from tests.learn.training.test_fit import net
from tests.learn.training.test_fit import run

HOST_READS = {
    *("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "_unique2", "equal"),
    "_linalg_check_errors",
}
"""Operators of torch whose result the host needs, so that it waits for the device."""


class CountReads(TorchDispatchMode):
    """Counts them."""

    count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = function.overloadpacket.__name__
        self.count += name in HOST_READS or (name == "index" and _by_mask(args[1]))
        return function(*args, **(kwargs or {}))


def _by_mask(places: Any) -> bool:
    """Whether it must be counted first how many elements there are."""
    return any(each is not None and each.dtype == torch.bool for each in places)


class StillClock:
    """No time goes by, so that no line of progress is due."""

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "time", StillClock())


def stored_kd() -> Scheme:
    random = np.random.default_rng(0)
    return offline(finished.read_teacher(random.normal(size=(4, 96, 3)).astype(np.float32)))


def taught_by_network() -> Scheme:
    return offline(finished.run_teacher(net(seed=9), None))


@pytest.mark.usefixtures("_still")
@pytest.mark.parametrize("make", [learn_from_labels, stored_kd, taught_by_network])
@pytest.mark.parametrize("training", [{}, {"clip_norm": 0.5}, {"schedule": "cosine"}])
def test_no_step_waits_for_the_device(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Scheme],
    training: dict[str, Any],
) -> None:
    reads: list[int] = []
    monkeypatch.setattr(
        monitor, "read_values", lambda steps: reads.append(len(steps)) or read_values(steps)
    )
    counts = []
    for batch_size in (48, 8):
        terms = KD if make is not learn_from_labels else KD[:1]
        words = training | {"epochs": 1, "batch_size": batch_size}
        made = run(
            tmp_path / str(batch_size), terms=bind_terms(terms), scheme=make(), training=words
        )
        with CountReads() as counted:
            fit(made)
        counts.append(counted.count)
    assert counts[0] == counts[1], "2 steps and 12 steps"
    assert [each for each in reads if each] == [2, 12]


def test_the_counter_counts() -> None:
    with CountReads() as counted:
        float(torch.ones(()) * 2)
        torch.ones(3)[torch.tensor([True, False, True])]
    assert counted.count == 2


def spoilt_at(call: int, fails_later: bool = False) -> Scheme:
    """NaN at a call; a call later an operator that takes no NaN."""
    calls = 0

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        nonlocal calls
        calls += 1
        if fails_later and calls == call + 1:
            raise RuntimeError("linalg.eigh: the algorithm failed to converge")
        z = student(*batch.inputs) * (float("nan") if calls == call else 1.0)
        return [Lesson({"student_logits": z, "labels": batch.targets["labels"]})]

    return Scheme(lessons, nn.ModuleDict())


@pytest.mark.usefixtures("_still")
@pytest.mark.parametrize("fails_later", [False, True])
def test_the_step_is_right_though_it_is_told_later(tmp_path: Path, fails_later: bool) -> None:
    with pytest.raises(TrainingDiverged, match=r"step 7 \(epoch 2\): loss cross-entropy is nan"):
        fit(run(tmp_path, scheme=spoilt_at(8, fails_later)))


@pytest.mark.usefixtures("_still")
def test_no_checkpoint_is_kept_of_weights_that_a_loss_spoilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(checkpoint, "write", lambda folder, step, *rest: kept.append(step))
    monkeypatch.setattr("edgekd.learn.training.fit._Loop.checkpoint_due", lambda self: True)
    with pytest.raises(TrainingDiverged, match="step 3 "):
        fit(run(tmp_path, scheme=spoilt_at(4)))
    assert kept == [1, 2, 3]


def test_an_error_of_sound_steps_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="eigh"):
        fit(run(tmp_path, scheme=spoilt_at(0, fails_later=True)))


def value(number: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.tensor(number, dtype=dtype)


def test_values_of_several_steps_by_name() -> None:
    steps = [
        LossValues({"kd": value(0.1), "own": value(2.0)}, (("kd", value(9.0)),)),
        LossValues({"kd": value(0.3, torch.bfloat16)}),
    ]
    assert read_values(steps) == [
        {"kd": float(value(0.1)), "own": 2.0},
        {"kd": float(value(0.3, torch.bfloat16))},
    ]
    assert read_values([]) == [] and read_values([LossValues({})]) == [{}]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_peer_s_loss_that_is_no_number_is_found(number: float) -> None:
    steps = [LossValues({"kd": value(1)}), LossValues({"kd": value(1)}, (("peer", value(number)),))]
    with pytest.raises(NotFiniteLoss, match="peer is") as caught:
        read_values(steps)
    assert (caught.value.term, caught.value.place) == ("peer", 1)
