"""A model as a user named it: which file it is, and what is known of it before it is compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import graph
from edgekd.admission import external_data
from edgekd.bench import interface
from edgekd.bench import ir
from edgekd.bench import prebuilt_engines
from edgekd.bench import user_inputs
from edgekd.bench.engine import ONNX
from edgekd.bench.interface import FileInterface
from edgekd.bench.prebuilt_engines import PrebuiltEngine
from edgekd.errors import EdgekdError
from edgekd.interface import PAST
from edgekd.interface import Interface
from edgekd.interface import is_decoder
from edgekd.value_info import Value

NULL = "null"
"""The runtime for tests, whose models are not ONNX."""


class NamedModel(NamedTuple):
    """One model as it was named."""

    name: str
    main: Path
    """The file that names it."""
    whole: Path
    """An ONNX file that holds all of its weights."""
    made: PrebuiltEngine | None
    """An engine that needs no compiling."""
    interface: FileInterface | None
    rows: Path | None  # a bundle's own inputs
    fused: Path | None = None
    """Of a bundle's decoder the file of fused operators, for the engines that take it."""
    bundled: Interface | None = None
    """What a bundle says that its model takes and gives, without states."""

    @property
    def decoder(self) -> Interface | None:
        """The same of a decoder."""
        return self.bundled if self.bundled is not None and is_decoder(self.bundled) else None


def read_named_model(
    given: Path, name: str, runtimes: Sequence[str], store: Path | None, folder: Path
) -> NamedModel:
    """Return what is known of a model before it is compiled.

    Args:
        given: as a user named it; a bundle as its folder.
        name: what it is called.
        runtimes: engines that are asked for; empty for any.
        store: where ``store:KEY`` is looked up; None for the default store.
        folder: for files that are made of it.

    Raises:
        InputError: if it is missing or refused.
    """
    if prebuilt_engines.is_prebuilt(given):
        made = prebuilt_engines.find_engine(given, runtimes, store)
        return NamedModel(name, made.main, made.main, made, _interface_of(made), None)
    model, rows = user_inputs.find_model(given, folder / "inputs.npy")
    if runtimes == (NULL,):
        return NamedModel(name, model, model, None, None, rows)
    whole = external_data.embed_weights(model, folder / ONNX)
    read = interface.read_onnx(whole)
    bundled = user_inputs.find_interface(given) if model != given else None
    if bundled is None or not is_decoder(bundled):
        return NamedModel(name, model, whole, None, read, rows, bundled=bundled)
    shapes = {
        end.name: end.shape for end in bundled.inputs
    }  # states begin empty: masks cover a text
    inputs = [
        each._replace(sizes=shapes.get(each.name, each.sizes))
        for each in read.inputs
        if not each.name.startswith(PAST)
    ]
    fused = given / user_inputs.BUNDLED_FUSED
    if fused.is_file():
        fused = external_data.embed_weights(fused, folder / user_inputs.BUNDLED_FUSED)
    own = fused if fused.is_file() else None
    return NamedModel(name, model, whole, None, read._replace(inputs=inputs), rows, own, bundled)


def read_inputs(path: Path) -> Sequence[Value]:
    """The inputs of another ONNX file; none of what is no such file, which its own call refuses."""
    with contextlib.suppress(ValueError, EdgekdError):
        return graph.read(path).inputs
    return ()


def _interface_of(made: PrebuiltEngine) -> FileInterface | None:
    if set(made.files) == {ir.GRAPH, ir.WEIGHTS}:
        return interface.read_ir(made.files[ir.GRAPH], made.files[ir.WEIGHTS])
    if ONNX not in made.files:
        return None
    return interface.read_onnx(made.main, beside={*made.files} - {ONNX})
