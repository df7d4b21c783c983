"""Sessions of decoders that keep states, asked as if they kept none: every call begins with empty ones."""

from __future__ import annotations

import functools
from collections.abc import Collection
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgekd.interface import PAST
from edgekd.interface import PRESENT
from edgekd.runtime import EngineInput
from edgekd.runtime import Inference
from edgekd.runtime import Session

if TYPE_CHECKING:
    import numpy as np


def hide_states(session: Session, told: Collection[str] = ()) -> Session:
    """The session without the states among its inputs and outputs; itself where there are none.

    Args:
        session: of any model.
        told: inputs that the caller gives by name; where a state is among them, it gives all.
    """
    states = [tensor for tensor in session.inputs if tensor.name.startswith(PAST)]
    if not states or any(tensor.name in told for tensor in states):
        return session
    return _EmptyStates(session, states)


class _EmptyStates:
    """A session whose states are always empty."""

    def __init__(self, session: Session, states: Collection[EngineInput]) -> None:
        self._session, self._states = session, states
        names = session.output_names
        self.inputs = tuple(each for each in session.inputs if each not in states)
        self._given = [at for at, name in enumerate(names) if not name.startswith(PRESENT)]
        self.output_names = tuple(names[at] for at in self._given)

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """One inference behind no token."""
        outputs = self._session.run({**feeds, **self._make_empty(feeds)})
        return [outputs[at] for at in self._given]

    def bind(self, feeds: Mapping[str, np.ndarray]) -> Inference:
        """The same with inputs handed over once."""
        inference = self._session.bind({**feeds, **self._make_empty(feeds)})
        return functools.partial(self._pick, inference)

    def _pick(self, inference: Inference) -> list[np.ndarray]:
        outputs = inference()
        return [outputs[at] for at in self._given]

    def _make_empty(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not feeds:
            raise ValueError("inputs: got states alone, want tokens and their mask, too")
        count = len(next(iter(feeds.values())))
        return {tensor.name: make_empty_state(tensor, count) for tensor in self._states}


def make_empty_state(tensor: EngineInput, count: int) -> np.ndarray:
    """A state [count, heads, 0, head_size] of no token.

    Raises:
        ValueError: if it has other axes, or is neither of floats nor of codes in int8.
    """
    import numpy as np

    shape = tensor.shape
    if len(shape) != 4 or not shape[1] or not shape[3] or shape[2] is not None:
        want = "[batch, heads, length, head size], of which length is free"
        raise ValueError(f"{tensor.name}: got {list(shape)}, want {want}")
    if shape[0] not in (None, count) or not tensor.dtype.startswith(("float", "int8")):
        got = f"{tensor.dtype} {list(shape)}"
        raise ValueError(f"{tensor.name}: got {got}, want floats or int8 of a batch of {count}")
    return np.empty((count, shape[1], 0, shape[3]), tensor.dtype)
