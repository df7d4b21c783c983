"""What a worker does with a decoder token after token: it writes text, and its first and its next tokens are timed."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench.call import FIRST
from edgekd.bench.call import TEXT
from edgekd.bench.generation import TokenChoice
from edgekd.bench.generation import generate_text
from edgekd.bench.streams import open_stream
from edgekd.runtime import EngineInput
from edgekd.runtime import Inference
from edgekd.runtime import TextStream
from edgekd.runtimes import find_runtime

if TYPE_CHECKING:
    import numpy as np

    from edgekd.bench.worker import Say

DRIFT = 64
"""A timed context grows by so many tokens before it is cut back."""


def write_text(spec: Mapping[str, Any], say: Say, started_ns: int) -> dict[str, Any]:
    """Tokens behind ``spec["prompt"]``, and their margins (`edgekd.bench.generation`)."""
    import numpy as np

    for module in find_runtime(spec["runtime"]).modules:
        importlib.import_module(module)
    say("load")
    stream = open_stream(spec, spec["longest"])
    say("generation")
    prompt = np.array(spec["prompt"], np.int64)
    sampling = TokenChoice(*(spec[name] for name in TokenChoice._fields))
    found = generate_text(stream, prompt, spec["count"], sampling, spec["ends"])
    return {"tokens": found.tokens, "margins": found.margins}


def open_timed_text(spec: Mapping[str, Any]) -> TimedText:
    """What is timed of a decoder, by ``spec["decoding"]``, as a session of one input.

    Raises:
        ValueError: if the text does not fit the model, in one line.
    """
    asked = spec["decoding"]
    return TimedText(open_stream(spec, asked["longest"]), **asked)


class TimedText:
    """A session whose one inference is the first token of a text, or the next behind one.

    Its input is the whole text, tokens [1, N]. Of the next token the first N - 1 are fed once, before anything is timed,
    and the context is held to that length but for `DRIFT`.
    """

    def __init__(self, stream: TextStream, *, kind: str, length: int, longest: int) -> None:
        """
        Args:
            stream: of the decoder.
            kind: `FIRST` or `NEXT`.
            length: of the prompt, or of what stands before the next token.
            longest: text of the model.
        """
        self._stream, self._kind = stream, kind
        self._length = length
        self._most = min(length + DRIFT, longest - 1)
        tokens = length if kind == FIRST else length + 1
        if tokens > longest:
            raise ValueError(
                f"got a {kind} of {tokens} tokens, want at most {longest}, the longest text of the model"
            )
        self.inputs = (EngineInput(TEXT, "int64", (1, tokens)),)
        self.output_names = ("logits",)

    def describe(self) -> dict[str, str]:
        """How the stream attends and what it keeps (`edgekd.runtime.TextStream.describe`)."""
        return self._stream.describe()

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One token."""
        return [self.bind(feeds)()[0].copy()]

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Inference:
        """The same with what is fed handed over once."""
        text = feeds[TEXT][0]
        if self._kind == FIRST:
            return functools.partial(self._begin, text)
        if not self._stream.length:
            self._stream.decode(text[:-1])
        return functools.partial(self._go_on, text[-1:])

    def _begin(self, text: np.ndarray) -> list[np.ndarray]:
        self._stream.rewind(0)
        return [self._stream.decode(text)]

    def _go_on(self, token: np.ndarray) -> list[np.ndarray]:
        if self._stream.length > self._most:
            self._stream.rewind(self._length)
        return [self._stream.decode(token)]
