"""Published weights of a text model under the names of the network that takes them: whole, or some of their layers."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from edgekd.learn.layer_choice import take_layers
from edgekd.learn.text_network import BODY
from edgekd.learn.text_network import TextNetwork

_OLD = {".gamma": ".weight", ".beta": ".bias"}
"""What old files call the parameters of a norm."""
_COMPUTED = ("position_ids", "token_type_ids", "inv_freq", "masked_bias", "attn.bias")
"""Ends of the names of what a network computes of its sizes; files of older versions hold it."""
_MOST_NAMED = 4


class FittedWeights(NamedTuple):
    """Tensors under a network's names."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    """Sentences on what became of the rest."""


def fit_text_weights(
    model: TextNetwork, tensors: Mapping[str, Tensor], *, begins_head: bool
) -> FittedWeights:
    """Fit a checkpoint of the package to a network: a body alone, or one with another head, serves as well.

    Args:
        model: takes the values.
        tensors: of the file, by its names.
        begins_head: whether a head that the file lacks begins as the model has it; else it stays missing.

    Returns:
        The tensors by the model's names. Of more layers those that were chosen; heads for other tasks are left out.
    """
    own = model.state_dict()
    body = _find_body(model)
    named = _name_alike(own, body, {_rename(name): value for name, value in tensors.items()})
    notes = []
    stack = model.stack
    if stack.path and len(stack.chosen) < stack.of:
        path = f"{BODY}.{stack.path}"
        if any(name.startswith(f"{path}.{stack.of - 1}.") for name in named):
            named = take_layers(named, path, stack.chosen, stack.of)
            listed = ", ".join(map(str, stack.chosen))
            notes.append(f"layers {listed} of {stack.of} are taken")
    extra = [name for name in named if name not in own]
    left = [name for name in extra if _is_beside(name, body) or name.endswith(_COMPUTED)]
    if len(left) < len(named):
        for name in left:
            del named[name]
        told = [name for name in left if not name.endswith(_COMPUTED)]
        if told:
            notes.append(f"{_list_parts(told)} of the file is left out")
    missing = [name for name in own if name not in named and not name.startswith(f"{body}.")]
    if begins_head and missing and len(missing) < len(own):
        tied = {own[name].data_ptr() for name in named if name in own}
        begun = [name for name in missing if own[name].data_ptr() not in tied]
        named |= {name: own[name].clone() for name in begun}
        if begun:
            notes.append(f"{_list_parts(begun)} begins untrained")
    return FittedWeights(named, tuple(notes))


def _rename(name: str) -> str:
    for old, new in _OLD.items():
        if name.endswith(f"LayerNorm{old}"):
            return name.removesuffix(old) + new
    return name


def _find_body(model: TextNetwork) -> str:
    """Path of what all tasks share."""
    prefix = getattr(model.network, "base_model_prefix", "")
    return f"{BODY}.{prefix}" if prefix and hasattr(model.network, prefix) else BODY


def _name_alike(
    own: Mapping[str, Tensor], body: str, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors under the names that fit most of the model's: as they are, of a whole model, of its body alone, or of
    another whole model whose body this is."""
    inner = body.removeprefix(BODY).strip(".")
    forms = [dict(tensors), _add(tensors, f"{BODY}."), _add(tensors, f"{body}.")]
    first = {name.partition(".")[0] for name in tensors}
    for prefix in sorted(first - {inner}):
        stripped = {name.removeprefix(f"{prefix}."): value for name, value in tensors.items()}
        if len(stripped) == len(tensors):
            forms += [_add(stripped, f"{body}.")]
    return max(forms, key=lambda form: sum(name in own for name in form))


def _add(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in tensors.items()}


def _is_beside(name: str, body: str) -> bool:
    """Whether a tensor belongs to no layer of the body: a head, or what sums up a text for one."""
    inside = name.removeprefix(f"{body}.")
    return inside == name or inside.startswith(("pooler.", *_HEADS))


_HEADS = ("cls.", "lm_head.", "classifier.", "qa_outputs.", "score.", "vocab_", "pre_classifier.")


def _list_parts(names: Iterable[str]) -> str:
    parts = dict.fromkeys(name.removeprefix(f"{BODY}.").rpartition(".")[0] for name in names)
    listed = list(parts)
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    return ", ".join(listed[:_MOST_NAMED]) + more
