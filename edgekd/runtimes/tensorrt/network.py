"""An ONNX file as TensorRT's network: parsed, or refused in one line that names the node."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgekd import graph
from edgekd.runtimes.tensorrt.library import LoadedLibrary

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
UNSIGNED = ("u8", "u4")
NOISE = re.compile(r"checkMacros\.cpp|^Invalid Node - |^---|^Node name:")
"""Lines that follow from another one, or say where in TensorRT's sources."""
FRAME = re.compile(r"^\S+: Error Code \d+: [\w ]*\((?P<said>.*?)(?: In \w+ at /.*)?\)$")
ASSERTION = re.compile(r"^Assertion failed: .*?: (?=[A-Z])")
LONGEST = 300


def parse_network(opened: LoadedLibrary, builder: Any, onnx: Path) -> tuple[Any, Any]:
    """A strongly typed network, and the parser, which owns its weights.

    Strongly typed means: each layer computes in the element type the file gives it, and int8 is where
    QuantizeLinear and DequantizeLinear stand, nowhere else.

    Raises:
        ValueError: if the file is refused; names the ONNX node.
    """
    _want_signed(onnx)
    module, log = opened.module, opened.log
    network = builder.create_network(_flags(module))
    parser = module.OnnxParser(network, log)
    log.lines.clear()
    if not parser.parse(onnx.read_bytes()):
        raise ValueError(f"TensorRT refuses {onnx.name}: {_refusal(parser, log)}")
    # an unsigned file that has no zero-point tensor we could read is told of in a warning alone
    for severity, said in log.lines:
        if severity == "WARNING" and "UINT8 zero_point" in said:
            raise ValueError(f"TensorRT refuses {onnx.name}: got uint8 activations, want int8")
    return network, parser


def _flags(module: Any) -> int:
    flag = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)  # a network of TensorRT 11 is always so


def _want_signed(onnx: Path) -> None:
    """TensorRT would take uint8 for int8, with a warning, and answer something else."""
    read = graph.read(onnx)
    for node in read.nodes:
        if node.op not in QUANTIZERS:
            continue
        fault = ""
        if len(node.inputs) < 3 and node.op == QUANTIZERS[0]:
            fault = "got no zero-point, which means uint8, want an int8 one of 0"
        element = graph.ELEMENTS.get(read.elements.get("".join(node.inputs[-1:]), 0))
        if element in UNSIGNED:
            fault = f"got {element}, want i8"
        if fault:
            where = node.name or (node.outputs or ["?"])[0]
            raise ValueError(f"TensorRT refuses {onnx.name}: {where} ({node.op}): {fault}")


def _refusal(parser: Any, log: Any) -> str:
    for number in range(parser.num_errors):
        error = parser.get_error(number)
        where = error.node_name() or f"node {error.node()}"
        operator = error.node_operator()
        return f"{where}{f' ({operator})' if operator else ''}: {error_reason(error.desc())}"
    return last_error(log)


def error_reason(said: str) -> str:
    """The line of an error that says what is wrong, without what says where in TensorRT."""
    lines = [line.strip() for line in said.split("\n") if line.strip()]
    telling = [line for line in lines if not NOISE.search(line)] or lines or ["no reason given"]
    line = telling[0]
    framed = FRAME.match(line)
    line = framed["said"] if framed else line
    return ASSERTION.sub("", line).partition(". Please")[0].rstrip(".")[:LONGEST]


def last_error(log: Any) -> str:
    """Return what the log's first error says; others follow from it."""
    errors = [said for severity, said in log.lines if severity in ("ERROR", "INTERNAL_ERROR")]
    telling = [said for said in errors if not NOISE.search(said)] or errors
    return error_reason(telling[0]) if telling else "no reason given"


def is_quantized(opened: LoadedLibrary, network: Any) -> bool:
    """Return whether there is a QuantizeLinear in it."""
    kind = opened.module.LayerType.QUANTIZE
    return any(network.get_layer(number).type == kind for number in range(network.num_layers))
