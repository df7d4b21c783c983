"""How far a model is to shrink, in the words that `factorize` and `prune` share."""

from __future__ import annotations

from typing import Annotated
from typing import NamedTuple

from pydantic import Field

from edgekd.settings import NonNegative
from edgekd.settings import Settings

GAIN = 0.03
"""The least measured gain, as a fraction of the time, for which a layer or a model is changed."""
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class StepBudget(Settings):
    """The limits of a step that makes a model smaller; the step says which of them must be given."""

    speedup: Annotated[float, Field(gt=1, le=100, allow_inf_nan=False)] | None = None
    """Budget: how many times faster the whole model is to be on the device, measured."""
    macs: Share | None = None
    """Budget: the largest share of the multiply-accumulates that may be left."""
    parameters: Share | None = None
    """Budget: the largest share of the parameters that may be left."""
    score_drop: NonNegative | None = None
    """Budget: the largest loss of the validation score before recovery, in points of a fraction, else in the metric's
    unit; as much goes as that allows."""

    def given_names(self) -> list[str]:
        """Return the names of the budgets that are given."""
        return [name for name in StepBudget.model_fields if getattr(self, name) is not None]

    def require_one(self) -> None:
        """Raise unless exactly one budget is given.

        Raises:
            ValueError: if not exactly one budget is given.
        """
        if len(self.given_names()) != 1:
            got = " and ".join(self.given_names()) or "none"
            raise ValueError(f"got {got}, want exactly one of {', '.join(StepBudget.model_fields)}")


class ModelTiming(NamedTuple):
    """The whole model, before and after, side by side on the device."""

    before_ms: float
    after_ms: float
    ratio: float
    """Above 1 the model is faster than before."""
    ratio_ci95: tuple[float, float] | None
    """None where too few processes ran."""


def alignment_multiple(multiple: int | None, *, quantized: bool) -> int:
    """Return what ranks and widths are multiples of: `multiple`, else 8 numbers of float or 16 of int8."""
    return multiple or (16 if quantized else 8)
