from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.recipe import text as recipe_text


def written(folder: Path, data: bytes, name: str = "r.yaml") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        recipe_text.read(path)
    return str(caught.value)


def test_values_and_places(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbfa:\n  - b: 1\nc: {d: x}\n")
    document = recipe_text.read(path)
    label = recipe_text.file_label(path)
    assert document.value == {"a": [{"b": 1}], "c": {"d": "x"}}
    assert document.places[("a", 0, "b")] == f"{label}:2"
    assert recipe_text.place_of(document, ("c", "d", "e")) == f"{label}:3"
    assert recipe_text.place_of(document, ("nowhere",)) == label


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"a: 1\nb: .nan", 2, "b: got nan, want a finite number"),
        (b"a: 1e309", 1, "a: got inf, want a finite number"),
        (b"a: 18446744073709551616", 1, "a: got an integer of more than 64 bits"),
        (b"a: 1\n\xff", 2, "no UTF-8"),
        (b"a: 1\nb: \x00", 2, "the character '\\x00'"),
        (b"a: 1\nb: x\xef\xbb\xbfy", 2, "the character '\\ufeff'"),
        (b'a: "\\0"', 1, "want no control characters"),
        (b'a: "\\uD800"', 1, "want no control characters"),
        (b"a: \x1b[31m", 1, "the character"),
        (b"a: 1\nb: " + b"9" * 900_000, 2, "got 900,003 characters in a line"),
    ],
)
def test_what_a_recipe_cannot_hold(tmp_path: Path, data: bytes, line: int, message: str) -> None:
    path = written(tmp_path, data)
    said = complaint(path)
    assert said.startswith(f"{recipe_text.file_label(path)}:{line}: ") and message in said


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert "more than 10,000 values" in complaint(written(tmp_path, "\n".join(lines).encode()))


def test_what_is_no_recipe_file(tmp_path: Path) -> None:
    assert "want .yaml, .yml or .toml" in complaint(written(tmp_path, b"{}", "r.json"))
    assert "more than 1,000,000 bytes" in complaint(written(tmp_path, b"#" * 1_000_001))
    assert "No such file" in complaint(tmp_path / "nothing.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert "no regular file" in complaint(tmp_path / "folder.yaml")
    os.mkfifo(tmp_path / "fifo.yaml")
    assert "no regular file" in complaint(tmp_path / "fifo.yaml")
    assert "File name too long" in complaint(tmp_path / ("x" * 300 + ".yaml"))


def test_messages_are_short_and_printable() -> None:
    error = recipe_text.input_error("x" * 50, ("k" * 500, 3), "got \n\x1b[31m" + "y" * 500)
    assert len(str(error)) == recipe_text.MAX_LINE and str(error).isprintable()


def test_overrides() -> None:
    document = recipe_text.ParsedRecipe({"a": [{"b": 1}, "kd"]}, {(): "r.yaml", ("a",): "r.yaml:1"})
    changed = recipe_text.override(document, ["a.0.b=[1, x]", "a.1.t=2", "c.d=null"])
    assert changed.value == {
        "a": [{"b": [1, "x"]}, {"name": "kd", "t": 2}],
        "c": {"d": None},
    }
    assert document.value == {"a": [{"b": 1}, "kd"]}
    assert recipe_text.place_of(changed, ("a", 0, "b", 1)) == "--set"
    assert recipe_text.place_of(changed, ("a", 0)) == "--set"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("a", "want KEY=VALUE"),
        ("=1", "want KEY=VALUE"),
        ("a..b=1", "want KEY=VALUE"),
        ("a.7=1", "--set: a.7: got 7, want 0 to 1"),
        ("a.x=1", "--set: a.x: got 'x', want 0 to 1"),
        ("n.x=1", "got a key under 3, which has none"),
        ("a=[", "--set: a: got text that is no YAML"),
        ("a=.inf", "--set: a: got inf, want a finite number"),
        ("a=!!python/name:os x", "--set: a: got the tag"),
        (".".join("a" * 40) + "=1", "want a shorter one"),
        ("a" * 400 + "=1", "want a shorter one"),
    ],
)
def test_overrides_that_are_wrong(setting: str, message: str) -> None:
    document = recipe_text.ParsedRecipe({"a": [{}, "kd"], "n": 3}, {(): "r.yaml"})
    with pytest.raises(InputError) as caught:
        recipe_text.override(document, [setting])
    assert message in str(caught.value)
