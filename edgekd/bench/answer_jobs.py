"""Jobs of a worker whose result is what a model answers; nothing is timed."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench.input_rows import are_whole_calls
from edgekd.bench.input_rows import fit_inputs
from edgekd.bench.input_rows import has_lengths
from edgekd.bench.input_rows import join_rows
from edgekd.bench.jobs import Spec
from edgekd.bench.jobs import blame_feed
from edgekd.bench.jobs import load_session
from edgekd.runtime import Session

if TYPE_CHECKING:
    import numpy as np

    from edgekd.bench.worker import Say


def compute_outputs(spec: Spec, say: Say, started_ns: int) -> dict[str, Any]:
    """The outputs over ``spec["rows"]`` of a split, in batches, written as a split of float32 by name.

    Its rows are those of ``spec["fields"]``, which make the model's inputs of them, or inputs as they are.
    """
    import numpy as np

    from edgekd import splits  # a worker that only times starts without it

    first, last = spec["rows"]
    prepare = _preparation(spec["fields"])
    rows = {name: each[first:last] for name, each in splits.read(Path(spec["inputs"])).items()}
    total = last - first
    one = prepare({name: each[:1] for name, each in rows.items()})
    session = load_for_rows(spec, even_batch_size(total, spec["batch"]), one, say)
    size = fixed_batch_size(session) or even_batch_size(total, spec["batch"])
    answers: dict[str, list[np.ndarray]] = {name: [] for name in session.output_names}
    join = join_rows if has_lengths(rows) else np.concatenate
    say("inference")
    for start in range(0, total, size):
        count = min(size, total - start)
        part = {name: each[start : start + size] for name, each in rows.items()}
        feeds = fit_inputs(prepare(part), session)
        for name, answer in run_filled(session, feeds, count).items():
            answers[name].append(answer)
    joined = {name: join(each) for name, each in answers.items()}
    splits.write(Path(spec["goal"]), joined, np.arange(total))
    return {"shapes": {name: list(each.shape) for name, each in joined.items()}}


def load_for_rows(
    spec: Spec, batch: int | None, one: Mapping[str, np.ndarray], say: Say
) -> Session:
    """A session for `batch` rows a call; free of it where a row, such as those of `one`, is a whole call."""
    session = load_session({**spec, "batch": batch}, say)
    if batch is not None and are_whole_calls(session, one):
        session = load_session({**spec, "batch": None}, say)
    return session


def even_batch_size(total: int, most: int) -> int:
    """Rows of a batch of at most `most`: all alike, so that hardly any has to be filled up."""
    parts = max(1, math.ceil(total / most))
    return max(1, math.ceil(total / parts))


def fixed_batch_size(session: Session) -> int | None:
    """Rows of a batch where the model fixes it."""
    return next((size for tensor in session.inputs if (size := (*tensor.shape, None)[0])), None)


def run_filled(
    session: Session, feeds: Mapping[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    """The outputs of `count` rows by name, float32; a model of fixed batch gets its last one filled up.

    Raises:
        ValueError: if an output has another number of rows.
    """
    import numpy as np

    if are_whole_calls(session, feeds):
        return _run_each(session, feeds, count)
    size = fixed_batch_size(session) or count
    if size > count:
        feeds = {
            name: np.concatenate([rows, np.repeat(rows[-1:], size - count, axis=0)])
            for name, rows in feeds.items()
        }
    with blame_feed(feeds):
        answers = session.run(feeds)
    answered = {}
    for name, answer in zip(session.output_names, answers, strict=True):
        if answer.ndim < 1 or len(answer) != size:
            raise ValueError(f"output {name}: got {list(answer.shape)} for {size} rows")
        answered[name] = answer[:count].astype(np.float32, copy=False)  # the session gave it away
    return answered


def run_pieces(session: Session, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of all samples by name, as many at a time as the model fixes, or all at once."""
    import numpy as np

    total = len(next(iter(feeds.values())))
    size = fixed_batch_size(session) or total
    parts = [
        run_filled(
            session,
            {name: rows[at : at + size] for name, rows in feeds.items()},
            min(size, total - at),
        )
        for at in range(0, total, size)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _run_each(
    session: Session, feeds: Mapping[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    """The outputs of `count` calls, one behind the other."""
    import numpy as np

    answers = []
    for at in range(count):
        one = {name: np.array(rows[at]) for name, rows in feeds.items()}
        with blame_feed(one):
            answers.append(session.run(one))
    return {
        name: np.stack([answer[number] for answer in answers]).astype(np.float32)
        for number, name in enumerate(session.output_names)
    }


def _preparation(described: Mapping[str, Any] | None) -> Any:
    import numpy as np

    if described is None:
        # a copy: the file is mapped read-only, and some engines want to own theirs
        return lambda rows: {name: np.array(each) for name, each in rows.items()}
    from edgekd import dataset  # a worker that only times starts without them
    from edgekd import fields

    known = {name: fields.from_json(each) for name, each in described.items()}
    return functools.partial(dataset.prepare_fields, known)
