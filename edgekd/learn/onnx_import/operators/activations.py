"""Activations, of each value by itself or of a row."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.onnx_import.values import Attributes
from edgekd.learn.onnx_import.values import Operator
from edgekd.learn.onnx_import.values import Value
from edgekd.learn.onnx_import.values import as_number
from edgekd.learn.onnx_import.values import as_tensor

SIXTH_ROUNDING = 1e-4
"""How far a stored sixth may be from one."""
ROWS_SINCE = 13
"""The operator set since which a softmax is over one axis, not over all that follow it."""


def clip(
    attributes: Attributes, x: Value, low: Value | None = None, high: Value | None = None
) -> Tensor:
    """``min(max(x, low), high)``, bounds by attributes in old operator sets."""
    tensor = as_tensor(x)
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        found = tensor if _is_idle(low) else torch.maximum(tensor, as_tensor(low))
        return found if _is_idle(high) else torch.minimum(found, as_tensor(high))
    least = attributes.real("min", -math.inf) if low is None else as_number(low, -math.inf)
    most = attributes.real("max", math.inf) if high is None else as_number(high, math.inf)
    bounds = {"min": least, "max": most}
    said = {name: bound for name, bound in bounds.items() if not math.isinf(bound)}
    return torch.clamp(tensor, **said) if said else tensor


def _is_idle(bound: Value | None) -> bool:
    """Whether a bound is left out, or known to be infinite."""
    return bound is None or (not isinstance(bound, Tensor) and math.isinf(as_number(bound, 0.0)))


def elu(attributes: Attributes, x: Value) -> Tensor:
    """Clevert et al. 2016."""
    return F.elu(as_tensor(x), attributes.real("alpha", 1.0))


def celu(attributes: Attributes, x: Value) -> Tensor:
    """Barron 2017."""
    return F.celu(as_tensor(x), attributes.real("alpha", 1.0))


def selu(attributes: Attributes, x: Value) -> Tensor:
    """Klambauer et al. 2017, with numbers of its own where the node has them."""
    alpha = attributes.real("alpha", 1.67326319217681884765625)
    gamma = attributes.real("gamma", 1.05070102214813232421875)
    return gamma * F.elu(as_tensor(x), alpha)


def gelu(attributes: Attributes, x: Value) -> Tensor:
    """Hendrycks and Gimpel 2016; exact, or by tanh."""
    return F.gelu(as_tensor(x), approximate=attributes.text("approximate", "none"))


def hard_sigmoid(attributes: Attributes, x: Value) -> Tensor:
    """``clamp(alpha x + beta, 0, 1)``; torch's own where alpha is a sixth."""
    alpha, beta = attributes.real("alpha", 0.2), attributes.real("beta", 0.5)
    if abs(alpha * 6 - 1) < SIXTH_ROUNDING and beta == 0.5:
        return F.hardsigmoid(as_tensor(x))
    return torch.clamp(alpha * as_tensor(x) + beta, 0.0, 1.0)


def leaky_relu(attributes: Attributes, x: Value) -> Tensor:
    """With a slope below 0."""
    return F.leaky_relu(as_tensor(x), attributes.real("alpha", 0.01))


def prelu(attributes: Attributes, x: Value, slope: Value) -> Tensor:
    """With a slope below 0 that is learned, one for all or one a channel."""
    tensor, slopes = as_tensor(x), as_tensor(slope)
    channels = slopes.numel() == tensor.shape[1] if tensor.dim() > 1 else False
    per_channel = channels and slopes.dim() == tensor.dim() - 1
    if slopes.numel() == 1 or per_channel:
        return F.prelu(tensor, slopes.reshape(-1))
    return torch.where(tensor < 0, tensor * slopes, tensor)


def softmax(attributes: Attributes, x: Value) -> Tensor:
    """Over one axis; in old operator sets over all axes from one on."""
    return _over_rows(torch.softmax, attributes, as_tensor(x))


def log_softmax(attributes: Attributes, x: Value) -> Tensor:
    """The logarithm of that."""
    return _over_rows(torch.log_softmax, attributes, as_tensor(x))


def _over_rows(function: Callable[..., Tensor], attributes: Attributes, x: Tensor) -> Tensor:
    old = attributes.opset < ROWS_SINCE
    axis = attributes.whole("axis", 1 if old else -1) % max(x.dim(), 1)
    if not old or axis == x.dim() - 1:
        return function(x, axis)
    return function(x.flatten(axis), -1).reshape(x.shape)


def softplus(attributes: Attributes, x: Value) -> Tensor:
    """``log(1 + exp x)``."""
    return F.softplus(as_tensor(x))


def thresholded_relu(attributes: Attributes, x: Value) -> Tensor:
    """``x`` above alpha, else 0."""
    return F.threshold(as_tensor(x), attributes.real("alpha", 1.0), 0.0)


OPERATORS: Mapping[str, Operator] = {
    "Celu": celu,
    "Clip": clip,
    "Elu": elu,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": lambda _, x: F.hardswish(as_tensor(x)),
    "LeakyRelu": leaky_relu,
    "LogSoftmax": log_softmax,
    "Mish": lambda _, x: F.mish(as_tensor(x)),
    "PRelu": prelu,
    "Relu": lambda _, x: F.relu(as_tensor(x)),
    "Selu": selu,
    "Sigmoid": lambda _, x: torch.sigmoid(as_tensor(x)),
    "Softmax": softmax,
    "Softplus": softplus,
    "Softsign": lambda _, x: F.softsign(as_tensor(x)),
    "Tanh": lambda _, x: torch.tanh(as_tensor(x)),
    "ThresholdedRelu": thresholded_relu,
}
