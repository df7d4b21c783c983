"""One answer as a row of bytes, and back: every row of a store has the same size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.knowledge_settings import index_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TYPES = {"fp32": "<f4", "fp16": "<f2", "bf16": "<u2", "int8": "u1"}
_LEVELS = 255
_HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
"""Every fp16 as a float32, by its bits: a look-up is more than twice as fast as numpy converts."""
_LARGEST = {"fp16": 65504.0, "int8": 65504.0, "bf16": 255 * 2.0**120}


class CutLogits(NamedTuple):
    """Logits [N, V] of which the likeliest are given, and what all others weigh together."""

    indices: NDArray[Any]
    """[N, k], of the likeliest classes, ascending."""
    values: NDArray[np.float32]
    """[N, k], their logits."""
    rest: NDArray[np.float32]
    """[N], T log sum exp(z / T) of all others."""
    classes: int
    """V."""

    def __len__(self) -> int:
        return len(self.rest)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the logits."""
        return (len(self), self.classes)


class RowCode(NamedTuple):
    """How the outputs of one answer lie in a row."""

    settings: KnowledgeSettings
    shapes: tuple[tuple[int, ...], ...]
    """Of each output, without the batch; those of layers come last."""
    layers: int = 0
    """How many of them are layers."""

    @property
    def classes(self) -> int:
        """How many there are where only the likeliest are stored; 0 where all are."""
        if self.settings.top_k is None:
            return 0
        values = self.shapes[0][0]
        return values if self.settings.cuts(values) else 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The fields of a row, packed."""
        kind = _TYPES[self.settings.encoding]
        fields: list[tuple[Any, ...]] = []
        for number, shape in enumerate(self.shapes):
            is_cut = self.classes and not number
            count = self.settings.top_k if is_cut else math.prod(shape)
            fields.append((f"values{number}", kind, (count,)))
            if self.settings.encoding == "int8":
                fields += [(f"low{number}", "<f2"), (f"step{number}", "<f2")]
        if self.classes:
            indices = f"<u{index_bytes(self.classes)}"
            fields += [("indices", indices, (self.settings.top_k,)), ("rest", "<f4")]
        return np.dtype(fields)

    def encode(self, outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.uint8]:
        """Rows [B, bytes] of outputs [B, ...].

        Raises:
            ValueError: if an output has another shape, or a value that the encoding cannot hold.
        """
        if tuple(each.shape[1:] for each in outputs) != self.shapes:
            found = [each.shape[1:] for each in outputs]
            raise ValueError(f"got outputs of shapes {found}, want {list(self.shapes)}")
        rows = np.zeros(len(outputs[0]), self.dtype)
        for number, output in enumerate(outputs):
            values = output.reshape(len(output), -1)
            self._require_storable(values)
            if self.classes and not number:
                values = self._cut(values, rows)
            self._encode_values(values, rows, number)
        return rows.view(np.uint8).reshape(len(rows), -1)

    def decode(
        self, rows: NDArray[np.uint8], *, layers: bool = True
    ) -> tuple[NDArray[np.float32], ...]:
        """Outputs [B, ...] of rows [B, bytes]; where classes were cut off, logits that have their weight.

        Args:
            rows: as `encode` gives them.
            layers: whether those of layers are wanted, too.

        Raises:
            ValueError: if a row names a class that is none.
        """
        fields = np.ascontiguousarray(rows).view(self.dtype)[:, 0]
        outputs = []
        wanted = len(self.shapes) - (0 if layers else self.layers)
        for number, shape in enumerate(self.shapes[:wanted]):
            values = self._decode_values(fields, number)
            if self.classes and not number:
                values = self._spread(fields, values)
            outputs.append(values.reshape(len(rows), *shape))
        return tuple(outputs)

    def encode_cut(self, cut: CutLogits) -> NDArray[np.uint8]:
        """Rows [N, bytes] of what `encode` would keep of logits; of one output alone.

        Raises:
            ValueError: if they are of other classes or of another number of them, or hold a value that the encoding
                cannot.
        """
        if self.shapes != (cut.shape[1:],) or cut.indices.shape[1:] != (self.settings.top_k,):
            got = f"{cut.indices.shape[1]} of {cut.classes} classes"
            raise ValueError(f"got {got}, want {self.settings.top_k} of {self.shapes[0][0]}")
        rows = np.zeros(len(cut), self.dtype)
        self._require_storable(cut.values)
        self._require_storable(cut.rest)
        rows["indices"], rows["rest"] = cut.indices, cut.rest
        self._encode_values(cut.values, rows, 0)
        return rows.view(np.uint8).reshape(len(rows), -1)

    def decode_cut(self, rows: NDArray[np.uint8]) -> CutLogits:
        """The other way round, without those that were cut off.

        Raises:
            ValueError: if a row names a class that is none.
        """
        fields = np.ascontiguousarray(rows).view(self.dtype)[:, 0]
        self._require_classes(fields["indices"])
        values = self._decode_values(fields, 0)
        return CutLogits(fields["indices"], values, fields["rest"], self.classes)

    def _require_storable(self, values: NDArray[np.float32]) -> None:
        encoding = self.settings.encoding
        exact = encoding == "fp32" and not self.classes
        if not (values < np.inf if exact else np.isfinite(values)).all():
            raise ValueError(f"got a value that is no number{'' if exact else ', or infinite'}")
        largest = float(np.abs(values).max(initial=0))
        if largest > _LARGEST.get(encoding, math.inf):
            raise ValueError(f"got a value of {largest:g}, beyond {encoding}")

    def _require_classes(self, indices: NDArray[Any]) -> None:
        if indices.max(initial=0) >= self.classes:  # else it would be one of the next row
            raise ValueError(f"got class {indices.max()}, want 0 to {self.classes - 1}")

    def _cut(self, logits: NDArray[np.float32], rows: NDArray[Any]) -> NDArray[np.float32]:
        """Note the likeliest classes and what the others weigh in `rows`; gives the likeliest's logits."""
        top_k, temperature = self.settings.top_k, self.settings.temperature
        assert top_k is not None
        order = np.argpartition(-logits, top_k - 1, axis=1)
        likeliest, others = np.sort(order[:, :top_k]), order[:, top_k:]
        logits_of_others = np.take_along_axis(logits, others, 1)
        largest = logits_of_others.max(1)
        weights = np.exp((logits_of_others - largest[:, None]) / np.float32(temperature))
        rows["indices"] = likeliest
        rows["rest"] = largest + temperature * np.log(weights.sum(1, dtype=np.float64))
        return np.take_along_axis(logits, likeliest, 1)

    def _spread(self, fields: NDArray[Any], values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits of all classes: the stored ones, and for each other the same, so that together they weigh `rest`."""
        assert self.settings.top_k is not None
        others = self.classes - self.settings.top_k
        each = fields["rest"] - np.float32(self.settings.temperature * math.log(others))
        logits = np.repeat(each[:, None], self.classes, axis=1)
        starts = np.arange(len(fields))[:, None] * self.classes
        indices = fields["indices"]
        self._require_classes(indices)
        logits.reshape(-1)[indices + starts] = values
        return logits

    def _encode_values(self, values: NDArray[np.float32], rows: NDArray[Any], number: int) -> None:
        if self.settings.encoding == "bf16":
            rows[f"values{number}"] = _to_bf16(values)
        elif self.settings.encoding == "int8":
            low, step = _find_scale(values)
            rows[f"low{number}"], rows[f"step{number}"] = low, step
            wide = np.where(step, step, 1).astype(np.float64)[:, None]
            codes = np.rint((values - low.astype(np.float64)[:, None]) / wide)
            rows[f"values{number}"] = codes.clip(0, _LEVELS)
        else:
            rows[f"values{number}"] = values

    def _decode_values(self, fields: NDArray[Any], number: int) -> NDArray[np.float32]:
        values = fields[f"values{number}"]
        if self.settings.encoding == "bf16":
            return np.asarray((values.astype(np.uint32) << np.uint32(16)).view(np.float32))
        if self.settings.encoding == "int8":
            low, step = (fields[f"{name}{number}"].astype(np.float32) for name in ("low", "step"))
            return np.asarray(values * step[:, None] + low[:, None])
        if self.settings.encoding == "fp16":
            return np.take(_HALVES, values.view(np.uint16))
        return values.astype(np.float32)


def _to_bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The upper half of each number, rounded to the nearest, a tie to the even one."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded >> np.uint32(16)).astype(np.uint16)


def _find_scale(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Of each row a number not above its least value, and a step by which 255 reach its largest."""
    least, largest = values.min(1), values.max(1)
    low = least.astype(np.float16)
    low = np.where(low > least, np.nextafter(low, np.float16(-np.inf)), low)
    wanted = (largest.astype(np.float64) - low) / _LEVELS
    step = wanted.astype(np.float16)
    step = np.where(step < wanted, np.nextafter(step, np.float16(np.inf)), step)
    return low, step
