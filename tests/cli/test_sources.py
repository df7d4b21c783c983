from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from PIL import Image

from edgekd.cli import sources
from edgekd.errors import InputError
from edgekd.learn.data import SOURCES
from edgekd.recipe.canonical import to_canonical
from edgekd.stages.data import DataSettings


def run(*arguments: str) -> str:
    done = CliRunner().invoke(sources.command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name, count in (("Ünï çödé", 2), ("dog", 3)):
        for i in range(count):
            (tmp_path / "p" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (50 + i, 40)).save(tmp_path / "p" / name / f"{i}.jpg")
    (tmp_path / "p" / "empty").mkdir()
    (tmp_path / "p" / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    Image.new("I;16", (50, 40)).save(tmp_path / "p" / "dog" / "deep.png")
    return tmp_path / "p"


def test_all_sources_are_listed_with_what_they_give() -> None:
    listed = json.loads(run("--json"))
    assert [row["name"] for row in listed] == list(SOURCES)
    assert all(row["reads"] and row["gives"] and row["example"] for row in listed)
    assert "mask-folder" in run()


def test_one_source_is_shown_with_its_knobs() -> None:
    assert "leave_out" in run("table") and "source: table:REFERENCE" in run("table")


def test_what_lies_in_a_folder_is_told_and_can_be_pasted(photos: Path) -> None:
    told = json.loads(run(str(photos), "--json"))
    assert told["source"] == "image-folder" and told["splits"] == {"train": 6}
    assert told["classes"] == {"dog": 4, "Ünï çödé": 2}
    assert told["images"]["side"] == 32 and told["tasks"] == ["classification"]
    assert len(told["skipped"]) == 2
    assert told["arguments"] == {"reference": str(photos), "size": 32, "on_broken": "skip"}
    shown = run(str(photos))
    assert f"source: {told['recipe']}" in shown and "size: 32 is proposed" in shown
    assert "50 x 40 to 52 x 40 pixels" in shown


def test_what_is_told_is_a_source_of_a_recipe(photos: Path) -> None:
    from edgekd.recipe import text as recipe_text

    told = json.loads(run(str(photos), "--json"))
    document = recipe_text.parse(f"source: {told['recipe']}", ".yaml", "r")
    settings = DataSettings.model_validate(to_canonical(document, DataSettings).value)
    assert settings.source.name == "image-folder" and settings.source.arguments["size"] == 32


def test_braces_say_what_a_path_leaves_open(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n" + "".join(f"{i},{i / 2},{i / 3}\n" for i in range(9)))
    with pytest.raises(InputError, match="want to know which is to be told"):
        run(str(tmp_path / "a.csv"))
    told = run(f"{{name: table, reference: {tmp_path / 'a.csv'}, target: c}}")
    assert "to tell: column c, numbers from 0 to 2.667" in told and "Task: regression" in told


def test_arrays_are_the_inputs_of_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", signal=np.zeros((5, 2)), meta=np.zeros((5, 3)))
    shown = run(str(tmp_path / "odd.npz"))
    assert "input signal, meta; no labels" in shown and "train  5" in shown
    assert f"quantize MODEL.onnx --data arrays:{tmp_path / 'odd.npz'}" in shown


BAD = '{"tokens": ["Ada", "slept"], "tags": ["O"]}'
GOOD = '{"tokens": ["Ada", "slept"], "tags": ["O", "O"]}'


@pytest.mark.parametrize(("lines", "at"), [((BAD, BAD), 1), ((GOOD, BAD), 2)])
def test_where_too_little_is_left_the_first_that_is_broken_is_named(
    lines: tuple[str, ...], at: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=f"a.jsonl, line {at}: got 2 tokens and 1 tags"):
        run(str(path))


def test_who_leaves_out_what_is_broken_hears_what_is_then_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join((GOOD, BAD)) + "\n")
    source = f"{{name: tagged-text, reference: {path}, on_broken: skip}}"
    with pytest.raises(InputError, match="got O to train on") as refused:
        run(source)
    assert "line 2" not in str(refused.value)


def test_running_text_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Once upon a time. " * 200)
    told = json.loads(run(str(tmp_path / "a.txt"), "--json"))
    assert told["source"] == "text-corpus" and told["tasks"] == ["language-modelling"]


def test_photographs_of_several_sizes_in_shards_and_tables_get_a_side(tmp_path: Path) -> None:
    sizes = [(40 + number, 36) for number in range(6)]
    encoded = []
    for size in sizes:
        kept = io.BytesIO()
        Image.new("RGB", size).save(kept, "PNG")
        encoded.append(kept.getvalue())
    for shard in range(2):
        with tarfile.open(tmp_path / f"part-{shard:03d}.tar", "w") as packed:
            for number, data in enumerate(encoded[shard::2]):
                for name, held in ((f"{number}.png", data), (f"{number}.cls", b"%d" % shard)):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(held)
                    packed.addfile(entry, io.BytesIO(held))
    columns = {"image": encoded, "label": [0, 1, 0, 1, 0, 1]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    shards = str(tmp_path / "part-{000..001}.tar")
    for place, source in ((shards, "webdataset"), (str(tmp_path / "a.parquet"), "huggingface")):
        told = json.loads(run(place, "--json"))
        assert (told["source"], told["splits"]) == (source, {"train": 6})
        assert told["arguments"] == {"reference": place, "size": 32}
        assert "40 x 36 to 45 x 36 pixels" in run(place)
    with pytest.raises(InputError, match="part-007"):
        run(str(tmp_path / "part-{007..009}.tar"))
