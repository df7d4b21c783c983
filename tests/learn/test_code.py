from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.learn import code

CANARY = """
from pathlib import Path
(Path(__file__).parent.parent / "ran").touch()
def made():
    return 7
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "canary_package"
    folder.mkdir()
    for path in (folder / "__init__.py", folder / "inner.py"):
        path.write_text(CANARY)
    (tmp_path / "canary_broken.py").write_text("raise OSError('on purpose')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("canary_package", "canary_package.inner", "canary_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_the_file_is_found_without_running_it(package: Path) -> None:
    found = code.module_file("canary_package.inner:made", "source", allow_code=True)
    assert found == package / "canary_package" / "inner.py"
    assert not (package / "ran").exists()


def test_nothing_runs_without_leave(package: Path) -> None:
    with pytest.raises(InputError, match="runs your code") as caught:
        code.load("canary_package.inner:made", "source", allow_code=False)
    assert "--allow-code" in caught.value.hint
    assert not (package / "ran").exists()


def test_the_function_is_loaded_from_the_working_folder(package: Path) -> None:
    assert code.load("canary_package.inner:made", "source", allow_code=True)() == 7
    assert (package / "ran").exists()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("canary_package", "want python:package.module:function"),
        ("canary_package:", "want python:package.module:function"),
        ("../canary:made", "want python:package.module:function"),
        ("canary_package.missing:made", "got no module"),
        ("canary_broken:made", "canary_broken raised OSError: on purpose"),
        ("canary_package.inner:other", "got no function 'other'"),
        ("math:sqrt", "without a .py file|got no module"),
    ],
)
def test_what_is_wrong_is_said(package: Path, reference: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        code.load(reference, "source", allow_code=True)
