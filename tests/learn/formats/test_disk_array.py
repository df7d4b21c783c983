"""An array on the disk holds what was added, in its type; and a full disk is said in one line."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import MachineError
from edgekd.learn.formats import disk_array
from edgekd.learn.formats.disk_array import DiskArray


def test_what_was_added_is_there_however_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_array, "_PIECE", 7)
    draw = np.random.default_rng(0)
    parts = [draw.integers(0, 2**15, size) for size in (0, 3, 7, 30, 1)]
    array = DiskArray(np.int32)
    assert array.view().shape == (0,)
    for part in [*parts, parts[3][::2]]:
        array.extend(part)
    want = np.concatenate([*parts, parts[3][::2]])
    assert array.view().dtype == np.int32 and len(array) == len(want)
    view = array.view()
    del array  # a view outlives it
    assert view.tolist() == want.tolist()
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1


def test_a_full_disk_says_which_folder_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(MachineError, match="cannot be written: File too large") as caught:
            DiskArray(np.int64).extend(np.zeros(2**19, np.int64))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert str(tmp_path) in str(caught.value) and "TMPDIR" in (caught.value.hint or "")
