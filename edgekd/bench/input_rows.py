"""Rows of samples beside the inputs of a model: their names, sizes and types, and whether a row is a whole call."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekd.runtime import EngineInput

if TYPE_CHECKING:
    import numpy as np

    from edgekd.field import Rows
    from edgekd.runtime import Session


def fit_inputs(given: Mapping[str, np.ndarray], session: Session) -> dict[str, np.ndarray]:
    """The inputs of a model by its own names: one is that whatever it is called.

    Raises:
        ValueError: if there are others than the model takes, or of another type or shape.
    """
    named = _name_inputs(given, session)
    for tensor in session.inputs:
        require_fitting_rows(named[tensor.name], tensor)
    return named


def _name_inputs(given: Mapping[str, np.ndarray], session: Session) -> dict[str, np.ndarray]:
    names = [tensor.name for tensor in session.inputs]
    if len(given) == len(names) == 1:
        given = dict(zip(names, given.values(), strict=True))
    if set(given) != set(names):
        raise ValueError(f"inputs: got {', '.join(given)}, want {', '.join(names)}")
    return {name: given[name] for name in names}


def require_fitting_rows(rows: np.ndarray, tensor: EngineInput) -> None:
    """Require that `rows` fit an input of a model.

    Raises:
        ValueError: if they do not.
    """
    inner = tensor.shape if is_whole_call(rows, tensor) else tensor.shape[1:]
    fits = len(inner) + 1 == rows.ndim and all(
        size in (None, have) for size, have in zip(inner, rows.shape[1:], strict=True)
    )
    if not fits or rows.dtype != tensor.dtype or not len(rows):
        raise ValueError(
            f"{tensor.name}: got {rows.dtype} {list(rows.shape)}, "
            f"want {tensor.dtype} {['N' if s is None else s for s in tensor.shape]}"
        )


def is_whole_call(rows: np.ndarray, tensor: EngineInput) -> bool:
    """Return whether each of the rows is all that a call takes of an input: they have one axis more."""
    return rows.ndim == len(tensor.shape) + 1


def has_lengths(inputs: Mapping[str, Rows]) -> bool:
    """Return whether a field's rows differ in length."""
    from edgekd.field import RaggedRows

    return any(isinstance(rows, RaggedRows) for rows in inputs.values())


def join_rows(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of all parts as one array; of outputs as long as their texts, parts have several lengths: those are filled
    up with zeros to the longest, and who knows a row's length reads no further.

    Raises:
        ValueError: if they have another number of axes.
    """
    import numpy as np

    if len({part.ndim for part in parts}) != 1:
        raise ValueError("got answers of several shapes, want one")
    most = np.max([part.shape[1:] for part in parts], axis=0, initial=0)
    filled = [
        np.pad(
            part, [(0, 0), *((0, int(w) - h) for w, h in zip(most, part.shape[1:], strict=True))]
        )
        for part in parts
    ]
    return np.concatenate(filled)


def are_whole_calls(session: Session, given: Mapping[str, np.ndarray]) -> bool:
    """Return whether each sample is a whole call: all inputs have one axis more than the model's.

    Only axes count: a model that was compiled for a batch has that as the first size of each input.

    Raises:
        ValueError: if there are others than the model takes.
    """
    named = _name_inputs(given, session)
    return all(is_whole_call(named[tensor.name], tensor) for tensor in session.inputs)
