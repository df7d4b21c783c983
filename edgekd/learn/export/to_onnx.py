"""One trained model as one ONNX file: deterministic bytes, and nothing in them but the model."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from edgekd import files
from edgekd.errors import InputError
from edgekd.garbage import pause_collection
from edgekd.interface import BATCH
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn import model_inputs
from edgekd.learn.export import end_names
from edgekd.learn.export import fused_decoder
from edgekd.learn.export import last_logits
from edgekd.learn.export import onnx_gelu
from edgekd.learn.export import onnx_int4
from edgekd.learn.export import onnx_names
from edgekd.learn.export import packing
from edgekd.learn.export import reasons
from edgekd.learn.export import translations
from edgekd.learn.export.silence import silence_exporter

OPSETS = (18, 23)
"""First and last operator set that torch's exporter writes without converting down."""
LARGEST_BYTES = 2**31 - 1
"""What one protobuf message can hold."""


def write(model: nn.Module, path: Path, interface: Interface, *, opset: int = OPSETS[0]) -> Path:
    """Put `model`, in evaluation mode and float32, at `path` as ONNX.

    Inputs and outputs have the names, types and free axes of `interface`; BatchNorm after a convolution
    is folded into it; all weights are in the file. The same weights and versions give the same bytes. `model` itself is not touched.

    Args:
        model: has the ends of `interface`.
        path: the file to write.
        interface: what it takes and gives.
        opset: ONNX operator set, within `OPSETS`.

    Returns:
        `path`.

    Raises:
        ValueError: if `opset` is out of range.
        InputError: if the exporter refuses the model; names its module and operation.
        MachineError: if the disk refuses.
    """
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise ValueError(f"want {OPSETS[0]} <= opset <= {OPSETS[1]}, got {opset}")
    with silence_exporter():
        proto = strip_metadata(_export(model, interface, opset, optimize=True))
    _require_ends(proto, model, interface, opset)
    try:
        data = proto.SerializeToString(deterministic=True)
    except ValueError as error:
        raise InputError(f"{_name(model)}: got more than 2 GB, the most one ONNX file") from error
    files.write_bytes(path, data)
    return path


def require_exportable(model: nn.Module, interface: Interface, *, opset: int) -> None:
    """Export `model` as `write` does and keep nothing: without what only makes the file better.

    Raises:
        InputError: as `write`.
    """
    with silence_exporter():
        proto = _export(model, interface, opset, optimize=False)
    _require_ends(proto, model, interface, opset)


def strip_metadata(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `proto` without documentation, metadata, producer's version and unused weights.

    What the exporter leaves there (stack traces with paths, names of the training code) is neither
    deterministic nor anybody's business. Shapes are inferred anew and the result is checked.

    Raises:
        onnx.checker.ValidationError: if it is no valid model.
        onnx.shape_inference.InferenceError: if its shapes do not fit.
    """
    proto = copy.deepcopy(proto)
    proto.producer_name, proto.producer_version = "edgekd", ""
    proto.domain, proto.model_version = "", 0
    graph = proto.graph
    onnx_int4.pack_int4(proto)
    onnx_names.name_nodes(graph)
    last_logits.write_slices(proto)
    packing.pack_attention(graph)
    packing.drop_unused_outputs(graph, fused_decoder.MICROSOFT)
    _strip(proto)
    _pool_whole_images(graph)
    onnx_gelu.order_gelus(graph)
    graph.name = "model"
    del graph.value_info[:]
    used = {name for node in _nodes(graph) for name in node.input}
    kept = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    proto = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _pool_whole_images(graph: onnx.GraphProto) -> None:
    """Write the mean over both sides of an image as a pool: engines have an int8 kernel for that."""
    weights = {weight.name: weight for weight in graph.initializer}
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in graph.value_info}
    for node in graph.node:
        if node.op_type != "ReduceMean" or len(node.input) < 2 or node.input[1] not in weights:
            continue
        axes = sorted(onnx.numpy_helper.to_array(weights[node.input[1]]).tolist())
        keeps = {a.name: a.i for a in node.attribute}.get("keepdims", 1)
        if ranks.get(node.input[0]) == 4 and keeps and axes in ([-2, -1], [2, 3]):
            node.op_type, node.name = (
                "GlobalAveragePool",
                node.name.replace("ReduceMean", "GlobalAveragePool"),
            )
            del node.input[1:], node.attribute[:]


def _strip(message: Any) -> None:
    """Empty `doc_string` and `metadata_props` here and in every message below."""
    for field in ("doc_string", "metadata_props"):
        if field in message.DESCRIPTOR.fields_by_name:
            message.ClearField(field)
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if hasattr(value, "__len__") else [value]:
            _strip(item)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those of inner graphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(inner)


def _export(
    model: nn.Module, interface: Interface, opset: int, *, optimize: bool
) -> onnx.ModelProto:
    ends = [end.name for end in (*interface.inputs, *interface.outputs)]
    proto = _run_exporter(model, interface, opset, ends, optimize=optimize)
    if end_names.find_collisions(proto.graph, ends):
        names = end_names.make_placeholders(ends)
        proto = _run_exporter(model, interface, opset, list(names), optimize=optimize)
        end_names.rename_ends(proto.graph, names)
    end_names.name_sums(proto.graph, interface)
    return proto


def _run_exporter(
    model: nn.Module, interface: Interface, opset: int, ends: list[str], *, optimize: bool
) -> onnx.ModelProto:
    frozen = copy.deepcopy(model).eval().float().cpu().to(memory_format=torch.contiguous_format)
    example = model_inputs.make_example(interface)
    translations.cache_translations()
    try:
        with pause_collection():  # else a tenth of an export
            program = torch.onnx.export(
                frozen,
                example,
                dynamo=True,
                opset_version=opset,
                input_names=ends[: len(interface.inputs)],
                output_names=ends[len(interface.inputs) :],
                dynamic_shapes=model_inputs.as_arguments(
                    frozen, [interface.free_axes(end) for end in interface.inputs]
                ),
                optimize=optimize,
                verbose=False,
            )
        assert program is not None  # only the old exporter gives None
        return program.model_proto
    except Exception as error:  # the exporter raises whatever the user's forward raises
        where = _culprit(frozen, interface, str(error))
        raise InputError(
            f"{_name(model)}{where}: cannot be exported to ONNX: {reasons.explain_failure(error)}"
        ) from error


def _require_ends(
    proto: onnx.ModelProto, model: nn.Module, interface: Interface, opset: int
) -> None:
    fault = _fault_in(proto, interface, opset)
    if fault:
        raise InputError(f"{_name(model)}: cannot be exported to ONNX: {fault}")


def _fault_in(proto: onnx.ModelProto, interface: Interface, opset: int) -> str | None:
    """Return what of an exported model is not as its interface says; None if nothing."""
    versions = {entry.domain: entry.version for entry in proto.opset_import}
    if versions.get("") != opset:
        return f"got operator set {versions.get('')}, want {opset}"
    weights = {entry.name for entry in proto.graph.initializer}
    for what in ("input", "output"):
        got, want = getattr(proto.graph, what), getattr(interface, f"{what}s")
        if [end.name for end in got if end.name not in weights] != [end.name for end in want]:
            names = ", ".join(end.name for end in want)
            return f"got {len(got)} {what}s, want {names}"
        for end, wanted in zip(got, want, strict=False):  # inputs that have values come last
            fault = _fault_of_end(end, wanted)
            if fault:
                return fault
    if any(entry.data_location == entry.EXTERNAL for entry in proto.graph.initializer):
        return "got weights outside the file"
    return None


def _fault_of_end(end: onnx.ValueInfoProto, wanted: Tensor) -> str | None:
    kind = end.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    if dtype != wanted.dtype:
        return f"got {end.name} of {dtype}, want {wanted.dtype}"
    axes = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
    alike = len(axes) == len(wanted.shape) and all(
        isinstance(got, str) if isinstance(axis, str) else got == axis
        for got, axis in zip(axes, wanted.shape, strict=True)
    )
    if not alike:
        return f"got {end.name} {axes}, want {list(wanted.shape)}"
    if axes[0] != BATCH:
        return f"got {end.name} without a free batch axis"
    return None


def _culprit(model: nn.Module, interface: Interface, message: str) -> str:
    """`` .layer1.0 (Block)``: the module in which the export failed; empty if it is not known."""
    entered: list[str] = []
    hooks = []
    for name, module in model.named_modules():
        hooks.append(
            module.register_forward_pre_hook(lambda _m, _a, name=name: entered.append(name))
        )
        hooks.append(module.register_forward_hook(lambda _m, _a, _o: (entered.pop(), None)[1]))
    path = ""
    try:
        example = model_inputs.make_example(interface)
        shapes = model_inputs.free_dimensions(model, interface)
        program = torch.export.export(model, example, dynamic_shapes=shapes, strict=False)
        node_name = re.search(r"translating node %(\w+)", message)
        wanted = node_name[1] if node_name else None
        for node in program.run_decompositions().graph.nodes:
            if node.name == wanted and node.meta.get("nn_module_stack"):
                path = str(list(node.meta["nn_module_stack"].values())[-1][0])
    except Exception:  # the same refusal again; now the hooks know where
        path = entered[-1] if entered else ""
    finally:
        for hook in hooks:
            hook.remove()
    module = dict(model.named_modules()).get(path) if path else None
    return f".{path} ({_name(module)})" if module is not None else ""


def _name(model: nn.Module) -> str:
    return type(model).__name__
