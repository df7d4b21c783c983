"""A task of one's own in one file: of a turned digit, which one it is and how far it is turned.

Two inputs (the image, and where its ink lies), two outputs (logits, degrees), a loss and a source. Nothing here is
known to edgekd: it is read from this file, with --allow-code.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.interface import BATCH
from edgekd.interface import Tensor as End
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.task import Metric
from edgekd.task import Task
from edgekd.task import ratio

SIDE, MOST_DEGREES, TOLERANCE_DEGREES = 12, 40.0, 10.0


def read() -> Source:
    """scikit-learn's digits, each turned by a random angle on a canvas of 12 x 12."""
    from scipy.ndimage import rotate
    from sklearn.datasets import load_digits

    digits, random = load_digits(), np.random.default_rng(0)
    degrees = random.uniform(-MOST_DEGREES, MOST_DEGREES, len(digits.target)).astype(np.float32)
    images = np.zeros((len(degrees), SIDE, SIDE, 1), np.uint8)
    for number, (digit, angle) in enumerate(zip(digits.images, degrees, strict=True)):
        canvas = np.pad(digit * (255 / 16), 2)
        turned = rotate(canvas, float(angle), reshape=False, order=1)
        images[number, ..., 0] = turned.clip(0, 255).round()
    ink = images[..., 0] / images.sum((1, 2, 3))[:, None, None]
    places = np.stack([(ink * axis).sum((1, 2)) for axis in np.mgrid[:SIDE, :SIDE]], axis=1)
    rows = {
        "images": images,
        "places": places.astype(np.float32),
        "labels": digits.target.astype(np.int64),
        "degrees": degrees,
    }
    fields = {
        "images": FieldWords("image"),
        "places": FieldWords("number", {"columns": ("row", "column")}),
        "labels": FieldWords("class", {"names": tuple("0123456789")}),
        "degrees": FieldWords("number", {"columns": ("turned by",), "unit": "degrees"}),
    }
    return Source({"train": rows}, fields)


class Reader(nn.Module):
    """Two convolutions and the places of the ink to a digit and an angle."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.seen = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.joined = nn.Linear(2 * width * (SIDE // 2) ** 2 + 2, 4 * width)
        self.digit, self.turn = nn.Linear(4 * width, classes), nn.Linear(4 * width, 1)

    def forward(self, images: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 1, 12, 12] and [B, 2] to logits [B, 10] and the turn [B, 1]."""
        joined = F.relu(self.joined(torch.cat([self.seen(images), places], dim=1)))
        return self.digit(joined), self.turn(joined)


def large(*, classes: int) -> nn.Module:
    """The teacher."""
    return Reader(24, classes)


def small(*, classes: int) -> nn.Module:
    """The student."""
    return Reader(4, classes)


def follow(
    student_digit: Tensor,
    teacher_digit: Tensor,
    student_turn: Tensor,
    teacher_turn: Tensor,
    *,
    temperature: Positive = 2.0,
    turn_weight: NonNegative = 1.0,
) -> Tensor:
    """Both outputs of the teacher at once: softened classes (Hinton et al. 2015) and the squared error of the turn."""
    logs = (student_digit / temperature).log_softmax(1)
    soft = (teacher_digit / temperature).softmax(1)
    classes = F.kl_div(logs, soft, reduction="batchmean") * temperature**2
    return classes + turn_weight * F.mse_loss(student_turn, teacher_turn)


def decide(outputs, dataset):
    """The digit and the degrees of each sample."""
    facts = dataset.targets["degrees"].to_json()
    turn = outputs["turn"][:, 0].astype(np.float64) * facts["std"][0] + facts["mean"][0]
    return {"digit": outputs["digit"].argmax(1), "degrees": turn}


def read_right(outputs, targets, dataset):
    """[N, 2]: whether the digit is right and the angle within 10 degrees, and 1."""
    found, wanted = decide(outputs, dataset), decide_targets(targets, dataset)
    near = np.abs(found["degrees"] - wanted["degrees"]) <= TOLERANCE_DEGREES
    return np.stack([(found["digit"] == wanted["digit"]) & near, np.ones(len(near))], axis=1)


def turn_errors(outputs, targets, dataset):
    """[N, 2]: how many degrees off, and 1."""
    found, wanted = decide(outputs, dataset), decide_targets(targets, dataset)
    off = np.abs(found["degrees"] - wanted["degrees"])
    return np.stack([off, np.ones(len(off))], axis=1)


def decide_targets(targets, dataset):
    """The targets as decisions."""
    facts = dataset.targets["degrees"].to_json()
    turn = targets["degrees"][:, 0].astype(np.float64) * facts["std"][0] + facts["mean"][0]
    return {"digit": targets["labels"], "degrees": turn}


def agree(one, other):
    """1 where the digit is the same and the angle within 10 degrees."""
    near = np.abs(one["degrees"] - other["degrees"]) <= TOLERANCE_DEGREES
    return ((one["digit"] == other["digit"]) & near).astype(np.float64)


def guess(targets, dataset):
    """The commonest digit and the mean turn."""
    counts = np.bincount(targets["labels"], minlength=10)
    count = len(targets["labels"])
    return {"digit": np.tile(np.log(counts + 1e-9), (count, 1)), "turn": np.zeros((count, 1))}


def describe(decisions, dataset, count):
    """``7, turned by -12 degrees``."""
    names = dataset.targets["labels"].to_json()["names"]
    return [
        [(f"{names[digit]}, turned by {turn:.0f} degrees", None)]
        for digit, turn in zip(decisions["digit"].tolist(), decisions["degrees"], strict=True)
    ]


TASK = Task(
    targets={"labels": "class", "degrees": "number"},
    outputs=(
        End("digit", "float32", (BATCH, "classes"), "logits", class_axis=1, target="labels"),
        End("turn", "float32", (BATCH, 1), target="degrees"),
    ),
    losses=("cross-entropy", "mean-squared-error"),
    metrics=(
        Metric("read right", "fraction", "higher", read_right, ratio),
        Metric("turn error", "number", "lower", turn_errors, ratio, 0.0),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    soft_losses=("kd", "value-mse"),
)
