from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.errors import InputError
from edgekd.learn.data.recognition import recognize_source


def put(path: Path, text: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is not None:
        path.write_text(text, encoding="utf-8")
    else:
        Image.new("RGB", (4, 4)).save(path)


@pytest.mark.parametrize(
    ("names", "source"),
    [(["image"], "arrays"), (["x"], "arrays"), (["x", "y"], "npz"), (["a", "b"], "arrays")],
)
def test_arrays_without_labels_are_inputs_of_a_model(
    tmp_path: Path, names: list[str], source: str
) -> None:
    np.savez(tmp_path / "a.npz", **dict.fromkeys(names, np.zeros(2)))
    assert recognize_source(tmp_path).text == f"{source}:{tmp_path / 'a.npz'}"


COCO = json.dumps({"images": [], "annotations": [], "categories": []})


@pytest.mark.parametrize(
    ("files", "source", "reference"),
    [
        ({"cat/a.jpg": None, "dog/b.jpg": None}, "image-folder", ""),
        ({"train/cat/a.jpg": None, "val/cat/b.jpg": None}, "image-folder", ""),
        ({"images/a.png": None, "masks/a.png": None}, "mask-folder", ""),
        (
            {"pics/a.png": None, "labels.csv": "file,label\npics/a.png,x\n"},
            "image-list",
            "labels.csv",
        ),
        ({"mails.csv": "text,label\nhello you,x\n", "README.txt": "hi"}, "text-csv", "mails.csv"),
        ({"a.jsonl": '{"text": "hello you", "label": "x"}\n'}, "jsonl", "a.jsonl"),
        ({"a.jsonl": '{"tokens": ["hello"], "tags": ["O"]}\n'}, "tagged-text", "a.jsonl"),
        ({"a.conll": "EU B-ORG\nsaid O\n"}, "tagged-text", "a.conll"),
        ({"a.txt": "Hello.", "more/b.md": "You.", "LICENSE": "c"}, "text-corpus", ""),
        ({"a.csv": "first,second\nhello you,hi there\n"}, "text-pairs", "a.csv"),
        ({"a.csv": "first,second\na,b\n"}, "text-pairs", "a.csv"),
        ({"a.csv": "text,label\na,x\n"}, "text-csv", "a.csv"),
        ({"a.jsonl": '{"text": "a", "label": "x"}\n'}, "jsonl", "a.jsonl"),
        ({"a.csv": "text,title,label\nhello you,hi there,x\n"}, "text-csv", "a.csv"),
        ({"iris.csv": "a,b,species\n1,2,x\n"}, "table", "iris.csv"),
        ({"a.parquet": "PAR1"}, "huggingface", ""),
    ],
)
def test_what_lies_there_says_the_source(
    tmp_path: Path, files: dict[str, str | None], source: str, reference: str
) -> None:
    for name, text in files.items():
        put(tmp_path / name, text)
    (tmp_path / ".DS_Store").touch()
    found = recognize_source(tmp_path)
    assert (found.source, found.reference) == (source, str(tmp_path / reference))
    assert found.reason


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"annotations/i.json": COCO, "images/a.jpg": None}, "COCO's form"),
        ({"data.yaml": "names: [a]", "images/a.jpg": None}, "YOLO's form"),
        ({"images/a.jpg": None, "labels/a.txt": "0 .5 .5 .1 .1"}, "YOLO's form"),
        ({"yes/a.wav": "RIFF"}, "1 file of sound, which no source reads yet"),
        ({"p.zip": "PK"}, "p.zip, a packed file, want it unpacked"),
        ({"a.png": None}, "got 1 image in one folder, want a folder for each class"),
        ({"a.tif": "II"}, "got 1 .tif, want images as"),
        ({"a.csv": "a,b\n1,2\n", "b.csv": "a,b\n1,2\n"}, "got the files a.csv, b.csv, want one"),
        (
            {"a.csv": "id,q,a\n1,how are you,I am fine\n"},
            "two columns of texts, q and a, want labels",
        ),
        ({}, "got an empty folder"),
        ({"a.xyz": "x"}, "got 1 .xyz, want images, texts or numbers"),
        (
            {"a.csv": "a,b\nx,y\n"},
            "got the columns a, b, want one of image files, texts or numbers",
        ),
    ],
)
def test_what_no_source_reads_is_refused_by_its_name(
    tmp_path: Path, files: dict[str, str | None], message: str
) -> None:
    for name, text in files.items():
        put(tmp_path / name, text)
    with pytest.raises(InputError, match=message):
        recognize_source(tmp_path)
