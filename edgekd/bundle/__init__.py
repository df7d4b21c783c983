"""What is shipped: a model that can be checked, on any machine, against what was measured.

    model.onnx            the student, float32 or with Q/DQ in one profile, free batch axis
    preprocessing.json    from pixels to the model's input
    labels.json           class names in the order of the logits
    golden.safetensors    real inputs, torch's answers, and of the first the stored pixels, which older
                          bundles lack (`edgekd.bench.golden`)
    measured.json         every candidate's row
    MODEL_CARD.md         the same for people
    manifest.json         format, lineage, the chosen candidate, tolerances, digests of all of these
                          and of itself; its spelling is fixed, so no byte of it can change unseen
    signature.json        if it was signed: over the manifest's digest (`edgekd.bundle.signature`)

Written by `edgekd.bundle.write`, packed as one file by `edgekd.bundle.archive`, run against its golden
answers by `edgekd.bundle.verify`.

Format history: edgekd.bundle/1 (first).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated
from typing import Literal
from typing import NamedTuple

from pydantic import Field
from pydantic import ValidationError

from edgekd import files
from edgekd.bench.golden import USUAL
from edgekd.bench.golden import Golden
from edgekd.bench.golden import Group
from edgekd.bench.golden import read as read_golden
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.field import form_text
from edgekd.preprocessing import Preprocessing
from edgekd.runtime import Precision
from edgekd.settings import Fraction
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole

FORMAT = "edgekd.bundle/1"
MANIFEST = "manifest.json"
FILES = (
    "MODEL_CARD.md",
    "golden.safetensors",
    "labels.json",
    "measured.json",
    "model.onnx",
    "preprocessing.json",
)
SIGNATURE = "signature.json"
"""May be missing."""
LARGEST_BYTES = 2**31
"""Of one file."""

Text = Annotated[str, Field(max_length=200)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class File(Settings):
    """One file of a bundle."""

    sha256: Digest
    size_bytes: Annotated[int, Field(ge=0, le=LARGEST_BYTES)]


class OutputTolerance(Settings):
    """How close one output must be to torch's."""

    max_abs: NonNegative
    """Largest difference of a number."""
    rms: NonNegative | None = None
    """Root of the mean square difference where it was measured; null if that is not known.
    What tells a processor that loses accuracy from one that rounds a little differently."""
    step: Positive | None = None
    """Of a quantized model: how far a number moves when one input of the last layer moves by one code."""


class Tolerance(OutputTolerance):
    """How close an engine's answers to the golden inputs must be to torch's; of several outputs the largest."""

    top1_agreement: Fraction
    """Smallest fraction of the decisions that are the same."""
    outputs: dict[Text, OutputTolerance] = {}
    """By name, where there are several."""

    def of_output(self, name: str) -> OutputTolerance:
        """That of one output."""
        return self.outputs.get(name, self)


class Chosen(Settings):
    """The candidate that was chosen, as it was measured."""

    name: Text
    runtime: Text
    precision: Precision
    profile: Text = ""
    """Of the Q/DQ file, which is what the bundle holds then; empty for the float one."""
    threads: Annotated[int, Field(ge=1, le=1024)]
    validation_accuracy: Fraction | None
    latency_p50_ms: NonNegative | None
    latency_ci95_ms: Annotated[tuple[float, float], Field(strict=False)] | None
    peak_rss_bytes: Whole | None
    size_bytes: Whole | None


class Manifest(Settings):
    """manifest.json."""

    format: Literal["edgekd.bundle/1"]
    name: Text
    edgekd: Text
    """Version that wrote it."""
    created_from: dict[Text, Text]
    """Lineage: label of each step to the key of its result."""
    chosen: Chosen
    tolerance: dict[Text, Tolerance]
    """By ``runtime/precision``; what is not named here was not measured."""
    files: dict[Text, File]
    digest: Digest
    """SHA-256 of the canonical JSON of all the rest."""


class Check(NamedTuple):
    """The result of one check."""

    what: str
    verdict: Literal["ok", "failed", "not checked"]
    text: str


class Bundle(NamedTuple):
    """A bundle whose every byte is as it was written."""

    folder: Path
    manifest: Manifest
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    golden: Golden


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle in `folder`, whose own digest fits.

    Raises:
        InputError: if there is no bundle of a known format.
        BudgetMissed: if the manifest is one, but not as it was written.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError(f"{folder}: got no folder, want a bundle")
    require_plain_files(path)
    value = files.read_json(path, limit_bytes=2**20)
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}, want {FORMAT}") from error
    if set(manifest.files) != set(FILES):
        raise InputError(f"{path}: files: got {sorted(manifest.files)}, want {list(FILES)}")
    told = value.pop("digest")
    spelled = files.pretty_json({**value, "digest": told})
    if files.digest_bytes(files.canonical_json(value)) != told or path.read_bytes() != spelled:
        raise BudgetMissed(f"{path}: has changed since it was written")
    return manifest


def check_digests(folder: Path, manifest: Manifest) -> list[Check]:
    """One check for each file the manifest names, its size before its content.

    Raises:
        InputError: if the folder holds anything else, or something that is no regular file.
    """
    strangers = sorted({path.name for path in folder.iterdir()} - {MANIFEST, *FILES, SIGNATURE})
    if strangers:
        raise InputError(f"{folder}: got {strangers[0]!r}, which is no part of a bundle")
    checks = []
    for name in FILES:
        path, want = folder / name, manifest.files[name]
        if not os.path.lexists(path):
            checks.append(Check(name, "failed", "is missing"))
            continue
        require_plain_files(path)
        size_bytes = path.lstat().st_size
        if size_bytes != want.size_bytes:
            text = f"got {size_bytes} bytes, want {want.size_bytes}"
            checks.append(Check(name, "failed", text))
        elif files.digest_file(path) != want.sha256:
            checks.append(Check(name, "failed", f"got another SHA-256, want {want.sha256[:12]}"))
        else:
            checks.append(Check(name, "ok", f"{size_bytes} bytes, {want.sha256[:12]}"))
    return checks


def check(folder: Path) -> Bundle:
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
    import json

    labels = files.read_json(folder / "labels.json")
    try:
        text = json.dumps(files.read_json(folder / "preprocessing.json"))
        preprocessing = Preprocessing.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{folder / 'preprocessing.json'}: {where}: {first['msg']}") from error
    golden = read_golden(folder / "golden.safetensors")
    named = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    if not named or not labels:
        raise InputError(f"{folder / 'labels.json'}: got no list of names")
    try:
        _require_fitting(golden[USUAL], preprocessing, len(labels))
    except ValueError as error:
        raise InputError(f"{folder / 'golden.safetensors'}: got {error}") from error
    return Bundle(folder, manifest, preprocessing, tuple(labels), golden)


def _require_fitting(group: Group, preprocessing: Preprocessing, classes: int) -> None:
    """Raises ValueError unless these are golden samples of one image and its logits."""
    size = (preprocessing.channels, preprocessing.height, preprocessing.width)
    for side, ends, shape in (
        ("inputs", group.inputs, size),
        ("outputs", group.outputs, (classes,)),
    ):
        forms = [f"{array.dtype} {list(array.shape)}" for array in ends.values()]
        if forms != [f"float32 {[group.sample_count, *shape]}"]:
            raise ValueError(f"{side} {', '.join(forms)}, want float32 [N, {str(list(shape))[1:]}")
    for rows in group.rows.values():
        form = form_text(rows)
        if len(group.rows) > 1 or form != f"uint8 {[len(rows), *size[1:], size[0]]}":
            raise ValueError(f"pixels {form}, want uint8 [M, H, W, C] of {size}")


def require_plain_files(path: Path) -> None:
    """Refuse links, FIFOs and folders before anything opens them.

    Raises:
        InputError: if `path` is not a regular file itself.
    """
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, want a bundle") from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: got something that is no regular file, want a file")
