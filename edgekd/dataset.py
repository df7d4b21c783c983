"""What data.json says of a data set: its task, and the fields of every sample. No pydantic: a board reads it.

Format history: edgekd.data/2 (the first that names its task and fields).
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd import fields
from edgekd import files
from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.interface import NAME
from edgekd.interface import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Rows

FORMAT = "edgekd.data/2"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set's task and fields."""

    task: str
    """A name of `edgekd.tasks`, or ``python:package.module:TASK``."""
    inputs: Mapping[str, Field]
    """What a model sees, by name, in the order in which a model takes them."""
    targets: Mapping[str, Field]
    """What its outputs are compared with."""
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Samples by split."""
    source: str = ""
    """As the recipe names it."""
    notes: tuple[str, ...] = ()
    """What was concluded where the files left it open."""
    skipped: tuple[str, ...] = ()
    """Files that were left out, each with the reason."""
    code: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Of a task that is not built in: its files and their SHA-256, so that what stands on it is made again."""

    @property
    def fields(self) -> dict[str, Field]:
        """Inputs and targets."""
        return {**self.inputs, **self.targets}

    def find_answer_end(self) -> int | None:
        """The token behind which an answer ends, where an input holds conversations; None where none does."""
        ends = (field.find_answer_end() for field in self.inputs.values())
        return next((end for end in ends if end is not None), None)

    def sizes(self) -> dict[str, int]:
        """Return what a builder may ask for by name. What a field before named bears the field's own name before it:
        ``classes`` of the first of two such targets, ``color_classes`` of the second, called ``color``.
        """
        found: dict[str, int] = {}
        named = [(name, field.sizes()) for name, field in self.inputs.items()]
        named += [(name, field.target_sizes()) for name, field in self.targets.items()]
        for name, sizes in named:
            found |= {f"{name}_{key}" if key in found else key: size for key, size in sizes.items()}
        return found

    def prepare_inputs(self, rows: Mapping[str, Rows]) -> dict[str, NDArray[Any]]:
        """Return what a model takes of stored rows, by name and in its order."""
        return prepare_fields(self.inputs, rows)

    def prepare_targets(self, rows: Mapping[str, Rows]) -> dict[str, NDArray[Any]]:
        """Return what losses and metrics take of stored rows, by name."""
        return prepare_fields(self.targets, rows)

    def check(self, rows: Mapping[str, Rows], where: str, *, training: bool = False) -> None:
        """Refuse the rows of a split that are not what the fields say, one by one and beside one another. Those of
        training may lack targets.

        Raises:
            InputError: naming the first that is wrong.
        """
        if set(rows) != set(self.fields):
            got, want = (", ".join(sorted(names)) or "none" for names in (rows, self.fields))
            raise InputError(f"{where}: got the fields {got}, want {want}")
        for name, field in self.fields.items():
            check_known(field, rows[name], f"{where}: {name}", training=training)
        counts = {name: len(each) for name, each in rows.items()}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{count} {name}" for name, count in counts.items())
            raise InputError(f"{where}: got {said}, want as many of each")

    def find_labelled(self, rows: Mapping[str, Rows]) -> NDArray[np.bool_] | None:
        """Which training samples have a value of every target, bool [N]; None where all have."""
        every = [field.find_known(rows[name]) for name, field in self.targets.items()]
        said = [known for known in every if known is not None]
        return functools.reduce(operator.and_, said) if said else None

    def require_fits(self) -> None:
        """Refuse targets that belong to images of another size.

        Raises:
            ValueError: naming the target and the image.
        """
        inputs = {name: field.sizes() for name, field in self.inputs.items()}
        sides = {
            n: (each["height"], each["width"]) for n, each in inputs.items() if "height" in each
        }
        for name, field in self.targets.items():
            size = field.image_size()
            if size is not None and sides and size not in sides.values():
                other, want = next(iter(sides.items()))
                raise ValueError(
                    f"{name}: got {size[0]} x {size[1]}, want {want[0]} x {want[1]} as {other} has"
                )


def check_known(field: Field, rows: Rows, where: str, *, training: bool) -> None:
    """`Field.check` of the rows that have a value: in training some may have none.

    Raises:
        InputError: naming the first that is wrong.
    """
    known = field.find_known(rows) if training else None
    field.check(rows if known is None else rows[known.nonzero()[0]], where)


def prepare_fields(
    fields: Mapping[str, Field], rows: Mapping[str, Rows]
) -> dict[str, NDArray[Any]]:
    """Arrays of the stored rows of some fields, by the names of their tensors and in order."""
    found: dict[str, NDArray[Any]] = {}
    for name, field in fields.items():
        found |= field.prepare(name, rows[name])
    return found


def answered_ends(dataset: Dataset) -> list[Tensor]:
    """What a model gives whose own answers are the targets: an output a target, under its name."""
    ends = [end for name, field in dataset.targets.items() for end in field.tensors(name)]
    return [end._replace(target=end.name) for end in ends]


def to_json(dataset: Dataset) -> dict[str, Any]:
    """The content of data.json; `from_json` gives it back."""
    return {
        "format": FORMAT,
        "task": dataset.task,
        "inputs": {name: field.to_json() for name, field in dataset.inputs.items()},
        "targets": {name: field.to_json() for name, field in dataset.targets.items()},
        "counts": dict(dataset.counts),
        "source": dataset.source,
        "notes": list(dataset.notes),
        "skipped": list(dataset.skipped),
        **({"code": dict(dataset.code)} if dataset.code else {}),
    }


def from_json(value: Any) -> Dataset:
    """The data set that `to_json` described, in which a stranger may have written, too.

    Raises:
        ValueError: names what is wrong in it.
    """
    if not isinstance(value, Mapping) or value.get("format") != FORMAT:
        got = value.get("format") if isinstance(value, Mapping) else type(value).__name__
        raise ValueError(f"format: got {got!r}, want {FORMAT!r}")
    known = {field.name for field in dataclasses.fields(Dataset)} | {"format"}
    if strangers := sorted(set(value) - known):
        raise ValueError(f"got unknown key {strangers[0]!r}")
    named: dict[str, dict[str, Field]] = {}
    for side in ("inputs", "targets"):
        if not isinstance(value.get(side), Mapping):
            raise ValueError(f"{side}: got {value.get(side)!r}, want fields by name")
        named[side] = {}
        for name, facts in value[side].items():
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise ValueError(f"{side}: got the name {name!r}")
            try:
                named[side][name] = fields.from_json(facts)
            except ValueError as error:
                raise ValueError(f"{side}.{name}: {error}") from error
    if not named["inputs"] or set(named["inputs"]) & set(named["targets"]):
        raise ValueError("got no inputs, or a field that is an input and a target")
    counts = value.get("counts", {})
    if not isinstance(counts, Mapping) or not all(
        type(n) is int and n >= 0 for n in counts.values()
    ):
        raise ValueError(f"counts: got {counts!r}")
    if not _all_text((value.get("task"), value.get("source", ""))):
        raise ValueError("task, source: want text")
    lists = {name: value.get(name, []) for name in ("notes", "skipped")}
    if not all(isinstance(each, list) and _all_text(each) for each in lists.values()):
        raise ValueError("notes, skipped: want lists of text")
    written = value.get("code", {})
    if not isinstance(written, Mapping) or not _all_text([*written, *written.values()]):
        raise ValueError(f"code: got {written!r}, want digests by file")
    return Dataset(
        task=value["task"],
        **named,
        counts=dict(counts),
        source=value.get("source", ""),
        notes=tuple(lists["notes"]),
        skipped=tuple(lists["skipped"]),
        code=dict(written),
    )


def read(path: Path) -> Dataset:
    """The data set that a data.json describes.

    Raises:
        InputError: if it is no such file.
    """
    try:
        return from_json(files.read_json(path))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _all_text(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
