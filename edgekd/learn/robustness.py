"""How models answer on a split whose images are changed to mislead each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from edgekd.learn.attack import robust_accuracy
from edgekd.learn.data import kinds
from edgekd.learn.data import loader
from edgekd.learn.evaluation import EvaluationSplit


def measure_robustness(
    models: Mapping[str, nn.Module],
    split: EvaluationSplit,
    *,
    epsilon: float,
    steps: int,
    samples: int,
    seed: int,
) -> dict[str, Any] | None:
    """Return how many samples were changed, and the accuracy on them by the models' names; None unless the only output
    is the class of an image.

    Args:
        models: by name.
        split: whose images are changed.
        epsilon: largest change of a pixel, where black is 0 and white is 1.
        steps: each a quarter of that long.
        samples: at most.
        seed: of their choice.
    """
    found = split.class_output
    try:
        name, image = kinds.find_image(split.dataset)
    except ValueError:
        return None
    if found is None or not found.is_alone:
        return None
    rows = loader.shuffle_samples(split.size, seed, 0)[:samples]
    accuracy = {
        role: robust_accuracy(
            model,
            np.asarray(split.rows[name][rows]),
            np.asarray(split.rows[found.target])[rows],
            image,
            epsilon=epsilon,
            step=epsilon / 4,
            steps=steps,
            seed=seed,
        )
        for role, model in models.items()
    }
    return {"samples": len(rows), "accuracy": accuracy}
