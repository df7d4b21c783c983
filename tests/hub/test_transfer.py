"""The real client against a stub of the Hub on loopback (`tests.hub_example`): nothing here was tried on the Hub itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import types
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from edgekd.bundle import manifest
from edgekd.errors import EdgekdError
from edgekd.hub import transfer
from tests import bundle_example
from tests.hub_example import REPO
from tests.hub_example import TOKEN
from tests.hub_example import Hub
from tests.hub_example import serve_hub

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve_hub() as served:
        yield served


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    return bundle_example.make(tmp_path / "made", card="# tiny\n" + "x" * 12_000)


def edgekd(hub: Hub, folder: Path, *arguments: str, token: str = TOKEN) -> tuple[int, str]:
    """Exit code and all that is printed, of the command in a process of its own."""
    known = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment = {
        **known,
        "HOME": str(folder),
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        **({"HF_TOKEN": token} if token else {}),
    }
    done = subprocess.run(
        [sys.executable, "-m", "edgekd", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert TOKEN not in printed
    return done.returncode, printed


def test_a_bundle_goes_up_with_its_card_and_comes_down_as_it_was(
    hub: Hub, bundle: Path, tmp_path: Path
) -> None:
    code, printed = edgekd(
        hub, tmp_path, "push", str(bundle), REPO, "--allow-upload", "--license", "apache-2.0"
    )
    assert code == 0, printed
    assert hub.head in printed
    (created,) = hub.created
    assert created.get("visibility") == "private" or created.get("private") is True
    assert any(asked.startswith("PUT /lfs/") for asked in hub.asked)
    readme = hub.commits[hub.head]["README.md"].decode()
    front = yaml.safe_load(readme.split("---\n")[1])
    assert front["license"] == "apache-2.0" and front["library_name"] == "edgekd"
    assert front["model-index"][0]["results"][0]["metrics"][0] == {
        "type": "accuracy",
        "name": "accuracy",
        "value": 0.9,
    }
    code, printed = edgekd(hub, tmp_path, "pull", REPO, "--allow-download", token="")
    assert code == 0, printed
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "digits").iterdir()
    }
    first = hub.head
    hub.commit({"manifest.json": b"{}"})
    code, printed = edgekd(
        hub, tmp_path, "pull", REPO, "--allow-download", "--revision", first, "-o", "again"
    )
    assert code == 0 and (tmp_path / "again/manifest.json").stat().st_size > 2


def test_without_leave_nothing_is_asked(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    code, printed = edgekd(hub, tmp_path, "push", str(bundle), REPO)
    assert code == 0 and "would upload" in printed and "README.md" in printed
    code, printed = edgekd(hub, tmp_path, "pull", REPO)
    assert code == 2 and "--allow-download" in printed
    assert hub.asked == []


@pytest.mark.parametrize("name", ["model.onnx", "golden.safetensors", "manifest.json", "task.json"])
def test_what_was_changed_on_the_hub_does_not_land(
    hub: Hub, bundle: Path, tmp_path: Path, name: str
) -> None:
    content = {path.name: path.read_bytes() for path in bundle.iterdir()}
    content[name] = content[name][:-1] + bytes([content[name][-1] ^ 1])
    hub.commit(content)
    code, printed = edgekd(hub, tmp_path, "pull", REPO, "--allow-download")
    assert code in (1, 2) and not (tmp_path / "digits").exists(), printed
    assert f"{REPO}/" in printed and "/edgekd-" not in printed
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("digits")] == []


def test_what_is_no_bundle_is_refused_before_it_is_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.commit({"pytorch_model.bin": b"\x80\x04", "config.json": b"{}"})
    code, printed = edgekd(hub, tmp_path, "pull", REPO, "--allow-download")
    assert code == 2 and "want a bundle" in printed
    assert not [asked for asked in hub.asked if "resolve" in asked]


def test_files_beside_the_bundle_are_left_there(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    hub.commit({path.name: path.read_bytes() for path in bundle.iterdir()})
    hub.commit({"evil.py": b"import os", "../../escape": b"x"})
    code, printed = edgekd(hub, tmp_path, "pull", REPO, "--allow-download")
    assert code == 0, printed
    assert {p.name for p in (tmp_path / "digits").iterdir()} == {p.name for p in bundle.iterdir()}


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_a_folder_that_is_there_is_left_alone(
    hub: Hub, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "digits")
    code, printed = edgekd(hub, tmp_path, "pull", REPO, "--allow-download")
    assert code == 2 and "there already" in printed and hub.asked == []


class SilentHub:
    """A hub that tells no sizes and sends what it likes."""

    def __init__(self, sent_bytes: int) -> None:
        self.sent_bytes, self.asked = sent_bytes, list[str]()

    def model_info(self, repo: str, **_: object) -> types.SimpleNamespace:
        names = [transfer.MODEL, manifest.MANIFEST]
        siblings = [types.SimpleNamespace(rfilename=name, size=None) for name in names]
        return types.SimpleNamespace(sha="0" * 40, siblings=siblings)

    def hf_hub_download(
        self, repo: str, name: str, *, local_dir: Path, tqdm_class: type, **_: object
    ) -> None:
        self.asked.append(name)
        with tqdm_class(disable=True) as bar:
            for _ in range(4):
                bar.update(self.sent_bytes // 4)
        local_dir.mkdir(exist_ok=True)
        (local_dir / name).write_bytes(b"{}")


def test_bytes_are_counted_where_the_hub_tells_no_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sent, message in (
        (2**40, f"{REPO}/manifest.json: got more than"),
        (4, f"{REPO}/manifest.json: "),
    ):
        silent = SilentHub(sent)
        monkeypatch.setattr(
            transfer, "_answering", lambda repo, hub=silent: contextlib.nullcontext(hub)
        )
        with pytest.raises(EdgekdError, match=message) as caught:
            transfer.pull(REPO, tmp_path / "digits")
        assert "/edgekd-" not in str(caught.value) and not (tmp_path / "digits").exists()
        assert len(silent.asked) == (1 if sent > 4 else 2)


@pytest.mark.parametrize("name", ["digits", "../../x", "a/b/c", "me/..", "a b/c"])
def test_a_name_that_is_no_repository_is_refused(
    hub: Hub, bundle: Path, tmp_path: Path, name: str
) -> None:
    for arguments in (
        ("push", str(bundle), name, "--allow-upload"),
        ("pull", name, "--allow-download", "-o", "here"),
    ):
        code, printed = edgekd(hub, tmp_path, *arguments)
        assert code == 2 and "OWNER/NAME" in printed, printed
    assert hub.asked == []


def test_a_hub_that_refuses_is_one_line(hub: Hub, bundle: Path, tmp_path: Path) -> None:
    code, printed = edgekd(hub, tmp_path, "push", str(bundle), REPO, "--allow-upload", token="")
    assert code == 3 and "hf auth login" in printed and len(printed.strip().splitlines()) <= 2
    code, printed = edgekd(hub, tmp_path, "pull", REPO, "--allow-download", "--revision", "nowhere")
    assert code == 3 and not (tmp_path / "digits").exists()
