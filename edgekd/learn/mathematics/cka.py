"""How alike the layers of two models are: linear centred kernel alignment over batches.

Kornblith et al. 2019, arXiv:1905.00414, sec. 3, with the unbiased estimator of the independence
criterion (Song et al. 2012, JMLR 13) averaged over batches (Nguyen, Raghu, Kornblith 2021,
arXiv:2010.15327, eq. 2 and 3): memory is that of one batch, however many samples there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.forward_pass import run_once
from edgekd.learn.model_inputs import Inputs

FEWEST = 4
"""Samples of a batch that the unbiased estimator needs."""
MOST_LAYERS = 16


def similarity(
    one: nn.Module,
    other: nn.Module,
    layers: tuple[Sequence[str], Sequence[str]],
    batches: Iterable[Inputs],
    *,
    pooled: bool = False,
) -> Tensor:
    """Linear CKA between each layer of one model and each of another.

    Args:
        one: the first model; it runs in evaluation mode.
        other: the second; both run on the device of the batches.
        layers: paths of modules of the first, and of the second. A module that runs more than once
            counts with its last output.
        batches: inputs, each [B, ...], that both take; one of fewer than `FEWEST` is left out. The more
            samples in one, the less the estimate scatters.
        pooled: take means over places (or tokens) before comparing; else all of them count.

    Returns:
        [P, Q] float64 on the CPU: 1 for layers that are the same but for an orthogonal map, a scale
        and a shift; about 0 for independent ones (a little below, by chance). Not a number where a
        layer says the same of all samples.

    Raises:
        ValueError: if a path is no module or does not run, an output is no tensor with the samples
            first, or no batch is large enough.
    """
    between = torch.zeros(len(layers[0]), len(layers[1]), dtype=torch.float64)
    own = [torch.zeros(len(paths), dtype=torch.float64) for paths in layers]
    counted = 0
    for inputs in batches:
        if len(inputs[0]) < FEWEST:
            continue
        grams = [
            _grams(model, paths, inputs, pooled)
            for model, paths in zip((one, other), layers, strict=True)
        ]
        between += independence(grams[0], grams[1])
        for sums, gram in zip(own, grams, strict=True):
            sums += independence(gram, gram).diagonal()
        counted += 1
    if not counted:
        raise ValueError(f"want a batch of at least {FEWEST} samples, got none")
    scale = own[0].sqrt()[:, None] * own[1].sqrt()  # of a negative estimate: not a number
    return torch.where(scale > 0, between / scale, torch.nan)


def independence(one: Tensor, other: Tensor) -> Tensor:
    """Unbiased Hilbert-Schmidt independence criterion of every pair (Nguyen et al. 2021, eq. 3).

    Args:
        one: Gram matrices [P, B, B], float64; their diagonals do not count. B > 3.
        other: Gram matrices [Q, B, B].

    Returns:
        [P, Q]; may be negative.

    Raises:
        ValueError: if the shapes do not fit or B < 4.
    """
    count = one.shape[-1]
    if one.ndim != 3 or one.shape[1:] != other.shape[1:] or count < FEWEST:
        raise ValueError(
            f"want [P, B, B] and [Q, B, B], B > 3, got {tuple(one.shape)} and {tuple(other.shape)}"
        )
    off = 1 - torch.eye(count, dtype=one.dtype, device=one.device)
    one, other = one * off, other * off
    rows, columns = one.sum(2), other.sum(2)
    trace = one.flatten(1) @ other.flatten(1).T
    sums = rows.sum(1)[:, None] * columns.sum(1) / ((count - 1) * (count - 2))
    return (trace + sums - 2 / (count - 2) * rows @ columns.T) / (count * (count - 3))


def choose_layers(model: nn.Module, *inputs: Tensor, most: int = MOST_LAYERS) -> tuple[str, ...]:
    """Choose layers to compare: as deep as they stay at most `most`, in the order in which they run.

    Those count that have parameters, run once and give a tensor with the samples first. None lies
    inside another.

    Args:
        model: is run once, in evaluation mode.
        inputs: what it takes, each [B, ...].
        most: how many; more on the topmost level are thinned out evenly.

    Raises:
        ValueError: if there is none.
    """
    ran = _ran_once(model, inputs)
    chosen = _level(ran, 0)
    for level in range(1, len(ran)):
        deeper = _level(ran, level)
        if len(deeper) > most:
            break
        chosen = deeper
    if not chosen:
        raise ValueError("got no layer with parameters that runs once and gives a tensor")
    count = min(most, len(chosen))
    return tuple(chosen[(len(chosen) - 1) * at // max(1, count - 1)] for at in range(count))


def _level(ran: Sequence[str], level: int) -> list[str]:
    """Those inside `level` others, and the shallower ones that hold none."""

    def above(path: str) -> int:
        return sum(path.startswith(f"{other}.") for other in ran)

    def bare(path: str) -> bool:
        return not any(other.startswith(f"{path}.") for other in ran)

    return [path for path in ran if above(path) == level or (above(path) < level and bare(path))]


def _ran_once(model: nn.Module, inputs: Inputs) -> list[str]:
    """Paths of modules with parameters that are called once and give a tensor, as they finish."""
    paths = [
        path
        for path, module in model.named_modules()
        if path and next(module.parameters(), None) is not None
    ]
    calls: Counter[str] = Counter()
    good: set[str] = set()

    def seen(path: str, output: object) -> None:
        calls[path] += 1
        if _is_of_samples(output, len(inputs[0])):
            good.add(path)

    with _watched(model, paths, seen):
        run_once(model, *inputs)
    return [path for path, times in calls.items() if times == 1 and path in good]


def _grams(model: nn.Module, paths: Sequence[str], inputs: Inputs, pooled: bool) -> Tensor:
    """[P, B, B] float64 on the CPU; a layer's features are gone before the next one runs."""
    found: dict[str, Tensor] = {}

    def seen(path: str, output: object) -> None:
        if not _is_of_samples(output, len(inputs[0])):
            raise ValueError(f"{path}: want a floating-point tensor with the samples first")
        found[path] = _gram(output, pooled)

    with _watched(model, paths, seen):
        run_once(model, *inputs)
    for path in paths:
        if path not in found:
            raise ValueError(f"{path}: does not run")
    return torch.stack([found[path] for path in paths])


def _gram(output: Tensor, pooled: bool) -> Tensor:
    features = output.detach()
    if pooled and features.ndim > 2:
        # Tokens stand before their channels [B, T, D], places behind them [B, D, H, W].
        features = features.mean(1) if features.ndim == 3 else features.flatten(2).mean(2)
    rows = features.flatten(1).double()  # not centred: the estimator sees no shift
    return (rows @ rows.T).cpu()


def _is_of_samples(output: object, count: int) -> bool:
    return (
        isinstance(output, Tensor)
        and output.is_floating_point()
        and output.ndim > 1
        and len(output) == count
    )


@contextmanager
def _watched(
    model: nn.Module, paths: Sequence[str], seen: Callable[[str, object], None]
) -> Iterator[None]:
    """Call `seen` with path and output whenever one of these modules has run."""
    modules = dict(model.named_modules())
    unknown = [path for path in paths if path not in modules]
    if unknown:
        raise ValueError(f"{unknown[0]}: is no module of the model")
    hooks = [
        modules[path].register_forward_hook(lambda _m, _i, output, path=path: seen(path, output))
        for path in paths
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
