from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd.bundle import archive
from edgekd.bundle import manifest as manifests
from edgekd.cli.bundle import PASSWORD
from edgekd.cli.bundle import command
from edgekd.errors import BudgetMissed
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from tests import bundle_example
from tests.bundle.test_signature import write_keys


def run(*arguments: object) -> EdgekdError | None:
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, EdgekdError), done.exception
    return done.exception


def test_a_run_a_bundle_and_an_archive_of_it_give_the_same_file(tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    for number, path in enumerate((tmp_path, folder, tmp_path / "0.edgekd")):
        assert run(path, "-o", tmp_path / f"{number}.edgekd") is None
    first = (tmp_path / "0.edgekd").read_bytes()
    assert {(tmp_path / f"{n}.edgekd").read_bytes() for n in (1, 2)} == {first}
    again = [str(folder), "-o", str(tmp_path / "0.edgekd")]
    refused = CliRunner().invoke(command, again).exception
    assert isinstance(refused, InputError) and refused.hint == "-o OTHER, or --replace"
    done = CliRunner().invoke(command, [*again, "--replace"])
    assert done.output == f"{tmp_path / '0.edgekd'}: {len(first) / 1000:.3g} kB\n"


def test_a_run_that_chose_nothing_has_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    error = run(tmp_path, "-o", tmp_path / "a.edgekd")
    assert isinstance(error, InputError) and "got a run that chose nothing" in error.line()


def test_a_signed_file_is_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ed25519 draws no random numbers (RFC 8032, 5.1.6)."""
    folder = bundle_example.make(tmp_path)
    private, _ = write_keys(tmp_path, password=b"secret")
    goal = tmp_path / "signed.edgekd"
    assert isinstance(run(folder, "-o", goal, "--sign", private), InputError)
    assert not goal.exists()
    monkeypatch.setenv(PASSWORD, "secret")
    made = set()
    for _ in range(2):
        assert run(folder, "-o", goal, "--replace", "--sign", private) is None
        made.add(goal.read_bytes())
    assert len(made) == 1
    with archive.open_bundle(goal) as inside:
        assert (inside / manifests.SIGNATURE).is_file()


def test_what_is_no_whole_bundle_is_not_packed(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path, "-o", tmp_path / "a.edgekd"), InputError)
    folder = bundle_example.make(tmp_path)
    (folder / "task.json").write_text("[]")
    assert isinstance(run(tmp_path, "-o", tmp_path / "a.edgekd"), BudgetMissed)
    assert not (tmp_path / "a.edgekd").exists()


def test_the_module_is_light() -> None:
    script = (
        "import sys, edgekd.cli.bundle, edgekd.cli.predict\n"
        "assert not {'numpy', 'torch', 'pydantic', 'rich', 'PIL', 'cryptography'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_file_and_a_folder_do_not_replace_one_another(tmp_path: Path) -> None:
    folder, taken = bundle_example.make(tmp_path), tmp_path / "taken"
    taken.mkdir()
    (tmp_path / "file").write_text("mine")
    for extra, path in (((), taken), (("--genai",), tmp_path / "file")):
        error = run(folder, "-o", path, "--replace", *extra)
        assert isinstance(error, InputError) and "got another kind of path" in error.line()
    error = run(folder, "-o", taken, "--replace", "--genai")
    assert isinstance(error, InputError) and "got a model that writes no text" in error.line()
    assert (tmp_path / "file").read_text() == "mine" and not list(taken.iterdir())
