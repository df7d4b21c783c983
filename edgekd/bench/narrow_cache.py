"""A decoder's cache in 8 bits, where that moves its answers little."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekd import runtimes
from edgekd.bench import answer_jobs
from edgekd.bench import states
from edgekd.interface import PAST
from edgekd.interface import PRESENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Mapping
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from edgekd.bench.golden import Golden
    from edgekd.field import Arrays
    from edgekd.runtime import Session

CACHE_TOLERANCE = 0.05
"""How far codes in the cache may move logits (root mean square), of their own. They were measured to move those of a Llama of
135 M parameters by 0.014, which cost 0.001 of 3.69 nats a token."""
MODEL = "model.onnx"


def narrow_cache(
    path: Path,
    groups: Golden,
    answered: Mapping[str, Arrays],
    mask: str,
    write: Callable[[Path, Mapping[str, NDArray[np.float32]], Path], object],
) -> str:
    """Let the file at `path` keep keys and values in 8 bits, in place; gives why it stays as it is, or nothing.

    Args:
        path: of a file of fused operators.
        groups: real texts, from which each channel's scale is taken, and on which the answers are compared.
        answered: what the float cache answers to them.
        mask: the input that tells texts from padding.
        write: writes a file whose channels have these largest keys and values to a goal, or raises ValueError.

    Raises:
        MachineError: if the disk refuses.
    """
    narrow = path.with_name(f"narrow-{path.name}")
    texts = [(group.inputs, mask) for group in groups.values()]
    try:
        largest = find_largest(_open(path), texts)
        write(path, largest, narrow)
        session = states.hide_states(_open(narrow))
        got = {name: answer_jobs.run_pieces(session, each.inputs) for name, each in groups.items()}
    except ValueError as error:
        narrow.unlink(missing_ok=True)
        return str(error)
    moved = find_move(got, answered)
    if not moved <= CACHE_TOLERANCE:
        narrow.unlink()
        return f"codes move its logits by {moved:.1%}, want at most {CACHE_TOLERANCE:.0%}"
    narrow.replace(path)
    return ""


def find_largest(
    session: Session, calls: Iterable[tuple[Mapping[str, NDArray[Any]], str]]
) -> dict[str, NDArray[np.float32]]:
    """Return the largest key or value [heads, head size] that a decoder keeps of real tokens in each channel, by output.

    Args:
        session: of the float file.
        calls: inputs of whole texts [B, N], and the name of their mask among them; padding stands on the right.
    """
    import numpy as np

    kept_states = [each for each in session.inputs if each.name.startswith(PAST)]
    found: dict[str, NDArray[np.float32]] = {}
    for inputs, mask in calls:
        empty = {
            each.name: states.make_empty_state(each, len(inputs[mask])) for each in kept_states
        }
        answers = session.run({**inputs, **empty})
        for name, kept in zip(session.output_names, answers, strict=True):
            if name.startswith(PRESENT):
                real = np.moveaxis(np.abs(kept), 2, 1)[inputs[mask] > 0]  # [tokens, heads, size]
                found[name] = np.maximum(found.get(name, 0), real.max(0)).astype(np.float32)
    return found


def find_move(got: Mapping[str, Arrays], want: Mapping[str, Arrays]) -> float:
    """The root mean square of the difference of outputs by group and name, in units of that of the wanted, at its most."""
    import numpy as np

    return max(
        float(np.sqrt(np.square(got[group][name] - each).mean() / np.square(each).mean()))
        for group, outputs in want.items()
        for name, each in outputs.items()
    )


def _open(path: Path) -> Session:
    return runtimes.find_runtime("onnxruntime").load({MODEL: path}, "fp32", 1)
