"""Predicts labels of images with the model of a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgekd.bench.outputs import outputs
from edgekd.bench.outputs import read_output
from edgekd.bench.outputs import write_inputs
from edgekd.bundle import Bundle
from edgekd.bundle import engine as bundle_engine
from edgekd.bundle.images import Image
from edgekd.device import TIMEOUT_S
from edgekd.device import Device
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.errors import MachineError


class Prediction(NamedTuple):
    """One image and the likeliest labels."""

    name: str
    prepared: str
    labels: tuple[tuple[str, float], ...]
    """With their probabilities, the likeliest first."""


def predict(
    found: Bundle,
    images: Sequence[Image],
    *,
    top: int,
    runtime: str | None = None,
    timeout_s: float = TIMEOUT_S,
    device: Device = local.DEVICE,
) -> list[Prediction]:
    """Ask the bundle's model, in a fresh worker, what each image shows.

    Args:
        found: the bundle, checked.
        images: of the model's size.
        top: labels for each.
        runtime: which engine; None takes the chosen one if it is installed, else any that is.
        timeout_s: after this the engine is given up.
        device: where.

    Raises:
        InputError: if the engine refuses the model, or its answers are not a finite number for each
            label.
        MachineError: if no engine is there, or it crashes.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        scratch = Path(folder)
        engine = bundle_engine.prepare_engine(
            found, runtime, scratch, timeout_s=timeout_s, device=device
        )
        if isinstance(engine, str):
            raise MachineError(engine)
        pixels = np.stack([image.pixels for image in images])
        answered = outputs(
            engine,
            write_inputs({"images": pixels}, scratch / "pixels.split"),
            fields={"images": found.preprocessing.as_field()},
            timeout_s=timeout_s,
            device=device,
        )
        logits = read_output(answered, found.manifest.name)
    require_logits(logits, (len(images), len(found.labels)), found.manifest.name)
    return [
        Prediction(image.name, image.prepared, top_labels(row, found.labels, top))
        for image, row in zip(images, softmax(logits), strict=True)
    ]


def require_logits(logits: np.ndarray, shape: tuple[int, int], name: str) -> None:
    """Hold answers to one finite number for each image and label.

    Raises:
        InputError: with the name of the bundle.
    """
    if logits.shape != shape:
        raise InputError(f"{name}: got answers {list(logits.shape)}, want {list(shape)}")
    if not np.isfinite(logits).all():
        raise InputError(f"{name}: got answers that are not finite, want a number for each label")


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [N, C] of logits [N, C]."""
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def top_labels(
    probabilities: np.ndarray, labels: Sequence[str], top: int
) -> tuple[tuple[str, float], ...]:
    """The `top` labels by probability [C]; of equal ones, the earlier first."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple((labels[index], float(probabilities[index])) for index in order)
