"""What would fail in three hours is refused now."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.plan import checks
from edgekd.run import Options


def test_a_folder_of_data_sets_is_one_or_may_be_made(tmp_path: Path) -> None:
    def options(folder: Path | None, download: bool = False) -> Options:
        return Options(run_dir=tmp_path, store=tmp_path, data_dir=folder, allow_download=download)

    for right in (options(None), options(tmp_path), options(tmp_path / "new", True)):
        checks.require_data_dir(right)
    with pytest.raises(InputError, match="--data-dir: got .*none, which is no folder"):
        checks.require_data_dir(options(tmp_path / "none"))
