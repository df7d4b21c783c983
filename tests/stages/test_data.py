from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.field import RaggedRows
from edgekd.fields.masked_tokens import MaskedTokens
from edgekd.learn.data import SOURCES
from edgekd.learn.data import image_storage
from edgekd.learn.data.image_storage import read_training_rows
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import data
from edgekd.table import find_signature
from tests import data_example
from tests import photo_example
from tests.tokenizer_example import masked_pieces

SPLITS = ("train", "validation", "test")


def run(folder: Path, seed: int = 0, **settings: Any) -> dict[str, Path]:
    folder.mkdir()
    context = Context(folder=folder, checkpoints=folder, seed=seed, progress=Silent())
    return data.STAGE.run(data.DataConfig(**settings), {}, context)


def arrays(made: dict[str, Path]) -> dict[str, dict[str, np.ndarray]]:
    """The fields of each split."""
    return {
        name: {field: np.asarray(rows) for field, rows in splits.read(made[name]).items()}
        for name in SPLITS
    }


def test_the_whole_contract_on_real_digits(tmp_path: Path) -> None:
    made = run(tmp_path / "a", source="digits")
    got, about = arrays(made), json.loads(made["data.json"].read_bytes())
    assert set(made) == {*SPLITS, "data.json"} == {path.name for path in (tmp_path / "a").iterdir()}
    whole = {"format", "task", "inputs", "targets", "counts", "source", "notes", "skipped"}
    assert set(about) == whole and about["format"] == "edgekd.data/2"
    assert about["task"] == "classification" and about["source"] == "digits"
    assert about["targets"] == {"labels": {"kind": "class", "names": list("0123456789")}}
    found = dataset.read(made["data.json"])
    assert files.pretty_json(dataset.to_json(found)) == made["data.json"].read_bytes()
    for split in SPLITS:
        assert set(got[split]) == {"images", "labels"}
        images, labels = got[split]["images"], got[split]["labels"]
        assert images.dtype == np.uint8
        assert images.shape == (about["counts"][split], 8, 8, 1)
        assert labels.dtype == np.int64
        assert labels.shape == images.shape[:1]
    # 20 % of 1,797 for the test, then 10 % of the rest, class by class.
    assert sum(about["counts"].values()) == 1797
    assert about["counts"]["test"] == pytest.approx(0.2 * 1797, abs=5)
    assert about["counts"]["validation"] == pytest.approx(0.1 * 0.8 * 1797, abs=5)
    (inputs,) = found.prepare_inputs(got["train"]).values()
    assert inputs.mean() == pytest.approx(0, abs=1e-5)
    assert inputs.std() == pytest.approx(1, abs=1e-5)


def test_no_image_is_lost_or_changed_and_labels_stay_with_theirs(tmp_path: Path) -> None:
    from edgekd.learn.data import digits

    got = arrays(run(tmp_path / "a", source="digits"))
    source = data_example.opened(digits.read()).train

    def rows(images: np.ndarray, labels: np.ndarray) -> list[bytes]:
        return sorted(i.tobytes() + bytes([n]) for i, n in zip(images, labels, strict=True))

    together = [row for split in SPLITS for row in rows(**got[split])]
    assert sorted(together) == rows(source.images, source.labels)


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    made = [run(tmp_path / str(n), seed, source="digits") for n, seed in enumerate((7, 7, 8))]
    digests = [{k: files.digest_file(p) for k, p in one.items()} for one in made]
    assert digests[0] == digests[1]
    assert all(digests[0][name] != digests[2][name] for name in digests[0])


def write_npz(path: Path, per_class: int = 10, **changes: Any) -> Path:
    labels = np.repeat([0, 1], per_class)
    content = {"x": np.zeros((len(labels), 2, 2, 3), np.uint8), "y": labels, **changes}
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path


def test_settings_are_used(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    source = {"name": "npz", "reference": str(path)}
    made = run(tmp_path / "a", source=source, validation=0.5, test=0.3, limit=5)
    about = json.loads(made["data.json"].read_bytes())
    assert about["counts"] == {"train": 5, "test": 6, "validation": 8}
    assert about["source"] == f"npz:{path}"
    assert about["inputs"]["images"]["std"] == [0.003922] * 3


def test_the_makers_test_split_keeps_its_order(tmp_path: Path) -> None:
    images = np.arange(3000, dtype=np.uint16).view(np.uint8).reshape(3000, 1, 2, 1)
    labels = np.arange(3000) % 2
    path = write_npz(tmp_path / "a.npz", x=images, y=labels, x_test=images, y_test=labels)
    got = arrays(run(tmp_path / "a", source=f"npz:{path}"))
    assert np.array_equal(got["test"]["images"], images)
    assert np.array_equal(got["test"]["labels"], labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.repeat([0, 3], 10)}, "labels: got no training sample of class '1'"),
        ({"y": np.array([-1] + [0] * 10 + [1] * 9)}, "train split: got label -1, want 0"),
        ({"y": np.repeat([0.0, np.nan], 10)}, "NaN"),
        ({"y": np.zeros(20, np.int64)}, "got 1 class"),
        ({"y": np.zeros(19, np.int64)}, "train split: got 20 of images, 19 of labels"),
        ({"x": np.zeros((20, 2, 2, 3))}, "got float64"),
        ({"x": np.zeros((20, 2), np.uint8)}, r"got uint8 \[20, 2\]"),
        ({"y": None}, "got no array train_labels"),
        ({"y": np.array([0] * 19 + [1])}, "1 sample of class 1, want 2 or more"),
        ({"y": np.array([0] * 18 + [1] * 2)}, "1 sample of class 1, want 2 or more"),
        ({"classes": np.array(["a", "a"])}, "got the class name 'a' twice"),
        ({"classes": np.array(["a", "b", "c"])}, "got no training sample of class 'c'"),
        (
            {"x_test": np.zeros((1, 3, 2, 3), np.uint8), "y_test": np.array([0])},
            "test split: images: got uint8 .1, 3, 2, 3., want uint8 .N, 2, 2, 3.",
        ),
        (
            {"x": np.zeros((0, 2, 2, 3), np.uint8), "y": np.zeros(0, np.int64)},
            "train split: got no samples",
        ),
    ],
)
def test_bad_data_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write_npz(tmp_path / "a.npz", **changes)
    with pytest.raises(InputError, match=message) as caught:
        run(tmp_path / "a", source=f"npz:{path}")
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    assert "\n" not in caught.value.line()
    assert list((tmp_path / "a").iterdir()) == []


def test_a_limit_that_loses_a_class(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training sample of class"):
        run(tmp_path / "a", source="digits", limit=3)


def test_the_origin_is_the_files_digests(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    config = data.DataConfig(source="npz:a.npz")
    first = data.digest_source(config, data_dir=tmp_path)
    assert first == {"a.npz": files.digest_file(path)}
    write_npz(path, per_class=11)
    assert data.digest_source(config, data_dir=tmp_path) != first
    path.unlink()
    with pytest.raises(InputError, match=r"a\.npz"):
        data.digest_source(config, data_dir=tmp_path)


@pytest.mark.parametrize("name", ["train", "data.json"])
def test_a_full_disk_is_the_machines_error(tmp_path: Path, name: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / name).symlink_to("/dev/full")
    context = Context(folder=folder, checkpoints=folder, seed=0, progress=Silent())
    with pytest.raises(MachineError, match=f"{name}: cannot be written: No space"):
        data.STAGE.run(data.DataConfig(source="digits"), {}, context)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "digit"}, "did you mean 'digits'"),
        ({"source": {"name": "image-folder", "reference": "x", "sise": 3}}, "did you mean 'size'"),
        ({"source": {"name": "image-folder", "reference": "x", "size": 0}}, "size: got 0"),
        ({"source": "image-folder"}, "reference"),
        ({"source": "digits:here"}, "unknown key 'reference'; it takes none"),
        ({"source": {"name": "digits", "data_dir": "/"}}, "unknown key 'data_dir'"),
        ({"source": {"name": "python", "reference": "a:b", "allow_code": True}}, "allow_code"),
        ({"source": "digits", "validation": 0}, "validation"),
        ({"source": "digits", "test": 1.0}, "test"),
        ({"source": "digits", "limit": 0}, "limit"),
        ({"source": 3}, "want the name of a data source"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        data.DataConfig(**settings)


def test_every_source_has_knobs_that_can_be_read_and_two_functions() -> None:
    for name, member in SOURCES.items():
        assert not set(find_signature(member).knobs.model_fields) & set(member.supplied), name
        assert find_signature(member).positional == (), name
        module = sys.modules[member.load().__module__]
        assert callable(module.files), name


def test_settings_cost_no_numpy_and_no_source_costs_torch() -> None:
    code = """
import importlib, sys
from edgekd.stages.data import DataConfig, SOURCES
DataConfig(source="digits")
assert "numpy" not in sys.modules
for member in SOURCES.values():
    importlib.import_module(member.module)
heavy = {"torch", "sklearn", "datasets", "pyarrow", "PIL", "pooch", "huggingface_hub"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_mean_and_std_can_be_a_teacher_s_own(tmp_path: Path) -> None:
    told = {"source": "digits", "mean": [0.5], "std": [0.25]}
    about = json.loads(run(tmp_path / "a", **told)["data.json"].read_bytes())
    image = about["inputs"]["images"]
    assert (image["mean"], image["std"]) == ([0.5], [0.25])
    with pytest.raises(InputError, match="images: got 3 values in mean, want 1, one for each"):
        run(tmp_path / "b", source="digits", mean=[0.5, 0.5, 0.5])
    with pytest.raises(ValidationError, match="above 0"):
        data.DataConfig(source="digits", std=[0.0])


def test_published_weights_say_them_where_the_recipe_does_not(tmp_path: Path) -> None:
    published = {"published_mean": [0.2, 0.4, 0.6], "published_std": [0.1, 0.2, 0.6]}
    for name, said, want in (("a", {}, [0.4]), ("b", {"mean": [0.5]}, [0.5])):
        about = run(tmp_path / name, source="digits", **published, **said)["data.json"].read_bytes()
        image = json.loads(about)["inputs"]["images"]
        assert image["mean"] == pytest.approx(want)  # of three channels their mean: digits are grey
        assert image["std"] == pytest.approx([0.3])


class TestEncoded:
    """Training images that stay as they are."""

    def run(self, folder: Path, photos: Path, **words: Any) -> dict[str, Path]:
        source = {"name": "image-folder", "reference": str(photos), "size": 16, **words}
        return run(folder, source=source, validation=0.2, test=0.2)

    def test_other_splits_are_the_same_bytes_and_files_come_back(self, tmp_path: Path) -> None:
        paths = photo_example.fill_folder(tmp_path / "photos", 10)
        plain = self.run(tmp_path / "a", tmp_path / "photos", stored="pixels", resize=18)
        made = self.run(tmp_path / "b", tmp_path / "photos", stored="encoded", resize=18)
        for name in ("validation", "test", "data.json"):
            assert made[name].read_bytes() == plain[name].read_bytes(), name
        assert json.loads(made["data.json"].read_bytes())["inputs"]["images"]["resize"] == 18
        stored, files_there = splits.read(made["train"])["images"], set()
        assert isinstance(stored, RaggedRows) and len(stored) == 12
        files_there = {path.read_bytes() for path in paths}
        assert {row.tobytes() for row in stored} < files_there
        found = dataset.read(made["data.json"])
        rows = read_training_rows(found, made["train"])["images"]
        want = splits.read(plain["train"])["images"]
        assert np.array_equal(rows[:], want)

    def test_broken_files_are_named_before_training_or_left_out(self, tmp_path: Path) -> None:
        paths = photo_example.fill_folder(tmp_path / "photos", 10)
        paths[3].write_bytes(paths[3].read_bytes()[:-300])
        with pytest.raises(InputError, match=r"cat/0003\.jpg: got a bad image: .*truncated"):
            self.run(tmp_path / "a", tmp_path / "photos", stored="encoded")
        made = self.run(tmp_path / "b", tmp_path / "photos", stored="encoded", on_broken="skip")
        about = json.loads(made["data.json"].read_bytes())
        assert sum(about["counts"].values()) == 19
        assert [line.split(": ")[0] for line in about["skipped"]] == [str(paths[3])]

    def test_what_is_stored_is_chosen_by_the_bytes_of_pixels(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        photo_example.fill_folder(tmp_path / "photos", 10)
        for most, kind in ((20 * 16 * 16 * 3, np.ndarray), (20 * 16 * 16 * 3 - 1, RaggedRows)):
            monkeypatch.setattr(image_storage, "MOST_PIXEL_BYTES", most)
            made = self.run(tmp_path / kind.__name__, tmp_path / "photos")
            assert isinstance(splits.read(made["train"])["images"], kind)
        for words, message in (
            ({"size": None, "stored": "encoded"}, "stored: got encoded without a size"),
            ({"stored": "jpeg"}, "stored: got 'jpeg', want one of: auto, pixels, encoded"),
        ):
            with pytest.raises(InputError, match=message):
                self.run(tmp_path / message[:3], tmp_path / "photos", **words)
            (tmp_path / message[:3]).rmdir()


def test_tokens_are_masked_once_in_what_is_judged_and_never_in_what_is_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("ada", "bob", "met", "left", "rome", "oslo")
    Path("texts.txt").write_text(" ".join(words[n * n % 6] for n in range(900)))
    Path("tokenizer.json").write_bytes(masked_pieces())
    source = {"name": "masked-text", "reference": "texts.txt", "longest": 20}
    source["tokenizer"] = "tokenizer.json"
    made = run(tmp_path / "a", task="masked-language-modelling", source=source)
    found = dataset.read(made["data.json"])
    facts = found.targets["masked_tokens"]
    assert isinstance(facts, MaskedTokens) and facts.mask_token == 21
    assert made["tokenizer.json"].read_bytes() == masked_pieces()
    for name in SPLITS:
        rows = splits.read(made[name])
        found.check(rows, name)
        text, told = rows["text"], rows["masked_tokens"]
        assert isinstance(text, RaggedRows) and isinstance(told, RaggedRows)
        asked = facts.count_asked(told).tolist()
        seen = np.asarray(text.values)
        if name == "train":
            assert set(asked) == {18} and not (seen == 21).any()
        else:
            assert set(asked) == {3} and 0.5 < (seen == 21).sum() / sum(asked) < 1
    # another seed shuffles the validation split, and asks for the same tokens of the same texts
    other = run(tmp_path / "b", seed=7, task="masked-language-modelling", source=source)
    for name in SPLITS[1:]:
        one, two = (splits.read(each[name]) for each in (made, other))
        pairs = [
            sorted(
                (row.tolist(), told.tolist())
                for row, told in zip(rows["text"], rows["masked_tokens"], strict=True)
            )
            for rows in (one, two)
        ]
        assert pairs[0] == pairs[1]
