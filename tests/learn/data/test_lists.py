"""Texts from Parquet and Arrow: files, folders that `datasets` saved, class names, splits, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from edgekd.errors import InputError
from edgekd.learn.data import lists
from edgekd.learn.data import tagged_text
from edgekd.learn.data import text_corpus
from edgekd.learn.data import text_csv
from edgekd.learn.data import text_pairs
from edgekd.learn.data.recognition import recognize_source
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound

TEXTS = ["a good film", "a bad film", "what a mess", "so very good"]
LABELS = [1, 0, 0, 1]


def table(path: Path, **columns: list[Any]) -> str:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return str(path)


def tell(source: Source, split: str = "train") -> list[str]:
    rows = source.splits[split]["text"]
    return [bytes((row - 1).tolist()).decode() for row in rows]  # type: ignore[union-attr]


def test_a_parquet_file_of_texts_with_labels(tmp_path: Path) -> None:
    path = table(tmp_path / "texts.parquet", text=TEXTS, label=["no", "yes", "yes", "no"])
    source = require_sound(text_csv.read(reference=path), "text-csv")
    assert tell(source) == TEXTS
    assert source.fields["labels"].words["names"] == ("no", "yes")


def test_a_folder_that_datasets_saved_with_its_splits_and_class_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=["bad", "good"])
    )
    whole = datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS}, features=features)
    both = datasets.DatasetDict(train=whole, test=whole.select([0, 1]), unsupervised=whole)
    both.save_to_disk(tmp_path / "saved")
    source = require_sound(text_csv.read(reference=str(tmp_path / "saved")), "text-csv")
    assert set(source.splits) == {"train", "test"}
    assert source.fields["labels"].words["names"] == ("bad", "good")
    assert source.splits["train"]["labels"].tolist() == LABELS  # type: ignore[union-attr]
    assert tell(source, "test") == TEXTS[:2]
    files = text_csv.files(reference=str(tmp_path / "saved"))
    assert len(files) == 3 and all(path.suffix == ".arrow" for path in files)


def test_words_whose_tags_are_numbers_with_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        tokens=datasets.Sequence(datasets.Value("string")),
        tags=datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER"])),
    )
    rows = {"tokens": [["Ada", "slept"], ["Bob"]], "tags": [[1, 0], [1]]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "tags.parquet")
    source = tagged_text.read(reference=str(tmp_path / "tags.parquet"))
    assert source.fields["tags"].words["names"] == ("O", "B-PER")
    tags = source.splits["train"]["tags"]
    assert tags.values[tags.values >= 0].tolist() == [1, 0, 1]  # type: ignore[union-attr]


def test_running_text_and_pairs_of_parquet(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    table(tmp_path / "corpus" / "train-0.parquet", text=TEXTS, size=[1, 2, 3, 4])
    table(tmp_path / "corpus" / "test-0.parquet", text=TEXTS[:2], size=[1, 2])
    source = text_corpus.read(reference=str(tmp_path / "corpus"), longest=4)
    assert set(source.splits) == {"train", "test"}
    assert sorted("".join(tell(source)).split("\n")[:-1]) <= sorted(TEXTS)
    assert [path.name for path in text_corpus.files(reference=str(tmp_path / "corpus"))] == [
        "test-0.parquet",
        "train-0.parquet",
    ]
    both = {"first": TEXTS * 10, "second": TEXTS[::-1] * 10}
    pairs = text_pairs.read(reference=table(tmp_path / "pairs.parquet", **both))
    assert sum(len(rows["text"]) for rows in pairs.splits.values()) == 80


def test_what_is_missing_or_no_plain_value_is_not_there(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.parquet", text=["one", None], inner=[{"a": 1}, {"a": 2}], number=[1.5, 2.5]
    )
    found = lists.read_list(Path(path))
    assert found.rows == [{"text": "one", "number": 1.5}, {"number": 2.5}]
    with pytest.raises(InputError, match=r"a\.parquet, row 2: text: got nothing, want it"):
        text_csv.read(reference=path, text="text", label="number")


def test_what_is_no_list_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no such thing")
    with pytest.raises(InputError, match="got no readable parquet file"):
        lists.read_list(tmp_path / "broken.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"got no \.parquet or \.arrow file, want some"):
        text_csv.read(reference=str(tmp_path / "empty"))
    path = Path(table(tmp_path / "a.parquet", text=TEXTS))
    monkeypatch.setattr(lists, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="unpacked, want at most"):
        lists.read_list(path)


def test_a_table_is_recognized_by_its_columns(tmp_path: Path) -> None:
    texts = Path(table(tmp_path / "texts.parquet", text=TEXTS, label=LABELS))
    assert recognize_source(texts).source == "text-csv"
    words = {"tokens": [["a"], ["b"]], "tags": [["O"], ["B"]]}
    assert recognize_source(Path(table(tmp_path / "b.parquet", **words))).source == "tagged-text"
    pixels = {"image": [{"bytes": b"x"}], "label": [0]}
    assert recognize_source(Path(table(tmp_path / "c.parquet", **pixels))).source == "huggingface"


def test_a_cell_that_is_stored_once_for_many_rows_is_counted_in_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    table(path, text=["a" * 1000] * 2000)
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(lists, "MOST_BYTES", 2**20)
    with pytest.raises(InputError, match="got more than 1.05 MB of cells"):
        lists.read_list(path)


def test_columns_of_categories_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    column = pyarrow.array(["no", "yes", "no"]).dictionary_encode()
    pyarrow.parquet.write_table(pyarrow.table({"label": column}), path)
    assert [row["label"] for row in lists.read_list(path).rows] == ["no", "yes", "no"]
