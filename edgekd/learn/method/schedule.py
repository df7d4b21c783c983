"""The learning rate and the weight of a term as pure functions of how far the run is."""

from __future__ import annotations

import math

from edgekd.learn.settings import Ramp
from edgekd.learn.settings import Training


def learning_rate(training: Training, progress: float) -> float:
    """Return the learning rate at `progress`, from 0 (start) to 1 (end) of all steps.

    one-cycle: cosine up from 1/25 of the peak and down to 1/10,000 of that start (Smith and Topin
    2018; the common defaults). cosine: down to 0 (Loshchilov and Hutter 2017, eq. 5).
    """
    peak = training.learning_rate
    warm = training.warmup_epochs
    one_cycle = training.schedule == "one-cycle"
    share = (0.2 if one_cycle else 0.0) if warm is None else min(warm / training.epochs, 1.0)
    if progress < share:
        risen = progress / share
        return _cosine(peak / 25, peak, risen) if one_cycle else peak * risen
    fallen = (progress - share) / (1 - share) if share < 1 else 1.0
    if one_cycle:
        return _cosine(peak, peak / 25 / 1e4, fallen)
    if training.schedule == "cosine":
        return _cosine(peak, 0.0, fallen)
    if training.schedule == "step":
        return peak * training.step_factor ** sum(progress >= at for at in training.step_at)
    return peak


def ramp_factor(ramp: Ramp | None, epoch: float) -> float:
    """Return the factor of a term's weight after `epoch` epochs; 1 without a ramp."""
    if ramp is None:
        return 1.0
    gone = min(epoch / ramp.epochs, 1.0)
    if ramp.shape == "cosine":
        return _cosine(ramp.start, ramp.end, gone)
    return ramp.start + (ramp.end - ramp.start) * gone


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
