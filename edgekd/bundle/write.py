"""Write a bundle: the same content gives the same bytes; no time, no host, no path in them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd import bundle
from edgekd import files
from edgekd.preprocessing import Preprocessing

MEASURED = ("ok", "unstable")
OTHER_MACHINE = 2.0
"""What an engine may be off, over what was measured: its kernels differ from CPU to CPU."""


def write(
    folder: Path,
    *,
    name: str,
    version: str,
    model: Path,
    golden: Path,
    preprocessing: Preprocessing,
    labels: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    chosen: str,
    created_from: Mapping[str, str],
    fp32_tolerance: float,
    card: str,
) -> dict[str, Path]:
    """Fill the empty `folder`; the same content gives the same bytes.

    Args:
        folder: made here; no durable writes, so a stage's scratch.
        name: of the recipe.
        version: of edgekd.
        model: the student's ONNX file.
        golden: safetensors with ``inputs`` and ``outputs``.
        preprocessing: of the student's data.
        labels: class names in the order of the logits.
        rows: all measured rows.
        chosen: name of one of them.
        created_from: label of each step to the key of its result.
        fp32_tolerance: largest difference of a logit in float32.
        card: text of MODEL_CARD.md.

    Raises:
        ValueError: if `chosen` is no measured row.
    """
    row = next((row for row in rows if row["name"] == chosen and row["status"] in MEASURED), None)
    if row is None:
        raise ValueError(f"chosen: got {chosen!r}, want a row that was measured")
    folder.mkdir()
    contents = {
        "MODEL_CARD.md": card.encode(),
        "golden.safetensors": golden.read_bytes(),
        "labels.json": files.pretty_json(list(labels)),
        "measured.json": files.pretty_json(list(rows)),
        "model.onnx": model.read_bytes(),
        "preprocessing.json": files.pretty_json(preprocessing.model_dump(mode="json")),
    }
    manifest = {
        "format": bundle.FORMAT,
        "name": name,
        "edgekd": version,
        "created_from": dict(sorted(created_from.items())),
        "chosen": {field: row.get(field) for field in bundle.Chosen.model_fields},
        "tolerance": tolerances(rows, fp32_tolerance),
    }
    contents[bundle.MANIFEST] = signed(manifest, contents)
    for file, data in contents.items():
        (folder / file).write_bytes(data)
    return {file: folder / file for file in contents}


def signed(manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> bytes:
    """The manifest with the digest of every file and, last, its own."""
    described = {
        name: {"sha256": files.digest_bytes(data), "size_bytes": len(data)}
        for name, data in contents.items()
    }
    whole = {**manifest, "files": described}
    digest = files.digest_bytes(files.canonical_json(whole))
    return files.pretty_json({**whole, "digest": digest})


def tolerances(
    rows: Sequence[Mapping[str, Any]], fp32_tolerance: float
) -> dict[str, dict[str, float]]:
    """What each engine that was measured on the student has to keep, by ``runtime/precision``."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["model"] != "student" or row["status"] not in MEASURED:
            continue
        least = fp32_tolerance if row["precision"] == "fp32" else 0.0
        max_abs = max(least, OTHER_MACHINE * row["parity_max_abs"])
        found[f"{row['runtime']}/{row['precision']}"] = {
            "max_abs": max_abs,
            "top1_agreement": row["top1_agreement"],
        }
        if row.get("parity_rms") is not None:
            found[f"{row['runtime']}/{row['precision']}"]["rms"] = row["parity_rms"]
    return dict(sorted(found.items()))
