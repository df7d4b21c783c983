"""Processor seconds of an epoch of one student: taught by stored answers and labels, and by labels alone."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.data.loader import Samples
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge.reading import KnowledgeReader
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.losses import LOSSES
from edgekd.learn.method import teacher as finished
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.progress import Silent
from edgekd.tasks import DEFAULT_TASK

PRECISE = Arithmetic(precision="fp32", channels_last=True, threads=1)


def term(name: str, weight: float) -> Term:
    return Term(loss=NamedMember.parse(name, LOSSES, "loss"), weight=weight)


def measure_turn(classes: int, side: int, channels: int, count: int, turn: int) -> dict[str, float]:
    """Processor seconds of both on one thread, in the one order or the other: others may use the machine, too."""
    random = np.random.default_rng(0)
    pixels = Image(
        height=side, width=side, channels=channels, mean=(0.5,) * channels, std=(0.3,) * channels
    )
    names = Label(names=tuple(map(str, range(classes))))
    samples = Samples(
        dataset=Dataset(task=DEFAULT_TASK, inputs={"images": pixels}, targets={"labels": names}),
        rows={
            "images": random.integers(0, 256, (count, side, side, channels), dtype=np.uint8),
            "labels": random.integers(0, classes, count),
        },
        views=Views(count=1, flip=True, crop=2),
        seed=0,
    )
    settings = KnowledgeSettings(encoding="int8", top_k=64) if classes > 64 else KnowledgeSettings()
    code = RowCode(settings, ((classes,),))
    logits = random.normal(0, 3, (count, classes)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        shard = Path(folder) / "shard"
        code.encode((logits,)).tofile(shard)
        reader = KnowledgeReader(StoreLayout(code, 1, count, count), [shard])
        runs = {
            "kd": (
                offline(finished.read_store(reader)),
                (term("cross-entropy", 0.1), term("kd", 0.9)),
            ),
            "plain": (learn_from_labels(), (term("cross-entropy", 1.0),)),
        }
        seconds = {}
        for name in sorted(runs, reverse=bool(turn % 2)):
            scheme, terms = runs[name]
            torch.manual_seed(0)
            plan = Blueprint(
                builder="resnet8",
                arguments={},
                interface=image_classifier(
                    classes=classes, channels=channels, height=side, width=side
                ),
            )
            run = TrainingRun(
                model=blueprint.build(plan),
                samples=samples,
                terms=bind_terms(terms),
                scheme=scheme,
                training=Training(epochs=1, batch_size=128),
                resolved=PRECISE,
                seed=0,
                checkpoints=Path(folder) / name,
                progress=Silent(),
                score=None,
            )
            start = time.process_time()
            fit(run)
            seconds[name] = time.process_time() - start
    return seconds
