"""Lines of text with labels: read as bytes, strictly, split as they say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn import arrays
from edgekd.learn.data import jsonl
from edgekd.learn.data import line_files
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound
from edgekd.learn.view_settings import Views
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import data

GOOD = b'{"text": "good", "label": "a"}'
OTHER = b'{"text": "other", "label": "b"}'


def write(folder: Path, *lines: bytes | dict[str, Any], end: bytes = b"\n") -> Path:
    path = folder / "texts.jsonl"
    made = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines]
    path.write_bytes(b"".join(line + end for line in made))
    return path


def read(path: Path, **knobs: Any) -> Source:
    return require_sound(jsonl.read(reference=str(path), **knobs), "jsonl")


def texts(source: Source, split: str) -> list[tuple[str, str]]:
    """What a split holds, decoded again."""
    rows = source.splits[split]
    names = source.fields["labels"].words["names"]
    decoded = [bytes((row - 1).tolist()).decode() for row in rows["text"]]
    return [
        (text, names[number]) for text, number in zip(decoded, rows["labels"].tolist(), strict=True)
    ]


def test_texts_are_bytes_and_labels_sorted_classes(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"text": "zwölf", "label": "z", "id": 1},
        {"text": " a\x00b\n", "label": "a"},
        end=b"\r\n",
    )
    source = read(path)
    assert texts(source, "train") == [("zwölf", "z"), ("a\x00b", "a")]
    assert source.fields["text"].words == {"vocabulary": 257, "longest": 6, "encoding": "bytes"}
    assert source.fields["labels"].words == {"names": ("a", "z")}
    assert source.notes == ("2 texts of 2 classes",)
    assert min(row.min() for row in source.splits["train"]["text"]) > 0
    assert jsonl.files(reference="texts.jsonl", data_dir=tmp_path) == [path]


def test_packed_alike(tmp_path: Path) -> None:
    plain = write(tmp_path, GOOD, OTHER)
    packed = tmp_path / "texts.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert texts(read(packed), "train") == texts(read(plain), "train")


def test_own_keys_whole_numbers_and_splits(tmp_path: Path) -> None:
    rows = [(10, "train"), (9, "train"), (9, "test"), (10, "validation")]
    path = write(tmp_path, *({"t": f"n{y}", "y": y, "split": split} for y, split in rows))
    source = read(path, text="t", label="y")
    assert source.fields["labels"].words["names"] == ("9", "10")
    assert {split: texts(source, split) for split in source.splits} == {
        "train": [("n10", "10"), ("n9", "9")],
        "validation": [("n10", "10")],
        "test": [("n9", "9")],
    }


def test_long_texts_are_cut_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, {"text": "x" * 9, "label": "b"}, {"text": "y" * 5, "label": "b"})
    source = read(path, longest=5)
    assert [text for text, _ in texts(source, "train")] == ["good", "xxxxx", "yyyyy"]
    assert source.notes == ("3 texts of 2 classes; 1 text cut to 5 bytes",)
    assert source.fields["text"].words["longest"] == 5


BROKEN = [
    (b"", "got no JSON"),
    (b"no", "got no JSON"),
    (b"\xff\xfe", "got no JSON"),
    (b'{"text": "a", "text": "b", "label": "a"}', "a key stands twice"),
    (b'{"text": "a", "label": NaN}', "NaN is no number"),
    (b"[" * 100_000, "recursion"),
    (b'["a", "b"]', "got list, want an object"),
    (b'{"label": "a"}', "got no key 'text'"),
    (b'{"text": "a"}', "got no key 'label'"),
    (b'{"text": 3, "label": "a"}', "text: got int, want text"),
    (b'{"text": null, "label": "a"}', "text: got NoneType, want text"),
    (b'{"text": " \\n", "label": "a"}', "text: got no text"),
    (b'{"text": "\\ud800", "label": "a"}', "text: got half a character"),
    (b'{"text": "a", "label": 1.5}', r"label: got '1.5' \(float\)"),
    (b'{"text": "a", "label": true}', "label: got 'True'"),
    (b'{"text": "a", "label": ["a"]}', "label: got"),
    (b'{"text": "a", "label": 3}', "label: got int, want str as before"),
    (b'{"text": "a", "label": "a\\u202e"}', "label: got the name"),
    (b'{"text": "a", "label": ""}', "label: got nothing"),
    (b'{"text": "a", "label": "%s"}' % (b"a" * 201), "at most 200 characters"),
    (b'{"text": "a", "label": "a", "split": "val"}', "split: got 'val', want train"),
    (b'{"text": "a", "label": "a", "split": ["train"]}', "split: got"),
    (b'{"text": "a", "label": "a", "split": "train"}', "got a key 'split', want none"),
    (b'{"text": "%s", "label": "a"}' % (b"a" * 2**20), "got more than 1.05 MB"),
    (b'{"text": "%s", "label": "a"}' % (b"a" * 2**22), "got more than 1.05 MB"),
]


@pytest.mark.parametrize(("line", "says"), BROKEN)
def test_a_broken_line_is_named_or_left_out(tmp_path: Path, line: bytes, says: str) -> None:
    path = write(tmp_path, GOOD, line, OTHER)
    with pytest.raises(InputError, match=says) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}, line 2: ")
    assert "\n" not in str(refused.value)
    assert "on_broken" in refused.value.hint
    source = read(path, on_broken="skip")
    assert texts(source, "train") == [("good", "a"), ("other", "b")]
    (reason,) = source.skipped
    assert reason == str(refused.value)


def test_files_that_hold_nothing_of_use(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got no samples"):
        read(write(tmp_path))
    with pytest.raises(InputError, match="got no samples"):
        read(write(tmp_path, b"x"), on_broken="skip")
    with pytest.raises(InputError, match="on_broken: got 'keep'"):
        read(write(tmp_path, GOOD), on_broken="keep")
    with pytest.raises(InputError, match="want a file or folder"):
        read(tmp_path / "none.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"got no file for training, want \.jsonl"):
        read(tmp_path / "empty")


def test_a_class_that_training_lacks_is_named_by_its_line(tmp_path: Path) -> None:
    lines = [{"text": "a", "label": "a", "split": "train"}, {"text": "b", "label": "b"}]
    path = write(tmp_path, lines[0], {**lines[1], "split": "test"})
    with pytest.raises(InputError, match="line 2: got label 'b' of the test split"):
        read(path)
    path = write(tmp_path, {**lines[1], "split": "test"})
    with pytest.raises(InputError, match="no line whose split is 'train'"):
        read(path)


@pytest.mark.parametrize("part", [slice(0, 20), slice(0, -4), slice(0, 3)])
def test_a_file_that_breaks_off_is_one_line(tmp_path: Path, part: slice) -> None:
    path = tmp_path / "texts.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join([GOOD, OTHER] * 50))[part])
    with pytest.raises(InputError, match=f"^{path}: cannot be read"):
        read(path, on_broken="skip")


def test_what_unpacks_to_more_than_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "texts.jsonl.gz"
    path.write_bytes(gzip.compress(GOOD + b"\n" + b"\n" * 5000))
    monkeypatch.setattr(line_files, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="got more than 1 kB, want less"):
        read(path, on_broken="skip")


def test_what_a_file_may_have_of_classes_and_broken_lines_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MOST_CLASSES", 1)
    monkeypatch.setattr(jsonl, "MOST_SKIPPED", 1)
    with pytest.raises(InputError, match="line 2: got one more class, want at most 1"):
        read(write(tmp_path, GOOD, OTHER))
    assert len(read(write(tmp_path, GOOD, b""), on_broken="skip").skipped) == 1
    with pytest.raises(InputError, match="line 3: got no JSON.*at most 1 lines left out"):
        read(write(tmp_path, GOOD, b"", b"", b""), on_broken="skip")


def test_rows_are_what_the_field_wants(tmp_path: Path) -> None:
    rows = read(write(tmp_path, GOOD, OTHER)).splits["train"]
    assert rows["text"].values.dtype == np.int32
    assert rows["labels"].dtype == np.int64


def test_batches_of_a_file_pad_to_their_own_longest(tmp_path: Path) -> None:
    lines = [{"text": "x" * n, "label": "ab"[n % 2]} for n in range(1, 41)]
    path = write(tmp_path, *lines)
    (tmp_path / "data").mkdir()
    context = Context(folder=tmp_path / "data", checkpoints=tmp_path, seed=0, progress=Silent())
    source = {"name": "jsonl", "reference": str(path), "longest": 30}
    made = data.STAGE.run(data.DataConfig(source=source, limit=20), {}, context)
    given = {Path(name).stem: each for name, each in made.items()}
    samples = arrays.open_samples(given, Views(count=1), 0)
    lengths = samples.rows["text"].lengths
    assert len(samples) == 20 and lengths.max() <= 30
    chosen = np.argsort(lengths)
    for numbers in (chosen[:4], chosen[-4:]):
        batch = samples.batch(numbers, 0)
        assert [each.shape for each in batch.inputs] == [(4, lengths[numbers].max())] * 2
        assert batch.inputs[1].sum(1).tolist() == lengths[numbers].tolist()
    for (tokens, mask), _ in arrays.draw_calibration(given, 20, 0).batches(3):
        assert tokens.shape[1] == mask.sum(1).max()


def test_a_folder_of_files_says_the_splits_by_their_names(tmp_path: Path) -> None:
    for name in ("train-0.jsonl", "train-1.jsonl.gz", "dev.ndjson", "notes.jsonl"):
        line = GOOD if name == "train-0.jsonl" else OTHER
        data = line + b"\n"
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    source = read(tmp_path)
    assert texts(source, "train") == [("good", "a"), ("other", "b")]
    assert texts(source, "validation") == [("other", "b")] and set(source.splits) == {
        "train",
        "validation",
    }
    assert [path.name for path in jsonl.files(reference=str(tmp_path))] == [
        "dev.ndjson",
        "train-0.jsonl",
        "train-1.jsonl.gz",
    ]
    (tmp_path / "dev.ndjson").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"dev\.ndjson, line 1: got no JSON"):
        read(tmp_path)
