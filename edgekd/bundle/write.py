"""Write a bundle: the same content gives the same bytes; no time, no host, no path in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.admission.weight_files import share_weights
from edgekd.bench.answers import LEAST_AGREEMENT
from edgekd.bench.status import TIMED
from edgekd.bundle import manifest as manifests
from edgekd.dataset import Dataset
from edgekd.dataset import to_json as dataset_to_json
from edgekd.interface import Interface
from edgekd.interface import to_json as interface_to_json
from edgekd.task import Metric

OTHER_MACHINE = 2.0
"""What an engine may be off, over what was measured: its kernels differ from CPU to CPU."""
LEAST_STEPS = 8.0
"""And in quantization steps, what a quantized one always may, since it may round otherwise there."""


class MoreModel(NamedTuple):
    """Another exported file of the student."""

    model: Path
    golden: Path
    parity: Mapping[str, Any]


def write(
    folder: Path,
    *,
    name: str,
    version: str,
    model: Path,
    golden: Path,
    dataset: Dataset,
    interface: Interface,
    metric: Metric,
    rows: Sequence[Mapping[str, Any]],
    chosen: str,
    created_from: Mapping[str, str],
    parity: Mapping[str, Any],
    card: str,
    tokenizer: bytes = b"",
    by_size: Mapping[str, Any] | None = None,
    more: Mapping[str, MoreModel] = {},
    fused: Path | None = None,
    generation: bytes = b"",
) -> dict[str, Path]:
    """Fill the empty `folder`; the same content gives the same bytes.

    Args:
        folder: made here; no durable writes, so a stage's scratch.
        name: of the recipe.
        version: of edgekd.
        model: the student's ONNX file.
        golden: as `edgekd.bench.golden.write` writes it.
        dataset: the student's data; how many samples there were is left out.
        interface: what the model takes and gives.
        metric: the score.
        rows: all measured rows.
        chosen: name of one of them.
        created_from: label of each step to the key of its result.
        parity: of `model`, as its export wrote it: ``allowed`` difference, or ``logit_step`` if it is quantized.
        card: text of MODEL_CARD.md.
        tokenizer: the tokenizer.json of the data; empty where there is none.
        by_size: as ``choice.json`` has it (`edgekd.bench.size_choice`); None, or one row for all its buckets, where one
            file serves all sizes.
        more: by profile, the files of further rows that it names.
        fused: the file that the chosen engine runs, where that is no `model`, the same in operators of its own. Of the weights
            that `model` holds, too, it names the places there.
        generation: the golden text of a decoder.

    Raises:
        ValueError: if `chosen` is no measured row, or a bucket's is none.
    """
    row = _find_row(rows, chosen)
    folder.mkdir()
    contents = {
        "MODEL_CARD.md": card.encode(),
        "golden.safetensors": golden.read_bytes(),
        "measured.json": files.pretty_json(list(rows)),
        "model.onnx": model.read_bytes(),
        "task.json": files.pretty_json(dataset_to_json(dataclasses.replace(dataset, counts={}))),
    }
    optional = {
        manifests.TOKENIZER: tokenizer,
        manifests.FUSED: b"" if fused is None else share_weights(fused, model, manifests.MODEL),
        manifests.GENERATION: generation,
    }
    contents |= {name: data for name, data in optional.items() if data}
    table = None
    if by_size is not None and len({each["row"] for each in by_size["buckets"]}) > 1:
        table = _make_table(by_size, rows, row, more, contents)
    manifest = {
        "format": manifests.FORMAT if table is None else manifests.SIZED_FORMAT,
        "name": name,
        "edgekd": version,
        "created_from": dict(sorted(created_from.items())),
        "metric": {"name": metric.name, "unit": metric.unit, "better": metric.better},
        "interface": interface_to_json(interface),
        "chosen": _chosen(row),
        "tolerance": tolerances(rows, row.get("profile", ""), parity),
        **({} if table is None else {"by_size": table}),
    }
    contents[manifests.MANIFEST] = make_manifest(manifest, contents)
    for file, data in contents.items():
        (folder / file).write_bytes(data)
    return {file: folder / file for file in contents}


def _find_row(rows: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    row = next((row for row in rows if row["name"] == name and row["status"] in TIMED), None)
    if row is None:
        raise ValueError(f"chosen: got {name!r}, want a row that was measured")
    return row


def _make_table(
    by_size: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    row: Mapping[str, Any],
    more: Mapping[str, MoreModel],
    contents: dict[str, bytes],
) -> dict[str, Any]:
    """The manifest's table of sizes; the files that it names are added to `contents`. Neighbours of one row are one."""
    names = {row.get("profile", ""): manifests.MODEL}
    models: dict[str, dict[str, Any]] = {}
    buckets: list[dict[str, Any]] = []
    for each in by_size["buckets"]:
        picked = _find_row(rows, each["row"])
        profile = picked.get("profile", "")
        if profile not in names:
            file = more[profile]
            name = list(manifests.MORE_MODELS)[len(models)]
            golden = manifests.MORE_MODELS[name]
            names[profile] = name
            models[name] = {
                "golden": golden,
                "tolerance": tolerances(rows, profile, file.parity),
            }
            contents |= {name: file.model.read_bytes(), golden: file.golden.read_bytes()}
        if buckets and buckets[-1]["chosen"]["name"] == picked["name"]:
            buckets.pop()
        buckets.append({"most": each["most"], "model": names[profile], "chosen": _chosen(picked)})
    return {"axis": by_size["axis"], "buckets": buckets, "models": models}


def _chosen(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of it; of a float file no profile."""
    said = {field: row.get(field) for field in manifests.ChosenCandidate.model_fields}
    return said if said["profile"] else {k: v for k, v in said.items() if k != "profile"}


def make_manifest(manifest: Mapping[str, Any], contents: Mapping[str, bytes]) -> bytes:
    """Make the manifest, with the digest of every file and, last, its own."""
    described = {
        name: {"sha256": files.digest_bytes(data), "size_bytes": len(data)}
        for name, data in contents.items()
    }
    whole = {**manifest, "files": described}
    digest = files.digest_bytes(files.canonical_json(whole))
    return files.pretty_json({**whole, "digest": digest})


def tolerances(
    rows: Sequence[Mapping[str, Any]], profile: str, parity: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return what each engine that was measured on this very file has to keep, by ``runtime/precision``.

    Args:
        rows: all measured rows.
        profile: of the file; rows of other files say nothing of it.
        parity: as `write` takes it.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        mine = row["model"] == "student" and row.get("profile", "") == profile
        if not mine or row["status"] not in TIMED:
            continue
        agreement, several = row["agreement"], row.get("parity_outputs", {})
        asked = _tolerance(row["parity_max_abs"], row.get("parity_rms"), row, parity)
        asked["agreement"] = min(LEAST_AGREEMENT, agreement) if profile else agreement
        if several:
            stated = parity["outputs"]
            asked["outputs"] = {
                name: _tolerance(each["max_abs"], each["rms"], row, stated[name])
                for name, each in several.items()
            }
        found[f"{row['runtime']}/{row['precision']}"] = asked
    return dict(sorted(found.items()))


def _tolerance(
    max_abs: float, rms: float | None, row: Mapping[str, Any], parity: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what an output has to keep; another machine may round a sum the other way, where none was here."""
    step = parity.get("step", parity.get("logit_step"))
    least = LEAST_STEPS * step if step else 0.0
    if row["precision"] in ("fp32", "int8") and not row.get("profile"):
        least = parity["allowed"]
    asked = {"max_abs": max(least, OTHER_MACHINE * max_abs), "rms": rms, "step": step}
    return {name: value for name, value in asked.items() if value is not None}
