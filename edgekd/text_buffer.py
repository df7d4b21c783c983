"""A text in one buffer of keys and values, into which each call of ONNX Runtime writes the new ones alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from edgekd.interface import LOGITS_TO_KEEP
from edgekd.interface import PAST
from edgekd.interface import PRESENT

if TYPE_CHECKING:
    import numpy as np


class BufferStream:
    """A stream of a file whose attention is ``GroupQueryAttention``: past and present are the same memory."""

    def __init__(self, session: Any, longest: int) -> None:
        """
        Args:
            session: an InferenceSession.
            longest: tokens that the buffers hold.
        """
        import numpy as np

        self._session, self._longest = session, longest
        names = [node.name for node in session.get_inputs() if not node.name.startswith(PAST)]
        self._text, self._mask = names
        self._logits = session.get_outputs()[0].name
        self._binding = session.io_binding()
        self._buffers = []
        for node in session.get_inputs()[len(names) :]:
            kept = np.int8 if node.type == "tensor(int8)" else np.float32
            buffer = np.empty((1, node.shape[1], longest, node.shape[3]), kept)
            buffer.fill(0)  # touched now, so that a peak of memory holds all of it
            self._buffers.append(buffer)
            place = ("cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
            self._binding.bind_input(node.name, *place)
            self._binding.bind_output(f"{PRESENT}{node.name.removeprefix(PAST)}", *place)
        self._ones = np.ones((1, longest), np.int64)
        self._one = np.ones(1, np.int64)
        self._answer = np.empty((1, 1, session.get_outputs()[0].shape[2]), np.float32)
        self._bind(LOGITS_TO_KEEP, self._one)
        answer = self._answer
        self._binding.bind_output(
            self._logits, "cpu", 0, answer.dtype, answer.shape, answer.ctypes.data
        )
        self.length = 0

    def describe(self) -> dict[str, str]:
        """``attention`` and ``cache``: what the file's operator and the buffers are."""
        cache = "i8" if self._buffers[0].dtype.itemsize == 1 else "f32"
        return {"attention": "GroupQueryAttention f32", "cache": cache}

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """The logits [V] behind tokens [N].

        Raises:
            ValueError: if the buffers do not hold them.
        """
        whole = self.length + len(tokens)
        if whole > self._longest:
            raise ValueError(f"got {whole} tokens, want at most {self._longest}, what a text holds")
        self._bind(self._text, tokens.reshape(1, -1))
        self._bind(self._mask, self._ones[:, :whole])
        self._session.run_with_iobinding(self._binding)
        self.length = whole
        logits: np.ndarray = self._answer[0, 0]
        return logits

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens: the next ones are written over them."""
        self.length = length

    def _bind(self, name: str, values: np.ndarray) -> None:
        shape, place = values.shape, values.ctypes.data
        self._binding.bind_input(name, "cpu", 0, values.dtype, shape, place)
