from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from edgekd.bundle import user_inputs
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.array import Array
from edgekd.fields.label import Label
from edgekd.fields.map import Map
from edgekd.fields.tokens import Tokens
from tests import bundle_example
from tests.bundle import numbers_example

TEXT = Dataset(
    task="classification",
    inputs={"text": Tokens(vocabulary=11, usual=3, longest=6)},
    targets={"labels": Label(names=("a", "b"))},
)
IMAGE_AND_FACTS = Dataset(
    task="regression",
    inputs={"images": bundle_example.IMAGE, "facts": numbers_example.FACTS},
    targets={"numbers": numbers_example.PRICE},
)


def test_each_image_is_a_question(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 1), np.uint8)
    np.save(tmp_path / "two.npy", pixels)
    np.save(tmp_path / "one.npy", pixels[0])
    paths = [str(tmp_path / f"{name}.npy") for name in ("two", "one")]
    found = user_inputs.read_questions(paths, bundle_example.dataset())
    assert [one.name for one in found] == [f"{paths[0]}[0]", f"{paths[0]}[1]", paths[1]]
    for one, want in zip(found, pixels[[0, 1, 0]], strict=True):
        assert list(one.rows) == ["images"] and one.prepared == ""
        np.testing.assert_array_equal(one.rows["images"], want[None])


def test_tokens_are_asked_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[[1, 2, 3], [4]]")
    found = user_inputs.read_questions(["[5, 6]", str(tmp_path / "a.json")], TEXT)
    together = user_inputs.join_rows([one.rows["text"] for one in found])
    assert isinstance(together, RaggedRows)
    assert [row.tolist() for row in together] == [[5, 6], [1, 2, 3], [4]]
    assert found[2].name == f"{tmp_path / 'a.json'}[1]" and found[0].name == "[5, 6]"


def test_plain_text_is_asked_where_the_data_say_how_it_becomes_tokens(tmp_path: Path) -> None:
    field = Tokens(vocabulary=257, usual=3, longest=6, encoding="bytes")
    plain = dataclasses.replace(TEXT, inputs={"text": field})
    (tmp_path / "a.txt").write_text("zwölf\n")
    found = user_inputs.read_questions(["[5]", str(tmp_path / "a.txt")], plain)
    read = [bytes(int(token) - 1 for token in one.rows["text"].row(0)) for one in found]
    assert read == [b"[5]", "zwölf".encode()]
    for typed, says in (
        (" ", "text: input: got 0 tokens"),
        (b"\xff".decode(errors="surrogateescape"), "text: got .*, want text in UTF-8"),
    ):
        with pytest.raises(InputError, match=says) as refused:
            user_inputs.read_questions([typed], plain)
        assert "\n" not in str(refused.value)


def test_a_longer_text_is_cut_and_a_table_gives_a_text_a_row(tmp_path: Path) -> None:
    field = Tokens(vocabulary=257, usual=3, longest=6, encoding="bytes")
    plain = dataclasses.replace(TEXT, inputs={"text": field})
    (tmp_path / "a.csv").write_text("label,text\nham,hi\nspam,winner of all\n")
    (tmp_path / "a.jsonl").write_text('{"text": "hi", "label": 1}\n{"text": "winner of all"}\n')
    (tmp_path / "one.csv").write_text("mails\nhi\n")
    (tmp_path / "two.csv").write_text("one,other\nhi you,and you\n")
    for file, names in (("a.csv", 2), ("a.jsonl", 2), ("one.csv", 1)):
        path = str(tmp_path / file)
        found = user_inputs.read_questions([path, "longer than it"], plain)
        assert [one.name for one in found[:-1]] == [f"{path}[{at}]" for at in range(names)]
        read = [bytes(int(token) - 1 for token in one.rows["text"].row(0)) for one in found]
        assert read == [*[b"hi", b"winner"][:names], b"longer"]
        said = ["", "cut to 6 of 13 bytes"][:names]
        assert [one.prepared for one in found] == [*said, "cut to 6 of 14 bytes"]
    with pytest.raises(InputError, match="which could all be it"):
        user_inputs.read_questions([str(tmp_path / "two.csv")], plain)


def test_what_cannot_be_read_hides_no_other_input(tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", np.zeros((4, 4), np.uint8))
    (tmp_path / "bad.npy").write_text("none")
    good, bad = str(tmp_path / "good.npy"), str(tmp_path / "bad.npy")
    dataset = bundle_example.dataset()
    found, broken = user_inputs.read_sound_questions([bad, good], dataset)
    assert [one.name for one in found] == [good] and [value for value, _ in broken] == [bad]
    with pytest.raises(InputError):
        user_inputs.read_sound_questions([bad], dataset)
    with pytest.raises(InputError, match="got a folder, want files") as refused:
        user_inputs.read_questions([str(tmp_path)], dataset)
    assert refused.value.hint == str(tmp_path / "*")


def test_rows_of_one_length_are_joined_as_an_array() -> None:
    parts = [np.full((1, 2), n, np.float32) for n in range(3)]
    np.testing.assert_array_equal(user_inputs.join_rows(parts), np.concatenate(parts))
    one = from_rows([np.array([1, 2])], np.zeros(0, np.int64))
    assert [row.tolist() for row in user_inputs.join_rows([one])] == [[1, 2]]


def test_several_inputs_are_one_question(tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", np.zeros((2, 4, 4, 1), np.uint8))
    asked = [f"facts={tmp_path / 'facts=1.csv'}", f"images={tmp_path / 'two.npy'}"]
    (tmp_path / "facts=1.csv").write_text("area,rooms\n1,2\n3,4\n")
    found = user_inputs.read_questions(asked, IMAGE_AND_FACTS)
    assert [set(one.rows) for one in found] == [{"images", "facts"}] * 2
    assert [one.rows["facts"].tolist() for one in found] == [[[1, 2]], [[3, 4]]]
    name = f"{tmp_path / 'two.npy'}[1], {tmp_path / 'facts=1.csv'}[1]"
    assert found[1].name == name  # in the order of the data


def test_an_npz_file_gives_the_array_of_an_input_s_name(tmp_path: Path) -> None:
    fields = {name: Array(dtype="float32", shape=(2,)) for name in ("signal", "meta")}
    several = Dataset(task="float-agreement", inputs=fields, targets={})
    path, rows = tmp_path / "two.npz", np.arange(6, dtype=np.float32).reshape(3, 2)
    np.savez(path, signal=rows, meta=-rows)
    found = user_inputs.read_questions([f"signal={path}", f"meta={path}"], several)
    assert len(found) == 3
    np.testing.assert_array_equal(np.asarray(found[2].rows["meta"]), -rows[2:])
    typed = user_inputs.read_questions([f"signal={path}", "meta=[[1, 2], [3, 4], [5, 6]]"], several)
    np.testing.assert_array_equal(np.asarray(typed[0].rows["meta"]), [[1, 2]])
    np.savez(tmp_path / "only.npz", anything=rows)
    one = dataclasses.replace(several, inputs={"signal": fields["signal"]})
    assert len(user_inputs.read_questions([str(tmp_path / "only.npz")], one)) == 3
    for content, says in (
        (path.read_bytes(), "x: .*got a .npz file of signal, meta, want the array x"),
        (path.read_bytes()[:200], "x: .*got no readable .npz file"),
    ):
        (tmp_path / "b.npz").write_bytes(content)
        other = dataclasses.replace(several, inputs={"x": fields["signal"]})
        with pytest.raises(InputError, match=says):
            user_inputs.read_questions([str(tmp_path / "b.npz")], other)
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match="^signal: .*got .*, want .npy or JSON") as refused:
        user_inputs.read_questions([str(tmp_path / "objects.npy")], one)
    assert "pickle" not in refused.value.line()


def test_what_was_done_to_an_image_stands_beside_it_alone(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pillow.new("L", (8, 8)).save(tmp_path / "a.png")
    asked = [f"images={tmp_path / 'a.png'}", "facts=1,2"]
    (found,) = user_inputs.read_questions(asked, IMAGE_AND_FACTS)
    assert found.prepared == "read as grey, 8 x 8 scaled to 4 x 4 (bilinear)"


@pytest.mark.parametrize("value", ["{", "{}", "{0}", "{name}", "[[1,2],[3,4]]{}", "}", "x" * 5000])
def test_text_is_never_a_format_or_too_long_for_a_name(value: str) -> None:
    with pytest.raises(InputError) as caught:
        user_inputs.read_questions([value], numbers_example.ONE)
    assert "\n" not in caught.value.line() and len(caught.value.line()) < 500


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40), st.sampled_from([TEXT, numbers_example.ONE]))
def test_any_text_is_rows_or_wrong_input(value: str, dataset: Dataset) -> None:
    try:
        found = user_inputs.read_questions([value], dataset)
    except InputError as error:
        assert "\n" not in error.line()
        return
    for one in found:
        for name, field in dataset.inputs.items():
            field.check(one.rows[name], name)


def test_a_file_has_64_mib_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_text("[1, 2]")
    asked = [str(tmp_path / "a.json")]
    monkeypatch.setattr(user_inputs, "MOST_BYTES", 6)
    assert len(user_inputs.read_questions(asked, numbers_example.ONE)) == 1
    monkeypatch.setattr(user_inputs, "MOST_BYTES", 5)
    with pytest.raises(InputError, match="got more than 5 bytes, want a smaller file"):
        user_inputs.read_questions(asked, numbers_example.ONE)


@pytest.mark.parametrize("value", ["[11]", "[-1]", "[]", "[1,2,3,4,5,6,7]", "[1.5]", "12", "hello"])
def test_tokens_beyond_what_the_data_says_are_refused(value: str) -> None:
    with pytest.raises(InputError, match="^text: "):
        user_inputs.read_questions([value], TEXT)


def test_a_table_with_its_target_is_asked_by_its_columns(tmp_path: Path) -> None:
    names = numbers_example.FACTS.columns
    data = Dataset(
        task="regression",
        inputs={"facts": numbers_example.FACTS},
        targets={"numbers": numbers_example.PRICE},
    )
    table = tmp_path / "a.csv"
    cells = ",".join("2" for _ in names)
    table.write_text(f"{','.join(names)},price\n{cells},cheap\n{cells},dear\n")
    first, second = user_inputs.read_questions([str(table)], data)
    assert first.rows["facts"].tolist() == second.rows["facts"].tolist() == [[2.0] * len(names)]
    assert (first.prepared, second.prepared) == (
        "without price, of which the model takes nothing",
        "",
    )
    table.write_text(f"{','.join(names)}\n{cells}\n{cells[:-1]}x\n")
    with pytest.raises(InputError, match=rf"facts: .*a\.csv: line 3: {names[-1]}: got 'x'"):
        user_inputs.read_questions([str(table)], data)


def test_a_field_that_nobody_reads_is_named() -> None:
    masks = Map(height=4, width=4, names=("a", "b"))
    dataset = Dataset(task="classification", inputs={"mask": masks}, targets={})
    with pytest.raises(InputError, match="^mask: got a file or text, which a field of kind 'map'"):
        user_inputs.read_questions(["[1]"], dataset)
