"""A user's ONNX file as a model: its graph is run by torch, operator by operator; where that is not possible, the file
itself by ONNX Runtime."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection
from collections.abc import Iterator
from pathlib import Path

import onnx as onnx_package
import torch
from onnx import inliner
from torch import Tensor
from torch import nn

from edgekd import admission
from edgekd import files
from edgekd.admission import external_data
from edgekd.errors import InputError
from edgekd.field import MOST_VALUES
from edgekd.interface import Interface
from edgekd.learn import model_inputs
from edgekd.learn.onnx_import import graph as graphs
from edgekd.learn.onnx_import.matching import match_ends
from edgekd.learn.onnx_import.network import OnnxNetwork
from edgekd.learn.onnx_import.plain_names import give_plain_names
from edgekd.learn.onnx_import.probabilities import find_probabilities
from edgekd.learn.onnx_import.reading import convert_model
from edgekd.learn.onnx_import.session import OnnxFile
from edgekd.learn.onnx_import.session import OnnxSession
from edgekd.learn.onnx_import.session import describe_obstacle_to_batches
from edgekd.settings import Whole

COMPARED = 3
"""Made-up samples on which an import is compared with the file."""
TOLERANCE = 1e-3
"""Largest difference of an answer, as part of the largest answer of its channel: scores may lie beside boxes."""
CHANNEL_ROUNDING = 1e-5
"""What is added to that, as part of the largest answer of the whole output: a channel may be all but zero."""
ROUNDING = 1e-6
"""What is added to that for a probability, since all of them may be small: engines' sigmoids differ so far."""


def onnx(
    *, interface: Interface, reference: str = "", graph: str = "", file_bytes: Whole = 0
) -> nn.Module:
    """What a file computes, in evaluation and in training alike; weights are those of the file.

    An import is compared with the file on made-up inputs before anything else.

    Args:
        interface: what it takes and gives.
        reference: the file.
        graph: its graph as `edgekd.learn.onnx_import.graph.to_text` writes it; if given, it counts, not `reference`,
            and weights are zeros until they are loaded. A saved blueprint holds it.
        file_bytes: in place of a graph, the length of a file that cannot be imported and stands among the weights.

    Returns:
        A model that takes the interface's inputs in their order; one that has ``obstacle``, a sentence, is the file itself.

    Raises:
        InputError: if there is no such file, it is not admitted, ONNX Runtime refuses it, or it takes other inputs.
        MachineError: if that is not installed.
    """
    if graph:
        return OnnxNetwork(graphs.from_text(graph))
    if file_bytes:
        return OnnxFile(bytes(file_bytes), blank=interface)
    path = Path(reference)
    data = match_ends(read_file(path), interface, path.name).data
    whole = OnnxFile(data, blank=interface)
    try:
        _require_batches(whole.session, interface)
        network = _import(data)
        _compare(network, whole, interface, find_probabilities(data))
    except ValueError as error:
        whole.obstacle = str(error)
        whole.blueprint_arguments = {"reference": "", "file_bytes": len(data)}
        return whole
    # What builds it again without the file: `edgekd.learn.blueprint.save` keeps it.
    network.blueprint_arguments = {"reference": "", "graph": graphs.to_text(network.graph)}
    return network


def read_file(path: Path) -> bytes:
    """A user's file that was admitted, with the weights that lie beside it and plain names of its inputs and outputs.

    Raises:
        InputError: if there is none, or an engine should not be shown it.
    """
    try:
        is_outside = admission.examine(path)
    except ValueError as error:
        raise InputError(str(error)) from error
    if not is_outside:
        return give_plain_names(_read(path))
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        whole = external_data.embed_weights(path, Path(scratch) / "model.onnx")
        return give_plain_names(_read(whole))


def _read(path: Path) -> bytes:
    with files.open_regular(path) as file:
        data: bytes = file.read()
    return data


def _import(data: bytes) -> OnnxNetwork:
    """
    Raises:
        ValueError: saying why it cannot be imported.
    """
    proto = onnx_package.ModelProto()
    proto.ParseFromString(data)
    if proto.functions:
        proto = inliner.inline_local_functions(proto)
    found = convert_model(proto)
    return OnnxNetwork(found.graph, found.weights).eval()


def _require_batches(session: OnnxSession, interface: Interface) -> None:
    """
    Raises:
        ValueError: if a sample is a whole call: nothing that learns or calibrates by batches takes it.
    """
    axes = {end.name: len(end.shape) for end in interface.inputs}
    if session.takes_whole(axes):
        why = describe_obstacle_to_batches(session) or "each sample is a whole call of it"
        raise ValueError(why)


def _compare(
    network: OnnxNetwork, whole: OnnxFile, interface: Interface, probable: Collection[str]
) -> None:
    """
    Raises:
        ValueError: if the two answer differently, at the data's sizes or, where the file leaves them free, at others.
    """
    inputs = model_inputs.make_noise(interface, COMPARED)
    with torch.no_grad():
        _require_alike(interface, _as_list(network(*inputs)), _as_list(whole(*inputs)), probable)
        for inputs in _resize_inputs(interface, whole.session):
            try:
                want, got = _as_list(whole(*inputs)), _as_list(network(*inputs))
            except (InputError, RuntimeError, ValueError, IndexError):
                continue  # not every size is one that it takes
            _require_alike(interface, got, want, probable)
            break


def _resize_inputs(interface: Interface, session: OnnxSession) -> Iterator[model_inputs.Inputs]:
    """A made-up sample whose free sizes are one larger, then one where they are doubled; none where none are free."""
    for change in (lambda size: size + 1, lambda size: 2 * size):
        resized = [
            tensor._replace(
                shape=tensor.shape[:1]
                + tuple(
                    change(size) if isinstance(size, int) and not isinstance(held, int) else size
                    for size, held in zip(tensor.shape[1:], end.shape[1:], strict=True)
                )
            )
            for tensor, end in zip(interface.inputs, session.inputs, strict=True)
        ]
        other = interface._replace(inputs=tuple(resized))
        values = sum(math.prod(other.shape(tensor, 1)) for tensor in resized)
        if other != interface and values <= MOST_VALUES:
            yield model_inputs.make_noise(other, 1)


def _require_alike(
    interface: Interface, got: list[Tensor], want: list[Tensor], probable: Collection[str]
) -> None:
    """
    Raises:
        ValueError: if an output differs in shape, or a channel of it by more than rounding.
    """
    for end, one, other in zip(interface.outputs, got, want, strict=False):
        if one.shape != other.shape:
            raise ValueError(
                f"imported, it gives {end.name} {list(one.shape)} for {len(other)} samples, want {list(other.shape)}"
            )
        if not other.numel():
            continue
        got_wide, wide = (
            each.double().reshape(*each.shape, *[1] * (other.ndim < 2)) for each in (one, other)
        )
        least = ROUNDING if end.name in probable else torch.finfo(torch.float32).tiny
        least += CHANNEL_ROUNDING * float(wide.abs().max())
        for axis in {1, wide.ndim - 1}:
            largest = wide.abs().transpose(0, axis).flatten(1).amax(1)
            off = (got_wide - wide).abs().transpose(0, axis).flatten(1).amax(1)
            excess = off - (TOLERANCE * largest + least)
            if not bool((excess <= 0).all()):
                at = int(excess.nan_to_num(torch.inf).argmax())
                raise ValueError(
                    f"imported, it answers otherwise than ONNX Runtime: {end.name} is off by {off[at]:.2g} of {largest[at]:.2g}"
                )


def _as_list(given: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return list(given) if isinstance(given, tuple) else [given]
