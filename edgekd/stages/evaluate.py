"""Stage `evaluate`: the one read of the test set, for the report; nothing is chosen by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

from pydantic import Field

from edgekd import files
from edgekd.bench.candidate import Candidate
from edgekd.bench.engine import Engine
from edgekd.bench.outputs import outputs
from edgekd.bench.status import is_timed
from edgekd.errors import MachineError
from edgekd.preprocessing import Preprocessing
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS = "_weights"


class Config(Settings):
    """Whose answers are counted."""

    candidates: Annotated[tuple[Candidate, ...], Field(strict=False)]


def run(config: Config, given: Given, context: Context) -> Made:
    """Give test.json: top-1 accuracy of each model in torch float32 and of each measured row; how many samples the
    student alone, and its control alone, is right on.

    Takes test_images, test_labels, data; ``<model>_blueprint`` and ``<model>_weights`` for each model
    there is (teacher, control, student, the quantized ones); ``<subject>/engine.json`` and its files; rows.
    """
    import numpy as np

    from edgekd.tasks import classification

    about = json.loads(given["data"].read_bytes())["preprocessing"]
    preprocessing = Preprocessing.model_validate_json(json.dumps(about))
    labels = np.load(given["test_labels"], allow_pickle=False)
    right = {
        model: _torch_logits(model, given, preprocessing, context).argmax(1) == labels
        for model in (name.removesuffix(WEIGHTS) for name in given if name.endswith(WEIGHTS))
    }
    found: dict[str, Any] = {model: float(rows.mean()) for model, rows in right.items()}
    if {"student", "control"} <= right.keys():
        student, control = right["student"], right["control"]
        found["student_alone"] = int((student & ~control).sum())
        found["control_alone"] = int((control & ~student).sum())
    found["candidates"] = {}
    for names, engine in _engines(config, given):
        try:
            told = outputs(
                engine, given["test_images"], preprocessing=preprocessing, device=context.device
            )
            accuracy = classification.top1_accuracy(told, labels)
        except (MachineError, ValueError) as error:  # it cost hours to come here: one ends nothing
            context.progress.note(f"{names[0]}: its test accuracy is not measured: {error}")
            continue
        found["candidates"] |= dict.fromkeys(names, accuracy)
    goal = context.folder / "test.json"
    goal.write_bytes(files.canonical_json(found))
    return {"test.json": goal}


def _torch_logits(
    model: str, given: Given, preprocessing: Preprocessing, context: Context
) -> NDArray[np.float32]:
    import numpy as np

    from edgekd.learn import answers
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint

    images = np.load(given["test_images"], mmap_mode="r", allow_pickle=False)
    paths = given[f"{model}_blueprint"], given[f"{model}_weights"]
    module = blueprint.load(*paths, allow_code=context.allow_code)
    with arithmetic.one_thread_if_small(images.shape[1:]):
        return answers.logits(module, images, preprocessing)


def _engines(config: Config, given: Given) -> Iterator[tuple[list[str], Engine]]:
    """Engines with the rows they fill: those that were measured.

    One engine answers for all thread counts, which do not change its answers.
    """
    rows = json.loads(given["rows"].read_bytes())
    measured = {row["name"] for row in rows if is_timed(row["status"])}
    for subject in config.candidates:
        about = json.loads(given[f"{subject.name}/engine.json"].read_bytes())
        engines = {
            name: engine
            for name, engine in subject.engines(about, given).items()
            if name in measured
        }
        if engines:
            yield list(engines), max(engines.values(), key=lambda engine: engine.threads)


STAGE = Stage("evaluate", Config, run, packages=("torch",), bound="device")
