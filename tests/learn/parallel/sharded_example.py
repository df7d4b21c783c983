"""What two ranks do with a network whose parameters they share out, beside the same with one that each holds whole; see
`main`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch import nn

from edgekd import files
from edgekd.interface import image_classifier
from edgekd.launch.environment import work_alone
from edgekd.learn import answers
from edgekd.learn import blueprint
from edgekd.learn import teacher_answers
from edgekd.learn.assembly.live_teacher import load_teacher
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.method.taps import Taps
from edgekd.learn.parallel import ranks
from edgekd.learn.parallel import sharding
from edgekd.learn.settings import Arithmetic
from edgekd.learn.training import checkpoint
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.progress import Silent
from tests.learn.parallel import ranks_example
from tests.learn.parallel import ranks_steps_example as steps
from tests.learn.schemes import online_example as example

SHAPE = image_classifier(**example.SHAPE)
PLAIN = Arithmetic(precision="fp32", channels_last=True, threads=1)
ODD = "tests.learn.parallel.sharded_example:odd"
TEACHERS: dict[str, tuple[Blueprint, str]] = {
    "vit": (
        Blueprint(
            builder="vit-tiny", arguments={"dim": 12, "depth": 3, "heads": 2}, interface=SHAPE
        ),
        "layers.1",
    ),
    "resnet": (
        Blueprint(builder="resnet14", arguments={"base": 6}, interface=SHAPE),
        "layer2",
    ),
    "odd": (Blueprint(builder="python", arguments={"reference": ODD}, interface=SHAPE), "0"),
}
"""Teachers, and a layer of each."""


def odd(*, classes: int, channels: int, height: int, width: int) -> nn.Module:
    """A network that cannot be built without values, and has a parameter that is one number."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes), Scale())
    if float(network[1].weight.detach().abs().max()) > 1e6:
        raise ValueError("got odd weights")
    return network


class Scale(nn.Module):
    """A factor."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, given: Tensor) -> Tensor:
        """Return what is given, scaled."""
        return given * self.factor


def of_teacher(name: str, folder: Path) -> dict[str, Tensor]:
    """What it answers, what a layer of it gives, and what a rank holds of it."""
    plan, layer = TEACHERS[name]
    found: dict[str, Tensor] = {}
    inputs = plan.noise(5)
    for sharded in (False, True):
        notes: list[str] = []
        teacher = load(folder / name, sharded, notes)
        key = "sharded" if sharded else "whole"
        taps = Taps(teacher, [layer])
        with taps as values, torch.no_grad():
            for _ in range(2):
                found[f"{key} answers"] = teacher(*inputs)
        found[f"{key} layer"] = values[layer].clone()
        found[f"{key} bytes"] = torch.tensor(sharding.count_held_bytes(teacher))
        found[f"{key} was built whole"] = torch.tensor(any("builds it whole" in n for n in notes))
        found[f"{key} is sharded"] = torch.tensor(sharding.is_sharded(teacher))
    found["chance"] = torch.rand(3)
    return found


def load(folder: Path, sharded: bool, notes: list[str]) -> nn.Module:
    paths = folder / "blueprint.json", folder / "weights.safetensors"
    torch.manual_seed(3)
    return load_teacher(*paths, allow_code=True, sharded=sharded, note=notes.append)


def of_fill(folder: Path, name: str, samples: int) -> dict[str, Tensor]:
    """The digests of a store that two ranks fill with one teacher, and of one that a rank fills alone with it whole;
    ranks have unequally many shards."""
    layout.SHARD_BYTES = 200
    answers.MOST_VALUES = 4 * example.SIDE**2
    plain = example.samples()
    rows = {key: each[:samples] for key, each in plain.rows.items()}
    views = plain.views.model_copy(update={"count": 1})
    given = type(plain)(dataset=plain.dataset, rows=rows, views=views, seed=plain.seed)
    settings = KnowledgeSettings(encoding="fp32")
    found = {}
    for key in ("together", "alone"):
        goal = folder / f"{key} {name}" / (str(ranks.rank()) if key == "alone" else "")
        goal.mkdir(parents=True, exist_ok=True)
        teacher = load(folder / name, key == "together", [])
        if key == "together":
            ranks.wait_for_all()
            made = teacher_answers.fill_knowledge(
                teacher, given, settings, {}, goal, PLAIN, Silent()
            )
        else:
            with work_alone():
                made = teacher_answers.fill_knowledge(
                    teacher, given, settings, {}, goal, PLAIN, Silent()
                )
        digest = files.digest_bytes("".join(map(files.digest_file, made.values())).encode())
        found[key] = torch.tensor([int(digest[:8], 16), len(made)])
    return found


def of_training(folder: Path) -> dict[str, Tensor]:
    """Weights, history and checkpoint of a student that two ranks train, whole and shared out; and of runs that were
    killed in the one way and go on in the other."""
    found: dict[str, Tensor] = {}
    for name, first, last in RUNS:
        place = folder / name
        if first is not None:
            began = train(place, first, [])
            with contextlib.suppress(ranks_example.Killed):
                fit(
                    dataclasses.replace(began, scheme=ranks_example.struck(began.scheme, KILLED_AT))
                )
        scores: list[float] = []
        ended = train(place, last, scores)
        rows = fit(ended)
        table = [[row[key] for key in sorted(row)] for row in rows]
        found |= {f"{name}: weight {n}": t for n, t in ended.model.state_dict().items()}
        found |= {f"{name}: passed {n}": t for n, t in ended.passed.items() if not ranks.rank()}
        found[f"{name}: history"] = torch.tensor(table, dtype=torch.float64)
        found[f"{name}: scored"] = torch.tensor(len(scores))
        found[f"{name}: plain"] = torch.tensor(
            type(ended.model.network).__name__ == type(steps.network(1)).__name__
            and not any(vars(m)["_forward_hooks"] for m in ended.model.modules())
        )
        if ranks.rank() == 0:
            data = checkpoint.read_newest(place)
            assert data is not None
            kept, _ = checkpoint.parse(data)
            found |= {f"{name}: kept {n}": t for n, t in kept.items()}
    return found


RUNS: tuple[tuple[str, bool | None, bool], ...] = (
    ("whole", None, False),
    ("sharded", None, True),
    ("sharded then whole", True, False),
    ("whole then sharded", False, True),
)
"""Names; whether a run that is killed, and the one after it, are shared out."""
KILLED_AT = 8


def train(folder: Path, sharded: bool, scores: list[float]) -> TrainingRun:
    plain = ranks_example.run(folder, [])
    changed = {
        "ema_decay": 0.0,
        "epochs": 4,
        "sharded": sharded,
        "clip_norm": 0.5,
        "checkpoint_every_s": 0,
    }
    return dataclasses.replace(
        plain,
        training=plain.training.model_copy(update=changed),
        score=functools.partial(score, scores),
        waypoints=1,
    )


def score(scores: list[float], model: nn.Module) -> float:
    """Something of what it answers."""
    inputs = example.first().inputs[0]
    with torch.no_grad():
        scores.append(float(model(inputs).std()))
    return scores[-1]


def main(folder: Path) -> None:
    """Do it all; what came of it is written to the folder, a file a rank."""
    torch.set_num_threads(1)
    if ranks.rank() == 0:
        for name, (plan, _) in TEACHERS.items():
            torch.manual_seed(1)
            (folder / name).mkdir()
            blueprint.save(blueprint.build(plan, allow_code=True), plan, folder / name)
    ranks.wait_for_all()
    found = {name: of_teacher(name, folder) for name in TEACHERS}
    found["training"] = of_training(folder)
    found["fill"] = of_fill(folder, "resnet", 27)
    flat = {
        f"{key}/{name}": t.contiguous().clone()
        for key, of in found.items()
        for name, t in of.items()
    }
    save_file(flat, folder / f"{ranks.rank()}.safetensors")


if __name__ == "__main__":
    np.seterr(all="raise")
    main(Path(sys.argv[1]))
