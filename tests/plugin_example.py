"""A distribution as pip would have installed it: its package, metadata and entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd import plugins

MODULE = '''
"""What a distribution adds."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import label_signals
from edgekd.settings import Count
from edgekd.settings import Positive
from edgekd.tasks import classification

(Path(__file__).parent.parent / "ran").touch()


def angle(student_logits, teacher_logits, *, power: Positive = 1.0):
    """One less the cosine of the logits.

    Args:
        power: of it.
    """
    return (1 - F.cosine_similarity(student_logits, teacher_logits)).pow(power).mean()


def linear(*, classes: Count, channels: Count, height: Count, width: Count, hidden: Count = 8):
    """Two layers on the pixels."""
    pixels = channels * height * width
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def swapped(teacher_function, *, share: Positive = 0.5):
    """The teacher, halved."""
    def lessons(student, batch):
        told = share * teacher_function(batch)
        signals = {"student_logits": student(*batch.inputs), "teacher_logits": told}
        return [Lesson({**signals, **label_signals(batch)})]
    return Scheme(lessons, nn.ModuleDict())


def lost(pupil):
    """No scheme can be given a pupil."""


def files(*, sides: Count = 4, **given):
    return []


def read(*, sides: Count = 4):
    """Squares of two brightnesses."""
    labels = np.arange(60) % 2
    images = np.broadcast_to((255 * labels).astype(np.uint8)[:, None, None], (60, sides, sides))
    from edgekd.learn.source import from_arrays
    return from_arrays({"images": images, "labels": labels}, "squares")


TASK = classification.TASK._replace(losses=("cross-entropy", "kd"))
'''
POINTS = {
    "edgekd.losses": {"angle": "plugged_example.members:angle"},
    "edgekd.models": {"linear": "plugged_example.members:linear"},
    "edgekd.schemes": {"swapped": "plugged_example.members:swapped"},
    "edgekd.sources": {"squares": "plugged_example.members:read"},
    "edgekd.tasks": {"shapes": "plugged_example.members:TASK"},
}


def forget() -> None:
    """Let entry points be read again."""
    plugins._read_entry_points.cache_clear()
    plugins.list_plugins.cache_clear()


def install(
    site: Path,
    points: dict[str, dict[str, str]],
    distribution: str = "plugged-example",
    version: str = "1.2",
) -> None:
    """Write a distribution's metadata into a folder on the path."""
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in listed.items())
        for group, listed in points.items()
    )
    (info / "entry_points.txt").write_text(text)
    forget()


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder called site-packages on the path, with the distribution and its package; gone afterwards."""
    site = folder / "site-packages"
    package = site / "plugged_example"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "members.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(folder)
    install(site, POINTS)
    yield site
    for name in [name for name in sys.modules if name.startswith("plugged_example")]:
        del sys.modules[name]
    forget()
