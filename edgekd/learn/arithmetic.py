"""Precision, memory order and determinism of the training machine."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn

from edgekd.interface import Interface
from edgekd.learn import heap
from edgekd.learn import model_inputs
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import TrainingPrecision
from edgekd.learn.views.image_tensors import PendingImages

if TYPE_CHECKING:
    from numpy.typing import NDArray

FABRIC_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
AUTOCAST: dict[str, torch.dtype | None] = {
    "fp32": None,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
MEASURED_STEPS = 4
SMALL_VALUES = 256
"""Of one image, 16x16 in grey: up to it a batch of answers is too little work to be shared."""
AHEAD_OF_ACCELERATOR = 2
"""Threads that prepare batches while an accelerator learns or answers."""
WORTH = 1.1
"""A variant is taken only if it is this much faster than the plainer ones before it."""
SHARE, LEAST_S = 0.1, 2.0
"""Of a training, and seconds: what its trial may take, whichever is longer."""
Variant = tuple[TrainingPrecision, bool]
"""Precision, and whether channels come last."""


class Trial(NamedTuple):
    """What a trial of arithmetics came to."""

    arithmetic: Arithmetic
    is_whole: bool
    """Whether all were timed; else the plainest stands."""
    step_s: float
    """The fastest step in it; of all that were timed where not all were."""
    took_s: float
    """The trial itself."""


@contextmanager
def deterministic_torch(seed: int, threads: int) -> Iterator[None]:
    """Fixed threads, seeded torch, deterministic kernels; all put back afterwards.

    Torch would also fill every new tensor before it is written, which costs a tenth of a training step
    and changes no result: no operator we use reads what it has not written.
    """
    threads_before = torch.get_num_threads()
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(threads)
    if choose_device().type == "cuda":  # else cuBLAS may sum in another order at each run
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = filled


@contextmanager
def one_thread_if_small(values: int) -> Iterator[None]:
    """One thread for answers to batches of small inputs, which several would spend waiting for one another.

    Args:
        values: of one sample.
    """
    threads_before = torch.get_num_threads()
    if values <= SMALL_VALUES:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)


def choose_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_accelerator() -> bool:
    """Return whether networks learn and answer on one."""
    return choose_device().type != "cpu"


def count_workers_ahead() -> int:
    """Threads that prepare batches where nobody says how many: an accelerator waits for none; a CPU has no core to spare."""
    return AHEAD_OF_ACCELERATOR if has_accelerator() else 0


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return `values` on `device`; the host does not wait until they have come to an accelerator."""
    if device.type != "cuda" or values.device.type == "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def to_tensor(values: NDArray[Any] | Tensor | PendingImages, device: torch.device) -> Tensor:
    """Return what a batch holds as a tensor on `device`; what is pending is finished there."""
    if isinstance(values, PendingImages):
        return values.finish(device)
    return to_device(values if isinstance(values, Tensor) else torch.from_numpy(values), device)


def get_random_states() -> dict[str, Tensor]:
    """Return where torch's generators are, of the CPU and of the accelerator in use."""
    found = {"random": torch.get_rng_state()}
    if choose_device().type == "cuda":
        found["random_cuda"] = torch.cuda.get_rng_state()
    return found


def set_random_states(states: Mapping[str, Tensor]) -> None:
    """Put back what `get_random_states` gave, among other tensors."""
    torch.set_rng_state(states["random"])
    if "random_cuda" in states and choose_device().type == "cuda":
        torch.cuda.set_rng_state(states["random_cuda"])


@contextmanager
def hold_random_states() -> Iterator[None]:
    """Inside, whatever runs may draw from torch's generators and set its threads: what comes after sees none of it."""
    states, threads = get_random_states(), torch.get_num_threads()
    try:
        yield
    finally:
        set_random_states(states)
        torch.set_num_threads(threads)


def to_memory_format(values: Tensor, channels_last: bool) -> Tensor:
    """Return `values` in the memory order of the arithmetic; only [B, C, H, W] has more than one."""
    last = channels_last and values.ndim == 4
    return values.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def list_variants() -> tuple[Variant, ...]:
    """The arithmetics that a trial times, plainest first: half precision is bf16, on a GPU without it fp16."""
    no_bf16 = choose_device().type == "cuda" and not torch.cuda.is_bf16_supported(False)
    precisions: tuple[TrainingPrecision, ...] = ("fp32", "fp16" if no_bf16 else "bf16")
    return tuple(itertools.product(precisions, (False, True)))


def find_fastest(
    model: nn.Module,
    interface: Interface,
    batch_size: int,
    threads: int,
    training_steps: int | None = None,
    variants: Sequence[Variant] | None = None,
) -> Trial:
    """Find the arithmetic in which one training step of `model` is fastest on this machine.

    Args:
        model: has the ends of `interface`; its weights are spoilt.
        interface: what it takes and gives.
        batch_size: samples of a step.
        threads: torch threads.
        training_steps: that the training will have at least; the trial takes no more than `SHARE` of them, or
            `LEAST_S`. None if it is long.
        variants: to be timed, plainest first; None for those of `list_variants`.
    """
    variants = variants or list_variants()
    took_s = dict.fromkeys(variants, float("inf"))
    with deterministic_torch(0, threads), heap.keep_freed_memory():
        inputs = tuple(
            each.to(choose_device()) for each in model_inputs.make_noise(interface, batch_size)
        )
        start, fastest_s = time.perf_counter(), float("inf")
        turns = itertools.product(range(MEASURED_STEPS + 1), variants)
        for number, variant in turns:  # in turns: a slow moment falls on all
            step_s = _step_s(model, inputs, AUTOCAST[variant[0]], variant[1])
            fastest_s = min(fastest_s, step_s)
            if number:  # the first warms up
                took_s[variant] = min(took_s[variant], step_s)
            if training_steps is not None:
                most_s = max(LEAST_S, SHARE * fastest_s * training_steps)
                if time.perf_counter() - start > most_s:
                    break
    best = variants[0]
    for variant in variants:
        if took_s[variant] * WORTH < took_s[best]:
            best = variant
    whole = float("inf") not in took_s.values()
    best = best if whole else variants[0]
    resolved = Arithmetic(precision=best[0], channels_last=best[1], threads=threads)
    best_s = took_s[best] if whole else fastest_s
    return Trial(resolved, whole, best_s, time.perf_counter() - start)


def _step_s(
    model: nn.Module, inputs: Inputs, dtype: torch.dtype | None, channels_last: bool
) -> float:
    """Seconds of one forward and backward pass."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    where = inputs[0].device
    model = model.to(where, memory_format=layout).train()
    inputs = tuple(to_memory_format(each, channels_last) for each in inputs)
    model.zero_grad(set_to_none=True)
    start = time.perf_counter()
    with torch.autocast(where.type, dtype, enabled=dtype is not None):
        given = model(*inputs)
        outputs = given if isinstance(given, tuple) else (given,)
        loss = torch.stack([each.float().square().mean() for each in outputs]).sum()
    loss.backward()
    if where.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
