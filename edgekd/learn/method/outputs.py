"""What a network gives: its logits, and beside them auxiliary logits that only its own training reads."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.parallel.sharing import gather_batch

NAMES = ("logits", "out")
"""Of the logits, where a network gives several things by name."""


def give_outputs_alone(model: nn.Module, interface: Interface) -> None:
    """Make `model` give the interface's outputs even where it gives more, as GoogLeNet does in training mode.

    A single output is the one of its own name or of one in `NAMES`, else the first; several are a tuple in the
    interface's order, taken by name where the model gives names. The model's parameters keep their names. What is none
    of this stays as it is.
    """
    names = tuple(end.name for end in interface.outputs)
    if len(names) > 1:
        model.register_forward_hook(functools.partial(_in_order, names))
    elif names[0] in NAMES:
        model.register_forward_hook(_logits_alone)
    else:
        model.register_forward_hook(functools.partial(_named, names[0]))


def _in_order(names: Sequence[str], _model: nn.Module, _inputs: object, output: Any) -> Any:
    """A forward hook."""
    named = _by_name(output)
    if set(names) <= set(named):
        return tuple(named[name] for name in names)
    return tuple(output) if isinstance(output, list) else output


def _named(name: str, model: nn.Module, inputs: object, output: Any) -> Any:
    """A forward hook."""
    named = _by_name(output)
    return named[name] if name in named else _logits_alone(model, inputs, output)


def _by_name(output: Any) -> dict[str, Any]:
    return dict(output) if isinstance(output, Mapping) else getattr(output, "_asdict", dict)()


def _logits_alone(_model: nn.Module, _images: object, output: Any) -> Any:
    """A forward hook."""
    return output if isinstance(output, Tensor) else next(_tensors(output), output)


def _tensors(output: Any) -> Iterator[Tensor]:
    """The logits, then the other tensors of one output."""
    named = _by_name(output)
    main = next((named[name] for name in NAMES if isinstance(named.get(name), Tensor)), None)
    others = list(named.values()) if named else output
    if not isinstance(others, list | tuple):
        return
    found = [value for value in others if isinstance(value, Tensor)]
    if main is not None:
        yield main
    yield from (value for value in found if value is not main)


def auxiliary_logits(output: Any) -> list[Tensor]:
    """Return the tensors of an output that have the shape [B, C] of its logits, beside these."""
    if isinstance(output, Tensor):
        return []
    found = list(_tensors(output))
    return [value for value in found[1:] if value.shape == found[0].shape]


def add_auxiliary_loss(scheme: Scheme, student: nn.Module, weight: float) -> Scheme:
    """Add the cross-entropy of the student's auxiliary logits to a scheme, as a term of its own.

    Szegedy et al. 2015 (arXiv:1409.4842, sec. 5), who weigh it 0.3.

    Args:
        scheme: who teaches whom; its first lesson is the student's.
        student: gives auxiliary logits in training mode; of several passes in a step the last one's count.
        weight: of the sum over them.

    Raises:
        InputError: in a lesson for which the student gives none.
    """

    def lessons(learner: nn.Module, batch: TensorBatch) -> Sequence[Lesson]:
        with _collected(student) as found:
            first, *others = scheme.lessons(learner, batch)
        _require_some(found)
        terms = [
            F.cross_entropy(gather_batch(widen(logits)), batch.targets["labels"])
            for logits in found
        ]
        own = {**first.own, "auxiliary": weight * sum(terms[1:], terms[0])}
        return [first._replace(own=own), *others]

    return Scheme(lessons, scheme.companions)


def require_auxiliary(model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Refuse to train on auxiliary logits that `model` does not give to `inputs`, a batch of zeros.

    Its buffers change.

    Raises:
        InputError: unless it gives some in training mode.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad(), _collected(model) as found:
        model.train()(*inputs)
    _require_some(found)


def _require_some(found: Sequence[Tensor]) -> None:
    if not found:
        raise InputError(
            "train.auxiliary: got it for a network that gives no auxiliary logits in training, want 0"
        )


@contextmanager
def _collected(model: nn.Module) -> Iterator[list[Tensor]]:
    """The auxiliary logits of the last pass, while open."""
    found: list[Tensor] = []

    def keep(_model: nn.Module, _images: object, output: Any) -> None:
        found[:] = auxiliary_logits(output)

    sources = [m for m in model.modules() if _logits_alone in m._forward_hooks.values()]
    handles = [source.register_forward_hook(keep, prepend=True) for source in sources[:1]]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
