"""Lists of texts by their names on the hub, from a stub of it on loopback: with leave, of one commit, from the cache."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from edgekd.errors import InputError
from edgekd.learn.data import hub_lists
from edgekd.learn.data import text_csv
from tests.model_hub_example import COMMIT
from tests.model_hub_example import serve_paths
from tests.tokenizer_example import masked_pieces

NAME = "someone/mails"
READ = f"""
import json, sys
from edgekd.errors import EdgekdError
from edgekd.learn.data import hub_lists, jsonl, masked_text, text_corpus, text_csv
from edgekd.fields.tokens import Tokens
found = {{}}
for reference in sys.argv[1:]:
    try:
        source = text_csv.read(reference=reference, allow_download=True)
        labels = {{name: rows["labels"].tolist() for name, rows in source.splits.items()}}
        pins = hub_lists.pins(reference=reference, allow_download=True)
        found[reference] = [labels, pins, list(map(str, text_csv.files(reference=reference, allow_download=True)))]
    except EdgekdError as error:
        found[reference] = [type(error).__name__, str(error), error.hint]
corpus = text_corpus.read(reference="{NAME}", longest=4, allow_download=True)
found["corpus"] = corpus.notes
tokenizer = "tokenizer.json"
words = dict(reference="hub:{NAME}", tokenizer=tokenizer, longest=6, allow_download=True)
found["masked"] = masked_text.read(**words).notes
found["masked files"] = [masked_text.files(**words) == [__import__("pathlib").Path(tokenizer)], masked_text.remote(**words)]
lines = jsonl.read(reference="{NAME}", allow_download=True)
found["lines"] = {{name: rows["labels"].tolist() for name, rows in lines.splits.items()}}
found["lines files"] = [jsonl.files(reference="{NAME}", allow_download=True), jsonl.pins(reference="{NAME}", allow_download=True)]
print(json.dumps(found))
"""


def parquet(**columns: list[Any]) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


TEXTS = {
    "text": ["bob met the cat in rome", "the cat slept in oslo"] * 3,
    "label": ["spam", "ham"] * 3,
}
FILES = {
    "data/train-00000-of-00001.parquet": parquet(**TEXTS),
    "data/test-00000-of-00001.parquet": parquet(text=["bob left the cat in rome"], label=["ham"]),
    "data/train.jsonl": b'{"text": "win", "label": "spam"}\n{"text": "ten", "label": "ham"}\n',
    "data/dev.jsonl.gz": gzip.compress(b'{"text": "noon", "label": "ham"}\n'),
    "data/notes.jsonl": b"{}",
    "README.md": b"about",
    "load.py": b"raise SystemExit",
}


def serve(files: Mapping[str, bytes]) -> AbstractContextManager[tuple[str, list[str]]]:
    """Serve `files` as those of the data set `NAME`."""

    def find(asked: str) -> bytes | str:
        path = asked.partition("?")[0]
        if path in (f"/api/datasets/{NAME}", f"/api/datasets/{NAME}/revision/{COMMIT}"):
            listed = [{"rfilename": each, "size": len(files[each])} for each in files]
            return json.dumps({"id": NAME, "sha": COMMIT, "siblings": listed}).encode()
        inside = path.removeprefix(f"/datasets/{NAME}/resolve/{COMMIT}/")
        return files.get(inside, "RepoNotFound")

    return serve_paths(find)


def test_with_leave_the_parquet_files_of_one_commit_are_read(tmp_path: Path) -> None:
    asking = (NAME, f"{NAME}/data", f"{NAME}/other", "nobody/none")
    (tmp_path / "tokenizer.json").write_bytes(masked_pieces())
    with serve(FILES) as (address, asked):
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf")}
        environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-c", READ, *asking]
        ran = subprocess.run(
            command, stdout=subprocess.PIPE, check=True, env=environment, cwd=tmp_path
        )
    found = json.loads(ran.stdout)
    labels = {"train": [1, 0] * 3, "test": [0]}
    for reference in asking[:2]:
        assert found[reference] == [labels, {f"hub:{NAME}": COMMIT}, []]
    kind, said, hint = found[asking[2]]
    assert kind == "InputError" and "got no .parquet files on the hub" in said and "FOLDER" in hint
    assert found[asking[3]][0] == "MachineError"
    assert "7 documents" in found["corpus"][0]
    fetched = {
        each.rpartition("/")[2] for each in asked if each.startswith("GET") and "resolve" in each
    }
    tables = {"train-00000-of-00001.parquet", "test-00000-of-00001.parquet"}
    assert fetched == {*tables, "train.jsonl", "dev.jsonl.gz", "notes.jsonl"}
    assert "7 documents" in found["masked"][0]
    assert found["masked files"] == [True, [f"hub:{NAME}"]]
    assert found["lines"] == {"train": [1, 0], "validation": [0]}
    assert found["lines files"] == [[], {f"hub:{NAME}": COMMIT}]


def test_without_leave_nobody_is_asked(tmp_path: Path) -> None:
    for ask in (text_csv.files, hub_lists.pins, text_csv.read):
        with pytest.raises(InputError, match="got nothing") as caught:
            ask(reference=NAME, data_dir=tmp_path)
        assert "a name on the hub needs --allow-download" in (caught.value.hint or "")
    assert hub_lists.remote(reference=NAME, data_dir=tmp_path) == (f"hub:{NAME}",)


def test_what_is_here_is_no_name(tmp_path: Path) -> None:
    place = tmp_path / NAME
    place.mkdir(parents=True)
    (place / "train.parquet").write_bytes(FILES["data/train-00000-of-00001.parquet"])
    assert hub_lists.find_name(NAME, tmp_path) is None
    assert hub_lists.pins(reference=NAME, data_dir=tmp_path) == {}
    assert text_csv.files(reference=NAME, data_dir=tmp_path) == [place / "train.parquet"]
    assert len(text_csv.read(reference=NAME, data_dir=tmp_path).splits["train"]["labels"]) == 6
    for reference in ("missing.csv", "one/two/three/four", "one/two.parquet", "plain"):
        with pytest.raises(InputError, match="got nothing"):
            hub_lists.find_name(reference, tmp_path)
