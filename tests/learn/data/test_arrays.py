"""Arrays of any inputs, without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.data import arrays


def test_every_array_is_an_input_in_the_files_order(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, b=np.ones((3, 2)), a=np.zeros((3, 4), np.int64))
    found = arrays.read(reference=str(path))
    assert list(found.fields) == ["b", "a"] and list(found.splits) == ["train"]
    assert found.splits["train"]["b"].dtype == np.float32  # type: ignore[union-attr]


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"no")
    with pytest.raises(InputError, match="no readable .npz"):
        arrays.read(reference=str(path))
