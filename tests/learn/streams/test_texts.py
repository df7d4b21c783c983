"""Texts of a stream become tokens once: what is read of a spool is what a source makes of the texts, and a spool that ends
anywhere goes on to the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.data import jsonl
from edgekd.learn.data import line_files
from edgekd.learn.data import masked_text
from edgekd.learn.data import spooled_texts
from edgekd.learn.data import tagged_text
from edgekd.learn.data import text_corpus
from edgekd.learn.data import text_csv
from edgekd.learn.data import text_pairs
from edgekd.learn.data.encoding import ByteEncoding
from edgekd.learn.data.inspection import inspect_data
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound
from edgekd.learn.streams import rows
from edgekd.learn.streams import text_shards
from edgekd.learn.streams.rows import RowWords
from edgekd.learn.streams.texts import find_texts
from edgekd.learn.streams.texts import spool_texts
from edgekd.progress import Silent
from tests import spool_example
from tests.model_hub_example import COMMIT
from tests.model_hub_example import serve_paths
from tests.spool_example import LABELLED
from tests.spool_example import make_texts
from tests.spool_example import spool
from tests.spool_example import write_lines
from tests.tokenizer_example import masked_pieces

small_shards = spool_example.small_shards


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def tell(source: Source, split: str, field: str = "text") -> list[str]:
    return sorted(bytes((row - 1).tolist()).decode() for row in source.splits[split][field])


@pytest.mark.parametrize("longest", [256, 20])
def test_labelled_texts_are_those_of_the_source(tmp_path: Path, longest: int) -> None:
    said = {
        "name": "jsonl",
        "reference": str(write_lines(tmp_path / "t.jsonl", LABELLED)),
        "longest": longest,
    }
    assert len(spool(said).shards) == 4
    got = require_sound(jsonl.read(reference="out", longest=longest), "out")
    want = jsonl.read(reference="t.jsonl", longest=longest)
    assert got.fields == want.fields and set(got.splits) == {"train", "test"}
    for split in want.splits:
        assert tell(got, split) == tell(want, split)
        assert got.splits[split]["labels"].tolist() == want.splits[split]["labels"].tolist()
    assert ("cut to 20 bytes" in got.notes[0]) == (longest == 20)
    with pytest.raises(InputError, match=f"longest: got 7, want {longest}, as it was spooled with"):
        jsonl.read(reference="out", longest=7)
    with pytest.raises(InputError, match="got a spool for jsonl, want one for text-pairs"):
        text_pairs.read(reference="out")
    assert text_csv.read(reference="out").fields == want.fields
    assert {path.name for path in jsonl.files(reference="out")} == set(contents("out")) - {
        ".edgekd-spool-train.lock"
    }


def test_two_texts_a_row_and_texts_without_a_label(tmp_path: Path) -> None:
    lines = [{**line, "more": line["text"][::-1]} for line in LABELLED]
    lines[1]["label"] = None
    write_lines(tmp_path / "t.jsonl", lines)
    knobs = {"second": "more", "unlabelled": "keep", "longest": 32}
    spool({"name": "jsonl", "reference": "t.jsonl", **knobs})
    got, want = jsonl.read(reference="out"), jsonl.read(reference="t.jsonl", **knobs)
    assert got.fields == want.fields
    for split in want.splits:
        assert np.array_equal(got.splits[split]["text"].values, want.splits[split]["text"].values)
        assert got.splits[split]["labels"].tolist() == want.splits[split]["labels"].tolist()
    with pytest.raises(InputError, match=r"t\.jsonl, line 2: label: got nothing, want a label"):
        spool({"name": "jsonl", "reference": "t.jsonl", "second": "more"}, "other")


def test_pairs_are_shared_out_as_the_source_does(tmp_path: Path) -> None:
    lines = [
        {"first": text, "second": text.upper(), "alike": number / 99}
        for number, text in enumerate(make_texts(50))
    ]
    write_lines(tmp_path / "t.jsonl", lines)
    said = {"name": "text-pairs", "reference": "t.jsonl", "score": "alike"}
    spool(said)
    got = require_sound(text_pairs.read(reference="out", dimensions=8), "out")
    want = text_pairs.read(reference="t.jsonl", score="alike", dimensions=8)
    assert got.fields == want.fields

    def pairs(source: Source, split: str) -> list[Any]:
        texts, table = list(source.splits[split]["text"]), source.splits[split]["pairs"]
        assert table[:, 0].tolist() == np.repeat(np.arange(len(table) // 2), 2).tolist()
        assert table[:, 1].tolist() == [0, 1] * (len(table) // 2)
        return sorted(
            (texts[at].tolist(), texts[at + 1].tolist(), table[at, 2])
            for at in range(0, len(texts), 2)
        )

    for split in ("train", "validation", "test"):
        assert pairs(got, split) == pairs(want, split)
    spool(said, "few", take=10)
    with pytest.raises(InputError, match="got 10 pairs, want 30 or more"):
        text_pairs.read(reference="few")


def test_tagged_words_are_those_of_the_source(tmp_path: Path) -> None:
    lines = [
        {
            "tokens": text.split(),
            "tags": [("O", "B-PER", "I-PER")[len(word) % 3] for word in text.split()],
        }
        for text in make_texts(40)
    ]
    write_lines(tmp_path / "t.jsonl", lines)
    spool({"name": "tagged-text", "reference": "t.jsonl", "longest": 24})
    got = require_sound(tagged_text.read(reference="out"), "out")
    want = tagged_text.read(reference="t.jsonl", longest=24)
    assert got.fields == want.fields
    for field in ("text", "tags"):
        assert np.array_equal(got.splits["train"][field].values, want.splits["train"][field].values)
        assert (
            got.splits["train"][field].lengths.tolist()
            == want.splits["train"][field].lengths.tolist()
        )


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("tokenizer", [False, True])
def test_no_token_of_a_corpus_is_lost_or_in_two_splits(
    tmp_path: Path, packed: bool, tokenizer: bool
) -> None:
    texts = make_texts(100)
    write_lines(tmp_path / "t.jsonl", [{"text": text} for text in texts])
    (tmp_path / "tokenizer.json").write_bytes(masked_pieces())
    said: dict[str, Any] = {"name": "text-corpus", "reference": "t.jsonl"}
    spool(said | ({"tokenizer": "tokenizer.json"} if tokenizer else {}))
    got = require_sound(text_corpus.read(reference="out", longest=4, packed=packed), "out")
    assert got.tokenizer == (masked_pieces() if tokenizer else b"")
    assert got.notes[0].startswith("100 documents in ")
    rows = [
        (row.tolist(), after.tolist())
        for split in got.splits.values()
        for row, after in zip(split["text"], split["next_tokens"], strict=True)
    ]
    assert all(row[1:] == after[:-1] for row, after in rows)
    assert [len(row) for row, _ in rows] == [4] * len(rows) or not packed
    shares = {name: len(split["text"].values) for name, split in got.splits.items()}
    total = sum(shares.values())
    assert (
        abs(shares["validation"] / total - 0.1) < 0.03 and abs(shares["test"] / total - 0.1) < 0.03
    )
    if not tokenizer and not packed:
        # each token of a document but its first follows once: but for what borders of splits cut
        seen = sorted(token for row, after in rows for token in after)
        encoded = ByteEncoding().encode_documents(texts)
        whole = sorted(token for each in encoded for token in each.tokens[1:].tolist())
        missing = len(whole) - len(seen)
        assert 0 <= missing <= 2 * 7  # two borders in each of seven shards
        sizes = sum(float(split["text_bytes"].sum()) for split in got.splits.values())
        assert sizes == len(seen)
    with pytest.raises(InputError, match="want 'text'|text: got 'body', want None"):
        text_corpus.read(reference="out", text="body")


def test_a_spooled_corpus_serves_masked_text_and_other_lengths(tmp_path: Path) -> None:
    write_lines(tmp_path / "t.jsonl", [{"text": text} for text in make_texts(100)])
    (tmp_path / "tokenizer.json").write_bytes(masked_pieces())
    spool({"name": "text-corpus", "reference": "t.jsonl", "tokenizer": "tokenizer.json"})
    for longest in (6, 12):
        source = require_sound(masked_text.read(reference="out", longest=longest), "out")
        assert set(source.splits["train"]["text"].lengths.tolist()) == {longest}
    (tmp_path / "other.json").write_bytes(masked_pieces().replace(b"rome", b"room"))
    with pytest.raises(InputError, match=r"got tokens of another tokenizer than other\.json"):
        masked_text.read(reference="out", tokenizer="other.json")
    (tmp_path / "out" / "tokenizer.json").write_bytes(masked_pieces().replace(b"rome", b"room"))
    with pytest.raises(InputError, match="got another file than was written"):
        masked_text.read(reference="out")


def test_rows_say_the_splits_of_a_corpus_or_the_folder_does(tmp_path: Path) -> None:
    lines = [
        {"text": text, "split": ("train", "dev")[n % 4 == 0]}
        for n, text in enumerate(make_texts(40))
    ]
    write_lines(tmp_path / "t.jsonl", lines)
    spool("text-corpus:t.jsonl")
    got = text_corpus.read(reference="out", longest=4, packed=False)
    assert set(got.splits) == {"train", "validation"}
    want = {line["text"][:4] for line in lines if line["split"] == "dev"}
    assert want == {text for text in tell(got, "validation") if text in want}
    plain = [{"text": line["text"]} for line in lines]
    write_lines(tmp_path / "a.jsonl", plain[:30])
    write_lines(tmp_path / "b.jsonl", plain[30:])
    spool("text-corpus:a.jsonl", "both")
    spool("text-corpus:b.jsonl", "both", split="test")
    got = text_corpus.read(reference="both", longest=4, packed=False)
    assert set(got.splits) == {"train", "test"}
    with pytest.raises(InputError, match="was spooled in another way"):
        spool("jsonl:b.jsonl", "both", split="validation")


def test_a_spool_that_ends_at_any_write_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "t.jsonl", [{"text": text} for text in make_texts(70)])
    (tmp_path / "tokenizer.json").write_bytes(masked_pieces())
    said = {"name": "text-corpus", "reference": "t.jsonl", "tokenizer": "tokenizer.json"}
    spool(said, "whole")
    want, write = contents("whole"), files.write_bytes
    assert len([name for name in want if name.endswith(".tokens")]) == 5
    for last in range(13):
        writes = itertools.count()

        def die(path: Path, data: bytes) -> None:
            if next(writes) == last:  # noqa: B023
                raise KeyboardInterrupt
            write(path, data)

        monkeypatch.setattr(files, "write_bytes", die)
        with pytest.raises(KeyboardInterrupt):
            spool(said, f"out{last}")
        monkeypatch.setattr(files, "write_bytes", write)
        spool(said, f"out{last}")
        assert contents(f"out{last}") == want
    lines = [{"text": text} for text in make_texts(70, seed=1)]
    (tmp_path / "out3" / "train-00004.tokens").write_bytes(b"x")
    with pytest.raises(InputError, match="got other bytes than were written"):
        text_corpus.read(reference="out3", longest=4)
    write_lines(tmp_path / "t.jsonl", lines)
    with pytest.raises(InputError, match=r"gives other samples than those in train-00000\.tokens"):
        spool(said, "out3")


ENDLESS = """
import itertools
asked = []

def texts():
    for number in itertools.count():
        asked.append(number)
        yield f"text number {number} of many" if number % 2 else {"text": f"row {number} it is"}

def broken():
    yield "some text"
    yield 7
    yield {"text": 3}
    yield {"text": "half \\ud800"}
    yield "  "
    yield from ["and more text"] * 300
    raise OSError("gone")
"""


def test_an_endless_stream_is_taken_from_and_more_is_taken_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endless_texts.py").write_text(ENDLESS)
    monkeypatch.syspath_prepend(str(tmp_path))
    said = "text-corpus:python:endless_texts:texts"
    with pytest.raises(InputError, match="which runs your code, want that allowed"):
        spool(said, take=20)
    with pytest.raises(InputError, match="got a stream that need not end, want --take N"):
        spool(said, allow_code=True)
    spool(said, take=20, allow_code=True)
    spool(said, take=40, allow_code=True)
    spool(said, "whole", take=40, allow_code=True)
    assert contents("out") == contents("whole")
    faulty = "text-corpus:python:endless_texts:broken"
    with pytest.raises(InputError, match="row 1: got int, want text, or cells by column"):
        spool(faulty, "broken", take=9, allow_code=True)
    with pytest.raises(InputError, match="row 305: raised OSError: gone"):
        spool(faulty, "broken", take=999, allow_code=True, skip_broken=True)


HOSTILE = [
    (b"[1]", "line 2: got list, want an object"),
    (b'{"text": "x', "line 2: got no JSON"),
    (b'{"text": "\xff"}', "line 2: got no JSON"),
    (b'{"text": "\\ud800"}', "line 2: text: got half a character, want text in UTF-8"),
    (b'{"text": "  "}', "line 2: text: got no text, want some"),
    (b'{"other": "x"}', "line 2: got no key 'text', want it"),
    (b'{"text": 7}', "line 2: text: got int, want text"),
    (b'{"text": "a", "text": "b"}', "line 2: got no JSON"),
    (b"[" * 10_000, "line 2: got no JSON"),
    (b'{"text": "' + b"x" * 300 + b'"}', "line 2: got more than 200 B"),
]


@pytest.mark.parametrize(("line", "says"), HOSTILE)
def test_broken_rows_are_named_or_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes, says: str
) -> None:
    if b"xxx" in line:
        monkeypatch.setattr(rows, "MOST_LINE", 200)
    good = [json.dumps({"text": text}).encode() for text in make_texts(20)]
    (tmp_path / "t.jsonl").write_bytes(b"\n".join([good[0], line, *good[1:]]) + b"\n")
    with pytest.raises(InputError) as caught:
        spool("text-corpus:t.jsonl")
    assert says in str(caught.value) and "--skip-broken" in (caught.value.hint or "")
    made = spool("text-corpus:t.jsonl", skip_broken=True)
    assert made.samples == 20 and len(made.skipped) == 1 and says in made.skipped[0]
    assert text_corpus.read(reference="out", longest=4).skipped == made.skipped


def write_forms(folder: Path, texts: list[str]) -> dict[str, Path]:
    """The same texts in every form that is read as a stream."""
    labels = [("a", "b")[number % 2] for number in range(len(texts))]
    lines = [{"text": t, "label": label} for t, label in zip(texts, labels, strict=True)]
    found = {"jsonl": write_lines(folder / "t.jsonl", lines)}
    found["gz"] = folder / "g.jsonl.gz"
    found["gz"].write_bytes(gzip.compress(found["jsonl"].read_bytes()))
    found["csv"] = folder / "t.csv"
    with found["csv"].open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("text", "label"), *zip(texts, labels, strict=True)])
    found["parquet"] = folder / "t.parquet"
    table = pyarrow.table({"text": texts, "label": labels})
    pyarrow.parquet.write_table(table, found["parquet"], row_group_size=7)
    found["folder"] = folder / "parts"
    found["folder"].mkdir()
    half = len(texts) // 2
    pyarrow.parquet.write_table(table.slice(0, half), found["folder"] / "train-0.parquet")
    pyarrow.parquet.write_table(table.slice(half), found["folder"] / "train-1.parquet")
    pyarrow.parquet.write_table(table.slice(0, 3), found["folder"] / "test-0.parquet")
    return found


def test_every_form_gives_the_same_tokens(tmp_path: Path) -> None:
    texts = [*make_texts(40), 'two\nlines, with a comma and "quotes"', "Zoë"]
    shards = {}
    for form, path in write_forms(tmp_path, texts).items():
        spool(f"text-csv:{path}", form)
        shards[form] = {
            name: data for name, data in contents(form).items() if name.endswith("tokens")
        }
    assert all(each == shards["jsonl"] for each in shards.values())
    member = find_texts(f"text-csv:{tmp_path / 'parts'}")
    assert member is not None
    with pytest.raises(InputError, match="got test, train, want the split 'dev'"):
        spool_texts(member, Path("dev"), Silent(), words=RowWords("dev"))


def test_a_broken_csv_row_is_named_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    head = b"text,label\nsome text here,a\n"
    for line, says in (
        (b"bad \xff text,b\n", "line 3: text: got half a character"),
        (b"one,two,three\n", "line 3: got 3 cells, want 2"),
    ):
        (tmp_path / "t.csv").write_bytes(head + line + b"more text here,b\n")
        with pytest.raises(InputError, match=says):
            spool("text-csv:t.csv", "refused")
        made = spool("text-csv:t.csv", f"kept{len(line)}", skip_broken=True)
        assert made.samples == 2 and len(made.skipped) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_long_file_of_text_is_cut_between_lines_and_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(rows, "MOST_PIECE", 50)
    draw = random.Random(seed)
    text = "".join(draw.choice("aé€😀 " + "\n" * (seed % 2)) for _ in range(400)) + "end"
    (tmp_path / "t.txt").write_text(text, newline="")
    found = list(rows.open_rows("t.txt", RowWords()).rows)
    assert "".join(row.cells["text"] for row in found) == text and not any(r.fault for r in found)
    assert all(len(row.cells["text"].encode()) <= 50 for row in found)
    (tmp_path / "t.txt").write_bytes(b"good\n" * 20 + b"\xff" + b"\ngood" * 20)
    faults = [row.fault for row in rows.open_rows("t.txt", RowWords()).rows if row.fault]
    assert faults == ["got byte 0xff at 100, which is no UTF-8, want text in UTF-8"]


def test_a_folder_of_texts_is_a_stream_and_one_of_nothing_is_none(tmp_path: Path) -> None:
    for number, text in enumerate(make_texts(30)):
        (tmp_path / f"{number}.txt").write_text(text)
    assert spool(f"text-corpus:{tmp_path}").samples == 30
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="got no file of"):
        spool("text-corpus:empty", "none")
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.txt: text: got no text, want some"):
        spool("text-corpus:a.txt", "none")


def test_what_is_said_where_the_folder_is_read_is_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "t.jsonl", LABELLED)
    with pytest.raises(InputError, match="longest: got it for a spool, want it in the recipe"):
        spool({"name": "text-corpus", "reference": "t.jsonl", "longest": 9})
    with pytest.raises(InputError, match="which have no mask, want a tokenizer"):
        spool("masked-text:t.jsonl")
    (tmp_path / "tokenizer.json").write_bytes(masked_pieces())
    said = {"name": "jsonl", "reference": "t.jsonl", "tokenizer": "tokenizer.json"}
    with pytest.raises(InputError, match="longest: got 1, want room for"):
        spool({**said, "longest": 1})
    spool({**said, "longest": 8})  # nothing was written, so other words are no other spool
    with pytest.raises(InputError, match="got a spool with arguments .*8"):
        spool({**said, "longest": 9})


def test_lines_come_from_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in make_texts(20)).encode()

    class Pipe:
        buffer = io.BytesIO(lines)

    monkeypatch.setattr(sys, "stdin", Pipe)
    assert spool("text-corpus:-", take=12).samples == 12


def test_large_texts_are_proposed_to_be_spooled_and_a_spool_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "t.jsonl", LABELLED)
    assert not any("spool" in note for note in inspect_data("t.jsonl").survey.notes)
    monkeypatch.setattr(spooled_texts, "LARGE_BYTES", 1000)
    told = inspect_data("t.jsonl").survey.notes[-1]
    assert "edgekd spool jsonl:t.jsonl FOLDER" in told and "source: jsonl:FOLDER" in told
    monkeypatch.setattr(line_files, "MOST_BYTES", 2000)
    with pytest.raises(InputError, match="want less") as caught:
        inspect_data("t.jsonl")
    assert "edgekd spool jsonl:t.jsonl FOLDER" in (caught.value.hint or "")
    spool("jsonl:t.jsonl")
    found = inspect_data("out")
    assert found.source == "jsonl" and found.survey.classes == {"ham": 17, "news": 17, "spam": 17}
    assert not any("edgekd spool" in note for note in found.survey.notes)


HUB = """
import sys
from pathlib import Path
from edgekd.errors import EdgekdError
from edgekd.learn.data import jsonl
from edgekd.learn.streams import text_samples, text_shards
from edgekd.learn.streams.rows import RowWords
from edgekd.learn.streams.texts import find_texts, spool_texts
from edgekd.progress import Silent
text_samples.LOOKED_AT, text_shards.SHARD_SAMPLES = 3, 4
reference, take, leave = sys.argv[1:]
try:
    words = RowWords(allow_download=bool(leave))
    made = spool_texts(find_texts(f"jsonl:{reference}"), Path("out"), Silent(), take=int(take), words=words)
    print(made.samples, made.words["commit"], len(jsonl.read(reference="out").splits["train"]["text"]))
except EdgekdError as error:
    print(error, error.hint)
"""


def test_a_name_on_the_hub_is_read_file_by_file_at_one_commit(tmp_path: Path) -> None:
    parts = [
        "".join(
            json.dumps({"text": f"text {n} of {k}", "label": "ab"[n % 2]}) + "\n" for n in range(6)
        )
        for k in range(2)
    ]
    hub_files = {f"train-{k}.jsonl": part.encode() for k, part in enumerate(parts)}
    hub_files |= {"test-0.jsonl": b"{}", "load.py": b"raise SystemExit"}
    commits = [COMMIT]

    def find(asked: str) -> bytes | str:
        path = asked.partition("?")[0]
        if path.startswith("/api/datasets/me/texts"):
            listed = [{"rfilename": each, "size": len(hub_files[each])} for each in hub_files]
            return json.dumps({"id": "me/texts", "sha": commits[-1], "siblings": listed}).encode()
        return hub_files.get(
            path.removeprefix(f"/datasets/me/texts/resolve/{COMMIT}/"), "RepoNotFound"
        )

    with serve_paths(find) as (address, asked):
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf")}
        environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}

        def ask(reference: str, take: int, leave: str) -> str:
            command = [sys.executable, "-c", HUB, reference, str(take), leave]
            return subprocess.run(
                command, stdout=subprocess.PIPE, check=True, env=environment, text=True
            ).stdout.strip()

        assert "needs --allow-download" in ask("me/texts", 3, "")
        assert ask("hub:me/texts", 3, "yes") == f"3 {COMMIT} 3"
        fetched = {each.rpartition("/")[2] for each in asked if "resolve" in each}
        assert fetched == {"train-0.jsonl"}
        commits.append(
            "f" * 40
        )  # the name stands elsewhere now: what was begun goes on where it was
        assert ask("hub:me/texts", 12, "yes") == f"12 {COMMIT} 12"


PEAK = """
import sys
from pathlib import Path
from edgekd.learn.streams import text_shards
from edgekd.learn.streams.rows import RowWords
from edgekd.learn.streams.texts import find_texts, spool_texts
from edgekd.progress import Silent
text_shards.SHARD_BYTES = 2**19
path = Path(sys.argv[1])
spool_texts(find_texts(f"text-corpus:{path}"), path.with_suffix(""), Silent(), words=RowWords())
assert "torch" not in sys.modules
status = Path("/proc/self/status").read_text().split()
print(int(status[status.index("VmHWM:") + 1]) * 1024)
"""


def test_memory_does_not_grow_with_the_number_of_texts(tmp_path: Path) -> None:
    peaks = []
    for count in (6_000, 36_000):
        path = write_lines(
            tmp_path / f"{count}.jsonl", [{"text": f"{n} some text " * 20} for n in range(count)]
        )
        command = [sys.executable, "-c", PEAK, str(path)]
        ran = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        peaks.append(int(ran.stdout))
    grown = path.stat().st_size * 5 / 6  # so many more bytes of text
    assert grown > 8e6 and peaks[1] - peaks[0] < grown / 3


def test_a_killed_command_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    write_lines(tmp_path / "t.jsonl", [{"text": text} for text in make_texts(20)])

    def ask(folder: str, **environment: str) -> int:
        command = [sys.executable, "-m", "edgekd", "spool", "text-corpus:t.jsonl", folder]
        return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode

    assert ask("whole") == 0
    assert ask("out", EDGEKD_FAULT="kill@5") == -9
    assert not {"train-00000.tokens"} & {path.name for path in Path("out").iterdir()}
    assert ask("out") == 0
    lock = {".edgekd-spool-train.lock"}  # names the process
    whole, again = contents("whole"), contents("out")
    assert set(again) == set(whole)
    assert all(again[name] == whole[name] for name in set(whole) - lock)


def test_which_documents_are_whose_does_not_depend_on_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_shards, "SHARD_SAMPLES", 1000)
    texts = make_texts(60)
    told = []
    for folder, some in (("one", texts), ("other", texts[::-1])):
        write_lines(tmp_path / f"{folder}.jsonl", [{"text": text} for text in some])
        spool(f"text-corpus:{folder}.jsonl", folder)
        source = text_corpus.read(reference=folder, longest=8)
        told.append({name: rows["text"].values.tolist() for name, rows in source.splits.items()})
    assert told[0] == told[1]
