"""Arithmetic and comparisons, value by value: of tensors in torch, of what is known before in numpy."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekd.learn.onnx_import.values import DTYPES
from edgekd.learn.onnx_import.values import Attributes
from edgekd.learn.onnx_import.values import Operator
from edgekd.learn.onnx_import.values import Value
from edgekd.learn.onnx_import.values import are_known
from edgekd.learn.onnx_import.values import as_tensor
from edgekd.learn.onnx_import.values import operand

HALVES = (10, 16)
"""float16 and bfloat16 among ONNX's types, which are reckoned in float32."""


def _binary(
    plain: Callable[[Any, Any], Any], of_tensors: Callable[..., Any] | None = None
) -> Operator:
    """An operator of two values: `plain` of arrays, and of tensors where there is no other."""

    def apply(attributes: Attributes, a: Value, b: Value) -> Value:
        if are_known(a, b):
            return np.asarray(plain(a, b))
        found = (of_tensors or plain)(operand(a, b), operand(b, a))
        return as_tensor(found)

    return apply


def _divide(a: Any, b: Any) -> Any:
    whole = not any(isinstance(each, np.ndarray) and each.dtype.kind == "f" for each in (a, b))
    if not whole:
        return a / b
    down = a // b
    if down.dtype == object:  # sizes, which are not below 0
        return down
    return down + ((down * b != a) & (down < 0))  # towards 0, as ONNX divides


def _divide_tensors(a: Any, b: Any) -> Any:
    whole = not any(
        isinstance(each, float) or torch.is_floating_point(each)
        for each in (a, b)
        if isinstance(each, float | Tensor)
    )
    return torch.div(a, b, rounding_mode="trunc") if whole else a / b


def _power(a: Any, b: Any) -> Any:
    return torch.pow(a, b).to(a.dtype) if isinstance(a, Tensor) else torch.pow(a, b)


def _folded(pair: Callable[[Any, Any], Any]) -> Operator:
    """An operator of any number of tensors, taken two by two."""

    def apply(attributes: Attributes, *given: Value) -> Tensor:
        return functools.reduce(pair, map(as_tensor, given))

    return apply


def _extreme(of_tensors: Callable[..., Any], of_arrays: Callable[..., Any], bound: str) -> Operator:
    """The larger or the smaller; a single known number is a bound of a clamp."""

    def pair(a: Value, b: Value) -> Value:
        if are_known(a, b):
            return np.asarray(of_arrays(a, b))
        one, other = operand(a, b), operand(b, a)
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            return as_tensor(of_tensors(one, other))
        tensor, number = (one, other) if isinstance(one, Tensor) else (other, one)
        return torch.clamp(tensor, **{bound: number})

    def apply(attributes: Attributes, *given: Value) -> Value:
        return functools.reduce(pair, given)

    return apply


def mean(attributes: Attributes, *given: Value) -> Tensor:
    """Of several tensors, place by place."""
    return functools.reduce(operator.add, map(as_tensor, given)) / len(given)


def modulo(attributes: Attributes, a: Value, b: Value) -> Value:
    """The remainder, with the divisor's sign, or with the dividend's where ``fmod`` says so."""
    if are_known(a, b):
        return np.asarray((np.fmod if attributes.whole("fmod") else np.mod)(a, b))
    function = torch.fmod if attributes.whole("fmod") else torch.remainder
    return function(as_tensor(a), operand(b, a))


def _unary(of_tensors: Callable[..., Any], of_arrays: Callable[..., Any] | None = None) -> Operator:
    def apply(attributes: Attributes, x: Value) -> Value:
        if isinstance(x, np.ndarray) and of_arrays is not None:
            return np.asarray(of_arrays(x))
        return as_tensor(of_tensors(as_tensor(x)))

    return apply


def _each(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Of every number of an array, which may be one of torch's symbols."""

    def apply(values: Any) -> Any:
        found = np.empty(values.shape, object if values.dtype == object else values.dtype)
        found[...] = np.array(
            [function(each) for each in values.ravel().tolist()], found.dtype
        ).reshape(values.shape)
        return found

    return apply


def cast_type(attributes: Attributes, x: Value) -> Value:
    """To another type. Halves become float32, in which all is reckoned."""
    goal = attributes.whole("to", 1)
    dtype = torch.float32 if goal in HALVES else DTYPES.get(goal)
    if dtype is None:
        raise ValueError(f"casts to type {goal} of ONNX, which has no form here")
    if isinstance(x, Tensor):
        return x.to(dtype)
    if x.dtype == object:
        turn = torch.sym_float if dtype.is_floating_point else torch.sym_int
        found = np.empty(x.shape, object)
        found[...] = np.array([turn(each) for each in x.ravel().tolist()] + [None], object)[
            :-1
        ].reshape(x.shape)
        return found
    return x.astype(str(dtype).removeprefix("torch."))


def choose_values(attributes: Attributes, condition: Value, a: Value, b: Value) -> Value:
    """``a`` where the condition holds, else ``b``."""
    if are_known(condition, a, b):
        return np.where(condition, a, b)
    one, other = as_tensor(a), as_tensor(b)
    return torch.where(as_tensor(condition), one, other)


def cumulative_sum(attributes: Attributes, x: Value, axis: Value) -> Tensor:
    """Along an axis; from the end, and without the value itself, where the node says so."""
    at, tensor = int(np.asarray(axis).ravel()[0]), as_tensor(x)
    if attributes.whole("reverse"):
        tensor = tensor.flip(at)
    found = tensor.cumsum(at, dtype=tensor.dtype)  # torch widens whole numbers
    if attributes.whole("exclusive"):
        found = found - tensor
    return found.flip(at) if attributes.whole("reverse") else found


def identity(attributes: Attributes, x: Value) -> Value:
    """What it takes."""
    return x


def dropout(
    attributes: Attributes, x: Value, ratio: Value | None = None, training: Value | None = None
) -> Value:
    """What it takes: it does nothing once a model has learned."""
    if training is not None and (isinstance(training, Tensor) or training.any()):
        raise ValueError("drops values as in training, want it in evaluation mode")
    return x


OPERATORS: Mapping[str, Operator] = {
    "Abs": _unary(torch.abs, np.abs),
    "Add": _binary(operator.add),
    "And": _binary(np.logical_and, torch.logical_and),
    "Cast": cast_type,
    "Ceil": _unary(torch.ceil, _each(math.ceil)),
    "Cos": _unary(torch.cos),
    "CumSum": cumulative_sum,
    "Div": _binary(_divide, _divide_tensors),
    "Dropout": dropout,
    "Equal": _binary(operator.eq),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp, np.exp),
    "Floor": _unary(torch.floor, _each(math.floor)),
    "Greater": _binary(operator.gt),
    "GreaterOrEqual": _binary(operator.ge),
    "Identity": identity,
    "Less": _binary(operator.lt),
    "LessOrEqual": _binary(operator.le),
    "Log": _unary(torch.log, np.log),
    "Max": _extreme(torch.maximum, np.maximum, "min"),
    "Mean": mean,
    "Min": _extreme(torch.minimum, np.minimum, "max"),
    "Mod": modulo,
    "Mul": _binary(operator.mul),
    "Neg": _unary(torch.neg, operator.neg),
    "Not": _unary(torch.logical_not, np.logical_not),
    "Or": _binary(np.logical_or, torch.logical_or),
    "Pow": _binary(operator.pow, _power),
    "Reciprocal": _unary(torch.reciprocal),
    "Round": _unary(torch.round, np.round),
    "Sign": _unary(torch.sign, np.sign),
    "Sin": _unary(torch.sin),
    "Sqrt": _unary(torch.sqrt, np.sqrt),
    "Sub": _binary(operator.sub),
    "Sum": _folded(operator.add),
    "Where": choose_values,
    "Xor": _binary(np.logical_xor, torch.logical_xor),
}
