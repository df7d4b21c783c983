"""What is shipped: a model that can be checked, on any machine, against what was measured.

    model.onnx            the student, float32 or with Q/DQ in one profile, free batch axis
    task.json             the task, the inputs with their preprocessing, the targets (`edgekd.dataset`)
    golden.safetensors    real inputs, torch's answers, and of the first the stored rows (`edgekd.bench.golden`)
    measured.json         every candidate's row
    MODEL_CARD.md         the same for people
    manifest.json         format, interface, lineage, the chosen candidate, tolerances, digests of all of these
                          and of itself; its spelling is fixed, so no byte of it can change unseen
    model-2.onnx, golden-2.safetensors, ...  of sizes for which another file was chosen (`edgekd.bundle.models`)
    tokenizer.json        what text becomes tokens by, where the data have one
    fused.onnx            of a decoder the same model in operators of ONNX Runtime's own, if that was chosen; its weights lie
                          in model.onnx, at the places that it names
    generation.json       of a decoder a prompt and what the trained model writes behind it
    signature.json        if it was signed: over the manifest's digest (`edgekd.bundle.signature`)

Written by `edgekd.bundle.write`, packed as one file by `edgekd.bundle.archive`, run against its golden
answers by `edgekd.bundle.verify`. `edgekd.bundle.manifest` has the history of the format.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import dataset
from edgekd.bench.golden import Golden
from edgekd.bench.golden import read as read_golden
from edgekd.bundle import first_format
from edgekd.bundle.manifest import TOKENIZER
from edgekd.bundle.manifest import Manifest
from edgekd.bundle.manifest import check_digests
from edgekd.bundle.manifest import read_manifest
from edgekd.dataset import Dataset
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.task import Task
from edgekd.task import interface_of
from edgekd.tasks import BUILT_IN
from edgekd.tasks import load_task


class Bundle(NamedTuple):
    """A bundle whose every byte is as it was written."""

    folder: Path
    manifest: Manifest
    dataset: Dataset
    """The task, and the fields of its data."""
    golden: Golden
    more_golden: Mapping[str, Golden] = {}
    """Of the models beside model.onnx, by their files."""

    @property
    def interface(self) -> Interface:
        """What the model takes and gives."""
        return self.manifest.interface


def load_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`, every byte of it as it was written.

    Raises:
        InputError: if it is no bundle.
        BudgetMissed: if a file is missing or has changed.
    """
    manifest = read_manifest(folder)
    for made in check_digests(folder, manifest):
        if made.verdict != "ok":
            raise BudgetMissed(f"{folder / made.what}: {made.text}")
    return read_contents(folder, manifest)


def read_contents(folder: Path, manifest: Manifest) -> Bundle:
    """Read the files of a bundle whose digests fit.

    Raises:
        InputError: if they do not fit each other.
    """
    golden: Golden = read_golden(folder / "golden.safetensors")
    if "task.json" in manifest.files:
        found = read_dataset(folder, manifest)
    else:
        found = first_format.read_dataset(folder)
        manifest = manifest.model_copy(update={"interface": first_format.find_interface(found)})
    if "task.json" not in manifest.files:
        golden = first_format.name_ends(golden, manifest.interface)
    try:
        _require_fitting(golden, manifest.interface, found)
    except ValueError as error:
        raise InputError(f"{folder / 'golden.safetensors'}: got {error}") from error
    models = {} if manifest.by_size is None else manifest.by_size.models
    more = {name: read_golden(folder / model.golden) for name, model in models.items()}
    for name, each in more.items():
        try:
            _require_fitting(each, manifest.interface, found)
        except ValueError as error:
            raise InputError(f"{folder / models[name].golden}: got {error}") from error
    bundle = Bundle(folder, manifest, found, golden, more)
    require_task_fits(bundle, load_task(found.task) if found.task in BUILT_IN else None)
    return bundle


def read_dataset(folder: Path, manifest: Manifest) -> Dataset:
    """What task.json says, and the tokenizer beside it in every field that it is of.

    Raises:
        InputError: if there is no such, or the tokenizer is another one.
    """
    found = dataset.read(folder / "task.json")
    if TOKENIZER not in manifest.files:
        return found
    beside = {TOKENIZER: (folder / TOKENIZER).read_bytes()}
    try:
        inputs = {name: field.with_files(beside) for name, field in found.inputs.items()}
    except ValueError as error:
        raise InputError(f"{folder / TOKENIZER}: {error}") from error
    return dataclasses.replace(found, inputs=inputs)


def require_task_fits(found: Bundle, task: Task | None) -> None:
    """Hold what a bundle says of its task to its interface.

    Args:
        found: the bundle.
        task: its own, loaded; None if that is not known here, so that its inputs alone are looked at.

    Raises:
        InputError: if the model takes or gives something else.
    """
    where, interface = found.folder / "task.json", found.interface
    try:
        if task is None:
            inputs = [
                end for name, each in found.dataset.inputs.items() for end in each.tensors(name)
            ]
            pairs = [(interface.inputs, tuple(inputs))]
        else:
            wanted = interface_of(task, found.dataset)
            pairs = [(interface.inputs, wanted.inputs), (interface.outputs, wanted.outputs)]
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    for ends, said in pairs:
        got, want = _forms(said), _forms(ends)
        if got != want:
            raise InputError(f"{where}: got {got[:150]}, want {want[:150]} as the model has")


def _forms(ends: Sequence[Tensor]) -> str:
    return "; ".join(f"{end.name} {end.dtype} {list(end.shape)}" for end in ends)


def _require_fitting(golden: Golden, interface: Interface, found: Dataset) -> None:
    """Raises ValueError unless these are golden samples of the interface, their rows those of the data's inputs."""
    for group in golden.values():
        for side, ends, wanted in (
            ("inputs", group.inputs, interface.inputs),
            ("outputs", group.outputs, interface.outputs),
        ):
            if set(ends) != {end.name for end in wanted}:
                names = ", ".join(end.name for end in wanted)
                raise ValueError(f"{side} {', '.join(ends)}, want {names}")
            for end in wanted:
                array = ends[end.name]
                fits = array.ndim == len(end.shape) and all(
                    isinstance(axis, str) or size == axis
                    for size, axis in zip(array.shape, end.shape, strict=True)
                )
                if not fits or str(array.dtype) != end.dtype:
                    form = f"{array.dtype} {list(array.shape)}"
                    raise ValueError(f"{end.name} {form}, want {end.dtype} {list(end.shape)}")
        for name, rows in group.rows.items():
            if name not in found.inputs:
                raise ValueError(f"rows of {name!r}, want those of {', '.join(found.inputs)}")
            try:
                found.inputs[name].check(rows, name)
            except InputError as error:
                raise ValueError(f"rows of {error}") from error
