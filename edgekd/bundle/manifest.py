"""manifest.json: what a bundle is, how close its answers must be, and the digests of its files.

Format history: edgekd.bundle/1 (first, image classifiers alone), edgekd.bundle/2 (any task), edgekd.bundle/3 (an engine
for each bucket of sizes: `by_size` and the files it names; what has one file for all is written as the second still). The
first is read as the second (`edgekd.bundle.first_format`).
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal
from typing import NamedTuple
from typing import Self

from pydantic import Field
from pydantic import PlainSerializer
from pydantic import PlainValidator
from pydantic import ValidationError
from pydantic import model_validator

from edgekd import files
from edgekd.bundle import first_format
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.interface import BATCH
from edgekd.interface import Interface
from edgekd.interface import from_json
from edgekd.interface import to_json
from edgekd.runtime import Precision
from edgekd.settings import Fraction
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default

FORMAT, SIZED_FORMAT = "edgekd.bundle/2", "edgekd.bundle/3"
MANIFEST = "manifest.json"
FILES = ("MODEL_CARD.md", "golden.safetensors", "measured.json", "model.onnx", "task.json")
MODEL, GOLDEN = "model.onnx", "golden.safetensors"
MORE_MODELS = {f"model-{n}.onnx": f"golden-{n}.safetensors" for n in range(2, 9)}
"""Of the sizes for which another file was chosen, each with its golden answers."""
MORE_FILES = (*MORE_MODELS, *MORE_MODELS.values())
MOST_BUCKETS = 64
TOKENIZER = "tokenizer.json"
"""What text becomes tokens by; may be missing."""
FUSED = "fused.onnx"
"""A decoder in operators of one engine's own (`edgekd.runtime.RuntimeEntry.fuses_decoders`), which that runs in place of
model.onnx; may be missing."""
GENERATION = "generation.json"
"""Of a decoder a golden text (`edgekd.bundle.generation`); may be missing."""
OPTIONAL = {TOKENIZER, FUSED, GENERATION}
SIGNATURE = "signature.json"
"""May be missing."""
LARGEST_BYTES = 2**31
"""Of one file."""
SAME_AGREEMENT = 1e-6
"""So much less than what was measured passes as the same: decisions of degrees, as the cosine of two vectors, end in
figures that hang on the order of sums."""

Text = Annotated[str, Field(max_length=200)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _interface(value: Any) -> Interface:
    return value if isinstance(value, Interface) else from_json(value)


Ends = Annotated[Interface, PlainValidator(_interface), PlainSerializer(to_json)]


class File(Settings):
    """One file of a bundle."""

    sha256: Digest
    size_bytes: Annotated[int, Field(ge=0, le=LARGEST_BYTES)]


class OutputTolerance(Settings):
    """Tolerances of one output: differences from torch's that pass."""

    max_abs: NonNegative
    """Largest difference of a number."""
    rms: NonNegative | None = None
    """Root of the mean square difference where it was measured; null if that is not known.
    What tells a processor that loses accuracy from one that rounds a little differently."""
    step: Positive | None = None
    """Of a quantized model: how far a number moves when one input of the last layer moves by one code."""


class Tolerance(OutputTolerance):
    """Tolerances of an engine's answers to the golden inputs: agreement and differences that pass; of several outputs
    the largest."""

    agreement: Fraction
    """Smallest fraction of the decisions that are the same; so measured, see `SAME_AGREEMENT`."""
    outputs: dict[Text, OutputTolerance] = {}
    """By name, where there are several."""

    def of_output(self, name: str) -> OutputTolerance:
        """That of one output."""
        return self.outputs.get(name, self)


class ChosenCandidate(Settings):
    """The candidate that was chosen, as it was measured."""

    name: Text
    runtime: Text
    precision: Precision
    profile: Text = ""
    """Of the Q/DQ file, which is what the bundle holds then; empty for the float one."""
    threads: Annotated[int, Field(ge=1, le=1024)]
    validation_score: float | None
    latency_p50_ms: NonNegative | None
    latency_ci95_ms: Annotated[tuple[float, float], Field(strict=False)] | None
    peak_rss_bytes: Whole | None
    size_bytes: Whole | None


class SizeBucket(Settings):
    """The engine for samples up to a size."""

    most: Annotated[int, Field(ge=1, le=2**31)] | None
    """Largest size of a sample that is asked here and not in a bucket before; null in the last: any."""
    model: Text
    """Its file in the bundle."""
    chosen: ChosenCandidate


class SizedModel(Settings):
    """A further file."""

    golden: Text
    """The file of its golden answers."""
    tolerance: dict[Text, Tolerance]
    """As that of the bundle."""


class SizeTable(Settings):
    """Which engine answers by the size of a sample along one free axis."""

    axis: Text
    """Its name in the interface."""
    buckets: Annotated[
        tuple[SizeBucket, ...], Field(min_length=2, max_length=MOST_BUCKETS, strict=False)
    ]
    """By ascending size."""
    models: dict[Text, SizedModel] = {}
    """By file name, those beside model.onnx."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        bounds = [bucket.most for bucket in self.buckets]
        known = [most for most in bounds[:-1] if most is not None]
        if bounds[-1] is not None or known != sorted(set(known)) or len(known) < len(bounds) - 1:
            raise ValueError(
                "got buckets that overlap or leave sizes out, want ascending ones and null as the last"
            )
        named = {bucket.model for bucket in self.buckets} - {MODEL}
        if named != set(self.models):
            raise ValueError(f"got buckets of {sorted(named)}, want those of {sorted(self.models)}")
        for name, model in self.models.items():
            if MORE_MODELS.get(name) != model.golden:
                raise ValueError(
                    f"got a file {name!r} with {model.golden!r}, want model-2.onnx with golden-2.safetensors"
                )
        return self


class ScoreMetric(Settings):
    """The metric that the model was chosen by."""

    name: Text
    unit: Literal["fraction", "number"]
    better: Literal["higher", "lower"]


class Manifest(Settings):
    """manifest.json."""

    format: Literal["edgekd.bundle/2", "edgekd.bundle/3"]
    name: Text
    edgekd: Text
    """Version that wrote it."""
    created_from: dict[Text, Text]
    """Lineage: label of each step to the key of its result."""
    metric: ScoreMetric
    interface: Ends
    """What the model takes and gives."""
    chosen: ChosenCandidate
    tolerance: dict[Text, Tolerance]
    """By ``runtime/precision``; what is not named here was not measured."""
    by_size: SizeTable | None = omit_default(None)
    """Null where one file serves all sizes."""
    files: dict[Text, File]
    digest: Digest
    """SHA-256 of the canonical JSON of all the rest."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if (self.format == SIZED_FORMAT) != (self.by_size is not None):
            raise ValueError(f"got by_size in {self.format}, want it in {SIZED_FORMAT} alone")
        axes = {axis.name for axis in self.interface.axes} - {BATCH}
        if self.by_size is not None and self.by_size.axis not in axes:
            raise ValueError(f"got sizes of {self.by_size.axis!r}, want a free axis of the model")
        return self


class CheckResult(NamedTuple):
    """The result of one check."""

    what: str
    verdict: Literal["ok", "failed", "not checked"]
    text: str


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
        manifest = Manifest.model_validate_json(json.dumps(first_format.upgrade_manifest(value)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg'][:200]}, want {FORMAT}") from error
    names = first_format.FILES if value.get("format") == first_format.FORMAT else FILES
    names = (*names, *list_more_files(manifest))
    if set(manifest.files) - OPTIONAL != set(names):
        raise InputError(f"{path}: files: got {sorted(manifest.files)}, want {list(names)}")
    told = value.pop("digest")
    spelled = files.pretty_json({**value, "digest": told})
    if files.digest_bytes(files.canonical_json(value)) != told or path.read_bytes() != spelled:
        raise BudgetMissed(f"{path}: has changed since it was written")
    return manifest


def list_more_files(manifest: Manifest) -> list[str]:
    """The files that only some sizes need: models and their golden answers."""
    models = manifest.by_size.models if manifest.by_size is not None else {}
    return [file for name, model in models.items() for file in (name, model.golden)]


def check_digests(folder: Path, manifest: Manifest) -> list[CheckResult]:
    """One check for each file the manifest names, its size before its content.

    Raises:
        InputError: if the folder holds anything else, or something that is no regular file.
    """
    strangers = sorted(
        {path.name for path in folder.iterdir()} - {MANIFEST, *manifest.files, SIGNATURE}
    )
    if strangers:
        raise InputError(f"{folder}: got {strangers[0]!r}, which is no part of a bundle")
    checks = []
    for name in sorted(manifest.files):
        path, want = folder / name, manifest.files[name]
        if not os.path.lexists(path):
            checks.append(CheckResult(name, "failed", "is missing"))
            continue
        require_plain_files(path)
        size_bytes = path.lstat().st_size
        if size_bytes != want.size_bytes:
            text = f"got {size_bytes} bytes, want {want.size_bytes}"
            checks.append(CheckResult(name, "failed", text))
        elif files.digest_file(path) != want.sha256:
            checks.append(
                CheckResult(name, "failed", f"got another SHA-256, want {want.sha256[:12]}")
            )
        else:
            checks.append(CheckResult(name, "ok", f"{size_bytes} bytes, {want.sha256[:12]}"))
    return checks


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
