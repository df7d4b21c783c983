"""What one process does, or, under torchrun, each of its ranks; see `main`."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.launch.environment import work_alone
from edgekd.learn.assembly.connection import connect
from edgekd.learn.data.loader import Batch
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import epoch_batches
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.parallel import ranks
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.progress import Silent
from tests.learn.parallel import ranks_steps_example as steps
from tests.learn.schemes import online_example as example

if TYPE_CHECKING:
    from numpy.typing import NDArray

KILLED_AT = 8
"""Steps: in the second epoch."""


class Counted(Silent):
    """Counts what is shown."""

    shown = 0

    def update(self, done: int, total: int, text: str) -> None:
        """One more."""
        self.shown += 1


class Killed(Exception):
    """Stands for a kill of all ranks."""


def struck(scheme: Scheme, at: int) -> Scheme:
    """The scheme, until it is killed."""
    left = iter(range(at))

    def lessons(student: nn.Module, given: TensorBatch) -> Sequence[Lesson]:
        if next(left, None) is None:
            raise Killed
        return scheme.lessons(student, given)

    return Scheme(lessons, scheme.companions)


def run(folder: Path, scores: list[float]) -> TrainingRun:
    """A short one in which a student with batch norm and dropout learns from a teacher."""
    student = steps.Sized(steps.network(1))
    teacher = steps.network(2, base=12).eval().requires_grad_(False)
    terms = [
        steps.term("cross-entropy"),
        steps.term("kd"),
        steps.term("dist"),
        steps.term("fitnet"),
    ]
    settings = {"classes": example.CLASSES, "samples": len(example.samples())}
    found = connect(terms, student, teacher, example.first().inputs[0], **settings)

    def score(model: nn.Module) -> float:
        scores.append(sum(float(p.detach().sum()) for p in model.parameters()) % 1)
        return scores[-1]

    return TrainingRun(
        model=student,
        samples=example.samples(),
        terms=found.terms,
        scheme=found.add_to_scheme(offline(steps.told_by(teacher))),
        training=Training(
            epochs=2,
            batch_size=example.BATCH,
            learning_rate=0.02,
            checkpoint_every_s=0,
            precision="fp32",
            ema_decay=0.9,
            keep="best",
        ),
        resolved=Arithmetic(precision="fp32", channels_last=False, threads=1),
        seed=5,
        checkpoints=folder,
        progress=Counted(),
        score=score,
    )


def of_run(folder: Path, kill: bool) -> dict[str, Tensor]:
    """The weights it ends with, its history, and who did what."""
    scores: list[float] = []
    if kill:
        first = run(folder, [])
        with contextlib.suppress(Killed):
            fit(dataclasses.replace(first, scheme=struck(first.scheme, KILLED_AT)))
    last = run(folder, scores)
    counted = last.progress
    rows = fit(last)
    table = [[row[key] for key in sorted(row)] for row in rows]
    return {
        **{f"weight {name}": value for name, value in last.model.state_dict().items()},
        "history": torch.tensor(table, dtype=torch.float64),
        "scored": torch.tensor(len(scores)),
        "shown": torch.tensor(counted.shown),
        "images": torch.tensor(last.model.images),
    }


def of_odd_batch() -> dict[str, Tensor]:
    """Whether a batch that the ranks cannot share is refused."""
    try:
        ranks.require_even_batch(example.BATCH + 1)
    except InputError as error:
        return {"refused": torch.tensor("want a multiple of 2" in str(error))}
    return {"refused": torch.tensor(False)}


def of_messages(folder: Path) -> dict[str, Tensor]:
    """What ranks tell one another: bytes of the first, rows of each, one beginning, a store that all fill."""
    network = nn.Linear(2, 3)
    nn.init.constant_(network.weight, ranks.rank() + 1.0)
    ranks.begin_alike(network)
    own = np.full((3, 2), ranks.rank(), np.float32)
    sizes = [3, 1][: ranks.count()]
    read = ranks.read_on_first(lambda: b"of the first" if not ranks.rank() else b"never read")
    with work_alone():
        alone = ranks.count()
    return {
        "exchanges": torch.tensor(len(ranks._exchanges)),
        "weights": network.weight.detach().clone(),
        "rows": torch.from_numpy(np.concatenate(ranks.gather_rows(own, sizes))),
        "read": torch.tensor(read == b"of the first"),
        "nothing": torch.tensor(ranks.read_on_first(lambda: None) is None),
        "alone": torch.tensor(alone),
        "refused": torch.tensor(refuses_other_networks()),
    }


class Decoded(Samples):
    """Notes how many samples it prepares, as if that took long."""

    needed_workers = 1
    prepared: ClassVar[list[int]] = []

    def batch(self, indices: NDArray[np.int64], view: int, *, is_pending: bool = False) -> Batch:
        """As ever."""
        self.prepared.append(len(indices))
        return Samples.batch(self, indices, view, is_pending=is_pending)


def of_batches() -> dict[str, Tensor]:
    """An epoch of mixed samples, and how many this rank has prepared."""
    plain = example.samples(mixup=0.5)
    samples = Decoded(**{f.name: getattr(plain, f.name) for f in dataclasses.fields(plain)})
    sizes = {"batch_size": example.BATCH, "seed": 3, "start": 1, "workers": 1}
    batches = list(epoch_batches(samples, epoch=1, **sizes))
    return {
        "inputs": torch.from_numpy(np.concatenate([each.inputs[0] for each in batches])),
        "labels": torch.from_numpy(np.concatenate([each.targets["labels"] for each in batches])),
        "indices": torch.from_numpy(np.concatenate([each.indices for each in batches])),
        "prepared": torch.tensor(sum(samples.prepared)),
    }


def refuses_other_networks() -> bool:
    """Whether ranks with networks of other shapes are told so."""
    try:
        ranks.begin_alike(nn.Linear(2, 3 + ranks.rank()))
    except MachineError as error:
        return "differ from rank to rank" in str(error)
    return False


def main(folder: Path) -> None:
    """Do it all; what came of it is written to the folder, a file a rank."""
    torch.set_num_threads(1)
    ranks.require_even_batch(example.BATCH)
    found = {"odd batch": of_odd_batch()}
    for name, kill in (("run", False), ("killed run", True)):
        found[name] = of_run(folder / f"{name} on {ranks.count()}", kill)
    found["batches"] = of_batches()
    found["together"] = of_messages(folder)
    for name in steps.NORMS:
        found[f"norm {name}"] = steps.of_norm(name, torch.float32)
    found["failed network"] = steps.of_failed_network()
    torch.set_default_dtype(torch.float64)
    for name, watched in (("dropout", False), ("watched", True)):
        found[f"step {name}"], images = steps.of_dropout(watched)
        found[f"images {name}"] = {"count": torch.tensor(images)}
    for name in steps.LOSS_NAMES:
        found[f"step {name}"] = steps.of_loss(name)
    for name in steps.SCHEMES:
        found[f"step {name}"] = steps.of_scheme(name)
    flat = {f"{key}/{name}": t.contiguous() for key, of in found.items() for name, t in of.items()}
    save_file(flat, folder / f"{ranks.rank()}-of-{ranks.count()}.safetensors")


if __name__ == "__main__":
    np.seterr(all="raise")
    main(Path(sys.argv[1]))
