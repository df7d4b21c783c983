"""The layer that gives a pretrained network's classes, made for those of other data."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch import nn

from edgekd.learn.class_order import match_classes
from edgekd.learn.method.pairing import find_stages
from edgekd.learn.method.taps import module_path
from edgekd.units import number_text

_MOST_NAMED = 5


class FittedHead(NamedTuple):
    """Weights whose head is that of the data's classes."""

    tensors: dict[str, Tensor]
    """Name to tensor; the rest as it was."""
    note: str
    """What became of the head, a sentence; empty where it stays as it was."""


def fit_head(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    classes: Sequence[str],
    model_classes: Sequence[str],
    inputs: Sequence[Tensor],
) -> FittedHead:
    """Fit the head of a checkpoint to a model for other classes.

    The rows of classes that both know by name are those of the checkpoint, in the data's order; all others stay as
    the model has them, freshly initialised. A checkpoint without names for its classes has its whole head replaced if
    it has another number of them, and stays as it is if it has the same.

    Args:
        model: has the data's classes.
        tensors: the checkpoint, under the model's names.
        classes: names of the data's, in order.
        model_classes: names of the checkpoint's, in order; empty where they are not known.
        inputs: what the model takes, each [B, ...].

    Returns:
        The tensors for the model. Where more differs than rows of a head, the checkpoint as it is.
    """
    own = model.state_dict()
    head = _find_differing_rows(own, tensors, len(classes))
    if head is None:
        return FittedHead(dict(tensors), "")
    if not head and model_classes:
        head = _find_classifier(model, inputs, own, tensors, len(model_classes))
    if not head:
        return FittedHead(dict(tensors), "")
    known = tensors[head[0]].shape[0]
    named = model_classes if len(model_classes) == known else ()
    rows = match_classes(classes, named)
    if rows == tuple(range(known)):
        return FittedHead(dict(tensors), "")
    fitted = dict(tensors)
    for name in head:
        tensor = own[name].clone()
        for number, row in enumerate(rows):
            if row is not None:
                tensor[number] = tensors[name][row]
        fitted[name] = tensor
    layers = ", ".join(dict.fromkeys(name.rpartition(".")[0] for name in head))
    return FittedHead(fitted, f"{layers}: {_describe_rows(known, classes, rows)}")


def _describe_rows(known: int, classes: Sequence[str], rows: Sequence[int | None]) -> str:
    kept = [name for name, row in zip(classes, rows, strict=True) if row is not None]
    begun = len(classes) - len(kept)
    text = (
        f"its head of {number_text(known, 'class', 'classes')} is replaced by one of {len(classes)}"
    )
    if not kept:
        return f"{text}, which begins untrained"
    more = f" and {len(kept) - _MOST_NAMED} more" if len(kept) > _MOST_NAMED else ""
    listed = f"{', '.join(kept[:_MOST_NAMED])}{more}"
    rest = f"; {number_text(begun, 'other begins', 'others begin')} untrained" if begun else ""
    return f"{text}: {listed} by name{rest}"


def _find_differing_rows(
    own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], classes: int
) -> list[str] | None:
    """Names of the tensors that have a row a class and differ in that alone; None if others differ, too."""
    wrong = [n for n in own if n in tensors and own[n].shape != tensors[n].shape]
    counts = {tensors[name].shape[:1] for name in wrong}
    rows_alone = all(
        own[name].ndim
        and own[name].shape[0] == classes
        and own[name].shape[1:] == tensors[name].shape[1:]
        for name in wrong
    )
    return wrong if rows_alone and len(counts) < 2 else None


def _find_classifier(
    model: nn.Module,
    inputs: Sequence[Tensor],
    own: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    classes: int,
) -> list[str]:
    """Names of the tensors of the layer that gives the logits, if both sides have it with so many rows."""
    try:
        path = module_path(find_stages(model, *inputs).classifier)
    except ValueError:
        return []
    names = [name for name in (f"{path}.weight", f"{path}.bias") if name in own]
    fits = all(n in tensors and own[n].ndim and own[n].shape[0] == classes for n in names)
    return names if fits else []
