"""Files of published models: from the cache without a question, from a stub of the hub where that is allowed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn import model_hub
from edgekd.learn.model_hub import ModelSource
from edgekd.learn.model_hub import parse_source
from edgekd.learn.model_hub import require_file
from edgekd.learn.model_hub import require_weights
from tests import model_hub_example
from tests.model_hub_example import COMMIT

NET = "someone/net-1.0"
FILES = {(NET, "config.json"): b"{}", (NET, "model.safetensors"): b"weights"}
FETCH = """
import json, sys
from edgekd.errors import EdgekdError
from edgekd.learn import model_hub

found = {}
for reference in sys.argv[1:]:
    source = model_hub.parse_source(reference, reference)
    try:
        config = model_hub.require_file(source, "config.json", allow_download=True)
        weights = model_hub.require_weights(source.pin(config), allow_download=True)
        found[reference] = [str(config), str(weights), model_hub.find_commit(weights)]
    except EdgekdError as error:
        found[reference] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import huggingface_hub.constants

    folder = tmp_path / "home" / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


def source(reference: str) -> ModelSource:
    found = parse_source(reference, f"timm:{reference}")
    assert found is not None
    return found


def test_what_is_missing_is_fetched_once_and_all_of_one_commit(cache: Path) -> None:
    lone = "someone/lone"
    with model_hub_example.serve_files({**FILES, (lone, "config.json"): b"{}"}) as (address, asked):
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(cache.parent)}
        command = [sys.executable, "-c", FETCH, f"hf-hub:{NET}", "nobody/none", lone]
        ran = subprocess.run(command, capture_output=True, check=True, env=environment)
    found = json.loads(ran.stdout)
    config, weights, commit = found[f"hf-hub:{NET}"]
    assert (Path(config).read_bytes(), Path(weights).read_bytes()) == (b"{}", b"weights")
    assert commit == COMMIT
    assert f"GET /{NET}/resolve/main/config.json" in asked
    assert f"GET /{NET}/resolve/{COMMIT}/model.safetensors" in asked
    assert found["nobody/none"] == [
        "InputError",
        "nobody/none: the hub has no such model, or it is not public",
    ]
    assert found[lone][0] == "InputError" and "got no weights there" in found[lone][1]
    # From now on nobody is asked, with leave or without.
    for allowed in (False, True):
        assert require_file(source(NET), "config.json", allow_download=allowed) == Path(config)


def test_the_cache_is_used_without_leave(cache: Path) -> None:
    model_hub_example.fill_cache(cache, FILES)
    found = require_weights(source(NET))
    assert found.read_bytes() == b"weights"
    assert model_hub.find_commit(found) == COMMIT
    assert source(NET).pin(found).revision == COMMIT
    assert require_weights(source(f"{NET}@{COMMIT}")) == found
    with pytest.raises(
        MachineError, match="got no config.json of someone/net-1.0 on this"
    ) as caught:
        require_file(source(f"{NET}@v2"), "config.json")
    assert caught.value.hint == "add --allow-download"


def test_a_folder_is_read_where_it_lies(tmp_path: Path) -> None:
    for reference in (str(tmp_path), f"local-dir:{tmp_path}"):
        with pytest.raises(InputError, match="got no weights there, want model.safetensors or"):
            require_weights(source(reference))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    assert require_weights(source(str(tmp_path))) == tmp_path / "pytorch_model.bin"
    (tmp_path / "model.safetensors").write_bytes(b"")
    found = require_weights(source(str(tmp_path)))
    assert found.name == "model.safetensors" and model_hub.find_commit(found) == ""


def test_plain_names_are_the_package_s() -> None:
    assert parse_source("resnet18.a1_in1k", "timm:resnet18") is None


@pytest.mark.parametrize(
    "reference",
    ["../up/model", "a/b/c", "https://host/a", "hf-hub:a/../b", "local-dir:/nowhere", "a/b@../c"],
)
def test_what_is_neither_folder_nor_repository_is_refused(reference: str) -> None:
    with pytest.raises(InputError, match="want one"):
        parse_source(reference, "timm")
