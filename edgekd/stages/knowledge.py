"""Stage `knowledge`: the teacher answers every view once; students read what it said."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

from pydantic import Field

from edgekd import files
from edgekd.learn.knowledge_settings import EXACT
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.settings import Arithmetic
from edgekd.learn.view_settings import Views
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from edgekd.learn.data.loader import Samples
    from edgekd.learn.places import Places

ARRAY = "knowledge.npy"
"""All answers as one array, where a recipe does not say how they are stored."""


class KnowledgeConfig(Settings):
    """The views that the teacher answers."""

    views: Views
    views_seed: Whole
    storage: KnowledgeSettings | None = omit_default(None)
    """How answers are stored; None is float32 in one array."""
    sharded: Annotated[bool, Field(exclude=True)] = False
    """Whether the ranks share out the teacher's parameters."""


def run(config: KnowledgeConfig, given: Given, context: Context) -> Made:
    """Give knowledge.npy, float32 logits [views, samples, classes]; or knowledge.json and shards of the same.

    With inputs `layers_1`, `layers_2` those layers of the teacher lie beside the answers, in shards.
    """
    from edgekd.learn import arrays
    from edgekd.learn import teacher_answers
    from edgekd.learn.assembly.live_teacher import load_teacher
    from edgekd.learn.knowledge.importing import import_remains
    from edgekd.learn.knowledge.layers import merge_layers
    from edgekd.learn.knowledge.layers import read_layers

    teacher = load_teacher(
        given["blueprint"],
        given["weights"],
        allow_code=context.allow_code,
        sharded=config.sharded,
        note=context.progress.note,
    )
    resolved = Arithmetic.model_validate_json(given["resolved"].read_bytes())
    samples = arrays.open_samples(given, config.views, config.views_seed)
    layers = merge_layers(map(read_layers, _list_layers(given)))
    if config.storage is not None or layers is not None:
        import_remains(context.remains, context.checkpoints)
        return teacher_answers.fill_knowledge(
            teacher,
            samples,
            config.storage or EXACT,
            describe_origin(config, given, samples),
            context.checkpoints,
            resolved,
            context.progress,
            layers,
            None if layers is not None else _find_places(samples, context),
        )
    out = context.folder / ARRAY
    teacher_answers.write_knowledge(teacher, samples, out, resolved, context.progress)
    return {ARRAY: out}


def _find_places(samples: Samples, context: Context) -> Places | None:
    from edgekd.learn.places import find_places
    from edgekd.task import interface_of
    from edgekd.tasks import load_task

    task = load_task(samples.dataset.task, allow_code=context.allow_code)
    outputs = interface_of(task, samples.dataset).outputs
    return find_places(samples.dataset, samples.rows, outputs)


def describe_origin(config: KnowledgeConfig, given: Given, samples: Samples) -> dict[str, Any]:
    """Describe what answers are of, so that those of anything else are refused by what differs."""
    from edgekd.learn.data import kinds

    try:
        classes = list(kinds.find_label(samples.dataset)[1].names)
    except ValueError:  # a task without one class a sample
        classes = []
    digests = {name: files.digest_file(path) for name, path in given.items()}
    beside = {"layers": [files.digest_file(path) for path in _list_layers(given)]}
    return {
        **(beside if beside["layers"] else {}),
        "classes": classes,
        "views": {**config.views.model_dump(mode="json"), "seed": config.views_seed},
        "teacher": files.digest_bytes(f"{digests['blueprint']} {digests['weights']}".encode()),
        "arithmetic": digests["resolved"],
        "data": files.digest_bytes(f"{digests['data']} {digests['train']}".encode()),
    }


def _list_layers(given: Given) -> list[Path]:
    return [path for name, path in given.items() if name.startswith("layers_")]


STAGE = Stage("knowledge", KnowledgeConfig, run, packages=("torch", "numpy", "scipy"))
