"""A worker's job that judges where the model runs: rows of metrics go home in place of outputs.

Numpy and the engine alone: a task of edgekd's own, its fields and its metrics are there, a user's own is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench.answer_jobs import even_batch_size
from edgekd.bench.answer_jobs import fixed_batch_size
from edgekd.bench.answer_jobs import load_for_rows
from edgekd.bench.answer_jobs import run_filled
from edgekd.bench.input_rows import fit_inputs
from edgekd.bench.input_rows import has_lengths
from edgekd.bench.jobs import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.bench.worker import Say
    from edgekd.field import Rows
    from edgekd.interface import Tensor


def run_score(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """The rows of each metric over ``spec["rows"]`` of a split, written as a split of float64 by the metric's name.

    ``spec["data"]`` is what data.json says: its fields make the model's inputs, its task judges the outputs.

    Raises:
        ValueError: if the rows do not fit the model, or its outputs not the task.
    """
    import numpy as np

    from edgekd import dataset
    from edgekd import splits
    from edgekd.task import interface_of
    from edgekd.task import metric_rows
    from edgekd.tasks import load_task

    data = dataset.from_json(spec["data"])
    task = load_task(data.task)
    first, last = spec["rows"]
    rows = {name: each[first:last] for name, each in splits.read(Path(spec["split"])).items()}
    total = last - first
    inputs = {name: rows[name] for name in data.inputs}
    ragged = has_lengths(inputs)
    size = spec["batch"] if ragged else even_batch_size(total, spec["batch"])
    one = data.prepare_inputs({name: each[:1] for name, each in inputs.items()})
    session = load_for_rows(spec, None if ragged else size, one, say)
    size = fixed_batch_size(session) or size
    wanted = interface_of(task, data).outputs
    say("inference")
    scored: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    batches = plan_batches(inputs, total, size)
    for numbers in batches:
        part = {name: each[numbers] for name, each in rows.items()}
        feeds = fit_inputs(data.prepare_inputs(part), session)
        outputs = name_outputs(run_filled(session, feeds, len(numbers)), wanted)
        found = metric_rows(task.metrics, outputs, data.prepare_targets(part), data)
        for name, each in found.items():
            scored[name].append(each)
    order = np.argsort(np.concatenate(batches), kind="stable")
    joined = {name: np.concatenate(each)[order] for name, each in scored.items()}
    splits.write(Path(spec["goal"]), joined, np.arange(total))
    return {"shapes": {name: list(each.shape) for name, each in joined.items()}}


def plan_batches(inputs: Mapping[str, Rows], total: int, size: int) -> list[NDArray[np.int64]]:
    """Numbers of the rows of each batch: in their order, but rows of several lengths by length, so that nothing is
    filled up and no answer depends on which rows share its batch."""
    import numpy as np

    from edgekd.field import RaggedRows

    lengths = [rows.lengths for rows in inputs.values() if isinstance(rows, RaggedRows)]
    order = np.lexsort(lengths) if lengths else np.arange(total)
    changes = np.zeros(total, bool)
    for each in lengths:
        changes[1:] |= np.diff(each[order]) != 0
    return [
        alike[start : start + size]
        for alike in np.split(order, np.flatnonzero(changes))
        for start in range(0, len(alike), size)
    ]


def name_outputs(
    outputs: Mapping[str, NDArray[Any]], wanted: Sequence[Tensor]
) -> dict[str, NDArray[Any]]:
    """A model's outputs by the names of the task; one is that whatever it is called.

    Raises:
        ValueError: if one is missing, of another shape or not finite.
    """
    import numpy as np

    if len(outputs) == len(wanted) == 1:
        outputs = {wanted[0].name: next(iter(outputs.values()))}
    for tensor in wanted:
        if tensor.name not in outputs:
            raise ValueError(f"outputs: got {', '.join(outputs)}, want {tensor.name}")
        got = outputs[tensor.name]
        fits = got.ndim == len(tensor.shape) and all(
            isinstance(size, str) or size == have
            for size, have in zip(tensor.shape, got.shape, strict=True)
        )
        if not fits:
            raise ValueError(f"{tensor.name}: got {list(got.shape)}, want {list(tensor.shape)}")
        # of millions of logits one number each way, not an array of truths; both keep what is no number
        if got.size and not np.isfinite([got.min(), got.max()]).all():
            raise ValueError(f"{tensor.name}: got answers that are not finite")
    return {tensor.name: outputs[tensor.name] for tensor in wanted}
