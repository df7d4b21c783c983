"""The stage: images that need no training data, labelled by the teacher, fit to take their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from edgekd import files
from edgekd import splits
from edgekd.errors import InputError
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stage import Made
from edgekd.stages import synthesize
from tests import data_example
from tests.learn.blueprint_example import image_blueprint

if TYPE_CHECKING:
    from torch import Tensor
    from torch import nn

QUICK = {"name": "deepinversion", "steps": 60, "feature": 0.1}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Path]:
    """A teacher of digits, and what data.json says of them: no images."""
    from edgekd.learn import blueprint
    from edgekd.learn.settings import Arithmetic
    from tests.learn.synthesis import digits_example as example

    paths = data_example.write_data(tmp_path, example.split()[0].image, "0123456789")
    paths["resolved"] = tmp_path / "resolved.json"
    resolved = Arithmetic(precision="fp32", channels_last=False, threads=1)
    paths["resolved"].write_text(resolved.model_dump_json())
    plan = image_blueprint(
        builder="resnet8", arguments={"base": 8}, classes=10, channels=1, height=8, width=8
    )
    saved = blueprint.save(example.teacher(), plan, tmp_path)
    return paths | {"blueprint": saved["blueprint.json"], "weights": saved["weights.safetensors"]}


def ran(given: dict[str, Path], folder: Path, seed: int = 1, **words: Any) -> Made:
    folder.mkdir()
    context = Context(folder=folder, checkpoints=folder / "kept", seed=seed, progress=Silent())
    made = synthesize.run(synthesize.SynthesizeConfig(**words), given, context)
    assert set(made) == {"train", "synthesis.json"}
    assert {path.name for path in folder.iterdir()} == {path.name for path in made.values()}
    return made


@pytest.mark.trains
def test_arrays_that_stand_in_for_the_training_split(
    given: dict[str, Path], tmp_path: Path
) -> None:
    import torch

    from edgekd.learn import arrays
    from edgekd.learn.view_settings import Views
    from tests.learn.synthesis import digits_example as example

    made = ran(given, tmp_path / "out", method=QUICK, count=300)
    rows = splits.read(made["train"])
    assert set(rows) == {"images", "labels"}
    images, labels = (np.array(rows[name]) for name in ("images", "labels"))
    assert images.shape == (300, 8, 8, 1) and images.dtype == np.uint8
    assert labels.shape == (300,) and labels.dtype == np.int64
    table = json.loads(made["synthesis.json"].read_text())
    teacher = example.teacher()
    inputs = torch.from_numpy(example.split()[0].image.apply(images))
    assert labels.tolist() == teacher(inputs).argmax(1).tolist()
    assert table["method"] == "deepinversion" and table["count"] == 300
    assert table["mean_confidence"] == pytest.approx(example.confidence(teacher, inputs), abs=1e-5)
    assert table["mean_confidence"] > 0.9
    counts = np.bincount(labels, minlength=10)
    assert table["classes_named"] == 10 and counts.min() >= 25
    assert (table["rarest_class_images"], table["commonest_class_images"]) == (
        counts.min(),
        counts.max(),
    )
    parts = inputs.split(256)
    distance = sum(example.distance(teacher, part) * len(part) / 300 for part in parts)
    assert table["batch_norm_distance"] == pytest.approx(distance, rel=1e-4)
    assert table["batch_norm_distance"] < table["batch_norm_distance_of_noise"] / 4
    replaced = given | {"train": made["train"]}
    samples = arrays.open_samples(replaced, Views(), 0)
    assert len(samples) == 300 and samples.batch(np.arange(4), 0).inputs[0].shape == (4, 1, 8, 8)
    assert arrays.draw_calibration(replaced, 32, 0).chosen.shape == (32,)
    assert example.accuracy(taught(inputs)) > 0.5


def taught(inputs: Tensor) -> nn.Module:
    """A student that the teacher taught on nothing else; chance is 0.1."""
    import torch
    from torch.nn import functional as F

    from tests.learn.synthesis import digits_example as example

    with torch.no_grad():
        told = F.log_softmax(example.teacher()(inputs) / 4, 1)
    torch.manual_seed(0)
    # not 4 channels: oneDNN 3 held to AVX2 then writes beyond its memory in the backward pass
    student = example.network(base=8).train()
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
    for _ in range(100):
        rows = torch.randint(len(inputs), (64,))
        got = F.log_softmax(student(inputs[rows]) / 4, 1)
        optimizer.zero_grad()
        (16 * F.kl_div(got, told[rows], reduction="batchmean", log_target=True)).backward()
        optimizer.step()
    return student


def test_a_seed_is_its_bytes(given: dict[str, Path], tmp_path: Path) -> None:
    few = {**QUICK, "steps": 3}
    one, two = (ran(given, tmp_path / name, method=few, count=20) for name in ("one", "two"))
    other = ran(given, tmp_path / "other", seed=2, method=few, count=20)
    for name in one:
        assert files.digest_file(one[name]) == files.digest_file(two[name])
    assert files.digest_file(one["train"]) != files.digest_file(other["train"])


def test_what_cannot_be_used_is_said(given: dict[str, Path], tmp_path: Path) -> None:
    import torch

    from edgekd.learn import blueprint

    wrong = json.loads(given["data"].read_text())
    wrong["targets"]["labels"]["names"].pop()
    kept = given["data"].read_text()
    given["data"].write_text(json.dumps(wrong))
    with pytest.raises(InputError, match="want the data's"):
        ran(given, tmp_path / "classes", method=QUICK, count=8)
    del wrong["targets"]["labels"]
    given["data"].write_text(json.dumps(wrong))
    with pytest.raises(InputError, match="^synthesize: got targets of kind none"):
        ran(given, tmp_path / "none of them", method=QUICK, count=8)
    given["data"].write_text(kept)
    torch.manual_seed(0)
    plan = image_blueprint(
        builder="vit-tiny", arguments={"depth": 1}, classes=10, channels=1, height=8, width=8
    )
    (tmp_path / "vit").mkdir()
    saved = blueprint.save(blueprint.build(plan), plan, tmp_path / "vit")
    other = given | {"blueprint": saved["blueprint.json"], "weights": saved["weights.safetensors"]}
    with pytest.raises(InputError, match="synthesize: deepinversion: .* without batch norm"):
        ran(other, tmp_path / "none", method=QUICK, count=8)
    made = ran(other, tmp_path / "some", method={**QUICK, "steps": 1, "feature": 0.0}, count=8)
    assert json.loads(made["synthesis.json"].read_text())["batch_norm_distance"] is None


@pytest.mark.parametrize(
    "words",
    [
        {"method": "none"},
        {"method": {"name": "dafl", "steps": 0}},
        {"method": {"name": "dafl", "jitter": 0.1}},
        {"count": 0},
        {"steps": 3},
    ],
)
def test_words_that_are_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        synthesize.SynthesizeConfig(**words)


def test_the_default_is_deepinversion() -> None:
    config = synthesize.SynthesizeConfig()
    assert str(config.method) == "deepinversion" and config.method.arguments["steps"] == 1000
    again = synthesize.SynthesizeConfig.model_validate(config.model_dump(mode="json"))
    assert again == config
