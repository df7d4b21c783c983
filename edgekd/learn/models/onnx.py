"""A user's ONNX file as a model: its graph is run by torch, operator by operator."""

from __future__ import annotations

import tempfile
from pathlib import Path

from torch import nn

from edgekd import admission
from edgekd.admission import external_data
from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.learn.onnx_import import graph as graphs
from edgekd.learn.onnx_import.graph import OnnxModel
from edgekd.learn.onnx_import.network import OnnxNetwork
from edgekd.learn.onnx_import.reading import read_model


def onnx(*, interface: Interface, reference: str = "", graph: str = "") -> nn.Module:
    """What a file's graph computes, in evaluation and in training alike; weights are those of the file.

    Args:
        interface: what it takes and gives.
        reference: the file.
        graph: its graph as `edgekd.learn.onnx_import.graph.to_text` writes it; if given, it counts, not `reference`,
            and weights are zeros until they are loaded. A saved blueprint holds it.

    Returns:
        A model that takes the graph's inputs in their order.

    Raises:
        InputError: if there is no such file, it is not admitted, or has what cannot be imported.
    """
    where = f"onnx:{reference}"
    if graph:
        network = OnnxNetwork(graphs.from_text(graph))
    else:
        found = read_file(Path(reference))
        network = OnnxNetwork(found.graph, found.weights)
    takes, gives = len(network.graph.inputs), len(network.graph.outputs)
    if (takes, gives) != (len(interface.inputs), len(interface.outputs)):
        want = f"{len(interface.inputs)} and {len(interface.outputs)} as the data and the task say"
        raise InputError(f"{where}: got {takes} inputs and {gives} outputs, want {want}")
    # What builds it again without the file: `edgekd.learn.blueprint.save` keeps it.
    network.blueprint_arguments = {"reference": "", "graph": graphs.to_text(network.graph)}
    return network


def read_file(path: Path) -> OnnxModel:
    """The graph and the weights of a user's file, weights beside it included.

    Raises:
        InputError: as `onnx`.
    """
    try:
        is_outside = admission.examine(path)
    except ValueError as error:
        raise InputError(str(error)) from error
    if not is_outside:
        return read_model(path)
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        whole = external_data.embed_weights(path, Path(scratch) / "model.onnx")
        try:
            return read_model(whole)
        except InputError as error:
            raise InputError(str(error).replace(str(whole), str(path))) from error
