"""A user's ONNX file as ONNX Runtime answers it: what an import is compared with, and a model where none is possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.interface import Interface

Array = NDArray[Any]
MOST_SAMPLES = 16
"""Samples a call, where the file leaves that free."""
SEVERE = 3
"""Messages of ONNX Runtime below this are not shown."""
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
        """The outputs of N samples, asked as many at a time as the file takes.

        Args:
            feeds: by input, [N, ...].

        Raises:
            InputError: if it cannot take them, or gives another number of answers.
        """
        total = len(next(iter(feeds.values())))
        size = self.fixed_batch or min(MOST_SAMPLES, total)
        parts = [
            self._answer({name: each[at : at + size] for name, each in feeds.items()}, size)
            for at in range(0, total, size)
        ]
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
        try:
            answers = self._session.run(None, feeds)
        except Exception as error:
            shapes = ", ".join(f"{name} {list(each.shape)}" for name, each in feeds.items())
            first = str(error).strip().splitlines()[0][:300]
            raise InputError(f"{self._where}: cannot take {shapes}: {first}") from error
        for end, answer in zip(self.outputs, answers, strict=True):
            if getattr(answer, "ndim", 0) < 1 or len(answer) != asked:
                got = list(getattr(answer, "shape", ()))
                raise InputError(
                    f"{self._where}: output {end.name}: got {got} for {asked} samples, want one row each"
                )
        named = zip(self.outputs, answers, strict=True)
        return {end.name: answer[:count] for end, answer in named}


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

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the file answers, float32."""
        if self._blank is not None and not self.get_buffer("file").any():
            shapes = [self._blank.shape(end, len(inputs[0])) for end in self._blank.outputs]
            zeros = tuple(map(torch.zeros, shapes))
            return zeros[0] if len(zeros) == 1 else zeros
        if self._session is None:
            self._session = OnnxSession(self._data(), "onnx")
        names = [end.name for end in self._session.inputs]
        arrays = [each.detach().cpu().numpy() for each in inputs]
        answers = self._session.answer(dict(zip(names, arrays, strict=True)))
        given = tuple(torch.from_numpy(np.array(each)) for each in answers.values())
        return given[0] if len(given) == 1 else given

    def _data(self) -> bytes:
        held = self.get_buffer("file").numpy()
        return bytes(held.tobytes())


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


def _end(node: Any) -> FileEnd:
    return FileEnd(node.name, DTYPES.get(node.type, ""), tuple(node.shape or ()))
