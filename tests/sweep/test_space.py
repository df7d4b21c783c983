from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.sweep import space as spaces


def test_values_ranges_and_seeds() -> None:
    space = spaces.parse_space(
        [
            "student.model={name: resnet8, base: 4},'a,b'",
            "learn.0.losses.0.temperature=1, 2",
            "student_seed=0..2",
            "seed=7,9",
        ]
    )
    assert [axis.values for axis in space.axes] == [
        ("{name: resnet8, base: 4}", "'a,b'"),
        ("1", "2"),
    ]
    assert space.setting_count == 4 and len(list(space.settings())) == 4
    seeds = space.repetitions()
    assert len(seeds) == 6 and seeds[0] == {"student_seed": "0", "seed": "7"}


@pytest.mark.parametrize(
    ("text", "examples", "log", "whole"),
    [
        ("k=0.01..0.1:log", ("0.01", "0.1"), True, False),
        ("k=-1..1e2", ("-1.0", "100.0"), False, False),
        ("k=4..32", ("4", "32"), False, True),
        ("k=4..32:log", ("4", "32"), True, True),
    ],
)
def test_a_range(text: str, examples: tuple[str, str], log: bool, whole: bool) -> None:
    axis = spaces.parse_axis(text)
    assert axis.is_range and axis.examples == examples
    assert (axis.is_log, axis.is_whole) == (log, whole)
    assert spaces.SearchSpace((axis,), ()).setting_count is None


def test_a_number_of_a_range_is_short_and_never_beyond_its_ends() -> None:
    axis = spaces.parse_axis("k=0.0123456789..0.1")
    assert axis.format_number(0.0123456789) == "0.0123457" and axis.format_number(0.2) == "0.1"
    below = spaces.parse_axis("k=0.01234549..0.1")
    assert float(below.format_number(below.low)) >= below.low  # rounded it would lie below


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "got no key"),
        (["k"], "want KEY=A,B,C"),
        (["=1"], "want KEY=A,B,C"),
        (["k="], "want KEY=A,B,C"),
        (["k=1,,2"], "empty value"),
        (["k=1,2,1"], "got 1 twice"),
        (["k=1", "k=2"], "got k twice"),
        (["student.model=a,b", "student.model.base=1"], "student.model.base inside student.model"),
        (["k=2..1"], "the smaller number first"),
        (["k=0..1:log"], "numbers above 0"),
        (["k=1..2:lug"], "LOW..HIGH:log"),
        (["seed=0.5..2"], "at most 100 seeds"),
        (["seed=0..100"], "at most 100 seeds"),
        (["k=1..1e999"], "the smaller number first"),
    ],
)
def test_what_is_no_space_is_one_line(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        spaces.parse_space(texts)


def test_a_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("student.model.base: [8, 16]\nlr: 0.01..0.1:log\nm: [{name: a, base: 1}, b]\n")
    assert spaces.read_space_file(path) == [
        "student.model.base=8,16",
        "lr=0.01..0.1:log",
        'm={"name": "a", "base": 1},"b"',
    ]
    path.write_text("[1]\n")
    with pytest.raises(InputError, match="no mapping"):
        spaces.read_space_file(path)


def test_a_setting_is_named_by_what_differs() -> None:
    setting = {"student.train.learning_rate": "1", "teacher.train.learning_rate": "2", "a.b": "3"}
    assert spaces.describe_setting(setting) == (
        "student.train.learning_rate=1, teacher.train.learning_rate=2, b=3"
    )
    assert spaces.describe_setting({}) == "the recipe itself"
    assert spaces.format_overrides({"a.b": "3"}) == ("a.b=3",)
