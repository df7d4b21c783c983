from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekd import code
from edgekd import sources
from edgekd.errors import InputError
from edgekd.errors import MachineError

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
    (tmp_path / "canary_script.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("canary_package", "canary_package.inner", "canary_broken", "canary_script"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_the_file_is_found_without_running_it(package: Path) -> None:
    found = code.module_files("canary_package.inner:made", "source", allow_code=True)
    assert found[0] == package / "canary_package" / "inner.py"
    assert not (package / "ran").exists()


def test_nothing_runs_without_leave(package: Path) -> None:
    with pytest.raises(InputError, match="runs your code") as caught:
        code.load_function("canary_package.inner:made", "source", allow_code=False)
    assert "--allow-code" in caught.value.hint
    assert not (package / "ran").exists()


def test_the_function_is_loaded_from_the_working_folder(package: Path) -> None:
    assert code.load_function("canary_package.inner:made", "source", allow_code=True)() == 7
    assert (package / "ran").exists()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("canary_package", "want python:package.module:function"),
        ("canary_package:", "want python:package.module:function"),
        ("../canary:made", "want python:package.module:function"),
        ("canary_package.missing:made", "got no module"),
        ("canary_broken:made", "canary_broken raised OSError: on purpose"),
        ("canary_script:made", "canary_script raised SystemExit: 0"),
        ("canary_package.inner:other", "got no function 'other'"),
        ("math:sqrt", "without a .py file|got no module"),
    ],
)
def test_what_is_wrong_is_said(package: Path, reference: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        code.load_function(reference, "source", allow_code=True)


IMPORTS = """
import os, numpy as np, sibling_plain
from sibling_names import thing
from sibling_package.deep import more
import importlib
def build():
    import sibling_inside
    importlib.import_module("sibling_text")
    from edgekd.units import percent_text
"""
IMPORTED = {
    "main_of_imports.py": IMPORTS,
    "sibling_plain.py": "import sibling_of_sibling\nraise SystemExit\n",
    "sibling_of_sibling.py": "import main_of_imports\n",
    "sibling_names.py": "thing = 1\n",
    "sibling_inside.py": "this does not parse\n",
    "sibling_text.py": "",
    "sibling_package/__init__.py": "",
    "sibling_package/deep.py": "from . import near\nfrom .lower import other\n",
    "sibling_package/near.py": "import sibling_from_package\n",
    "sibling_package/computed.py": "",
    "sibling_package/lower/__init__.py": "from .. import near\n",
    "sibling_package/lower/other.py": "from ...nothing import x\n",
    "sibling_from_package.py": "",
}
APART = {
    "not_imported.py": "",
    "site-packages/installed_one.py": "",
    "sibling_package/notes.txt": "",
    "sibling_package/.hidden/x.py": "",
}


def lay_out(folder: Path, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def digests(folder: Path) -> set[Path]:
    paths = code.module_files("main_of_imports:build", "source", allow_code=True)
    assert paths[0] == folder / "main_of_imports.py"
    return set(paths)


def test_every_module_that_is_imported_from_outside_the_environment_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, IMPORTED | APART)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    monkeypatch.syspath_prepend(str(tmp_path))  # the tests' import hook looks there only
    (tmp_path / "main_of_imports.py").write_text(IMPORTS + "import installed_one\n")
    found = digests(tmp_path)
    assert {p for p in found if p.is_relative_to(tmp_path)} == {tmp_path / n for n in IMPORTED}
    assert sources.PACKAGE / "units.py" in found  # an editable edgekd is edited, too
    assert not [p for p in found if "numpy" in p.parts or p.parent.name.startswith("python3")]


def test_what_a_package_imports_counts_for_the_modules_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(
        tmp_path, {"lonely/__init__.py": "import besides", "lonely/one.py": "", "besides.py": ""}
    )
    monkeypatch.chdir(tmp_path)
    found = code.module_files("lonely.one:f", "source", allow_code=True)
    assert {path.name for path in found} == {"one.py", "__init__.py", "besides.py"}


def test_a_namespace_package_counts_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, {"spaced/inner/one.py": "", "spaced/inner/two.py": ""})
    monkeypatch.chdir(tmp_path)
    found = code.module_files("spaced.inner.one:f", "source", allow_code=True)
    assert {p.name for p in found} == {"one.py", "two.py"}


def test_a_long_chain_of_calls_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import sibling_far\ndef build(x):\n    return x" + ".f()" * 1000 + "\n"
    lay_out(tmp_path, {"chain_of_calls.py": text, "sibling_far.py": ""})
    monkeypatch.chdir(tmp_path)
    found = code.module_files("chain_of_calls:build", "source", allow_code=True)
    assert {path.name for path in found} == {"chain_of_calls.py", "sibling_far.py"}


def test_code_that_was_loaded_and_then_changed_is_refused(package: Path) -> None:
    named = "canary_package.inner:made"
    code.load_function(named, "source", allow_code=True)
    code.module_files(named, "source", allow_code=True)
    (package / "canary_package" / "__init__.py").write_text("x = 1\n")
    with pytest.raises(MachineError, match=r"__init__\.py: changed since this process loaded it"):
        code.module_files(named, "source", allow_code=True)
