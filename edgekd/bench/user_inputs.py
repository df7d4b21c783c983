"""What a user feeds: ``--inputs FILE``, ``--inputs NAME=FILE`` or ``--inputs NAME=NUMBER``."""

from __future__ import annotations

import contextlib
import io
import math
import zipfile
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.interface import from_json

if TYPE_CHECKING:
    import numpy as np

    from edgekd.field import Arrays
    from edgekd.interface import Interface

BUNDLED, BUNDLED_GOLDEN = "model.onnx", "golden.safetensors"
BUNDLED_FUSED, BUNDLED_MANIFEST = "fused.onnx", "manifest.json"
MOST_BYTES = 2**30
"""Of all arrays of an .npz file together, unpacked."""


class UserInputs(NamedTuple):
    """The parsed options ``--inputs``."""

    file: Path | None = None
    """Rows of the only input (.npy), an .npz by names of inputs, golden .safetensors or a bundle."""
    files: Mapping[str, Path] = {}
    """.npy files by input."""
    values: Mapping[str, float] = {}
    """By input what every element is."""


class ModelInputs(NamedTuple):
    """The inputs of one model."""

    file: Path | None
    """.npy of the only input, or .npz by names of inputs; None if all is drawn."""
    shapes: Mapping[str, tuple[int, ...]]
    """Of the arrays in it."""


def parse_inputs(options: Sequence[str]) -> UserInputs:
    """Parse the options.

    Raises:
        InputError: if one of two forms is given twice, or a number is none that can be fed.
    """
    file: Path | None = None
    files: dict[str, Path] = {}
    values: dict[str, float] = {}
    for option in options:
        name, equals, rest = option.rpartition("=")
        if not equals or Path(option).exists():
            if file is not None:
                raise InputError(
                    f"--inputs: got {file} and {option}, want NAME=FILE for each of several inputs"
                )
            file = Path(option)
            continue
        if name in files or name in values:
            raise InputError(f"--inputs: got {name!r} twice, want one for each input")
        with contextlib.suppress(ValueError):
            values[name] = float(rest)
            if not math.isfinite(values[name]):
                raise InputError(f"--inputs: got {option!r}, want a finite number or a file")
            continue
        files[name] = Path(rest)
    return UserInputs(file, files, values)


def find_model(given: Path, goal: Path) -> tuple[Path, Path | None]:
    """Find the ONNX file of a model or bundle folder, and a bundle's golden inputs, written to `goal`.

    Raises:
        InputError: if a folder is no bundle.
    """
    if not given.is_dir():
        return given, None
    if not (given / BUNDLED).is_file() or not (given / BUNDLED_GOLDEN).is_file():
        raise InputError(f"{given}: got a folder, want one with {BUNDLED} and {BUNDLED_GOLDEN}")
    return given / BUNDLED, find_inputs(given, goal)


def find_interface(given: Path) -> Interface | None:
    """What the model of a bundle folder takes and gives, without states; None of what says nothing of it.

    Raises:
        InputError: if the bundle does not say what its model takes.
    """
    if not (given / BUNDLED_MANIFEST).is_file():
        return None
    said = files.read_json(given / BUNDLED_MANIFEST).get("interface")
    try:
        return None if said is None else from_json(said)
    except ValueError as error:
        raise InputError(f"{given / BUNDLED_MANIFEST}: {error}") from error


def find_inputs(given: Path, goal: Path) -> Path:
    """The .npy or .npz file of a user's inputs: as it is, or written to `goal` from golden samples.

    Raises:
        InputError: if it is neither of them nor golden samples nor a bundle that has some.
    """
    if given.suffix in (".npy", ".npz"):
        return given
    golden_file = given / BUNDLED_GOLDEN if given.is_dir() else given
    if golden_file.suffix != ".safetensors":
        raise InputError(f"{given}: got no inputs, want .npy, .npz, .safetensors or a bundle")
    from edgekd.bench import golden

    return _write(golden.read(golden_file)[golden.USUAL].inputs, goal)


def _write(inputs: Arrays, goal: Path) -> Path:
    """As a user gives them: rows (.npy) of the only one, else .npz by name; gives `goal` with that suffix."""
    import numpy as np

    if len(inputs) == 1:
        goal = goal.with_suffix(".npy")
        np.save(goal, next(iter(inputs.values())), allow_pickle=False)
    else:
        goal = goal.with_suffix(".npz")
        np.savez(goal, allow_pickle=False, **dict(inputs))
    return goal


def gather_inputs(
    user: UserInputs, file: Path | None, inputs: Sequence[str], where: str, goal: Path
) -> ModelInputs:
    """Gather all inputs of a model in one file.

    Args:
        user: what was asked for, by names of this or of other models; its `file` is read already.
        file: rows for the only input, or .npz.
        inputs: the names of all inputs of the model.
        where: how errors name it.
        goal: an .npz file to write, where several were named.

    Raises:
        InputError: if a name in the file is none of its inputs, or rows are given to one of several.
    """
    named = [name for name in inputs if name in user.files or name in user.values]
    if file is None and not any(name in user.files for name in named):
        return ModelInputs(None, {})
    import numpy as np
    from numpy.lib import format as npy

    if file is not None and _is_npz(file):
        if user.files:
            raise InputError(f"--inputs: got {file} and files by name, want one of both")
        shapes = npz_shapes(file)
        for name in shapes:
            _require_input(name, inputs, f"{where}: {file}")
        return ModelInputs(file, shapes)
    free = [name for name in inputs if name not in named]
    if file is not None and len(free) != 1:
        raise InputError(
            f"{where}: got rows for one input, which has {', '.join(free) or 'none left'}",
            hint=" ".join(f"--inputs {name}=FILE" for name in free[:8]),
        )
    paths = {name: user.files[name] for name in named if name in user.files}
    if file is not None:
        paths[free[0]] = file
    arrays = {name: _read(path) for name, path in paths.items()}
    shapes = {name: tuple(map(int, array.shape)) for name, array in arrays.items()}
    if list(arrays) == list(inputs):
        return ModelInputs(next(iter(paths.values())), shapes)
    with zipfile.ZipFile(goal, "x") as archive:
        for name, array in arrays.items():
            written = io.BytesIO()
            npy.write_array(written, np.asanyarray(array), allow_pickle=False)
            archive.writestr(f"{name}.npy", written.getbuffer())
    return ModelInputs(goal, shapes)


def require_known(user: UserInputs, models: Sequence[Sequence[str]]) -> None:
    """Raises InputError unless every name is an input of one of the models."""
    every = [name for inputs in models for name in inputs]
    for name in (*user.files, *user.values):
        _require_input(name, every, "--inputs")


def npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each array of an .npz file, by its name, read from their headers alone.

    Raises:
        InputError: if it is none, holds objects, or is larger unpacked than is believed.
    """
    from numpy.lib import format as npy

    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(entry.file_size for entry in archive.infolist())
            if size_bytes > MOST_BYTES:
                raise InputError(
                    f"{path}: got {size_bytes} bytes of arrays, want {MOST_BYTES} at most"
                )
            for entry in archive.infolist():
                with archive.open(entry) as member:
                    version = npy.read_magic(member)
                    read = (
                        npy.read_array_header_1_0
                        if version == (1, 0)
                        else npy.read_array_header_2_0
                    )
                    shape, _, dtype = read(member)
                    held_bytes = entry.file_size - member.tell()
                if dtype.hasobject:
                    raise InputError(
                        f"{path}: got Python objects in {entry.filename!r}, want numbers"
                    )
                if held_bytes != math.prod(shape) * dtype.itemsize:
                    raise InputError(
                        f"{path}: got {held_bytes} bytes in {entry.filename!r}, want what its shape "
                        f"{list(shape)} takes"
                    )
                shapes[entry.filename.removesuffix(".npy")] = tuple(map(int, shape))
    except InputError:
        raise
    except Exception as error:  # the parsers of zip and of headers raise anything
        raise InputError(f"{path}: got no .npz file: {error}") from error
    return shapes


def _read(path: Path) -> np.ndarray:
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except Exception as error:  # the parser of headers raises anything
        raise InputError(f"{path}: got no inputs, want .npy: {error}") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: got several arrays for one input, want .npy")
    return array


def _is_npz(path: Path) -> bool:
    return path.suffix == ".npz"


def _require_input(name: str, inputs: Sequence[str], where: str) -> None:
    if name not in inputs:
        raise InputError(f"{where}: got inputs for {name!r}, {find_nearest(name, inputs)}")
