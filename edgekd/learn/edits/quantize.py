"""The edit ``quantize``: a model becomes its traced graph, batch norms folded, with quantizers in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any

from pydantic import Field
from torch import nn

from edgekd.interface import Interface
from edgekd.learn.quant import equalization
from edgekd.learn.quant import insertion
from edgekd.learn.quant import rewriting
from edgekd.learn.quant import tracing
from edgekd.learn.quant.blocks import EARLIER
from edgekd.learn.quant.blocks import Form
from edgekd.learn.quant.blocks import resolve_forms
from edgekd.profile import NUMERICS
from edgekd.settings import Settings

Bits = Annotated[int, Field(ge=2, le=8)]


class QuantizeEdit(Settings):
    """The fields of this edit in a blueprint; steps and zero-points are among the weights."""

    scheme: str
    """A name of `edgekd.profile.NUMERICS`."""
    float_layers: Annotated[tuple[str, ...], Field(strict=False, max_length=10_000)] = ()
    """Module paths of layers that keep their precision."""
    weight_bits: Annotated[dict[str, Bits], Field(max_length=10_000)] = {}
    """Layers whose weights get fewer bits than the numerics say."""
    blocks: dict[str, Form] = EARLIER
    """What kinds of block run in."""
    scaled: Annotated[tuple[str, ...], Field(strict=False, max_length=10_000)] = ()
    """Nodes whose channels are divided by an operator of its own (`edgekd.learn.quant.equalization.insert_scales`)."""
    undone: Annotated[tuple[str, ...], Field(strict=False, max_length=10_000)] = ()
    """Nodes of the graph (`edgekd.learn.quant.tracing.name_of`) that are not rewritten."""


def apply(model: nn.Module, edit: Mapping[str, Any], interface: Interface) -> nn.Module:
    """`model` traced and quantized; all steps 1, until weights are loaded.

    Raises:
        ValueError: if the edit is none, or does not fit the model.
    """
    wanted = QuantizeEdit.model_validate(dict(edit))
    known = [name for name, numerics in NUMERICS.items() if not numerics.blocks]
    if wanted.scheme not in known:
        raise ValueError(f"scheme: got {wanted.scheme!r}, want one of {', '.join(known)}")
    module = tracing.trace(model, interface)
    rewriting.apply_rewrites(module, wanted.undone)
    equalization.insert_scales(module, wanted.scaled)
    return insertion.insert_quantizers(
        module,
        NUMERICS[wanted.scheme],
        float_layers=wanted.float_layers,
        weight_bits=wanted.weight_bits,
        forms=resolve_forms(wanted.blocks),
    )
