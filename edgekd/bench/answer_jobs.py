"""Jobs of a worker whose result is what a model answers; nothing is timed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench import inputs
from edgekd.bench.jobs import Spec
from edgekd.bench.jobs import load

if TYPE_CHECKING:
    import numpy as np

    from edgekd.bench.worker import Say


def outputs(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """The outputs over ``spec["rows"]`` of a split, in batches, written as a split of float32 by name.

    Its rows are those of ``spec["fields"]``, which make the model's inputs of them, or inputs as they are.
    """
    import numpy as np

    from edgekd import splits  # a worker that only times starts without it

    first, last = spec["rows"]
    prepare = _preparation(spec["fields"])
    rows = {name: each[first:last] for name, each in splits.read(Path(spec["inputs"])).items()}
    total = last - first
    parts = max(1, math.ceil(total / spec["batch"]))
    batch = max(1, math.ceil(total / parts))  # alike, so that hardly any has to be filled up
    session = load({**spec, "batch": batch}, say)
    feeds = inputs.fit_inputs(prepare({name: each[:1] for name, each in rows.items()}), session)
    size = next((tensor.shape[0] for tensor in session.inputs if tensor.shape[0]), None) or batch
    fixed = any(tensor.shape[0] for tensor in session.inputs)
    answers: dict[str, list[np.ndarray]] = {name: [] for name in session.output_names}
    say("inference")
    for start in range(0, total, size):
        count = min(size, total - start)
        feeds = inputs.fit_inputs(
            prepare({name: each[start : start + size] for name, each in rows.items()}), session
        )
        # a model of fixed batch gets its last one filled up
        fill = (size - count) if fixed else 0
        if fill:
            feeds = {
                name: np.concatenate([part, np.repeat(part[-1:], fill, axis=0)])
                for name, part in feeds.items()
            }
        for name, answer in zip(session.output_names, session.run(feeds), strict=True):
            if answer.ndim < 1 or len(answer) != count + fill:
                raise ValueError(f"output {name}: got {list(answer.shape)} for {count + fill} rows")
            answers[name].append(answer[:count].astype(np.float32))
    joined = {name: np.concatenate(each) for name, each in answers.items()}
    splits.write(Path(spec["goal"]), joined, np.arange(total))
    return {"shapes": {name: list(each.shape) for name, each in joined.items()}}


def _preparation(described: Mapping[str, Any] | None) -> Any:
    import numpy as np

    if described is None:
        # a copy: the file is mapped read-only, and some engines want to own theirs
        return lambda rows: {name: np.array(each) for name, each in rows.items()}
    from edgekd import fields  # a worker that only times starts without them

    known = {name: fields.from_json(each) for name, each in described.items()}

    def prepare(rows: Mapping[str, Any]) -> dict[str, np.ndarray]:
        made: dict[str, np.ndarray] = {}
        for name, field in known.items():
            made |= field.prepare(name, rows[name])
        return made

    return prepare
