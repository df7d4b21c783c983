from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import run


def test_the_store_is_where_the_user_says_else_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("EDGEKD_HOME", "/x")
    assert run.default_store() == Path("/x")
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("EDGEKD_HOME")
        else:
            monkeypatch.setenv("EDGEKD_HOME", value)
        assert run.default_store() == tmp_path / "edgekd" / "store"


def test_a_run_s_folder_has_its_name() -> None:
    assert run.default_run_dir("quickstart") == Path("runs/quickstart")
