"""Precision and memory order."""

from __future__ import annotations

import os
import types

import pytest
import torch
from torch import nn

from edgekd.interface import image_classifier
from edgekd.learn import arithmetic

INTERFACE = image_classifier(classes=3, channels=1, height=4, width=4)


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


def test_what_is_fastest_is_one_of_what_was_tried() -> None:
    found, is_whole, step_s, took_s = arithmetic.find_fastest(net(), INTERFACE, 4, threads=1)
    assert is_whole
    assert 0 < step_s < took_s
    assert found.precision in ("fp32", "bf16")
    assert found.threads == 1


PLAIN, LAST, HALF, HALF_LAST = (
    (None, False),
    (None, True),
    (torch.bfloat16, False),
    (torch.bfloat16, True),
)


@pytest.mark.parametrize(
    ("took_s", "want"),
    [
        ((1.0, 0.95, 0.5, 0.49), HALF),  # 2 % more are not worth channels last
        ((1.0, 1.0, 1.0, 1.0), PLAIN),
        ((1.0, 0.92, 0.92, 0.92), PLAIN),  # less than a tenth
        ((1.0, 0.9, 0.9, 0.9), LAST),
        ((1.0, 0.9, 0.8, 0.72), HALF_LAST),  # each beside the best before it
    ],
)
def test_a_variant_must_be_a_tenth_faster_than_the_plainer_ones(
    monkeypatch: pytest.MonkeyPatch, took_s: tuple[float, ...], want: object
) -> None:
    """The variants take turns; the first turn, which would mislead here, and all but the fastest do not count."""
    tried: list[object] = []

    def step_s(model: nn.Module, inputs: tuple[torch.Tensor], dtype: object, last: bool) -> float:
        turn, place = divmod(len(tried), 4)
        tried.append((dtype, last))
        return 0.001 * place if turn == 0 else took_s[place] + (turn + place) % 4

    monkeypatch.setattr(arithmetic, "_step_s", step_s)
    found, is_whole, step_s, _ = arithmetic.find_fastest(net(), INTERFACE, 1, threads=2)
    assert is_whole
    assert tried == [PLAIN, LAST, HALF, HALF_LAST] * (arithmetic.MEASURED_STEPS + 1)
    assert (arithmetic.AUTOCAST[found.precision], found.channels_last) == want
    assert found.threads == 2
    assert step_s == took_s[(PLAIN, LAST, HALF, HALF_LAST).index(want)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("training_steps", "tried", "want"),
    [
        (None, 20, HALF),
        (150, 9, HALF),  # 75 s at best: 7.5 s and the step that is under way
        (40, 5, PLAIN),
        (1, 3, PLAIN),  # two seconds may pass always
    ],
)
def test_a_trial_is_short_beside_the_training(
    monkeypatch: pytest.MonkeyPatch, training_steps: int | None, tried: int, want: object
) -> None:
    clock = types.SimpleNamespace(now_s=0.0, steps=0)

    def step_s(model: nn.Module, inputs: tuple[torch.Tensor], dtype: object, last: bool) -> float:
        took_s = 0.5 if dtype is not None and clock.steps >= 4 else 1.0
        clock.now_s, clock.steps = clock.now_s + took_s, clock.steps + 1
        return took_s

    monkeypatch.setattr(arithmetic, "_step_s", step_s)
    monkeypatch.setattr(arithmetic, "time", types.SimpleNamespace(perf_counter=lambda: clock.now_s))
    found, is_whole, step_s, _ = arithmetic.find_fastest(net(), INTERFACE, 1, 1, training_steps)
    assert (arithmetic.AUTOCAST[found.precision], found.channels_last) == want
    assert (clock.steps, is_whole) == (tried, want is HALF)
    assert step_s == (0.5 if tried > 5 else 1.0)


def test_what_a_recipe_states_is_timed_alone() -> None:
    found = arithmetic.find_fastest(net(), INTERFACE, 1, 1, 1, [("bf16", True)])
    assert (found.arithmetic.precision, found.arithmetic.channels_last) == ("bf16", True)


@pytest.mark.parametrize(
    ("kind", "known", "want"),
    [("cpu", False, "bf16"), ("cuda", True, "bf16"), ("cuda", False, "fp16")],
)
def test_half_precision_is_what_the_device_knows(
    monkeypatch: pytest.MonkeyPatch, kind: str, known: bool, want: str
) -> None:
    monkeypatch.setattr(arithmetic, "choose_device", lambda: torch.device(kind))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated: known and not emulated)
    each = arithmetic.list_variants()
    assert each == (("fp32", False), ("fp32", True), (want, False), (want, True))


@pytest.mark.parametrize(("dtype", "last"), [PLAIN, LAST, HALF, HALF_LAST])
def test_a_step_is_a_training_step(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype | None, last: bool
) -> None:
    """By a clock that is read twice a step: from zero gradients to the end of the backward pass."""
    seen: list[tuple[object, ...]] = []
    backward: list[float] = []
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 3)).eval()

    class Clock:
        now_s = 10.0

        def perf_counter(self) -> float:
            self.now_s += 2.0
            return self.now_s

    clock = Clock()
    model[0].weight.register_hook(lambda gradient: backward.append(clock.now_s))

    def forward(module: nn.Module, given: tuple[torch.Tensor]) -> None:
        grad = model[0].weight.grad
        layout = torch.channels_last if last else torch.contiguous_format
        held = [given[0].is_contiguous(memory_format=layout)]
        held.append(model[0].weight.is_contiguous(memory_format=layout))
        half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu")
        seen.append((half or None, all(held), module.training, grad, clock.now_s))

    model.register_forward_pre_hook(forward)
    monkeypatch.setattr(arithmetic, "time", clock)
    inputs = (torch.randn(4, 3, 4, 4),)
    assert arithmetic._step_s(model, inputs, dtype, last) == 2.0
    assert arithmetic._step_s(model, inputs, dtype, last) == 2.0
    assert seen == [(dtype, True, True, None, 12.0), (dtype, True, True, None, 16.0)]
    assert backward == [12.0, 16.0]


def test_determinism_is_put_back() -> None:
    before = torch.get_num_threads()
    with arithmetic.deterministic_torch(3, before + 1):
        assert torch.get_num_threads() == before + 1
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        first = torch.rand(3)
    with arithmetic.deterministic_torch(3, 1):
        assert torch.equal(first, torch.rand(3))
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize("warn_only", [False, True])
def test_what_a_caller_had_set_is_put_back_after_an_error_too(warn_only: bool) -> None:
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        with pytest.raises(KeyError), arithmetic.deterministic_torch(3, 1):
            raise KeyError
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled() == warn_only
        assert not torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.mark.parametrize(("kind", "before"), [("cuda", None), ("cuda", ":16:8"), ("cpu", None)])
def test_a_gpu_sums_in_one_order(
    monkeypatch: pytest.MonkeyPatch, kind: str, before: str | None
) -> None:
    variable = "CUBLAS_WORKSPACE_CONFIG"
    monkeypatch.setenv(variable, before or "")
    if before is None:
        monkeypatch.delenv(variable)
    monkeypatch.setattr(arithmetic, "choose_device", lambda: torch.device(kind))
    with arithmetic.deterministic_torch(0, 1):
        want = ":4096:8" if kind == "cuda" else None
        assert os.environ.get(variable) == (before or want)


def test_layouts() -> None:
    images = torch.zeros(2, 3, 4, 4)
    last = arithmetic.to_memory_format(images, True)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert arithmetic.to_memory_format(last, False).is_contiguous()


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_the_generators_in_use_are_put_back(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """On a machine with an accelerator, of both; a state of one that is not here is left alone."""
    there = [torch.tensor([7])]
    monkeypatch.setattr(arithmetic, "choose_device", lambda: torch.device(kind))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: there[0])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state: there.insert(0, state))
    states = arithmetic.get_random_states()
    assert set(states) == ({"random", "random_cuda"} if kind == "cuda" else {"random"})
    first, there[0] = torch.rand(3), torch.tensor([8])
    arithmetic.set_random_states({**states, "weight": torch.zeros(1)})
    assert torch.equal(torch.rand(3), first)
    assert there[0].item() == (7 if kind == "cuda" else 8)
    arithmetic.set_random_states({"random": states["random"], "random_cuda": torch.tensor([9])})
    assert there[0].item() == (9 if kind == "cuda" else 8)
    count = len(there)
    arithmetic.set_random_states({"random": states["random"]})
    assert len(there) == count


def test_the_device_is_the_accelerator_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert arithmetic.choose_device() == torch.device(kind)


@pytest.mark.parametrize(("values", "threads"), [(256, 1), (257, 2)])
def test_small_inputs_are_answered_on_one_thread(values: int, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), arithmetic.one_thread_if_small(values):
            assert torch.get_num_threads() == threads
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
