"""Texts that a model is fed piece by piece, in the best way that its engine and its file have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench import memory
from edgekd.bench.states import make_empty_state
from edgekd.interface import PAST
from edgekd.interface import PRESENT
from edgekd.runtimes import find_runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from edgekd.runtime import Session
    from edgekd.runtime import TextStream


def open_stream(spec: Mapping[str, Any], longest: int) -> TextStream:
    """A stream of the engine of a worker's specification, of texts of at most `longest` tokens.

    Raises:
        ValueError: if the engine refuses the model, or it is no decoder.
    """
    runtime = find_runtime(spec["runtime"])
    files = {name: Path(path) for name, path in spec["files"].items()}
    how = (files, spec["precision"], spec["threads"])
    own = runtime.open_stream(*how, longest)
    inner = CallStream(runtime.load(*how)) if own is None else own
    return BoundedStream(inner, longest)


class BoundedStream:
    """A stream that refuses what its model cannot hold, whatever its engine would do with it."""

    def __init__(self, stream: TextStream, longest: int) -> None:
        self._stream, self._longest = stream, longest

    @property
    def length(self) -> int:
        """How many tokens it holds."""
        return self._stream.length

    def describe(self) -> dict[str, str]:
        """``attention`` and ``cache`` of the stream."""
        return self._stream.describe()

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """The logits [V] behind tokens [N].

        Raises:
            ValueError: if they are none, do not fit, or the engine fails on them, in one line.
        """
        whole = self.length + len(tokens)
        if not len(tokens) or whole > self._longest:
            raise ValueError(
                f"got {len(tokens)} tokens behind {self.length}, want at least 1 and at most "
                f"{self._longest} together, the longest text of the model"
            )
        with _blame_text(f"{len(tokens)} tokens behind {self.length}"):
            return self._stream.decode(tokens)

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens.

        Raises:
            ValueError: if the engine fails on it, in one line.
        """
        with _blame_text(f"a text of {self.length} tokens to be cut to {length}"):
            self._stream.rewind(length)


@contextlib.contextmanager
def _blame_text(what: str) -> Iterator[None]:
    """An engine's own exception, of any kind, is the fault of the model or its text, unless memory is too small."""
    try:
        yield
    except (MemoryError, ValueError):
        raise
    except Exception as error:
        memory.require_enough(error)
        raise ValueError(f"got {what}, which the engine refuses: {error}") from error


class CallStream:
    """A stream of plain calls: states go in and come out; without states the whole text goes in each time."""

    def __init__(self, session: Session) -> None:
        import numpy as np

        self._session = session
        self._states = [each for each in session.inputs if each.name.startswith(PAST)]
        names = [each.name for each in session.inputs if each not in self._states]
        if len(names) != 2 or not session.output_names:
            listed = ", ".join(names)[:80]
            raise ValueError(f"inputs: got {listed}, want tokens and their mask")
        self._text, self._mask = names
        outputs = session.output_names
        logits = [at for at, name in enumerate(outputs) if not name.startswith(PRESENT)]
        wanted = [f"{PRESENT}{each.name.removeprefix(PAST)}" for each in self._states]
        if not logits or not {*wanted} <= {*outputs}:
            listed = ", ".join(outputs)[:80]
            raise ValueError(f"outputs: got {listed}, want logits and the states {PRESENT}*")
        self._logits = logits[0]
        self._held = {each.name: make_empty_state(each, 1) for each in self._states}
        self._tokens = np.empty(0, np.int64)

    @property
    def length(self) -> int:
        """How many tokens it holds."""
        return len(self._tokens)

    def describe(self) -> dict[str, str]:
        """``attention`` and ``cache``: the states' own numbers."""
        cache = self._states[0].dtype.replace("float", "f") if self._states else "none"
        return {"attention": "separate operators", "cache": cache}

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """The logits [V] behind tokens [N].

        Raises:
            ValueError: if the model gives others.
        """
        import numpy as np

        self._tokens = np.concatenate([self._tokens, tokens])
        text = tokens if self._states else self._tokens
        call = {self._text: text[None].copy(), self._mask: np.ones((1, self.length), np.int64)}
        answers = self._session.run({**call, **self._held})
        named = dict(zip(self._session.output_names, answers, strict=True))
        for name in self._held:
            self._held[name] = named[f"{PRESENT}{name.removeprefix(PAST)}"]
        logits: np.ndarray = answers[self._logits]
        if logits.ndim != 3 or not logits.size:
            raise ValueError(f"logits: got {list(logits.shape)}, want [batch, length, vocabulary]")
        last: np.ndarray = logits[0, -1]
        return last

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        import numpy as np

        self._tokens = self._tokens[:length]
        self._held = {
            name: np.ascontiguousarray(each[:, :, :length]) for name, each in self._held.items()
        }
