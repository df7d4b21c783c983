"""What a user's model takes and computes in, as its file tells: an ONNX graph, or an OpenVINO IR."""

from __future__ import annotations

import xml.parsers.expat
from collections import defaultdict
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import admission
from edgekd import files
from edgekd import graph
from edgekd.admission import weight_files
from edgekd.bench import index_ranges
from edgekd.bench import ir
from edgekd.bench import numerics
from edgekd.errors import InputError
from edgekd.value_info import Value

ENDS, QUANTIZER = ("Result", "Assign"), "FakeQuantize"
"""Kinds of an IR's layers: what it computes for, and what quantizes."""
LONGEST_SIZE = 18
"""Digits of an axis's size in an IR."""


class FileInterface(NamedTuple):
    """Inputs and outputs of a model file, read before an engine loads it."""

    inputs: Sequence[Value]
    outputs: Sequence[Value]
    numerics: str
    """What it computes in, by `edgekd.bench.numerics.name_numerics`."""
    limits: Mapping[str, int] = {}
    """By input the size of the table that it is an index of."""
    metadata: Mapping[str, str] = {}


def read_onnx(path: Path, beside: Collection[str] = ()) -> FileInterface:
    """Read the interface of an ONNX file.

    Args:
        path: the file.
        beside: names of the files that may hold weights of it; none of one that has them all.

    Raises:
        InputError: if the file is not admitted.
    """
    try:
        if beside and admission.examine(path):
            weight_files.require_beside(path, beside)
        else:
            admission.admit(path)
        read, contents = graph.read(path), numerics.read_contents(path)
    except ValueError as error:
        raise InputError(str(error)) from error
    limits = index_ranges.find_limits(read)
    return FileInterface(
        read.inputs,
        read.outputs,
        numerics.name_numerics(contents, read.inputs),
        limits,
        read.metadata,
    )


def read_ir(path: Path, weights: Path) -> FileInterface:
    """Read the interface of an OpenVINO IR.

    Raises:
        InputError: if the pair is not admitted.
    """
    try:
        ir.admit(path, weights)
    except ValueError as error:
        raise InputError(str(error)) from error
    with files.open_regular(path) as file:
        data = file.read()
    look = _Parameters()
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = look.open
    parser.EndElementHandler = look.close
    try:
        parser.Parse(data, True)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    return FileInterface(look.inputs, (), numerics.INT8 if look.quantizes else numerics.PLAIN)


class _Network:
    """The layers of an IR, or of a body inside one of its layers."""

    def __init__(self) -> None:
        self.layer = ""
        """The last that was opened."""
        self.ends: list[str] = []
        self.quantizers: set[str] = set()
        """Layers that quantize, or that hold such ones."""
        self.reads: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, layer: str, kind: str) -> None:
        self.layer = layer
        if kind in ENDS:
            self.ends.append(layer)
        elif kind == QUANTIZER:
            self.quantizers.add(layer)

    def quantizes(self) -> bool:
        """Return whether a result is computed by way of a quantizer; what leads to none computes nothing."""
        ahead, passed = list(self.ends), set[str]()
        while ahead:
            layer = ahead.pop()
            if layer not in passed:
                passed.add(layer)
                ahead += self.reads[layer]
        return not passed.isdisjoint(self.quantizers)


class _Parameters:
    """Collects the inputs of an IR, and whether it quantizes."""

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.quantizes = False
        self._inside = False
        self._networks: list[_Network] = []

    def open(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "layers":
            self._networks.append(_Network())
        elif tag == "edge" and self._networks:
            reader, read = attributes.get("to-layer", ""), attributes.get("from-layer", "")
            self._networks[-1].reads[reader].append(read)
        elif tag == "layer":
            kind = attributes.get("type", "")
            self._inside = kind == "Parameter" and len(self._networks) < 2  # not one of a body's
            if self._networks:
                self._networks[-1].add(attributes.get("id", ""), kind)
            if self._inside:
                self.inputs.append(Value(attributes.get("name", ""), 0, None))
        elif self._inside and tag == "data":
            element = graph.NUMBERS.get(attributes.get("element_type", ""), 0)
            sizes = _sizes(attributes.get("shape", "..."))
            self.inputs[-1] = self.inputs[-1]._replace(element=element, sizes=sizes)
        elif self._inside and tag == "port" and attributes.get("names"):
            # the engine calls it by the first of its names
            name = min(attributes["names"].split(","))
            self.inputs[-1] = self.inputs[-1]._replace(name=name)

    def close(self, tag: str) -> None:
        self._inside &= tag != "layer"
        if tag == "edges" and self._networks:
            network = self._networks.pop()
            if self._networks and network.quantizes():
                self._networks[-1].quantizers.add(self._networks[-1].layer)
            elif network.quantizes():
                self.quantizes = True


def _sizes(shape: str) -> tuple[int | None, ...] | None:
    """``?,3,1..64,64``: a size that may vary is free; ``...`` says that the rank may too."""
    if "..." in shape:
        return None
    parts = [part.strip() for part in shape.split(",") if part.strip()]
    for part in parts:
        if part.isdigit() and len(part) > LONGEST_SIZE:
            raise ValueError(f"got a size of {len(part)} digits, want {LONGEST_SIZE} at most")
    return tuple(int(part) if part.isascii() and part.isdigit() else None for part in parts)
