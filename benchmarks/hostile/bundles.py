"""Bundles made to harm: whoever writes one can make its digests fit.

    python benchmarks/hostile/bundles.py --count 500

Changed are fields of its JSON files, tensors of its golden samples and their header, its model, the bytes
of its archive, and what lies in its folder (links, FIFOs, strangers). In most cases the manifest is then
written anew over what came of it. It is verified, asked about an image, measured and gated, in turn.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import devices
import harness
import models
import numpy as np
import onnx
from devices import stdout_of
from harness import Canaries
from safetensors.numpy import save

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgekd.bundle import archive
from edgekd.bundle import manifest as manifests
from edgekd.bundle import write as bundle_write
from edgekd.cli import gate as cli_gate
from edgekd.cli import predict as cli_predict
from edgekd.cli import verify as cli_verify
from edgekd.cli.bench import command as bench_command
from edgekd.errors import EdgekdError
from tests import bundle_example
from tests.bundle import sized_example

JSON_FILES = ("task.json", "task.json", "measured.json")
DTYPES = (np.float64, np.float16, np.int64, np.uint8, np.bool_)
TIMEOUT = ["--timeout", "10"]


def change_json(folder: Path, draw: random.Random, canaries: Canaries) -> None:
    """Fields of one of its JSON files."""
    path = folder / draw.choice(JSON_FILES)
    try:
        value = devices.lie({"it": json.loads(path.read_bytes())}, draw, canaries)
    except (ValueError, RecursionError):  # it was changed before
        return
    odd = ["[" * 5000, '{"a":' * 5000, "[NaN]", '{"a": 1, "a": 2}', ""]
    path.write_text(json.dumps(value.get("it")) if draw.random() < 0.9 else draw.choice(odd))


def change_golden(folder: Path, draw: random.Random, canaries: Canaries) -> None:
    """Its tensors, or their header."""
    path = folder / "golden.safetensors"
    if draw.random() < 0.3:
        data = bytearray(path.read_bytes())
        for _ in range(draw.choice((1, 3))):
            data[draw.randrange(min(300, len(data)))] = draw.randrange(256)
        path.write_bytes(
            bytes(data[: draw.randrange(len(data) + 1)] if draw.random() < 0.3 else data)
        )
        return
    weights = bundle_example.model(folder / "model.onnx")
    tensors = bundle_example.golden(weights)
    name = draw.choice(list(tensors))
    value = tensors[name]
    kind = draw.randrange(5)
    if kind == 0:
        tensors[name] = value.astype(draw.choice(DTYPES))
    elif kind == 1:
        tensors[name] = value[: draw.randrange(len(value) + 1)]
    elif kind == 2:
        tensors[name] = np.full_like(value, draw.choice((0, 255)) if name == "pixels" else np.nan)
    elif kind == 3:
        tensors[name] = value.reshape(-1)
    else:
        del tensors[name]
    named = {bundle_example.NAMES[key]: np.ascontiguousarray(one) for key, one in tensors.items()}
    path.write_bytes(save(named if draw.random() < 0.9 else tensors))


def change_model(folder: Path, draw: random.Random, canaries: Canaries) -> None:
    """The model, as `models.py` does."""
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for _ in range(draw.choice((1, 2))):
        (models.external if draw.random() < 0.2 else models.change)(model, draw, canaries)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def change_generation(folder: Path, draw: random.Random, canaries: Canaries) -> None:
    """A golden text, of a model that writes none."""
    text = {"longest": 9, "prompt": [1, 2], "tokens": [1, 2], "margins": [0.5, 0.1]}
    value = devices.lie({"it": text}, draw, canaries)
    (folder / "generation.json").write_text(json.dumps(value.get("it")))


def change_sizes(folder: Path, draw: random.Random, canaries: Canaries) -> None:
    """Which file is for which sizes; a bundle of one file gets such a table."""
    held = json.loads((folder / "manifest.json").read_bytes())
    table = held.get("by_size") or {"axis": "x", "buckets": [], "models": {}}
    value = devices.lie({"by_size": table}, draw, canaries)
    (folder / "manifest.json").write_text(json.dumps({**held, **value}))


def change_card(folder: Path, draw: random.Random, canaries: Canaries) -> None:
    """The card: escapes and more than one line."""
    (folder / "MODEL_CARD.md").write_bytes(draw.choice([b"\x1b[2J\n", b"\xff" * 50, b""]))


def signed_anew(folder: Path, draw: random.Random, canaries: Canaries) -> None:
    """The manifest over what lies there now, some of its own fields changed."""
    held: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    manifest = {key: value for key, value in held.items() if key not in ("files", "digest")}
    if draw.random() < 0.4:
        manifest = devices.lie(manifest, draw, canaries)
    if draw.random() < 0.2 and isinstance(manifest.get("chosen"), dict):
        manifest["chosen"]["threads"] = draw.choice([1024, 1023, 64])
    unlisted = ("manifest.json", manifests.SIGNATURE)
    contents = {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in unlisted
    }
    try:
        data = bundle_write.make_manifest(manifest, contents)
    except (ValueError, RecursionError):  # NaN has no digest
        data = json.dumps({**held, **manifest}).encode(errors="replace")
    (folder / "manifest.json").write_bytes(data)


def change_folder(folder: Path, draw: random.Random, canaries: Canaries) -> None:
    """Something else lies where a file should."""
    path = folder / draw.choice(["manifest.json", "signature.json", *manifests.FILES])
    kind = draw.randrange(6)
    if kind == 5:
        (folder / draw.choice(["x.py", "edgekd", "\u202ex", ".hidden"])).write_text("x")
        return
    path.unlink(missing_ok=True)
    if kind == 0:
        path.symlink_to(canaries.secret)
    elif kind == 1:
        os.mkfifo(path)
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        path.symlink_to("/dev/zero")


def packed(folder: Path, goal: Path, draw: random.Random) -> Path:
    """The same as one file, its bytes changed now and then."""
    try:
        archive.pack(folder, goal)
    except EdgekdError:  # as one that does not hold us to our own rules would
        entries = []
        with goal.open("wb") as file:
            for name in archive.ORDER:
                if (folder / name).is_file() and not (folder / name).is_symlink():
                    entries.append(archive._put(name, folder, {}, file))
            file.write(archive._tail(entries, file.tell()))
    data = bytearray(goal.read_bytes())
    if draw.random() < 0.5:
        for _ in range(draw.choice((1, 4))):
            at = draw.randrange(len(data))
            kind = draw.randrange(3)
            if kind == 0:
                data[at] = draw.randrange(256)
            elif kind == 1:
                del data[at : at + draw.choice((1, 50))]
            else:
                data[at:at] = draw.randbytes(draw.choice((1, 50)))
        goal.write_bytes(bytes(data))
    return goal


CHANGES: list[Callable[[Path, random.Random, Canaries], None]] = [
    change_json,
    change_golden,
    change_model,
    change_card,
    change_generation,
    change_sizes,
]


def case(number: int, folder: Path, canaries: Canaries) -> None:
    """The case of `number`."""
    draw = random.Random(number)
    make = sized_example.make if draw.random() < 0.3 else bundle_example.make
    made = make(folder)
    (folder / "good").mkdir()
    good = make(folder / "good")
    for _ in range(draw.choice((1, 1, 2))):
        draw.choice(CHANGES)(made, draw, canaries)
    if draw.random() < 0.9:
        signed_anew(made, draw, canaries)
    if draw.random() < 0.25:
        change_folder(made, draw, canaries)
    elif draw.random() < 0.4:
        made = packed(made, folder / "made.edgekd", draw)
    image: Path | str = "[1, 2, 1, 2, 1, 2]"
    if make is bundle_example.make:
        image = folder / "a.npy"
        np.save(image, np.zeros((4, 4), np.uint8))
    policy = folder / "gates.yaml"
    policy.write_text("size:\ncomplexity:\nparity:\n")
    uses: list[tuple[Any, list[str]]] = [
        (cli_verify.command, [str(made), *TIMEOUT]),
        (cli_predict.command, [str(made), str(image), *TIMEOUT]),
        (cli_predict.command, [str(made), str(image), "--json", *TIMEOUT]),
        (bench_command, [str(made), *BENCH, *TIMEOUT]),
        (cli_gate.command, [str(made), "--baseline", str(good), "--policy", str(policy)]),
        (bench_command, [str(good), "--inputs", str(made), *BENCH, *TIMEOUT]),
    ]
    stdout_of(*uses[number % len(uses)])


BENCH = ["--runtime", "onnxruntime", "--processes", "1", "--budget", "1"]
ATTEMPTS = {"bundles": case}
ENGINES = ("onnxruntime", "openvino")

if __name__ == "__main__":
    harness.main(ATTEMPTS, __doc__, Path(__file__), *ENGINES)
