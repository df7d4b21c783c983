"""Which checkpoints stay, and which one is gone on from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgekd.learn.training import checkpoint


def write(folder: Path, step: int, value: float) -> None:
    checkpoint.write(folder, step, {"w": torch.tensor([value])}, {"value": value})


def newest(folder: Path) -> float | None:
    data = checkpoint.read_newest(folder)
    if data is None:
        return None
    found = checkpoint.parse(data)
    assert found[0]["w"].item() == found[1]["value"]
    return float(found[1]["value"])


def steps(folder: Path) -> list[int]:
    return [int(path.name[:12]) for path in sorted(folder.iterdir())]


def test_the_last_two_stay(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    for step in (1, 9, 10, 11):  # as numbers, not as text
        write(tmp_path, step, step)
        assert newest(tmp_path) == step
    assert steps(tmp_path) == [10, 11]


def test_tied_tensors_are_kept_once_and_come_back_by_all_their_names(tmp_path: Path) -> None:
    words = torch.arange(30.0).reshape(6, 5)
    given = {"head": words, "other": torch.ones(2), "words": words, "own": words.clone()}
    checkpoint.write(tmp_path, 1, given, {})
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 4 * (30 + 30 + 2) + 600
    data = checkpoint.read_newest(tmp_path)
    assert data is not None
    found, _ = checkpoint.parse(data)
    assert set(found) == set(given)
    assert all(torch.equal(found[name], given[name]) for name in given)


@pytest.mark.parametrize("values", [(2.0, 3.0), (3.0, 2.0)])
def test_a_step_that_is_kept_anew_replaces_the_one_before(
    tmp_path: Path, values: tuple[float, float]
) -> None:
    """After a rollback; whichever of the two digests comes first."""
    write(tmp_path, 4, 1.0)
    for value in values:
        write(tmp_path, 5, value)
    assert steps(tmp_path) == [4, 5] and newest(tmp_path) == values[1]


def test_the_same_kept_twice_stays(tmp_path: Path) -> None:
    write(tmp_path, 5, 1.0)
    write(tmp_path, 5, 1.0)
    assert steps(tmp_path) == [5] and newest(tmp_path) == 1.0


def test_what_is_spoilt_or_half_written_goes(tmp_path: Path) -> None:
    """Else it would count as one of the two that stay."""
    write(tmp_path, 1, 1.0)
    write(tmp_path, 2, 2.0)
    (tmp_path / f".tmp-{'a' * 32}-edgekd").write_bytes(b"half")
    last = sorted(tmp_path.glob("0*"))[-1]
    last.write_bytes(last.read_bytes()[:-1])
    assert newest(tmp_path) == 1.0 and steps(tmp_path) == [1]
