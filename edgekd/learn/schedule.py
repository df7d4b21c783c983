"""The learning rate as a pure function of how far the run is."""

from __future__ import annotations

import math

from edgekd.learn.settings import Training


def rate(training: Training, progress: float) -> float:
    """The learning rate at `progress`, from 0 (start) to 1 (end) of all steps.

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


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
