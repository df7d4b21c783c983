"""Recurrent layers in their plain form: one layer, usual activations, one length for all samples."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import torch
from torch import Tensor

from edgekd.learn.onnx_import.values import Attributes
from edgekd.learn.onnx_import.values import Operator
from edgekd.learn.onnx_import.values import Value
from edgekd.learn.onnx_import.values import as_tensor

LSTM_GATES = (0, 2, 3, 1)
"""Input, forget, cell, output, which torch has in this order, in ONNX's."""
GRU_GATES = (1, 0, 2)
"""Reset, update, new."""


def lstm(
    attributes: Attributes,
    x: Value,
    weight: Value,
    recurrence: Value,
    bias: Value | None = None,
    lengths: Value | None = None,
    hidden: Value | None = None,
    cell: Value | None = None,
    peephole: Value | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Hochreiter and Schmidhuber 1997: [T, B, I] to [T, D, B, H] and the last states [D, B, H]."""
    if peephole is not None or attributes.whole("input_forget"):
        raise ValueError("has peepholes or coupled gates, which have no form here")
    tensor, size, both = _prepare(attributes, x, lengths, ("Sigmoid", "Tanh", "Tanh"))
    weights = _weights(weight, recurrence, bias, size, LSTM_GATES)
    states = tuple(_state(each, tensor, size, both) for each in (hidden, cell))
    given = weights, True, 1, 0.0, False, both, False
    out, last, kept = torch.lstm(tensor, states, *given)
    return _as_onnx(out, both), last, kept


def gru(
    attributes: Attributes,
    x: Value,
    weight: Value,
    recurrence: Value,
    bias: Value | None = None,
    lengths: Value | None = None,
    hidden: Value | None = None,
) -> tuple[Tensor, Tensor]:
    """Cho et al. 2014, the reset behind the product: [T, B, I] to [T, D, B, H] and the last state [D, B, H]."""
    if not attributes.whole("linear_before_reset"):
        raise ValueError("resets before the product, want linear_before_reset as torch has it")
    tensor, size, both = _prepare(attributes, x, lengths, ("Sigmoid", "Tanh"))
    weights = _weights(weight, recurrence, bias, size, GRU_GATES)
    state = _state(hidden, tensor, size, both)
    out, last = torch.gru(tensor, state, weights, True, 1, 0.0, False, both, False)
    return _as_onnx(out, both), last


def _prepare(
    attributes: Attributes, x: Value, lengths: Value | None, usual: Sequence[str]
) -> tuple[Tensor, int, bool]:
    """The input, how many hidden units there are, and whether both directions are taken."""
    direction = attributes.text("direction", "forward")
    both = direction == "bidirectional"
    activations = attributes.words.get("activations") or [*usual] * (1 + both)
    plain = [str(each).capitalize() for each in activations] == [*usual] * (1 + both)
    if direction == "reverse" or lengths is not None or not plain or "clip" in attributes.words:
        raise ValueError(
            "runs backwards, by lengths or with other activations, which have no form here"
        )
    if attributes.whole("layout"):
        raise ValueError("has its batch first, want the usual layout")
    return as_tensor(x), attributes.whole("hidden_size"), both


def _weights(
    weight: Value, recurrence: Value, bias: Value | None, size: int, order: Sequence[int]
) -> list[Tensor]:
    """Torch's four tensors a direction."""
    w, r = as_tensor(weight), as_tensor(recurrence)
    gates = len(order)
    b = w.new_zeros(len(w), 2 * gates * size) if bias is None else as_tensor(bias)
    found = []
    for direction in range(len(w)):
        halves = b[direction].split(gates * size)
        for each in (w[direction], r[direction], *halves):
            parts = each.split(size)
            found.append(torch.cat([parts[at] for at in order]))
    return found


def _state(given: Value | None, x: Tensor, size: int, both: bool) -> Tensor:
    return x.new_zeros(1 + both, x.shape[1], size) if given is None else as_tensor(given)


def _as_onnx(out: Tensor, both: bool) -> Tensor:
    """[T, B, D H] as [T, D, B, H]."""
    return out.unflatten(2, (1 + both, -1)).transpose(1, 2)


OPERATORS: Mapping[str, Operator] = {"GRU": gru, "LSTM": lstm}
