from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgekd.bench import golden
from edgekd.errors import InputError


def test_round_trip(tmp_path: Path) -> None:
    x, y = np.ones((2, 3), np.float32), np.zeros((2, 4), np.float32)
    save_file({"inputs": x, "outputs": y}, tmp_path / "g.safetensors")
    found = golden.read(tmp_path / "g.safetensors")
    np.testing.assert_array_equal(found.outputs, y)
    np.testing.assert_array_equal(np.load(golden.write_inputs(found, tmp_path / "x.npy")), x)


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\xff" * 40)
    save_file({"inputs": np.ones(2, np.float32)}, tmp_path / "half")
    for name in ("bad", "half"):
        with pytest.raises(InputError, match="want safetensors with `inputs` and `outputs`"):
            golden.read(tmp_path / name)
