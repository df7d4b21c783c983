"""What makes a step of training differentially private: sampling, clipping and noise."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch import nn
from torch.func import functional_call
from torch.func import grad
from torch.func import vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from edgekd.learn.data.loader import Batch
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import prefetch
from edgekd.learn.method.readout import require_unmixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.method.loss import BoundTerm
    from edgekd.learn.method.scheme import Scheme

CHUNK = 64
"""Samples whose gradients are held at once."""
LEAST_BATCH = 64
"""Expected; at 64 no batch is empty but once in exp(64)."""


class Privacy(NamedTuple):
    """The mechanism of one step (Abadi et al. 2016, DP-SGD, arXiv:1607.00133, algorithm 1).

    What is protected is whether a sample was among those the student was trained on, from whoever sees
    the student's weights. What is not: the teacher's training samples. A teacher that learned from the
    same samples without protection tells of them by its answers, and the student passes that on, so
    that the teacher must come from public data or be private itself. Nor what else reads the samples:
    mean and spread of the pixels, a control, the choice of settings or of weights by a validation score,
    calibration, the losses in the history. The noise comes from the seed: who knows that, or a
    checkpoint, in which the generator's state lies, can take it away again.
    """

    noise: float
    """Standard deviation, as a multiple of `max_norm`; from `edgekd.learn.privacy.accounting.find_noise`."""
    max_norm: float
    """Largest Euclidean norm of one sample's gradient over all parameters."""
    batch_size: int
    """Expected; the sum over a batch is divided by it, whatever came."""


class PrivateStudent(nn.Module):
    """Stands for the student in one step: remembers its inputs, so that samples have gradients of their own.

    The loss sees its logits as any other, and so may be any function of them that is a mean over the
    samples. The price is a second forward pass. Both are in float32.

    Args:
        student: the bare model.
        privacy: the mechanism.
        samples: in this batch.
    """

    def __init__(self, student: nn.Module, privacy: Privacy, samples: int) -> None:
        super().__init__()
        self.student, self.privacy, self.samples = student, privacy, samples
        self.images: Tensor | None = None
        self.logits: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, C] that are the start of the graph."""
        if self.images is not None:
            raise ValueError("the scheme asks the student twice a step, want once for privacy")
        if len(images) != self.samples:
            raise ValueError(
                f"the scheme asks {len(images)} images of {self.samples} samples, "
                f"want one of each for privacy"
            )
        # Out of the loop's half precision, as the second pass is.
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            self.logits = self.student(images).float()
        self.images = images.detach()
        return self.logits.requires_grad_()

    def backward(self, loss: Tensor) -> None:
        """Put the private gradient of `loss`, a mean over the samples asked, where the optimizer finds it.

        Raises:
            ValueError: if the student was not asked.
        """
        if self.images is None or self.logits is None:
            raise ValueError("the scheme asks the student nothing, want once for privacy")
        (pulls,) = torch.autograd.grad(loss, self.logits)
        with torch.autocast(pulls.device.type, enabled=False):
            found = private_gradients(self.student, self.images, pulls * len(pulls), self.privacy)
        for name, parameter in self.student.named_parameters():
            parameter.grad = found.get(name)


def private_gradients(
    model: nn.Module, images: Tensor, pulls: Tensor, privacy: Privacy
) -> dict[str, Tensor]:
    """The sum of all samples' clipped gradients, with noise, over the expected batch size.

    (sum_i g_i * min(1, max_norm / |g_i|) + noise * max_norm * N(0, 1)) / batch_size. A gradient that is
    no number counts as 0, for one such sample would tell of itself. The noise is drawn from torch's
    generator of the CPU, parameter by parameter.

    Args:
        model: in which no sample's answer depends on another sample (see `require_private`).
        images: [B, C, H, W]; B may be 0.
        pulls: d loss_i / d logits_i of each sample's own loss, [B, classes].
        privacy: the mechanism.

    Returns:
        By the name of each parameter that is trained.

    Raises:
        ValueError: if noise is wanted without clipping, or a number is out of range.
    """
    noise, max_norm, batch_size = privacy
    if noise < 0 or max_norm <= 0 or batch_size < 1 or (noise and max_norm == float("inf")):
        raise ValueError(f"want noise >= 0, a finite max_norm > 0, batch_size >= 1, got {privacy}")
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    sums = {name: torch.zeros_like(p, dtype=torch.float32) for name, p in trained.items()}
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        found = sample_gradients(model, images[part], pulls[part])
        kept = _kept(found, max_norm)
        for name, gradients in found.items():
            sums[name] += torch.tensordot(kept, gradients.nan_to_num(0.0, 0.0, 0.0), dims=1)
    if noise:
        for total in sums.values():
            total += noise * max_norm * torch.randn(total.shape, device="cpu").to(total.device)
    return {name: (total / batch_size).to(trained[name].dtype) for name, total in sums.items()}


def sample_gradients(model: nn.Module, images: Tensor, pulls: Tensor) -> dict[str, Tensor]:
    """Each sample's own gradient of ``(logits * pulls).sum()``.

    Args:
        model: from [B, C, H, W] to [B, classes].
        images: [B, C, H, W].
        pulls: [B, classes].

    Returns:
        By the name of each parameter that is trained, [B, *shape of the parameter].
    """
    given = {name: p.detach() for name, p in model.named_parameters()}
    trained = {name: given.pop(name) for name, p in model.named_parameters() if p.requires_grad}
    fixed = given | dict(model.named_buffers())

    def pulled(parameters: dict[str, Tensor], image: Tensor, pull: Tensor) -> Tensor:
        logits = functional_call(model, {**fixed, **parameters}, (image.unsqueeze(0),))
        return (logits.squeeze(0) * pull).sum()

    found: dict[str, Tensor] = vmap(grad(pulled), in_dims=(None, 0, 0))(trained, images, pulls)
    return {name: gradients.detach() for name, gradients in found.items()}


def _kept(found: dict[str, Tensor], max_norm: float) -> Tensor:
    """Return what each sample's gradient is multiplied by, [B]."""
    squares = [gradients.float().flatten(1).square().sum(1) for gradients in found.values()]
    norms = torch.stack(squares).sum(0).sqrt()
    shrunk = (max_norm / norms.clamp_min(1e-30)).clamp_max(1.0)
    return torch.where(norms.isfinite(), shrunk, 0.0)


def private_batches(
    samples: Samples, *, epoch: int, batch_size: int, seed: int, start: int, workers: int
) -> Iterator[Batch]:
    """As `epoch_batches`, by Poisson sampling: each sample is in each batch with one probability, by itself.

    Batches differ in size. A sample may come twice in an epoch, or never.

    Args:
        samples: the training split.
        epoch: from 0.
        batch_size: expected; the probability is it over the samples.
        seed: of the draws.
        start: number of the first batch that is wanted.
        workers: threads that prepare batches.

    Raises:
        ValueError: if a batch may come out empty, or the views mix samples.
    """
    require_unmixed(samples)
    require_private_batch(batch_size, len(samples))
    view, steps = epoch % samples.views.count, len(samples) // batch_size
    rate = batch_size / len(samples)
    chosen = [
        draw_samples(len(samples), rate, seed, epoch * steps + n) for n in range(start, steps)
    ]
    return prefetch(
        [functools.partial(samples.batch, rows, view) for rows in chosen],
        workers or samples.needed_workers,
    )


def require_private_batch(batch_size: int, samples: int) -> None:
    """Refuse a batch that may come out empty, or is larger than what there is.

    Raises:
        ValueError: with the bounds.
    """
    if not LEAST_BATCH <= batch_size <= samples:
        raise ValueError(
            f"train.batch_size: got {batch_size}, want {LEAST_BATCH} to {samples} for privacy"
        )


def draw_samples(samples: int, rate: float, seed: int, step: int) -> NDArray[np.int64]:
    """Draw the samples of a step: a function of (seed, step) alone, without replacement."""
    chance = np.random.Generator(np.random.PCG64([seed, step, 1]))
    while not len(rows := np.flatnonzero(chance.random(samples) < rate)):
        pass
    return rows


def require_private(
    model: nn.Module, scheme: Scheme, terms: Iterable[BoundTerm], classes: int
) -> None:
    """Refuse what lets one sample change another's gradient.

    Args:
        model: the student.
        scheme: who teaches it.
        terms: of its loss.
        classes: C.

    Raises:
        ValueError: names the layer or the loss and what to use in its place.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) or getattr(module, "track_running_stats", False):
            raise ValueError(
                f"{name}: batch norm mixes the samples of a batch, want student.norm: group"
            )
        if isinstance(module, _DropoutNd) and module.p:
            raise ValueError(f"{name}: got dropout, want none: privacy's noise regularizes already")
    if any(True for _ in scheme.companions.parameters()):
        raise ValueError("the scheme trains something beside the student, want none for privacy")
    for term in terms:
        if any(part.companion is not None for part in term.parts):
            raise ValueError(f"loss {term.name}: got a companion, want a loss that learns nothing")
        if not _separable(term, classes):
            raise ValueError(
                f"loss {term.name} compares samples or layers, want one such as kd: a mean over "
                f"samples of what their logits say"
            )


def _separable(term: BoundTerm, classes: int) -> bool:
    """Return whether the gradient of a few random samples' loss is the mean of each one's alone."""
    count, chance = 4, torch.Generator().manual_seed(0)
    signals = {
        "student_logits": 3 * torch.randn(count, classes, generator=chance),
        "teacher_logits": 3 * torch.randn(count, classes, generator=chance),
        "labels": torch.arange(count) // 2 % classes,
        "sample_indices": torch.arange(count),
    }
    signals["label_indices"] = signals["labels"]
    if not set(term.needs) <= signals.keys() or any(part.keys for part in term.parts):
        return False
    try:
        whole = _pull(term, signals)
        alone = [
            _pull(term, {name: value[n : n + 1] for name, value in signals.items()})
            for n in range(count)
        ]
    except (ValueError, RuntimeError, IndexError):
        return False
    return torch.allclose(whole * count, torch.cat(alone), rtol=1e-3, atol=1e-5)


def _pull(term: BoundTerm, signals: dict[str, Any]) -> Tensor:
    logits = signals["student_logits"].clone().requires_grad_()
    (pull,) = torch.autograd.grad(term.value({**signals, "student_logits": logits}), logits)
    return pull
