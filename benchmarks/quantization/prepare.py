"""What every tool is given of one trained student: the same float model, and the same images to calibrate with.

    python benchmarks/quantization/prepare.py STUDENT DATA FOLDER

STUDENT is a folder with blueprint.json and weights.safetensors (a learning stage's result), DATA the start
of the paths of a `data` stage's result (``runs/x/data_`` for ``runs/x/data_train``). In FOLDER:

    model.onnx                          the float student, BatchNorm folded, free batch axis
    blueprint.json, weights.safetensors the same as a torch module, for the tools that take one
    calibration.npz                     ``images`` [512, C, H, W] float32, drawn from the training images
    sample.npy                          [64, C, H, W] float32 test images, what engines are timed with
    test_images.npy, test_labels.npy    uint8 [N, H, W, C] and int64 [N]
    preprocessing.json                  how the one becomes the other
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np

from edgekd import dataset
from edgekd import splits
from edgekd.learn import blueprint
from edgekd.learn.data import kinds
from edgekd.learn.export import to_onnx

CALIBRATION, SAMPLE, SEED = 512, 64, 0


def prepare(student: Path, data: str, folder: Path) -> None:
    """Fill `folder`; what lies there already is written anew."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [student / name for name in ("blueprint.json", "weights.safetensors")]
    plan = blueprint.read(paths[0])
    to_onnx.write(blueprint.load(*paths), folder / "model.onnx", plan.interface)
    for path in paths:
        shutil.copyfile(path, folder / path.name)
    told = next(path for path in (Path(f"{data}data"), Path(f"{data}data.json")) if path.exists())
    found = dataset.read(told)
    (name, image), (label, _) = kinds.find_image(found), kinds.find_label(found)
    about = {key: value for key, value in image.to_json().items() if key != "kind"}
    (folder / "preprocessing.json").write_text(json.dumps(about))
    train, test = (splits.read(Path(f"{data}{split}")) for split in ("train", "test"))
    rows = np.random.default_rng(SEED).choice(len(train[name]), CALIBRATION, replace=False)
    np.savez(folder / "calibration.npz", images=image.apply(train[name][np.sort(rows)]))
    np.save(folder / "test_images.npy", test[name])
    np.save(folder / "sample.npy", image.apply(test[name][:SAMPLE]))
    np.save(folder / "test_labels.npy", test[label])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", type=Path)
    parser.add_argument("data", help="path prefix, up to train")
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    prepare(asked.student, asked.data, asked.folder)


if __name__ == "__main__":
    main()
