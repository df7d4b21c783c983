"""How far an engine's answers to the golden inputs are from the trained model's, output by output."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from edgekd.bench import golden
from edgekd.bench import saturation
from edgekd.bench.golden import Golden

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Arrays

    Agree = Callable[[Arrays, Arrays], NDArray[np.float64]]
    """Two models' outputs by name to [N]: how far their decisions are the same, 0 to 1."""


class OutputDifference(NamedTuple):
    """Of one output, over all golden samples."""

    max_abs: float
    """The largest difference."""
    rms: float
    """Root of the mean square of the differences."""
    spread: float
    """Standard deviation of the trained model's own numbers."""
    size: float
    """Root of their mean square."""


class Differences(NamedTuple):
    """Of all outputs."""

    outputs: dict[str, OutputDifference]
    agreement: NDArray[np.float64]
    """[N]: how far the decisions are the same, 0 to 1."""

    @property
    def max_abs(self) -> float:
        """The largest of any output; NaN if one is."""
        import numpy as np

        return float(np.max([each.max_abs for each in self.outputs.values()]))

    @property
    def rms(self) -> float:
        """The largest of any output; NaN if one is."""
        import numpy as np

        return float(np.max([each.rms for each in self.outputs.values()]))

    @property
    def mean_agreement(self) -> float:
        """The mean over the samples."""
        return float(self.agreement.mean())


def compare_answers(answered: Mapping[str, Arrays], wanted: Golden, agree: Agree) -> Differences:
    """Compare an engine's outputs with the golden ones.

    Args:
        answered: by group, the engine's outputs by its own names.
        wanted: the groups, with the trained model's.
        agree: whether two decisions are the same, by the task.

    Raises:
        ValueError: if an output is missing, or of another shape.
    """

    matched = {name: golden.match_outputs(answered[name], group) for name, group in wanted.items()}
    outputs = {
        end: _compare(
            _join([matched[name][end] for name in wanted]),
            _join([group.outputs[end] for group in wanted.values()]),
        )
        for end in next(iter(wanted.values())).outputs
    }
    return Differences(outputs, compare_decisions(matched, wanted, agree))


def compare_decisions(
    answered: Mapping[str, Arrays], wanted: Golden, agree: Agree
) -> NDArray[np.float64]:
    """[N]: how far an engine's decisions are those of the golden answers; arguments as `compare_answers` takes them.

    Raises:
        ValueError: if an output is missing, or of another shape.
    """
    import numpy as np

    rows = [
        agree(golden.match_outputs(answered[name], group), group.outputs)
        for name, group in wanted.items()
    ]
    return np.concatenate(rows).astype(np.float64)


def are_finite(answered: Mapping[str, Arrays]) -> bool:
    """Return whether all numbers of all groups are."""
    import numpy as np

    return all(np.isfinite(each).all() for ends in answered.values() for each in ends.values())


def _join(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """All numbers of several groups, whose axes may differ in size."""
    import numpy as np

    return arrays[0] if len(arrays) == 1 else np.concatenate([np.ravel(each) for each in arrays])


def _compare(got: NDArray[Any], want: NDArray[Any]) -> OutputDifference:
    import numpy as np

    if want.dtype.kind != "f":
        got, want = got.astype(np.float64), want.astype(np.float64)
    return OutputDifference(
        max_abs=float(np.abs(got - want).max(initial=0)),
        rms=saturation.rms(want, got),
        spread=float(want.std()),
        size=float(np.sqrt(np.mean(np.square(want, dtype=np.float64)))),
    )
