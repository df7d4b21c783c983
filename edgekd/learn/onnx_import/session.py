"""A user's ONNX file as ONNX Runtime answers it: what an import is compared with, and a model where none is possible."""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.interface import Interface

Array = NDArray[Any]
WHOLE_CALLS = "arrays of one axis more than the file's inputs have make each sample a whole call"
BATCH_ROUNDING = 1e-4
"""How far answers to a batch may be from those one by one, as part of the largest answer of their output."""
SEVERE = 4
"""Messages of ONNX Runtime below this are not shown; what it raises says the same."""
NO_WEIGHTS = (onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.BOOL)
"""Types of sizes, axes and the like."""
DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
}
"""numpy's names of ONNX Runtime's."""


class FileEnd(NamedTuple):
    """An input or output of a file."""

    name: str
    dtype: str
    """numpy's name; empty where it has none."""
    shape: tuple[int | str | None, ...]
    """A number, the name of a free size, or None."""


class OnnxSession:
    """A file in ONNX Runtime, on one thread."""

    def __init__(self, data: bytes, where: str) -> None:
        """
        Args:
            data: a file that was admitted and holds all of its weights.
            where: how to call it in a message.

        Raises:
            InputError: if ONNX Runtime refuses it.
            MachineError: if that is not installed.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise MachineError(
                "onnxruntime: is not installed", hint="pip install 'edgekd[learn]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = SEVERE, 1
        self._where = where
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no base but this
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{where}: ONNX Runtime refuses it: {first[:200]}") from error
        self.inputs = tuple(map(_end, self._session.get_inputs()))
        self.outputs = tuple(map(_end, self._session.get_outputs()))

    @property
    def fixed_batch(self) -> int | None:
        """How many samples a call has, where the file fixes that."""
        sizes = (end.shape[0] for end in self.inputs if end.shape)
        return next((size for size in sizes if isinstance(size, int)), None)

    def answer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of N samples, asked one by one, or as many at a time as the file fixes.

        Args:
            feeds: by input, [N, ...]; with an axis more than the file's own inputs have, each sample is a whole call.

        Raises:
            InputError: if it cannot take them, or gives another number of answers.
        """
        total = len(next(iter(feeds.values())))
        if self.takes_whole({name: each.ndim for name, each in feeds.items()}):
            each = [
                self._call({name: np.array(rows[at]) for name, rows in feeds.items()})
                for at in range(total)
            ]
            return self._join([{n: value[None] for n, value in one.items()} for one in each])
        size = self.fixed_batch or 1
        parts = [
            self._answer({name: each[at : at + size] for name, each in feeds.items()}, size)
            for at in range(0, total, size)
        ]
        return self._join(parts)

    def takes_whole(self, axes: Mapping[str, int]) -> bool:
        """Return whether samples are whole calls: as many axes as the file's inputs have, by name, and one more."""
        return all(axes.get(end.name) == len(end.shape) + 1 for end in self.inputs)

    def mixes_samples(self, feeds: Mapping[str, Array]) -> bool:
        """Return whether samples share a call in vain: they are answered otherwise than one by one, or refused.

        Args:
            feeds: by input, [N, ...], of a file whose batch is free.
        """
        alone = self.answer(feeds)
        try:
            together = self._answer(dict(feeds), len(next(iter(feeds.values()))))
        except InputError:
            return True
        return any(_differs(together[name], each) for name, each in alone.items())

    def _describe_mismatch(self, feeds: Mapping[str, Array]) -> str:
        """Say what an input got and wants; empty if all fit what the file says of them."""
        for end in self.inputs:
            given = feeds[end.name]
            sizes = zip(given.shape, end.shape, strict=False)
            fits = given.ndim == len(end.shape) and all(
                not isinstance(size, int) or size == have for have, size in sizes
            )
            if not fits or str(given.dtype) != end.dtype:
                got = f"{given.dtype} {list(given.shape)}"
                wanted = ", ".join("?" if size is None else str(size) for size in end.shape)
                return f"{end.name}: got {got}, want {end.dtype} [{wanted}]"
        return ""

    def _join(self, parts: list[dict[str, Array]]) -> dict[str, Array]:
        try:
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        except ValueError as error:
            raise InputError(f"{self._where}: got answers of several sizes: {error}") from error

    def _answer(self, feeds: dict[str, Array], size: int) -> dict[str, Array]:
        count = len(next(iter(feeds.values())))
        if self.fixed_batch and count < size:
            feeds = {
                name: np.concatenate([each, np.repeat(each[-1:], size - count, axis=0)])
                for name, each in feeds.items()
            }
        asked = len(next(iter(feeds.values())))
        answers = self._call(feeds)
        for name, answer in answers.items():
            if answer.ndim < 1 or len(answer) != asked:
                raise InputError(
                    f"{self._where}: output {name}: got {list(answer.shape)} for {asked} samples, want one row each",
                    hint=WHOLE_CALLS,
                )
        return {name: answer[:count] for name, answer in answers.items()}

    def _call(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            answers = self._session.run(None, dict(feeds))
        except Exception as error:
            raise InputError(
                f"{self._where}: {self._describe_mismatch(feeds) or _describe_failure(feeds, error)}"
            ) from error
        named = zip(self.outputs, answers, strict=True)
        return {end.name: np.asarray(answer) for end, answer in named}


class OnnxFile(nn.Module):
    """A whole file as a module: it answers, and cannot be trained, traced or quantized."""

    def __init__(self, data: bytes, obstacle: str = "", blank: Interface | None = None) -> None:
        """
        Args:
            data: the file; zeros of its length, for one that is loaded afterwards.
            obstacle: why it is not imported.
            blank: what it gives, in zeros, before that.
        """
        super().__init__()
        self.obstacle = obstacle
        self.register_buffer("file", torch.frombuffer(bytearray(data), dtype=torch.uint8))
        self.none = nn.Parameter(torch.zeros(0))
        """What tells on which device a model is; it has no weights of its own here."""
        self._blank = blank
        self._session: OnnxSession | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxFile:
        return OnnxFile(self._data(), self.obstacle, self._blank)

    def count_weights(self) -> int:
        """Count the elements of what the file holds, its branches included; whole numbers of 32 or 64 bits are none."""
        model = onnx.load_from_string(self._data())
        graphs = [model.graph, *model.functions]
        return sum(
            math.prod(each.dims)
            for each in _list_tensors(graphs)
            if each.data_type not in NO_WEIGHTS
        )

    @property
    def session(self) -> OnnxSession:
        """The file in ONNX Runtime, which is started when it is first asked."""
        if self._session is None:
            self._session = OnnxSession(self._data(), "onnx")
        return self._session

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the file answers, float32."""
        if self._blank is not None and not self.get_buffer("file").any():
            return self._zeros(len(inputs[0]))
        names = [end.name for end in self.session.inputs]
        arrays = [each.detach().cpu().numpy() for each in inputs]
        try:
            answers = self.session.answer(dict(zip(names, arrays, strict=True)))
        except InputError:
            if self._blank is None or any(array.any() for array in arrays):
                raise
            return self._zeros(
                len(arrays[0])
            )  # zeros are made up: what it does not take tells nothing
        given = tuple(torch.from_numpy(np.array(each)) for each in answers.values())
        return given[0] if len(given) == 1 else given

    def _zeros(self, count: int) -> Tensor | tuple[Tensor, ...]:
        assert self._blank is not None
        zeros = tuple(torch.zeros(self._blank.shape(end, count)) for end in self._blank.outputs)
        return zeros[0] if len(zeros) == 1 else zeros

    def _data(self) -> bytes:
        held = self.get_buffer("file").numpy()
        return bytes(held.tobytes())


def _describe_failure(feeds: Mapping[str, Array], error: Exception) -> str:
    shapes = ", ".join(f"{name} {list(each.shape)}" for name, each in feeds.items())
    return f"cannot take {shapes}: {str(error).strip().splitlines()[0][:300]}"


def _differs(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return True
    off, largest = np.abs(one.astype(np.float64) - other), np.abs(other.astype(np.float64))
    return not off.max(initial=0) <= BATCH_ROUNDING * largest.max(initial=0)


def describe_obstacle_to_batches(session: OnnxSession) -> str:
    """Say why samples cannot be stacked along the first axis of all inputs; empty if they can."""
    bare = [end.name for end in session.inputs if not end.shape]
    if bare:
        return f"its input {bare[0]!r} is a single number, which counts no samples"
    firsts = {end.name: end.shape[0] for end in session.inputs}
    fixed = {size for size in firsts.values() if isinstance(size, int)}
    free = [name for name, size in firsts.items() if not isinstance(size, int)]
    if len(fixed) > 1 or (fixed and free):
        told = ", ".join(f"{name} {size or 'free'}" for name, size in firsts.items())
        return f"the first axes of its inputs differ ({told}), which count no samples"
    return ""


def _list_tensors(graphs: Iterable[Any]) -> Iterator[onnx.TensorProto]:
    """Initializers and tensors of nodes, in all branches of graphs or functions."""
    for graph in graphs:
        yield from getattr(graph, "initializer", ())
        for attribute in (each for node in graph.node for each in node.attribute):
            if attribute.HasField("t"):
                yield attribute.t
            inner = [attribute.g] if attribute.HasField("g") else []
            yield from _list_tensors([*inner, *attribute.graphs])


def _end(node: Any) -> FileEnd:
    return FileEnd(node.name, DTYPES.get(node.type, ""), tuple(node.shape or ()))
