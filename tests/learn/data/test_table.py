from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.data import table
from edgekd.learn.source import require_sound


def write(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_words_are_classes_and_a_column_that_numbers_rows_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "rownames,a,b,species", "1,0.5,2,x", "2,1.5,3,y", "3,2.5,4,x")
    source = require_sound(table.read(reference=path), "a")
    assert source.splits["train"]["columns"].tolist() == [[0.5, 2], [1.5, 3], [2.5, 4]]  # type: ignore[union-attr]
    assert np.array_equal(source.splits["train"]["labels"], [0, 1, 0])
    assert source.fields["columns"].words["columns"] == ("a", "b")
    assert source.notes[0] == (
        "to tell: column species, classes: x, y; 3 rows of 2 numbers; no column for splits; left out: rownames"
    )


def test_fractions_are_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "a,price,split", "1,0.5,train", "2,1.5,train", "3,9,test")
    source = require_sound(table.read(reference=path, target="price"), "a")
    assert source.splits["train"]["numbers"].tolist() == [[0.5], [1.5]]  # type: ignore[union-attr]
    assert source.splits["test"]["columns"].tolist() == [[3]]  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["class", "number"])
def test_whole_numbers_leave_it_open_until_it_is_said(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, "a,y", *(f"{i},{i % 3}" for i in range(6)))
    with pytest.raises(InputError, match="3 different whole numbers, which may be") as fault:
        table.read(reference=path)
    assert "target: y, target_is: class}, or target_is: number" in fault.value.hint
    source = table.read(reference=path, target_is=kind)
    assert list(source.fields)[1] == ("labels" if kind == "class" else "numbers")


@pytest.mark.parametrize(
    ("lines", "said", "message", "hint"),
    [
        (["a,b", "1,2"], {}, "want to know which is to be told", "target: b}"),
        (["a,y", "1,x", "oops,x"], {}, "line 3: a: got 'oops', want a number", "on_broken: skip"),
        (["a,c,y", "1,red,x", "2,blue,x"], {}, "'c' without numbers", "leave_out: 'c'"),
        (["a,y", "1,x"], {"target": "z"}, "target: got 'z'", ""),
        (["a,y", "1,x"], {"target_is": "label"}, "want one of: auto, class, number", ""),
        (["a,y", "1,x"], {"target_is": "number"}, "y: got 'x', want a number", ""),
        (["a,y", "1,0", "2,NA"], {}, "line 3: y: got 'NA', which says that there is", "on_broken"),
        (["y", "1"], {}, "got no column of numbers beside y", ""),
    ],
)
def test_what_leaves_it_open_is_refused_with_what_to_write(
    tmp_path: Path, lines: list[str], said: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(InputError, match=message) as fault:
        table.read(reference=write(tmp_path, *lines), **said)  # type: ignore[arg-type]
    assert hint in fault.value.hint


def test_rows_without_a_number_are_skipped_where_that_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, "a,y", "1,x", ",x", "3,z", "4,", "5,nan")
    source = table.read(reference=path, on_broken="skip")
    assert len(source.splits["train"]["labels"]) == 2 and len(source.skipped) == 3
    assert source.fields["labels"].words["names"] == ("x", "z")


def test_a_line_of_very_many_columns_is_refused_at_once(tmp_path: Path) -> None:
    head = ",".join(f"c{number}" for number in range(200_000))  # each beside each would take hours
    (tmp_path / "wide.csv").write_text(f"{head}\n")
    with pytest.raises(InputError, match="got 200000 columns, want at most 4096"):
        table.read(reference=str(tmp_path / "wide.csv"))
