from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from edgekd import bundle
from edgekd import files
from edgekd.bundle import manifest as manifests
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from tests import bundle_example


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bundle_example.make(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bundle that every example puts back as it was."""
    return bundle_example.make(tmp_path_factory.mktemp("kept"))


def sign(folder: Path, change: Callable[[dict], None]) -> None:
    """What a hostile hand would do: change the manifest and make its own digest fit."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    del manifest["digest"]
    manifest["digest"] = files.digest_bytes(files.canonical_json(manifest))
    (folder / "manifest.json").write_bytes(files.pretty_json(manifest))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=200), position=st.integers(0, 5000), cut=st.integers(0, 300))
def test_a_manifest_cut_and_mended_at_random_is_caught(
    kept: Path, data: bytes, position: int, cut: int
) -> None:
    path = kept / "manifest.json"
    whole = path.read_bytes()
    start = position % len(whole)
    changed = whole[:start] + data + whole[start + cut :]
    if changed == whole:
        return
    try:
        path.write_bytes(changed)
        with pytest.raises(EdgekdError) as caught:
            bundle.load_bundle(kept)
        assert caught.value.exit_code in (1, 2)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("precision", ["a/b", "../x", "nul\0", "é" * 50])
def test_a_precision_that_is_none_is_refused(tmp_path: Path, precision: str) -> None:
    row = bundle_example.row(precision=precision)
    folder = bundle_example.make(tmp_path, rows=[row])
    with pytest.raises(InputError, match=r"chosen\.precision"):
        bundle.load_bundle(folder)


def test_a_file_of_a_bundle_has_2_gib_at_most(folder: Path) -> None:
    model = {"model.onnx": {"sha256": "0" * 64, "size_bytes": 2**31}}
    sign(folder, lambda manifest: manifest["files"].update(model))
    assert manifests.read_manifest(folder).files["model.onnx"].size_bytes == 2**31
    model["model.onnx"]["size_bytes"] += 1
    sign(folder, lambda manifest: manifest["files"].update(model))
    with pytest.raises(InputError, match=r"files\.model\.onnx\.size_bytes"):
        manifests.read_manifest(folder)


def test_a_text_in_the_manifest_has_200_characters_at_most(folder: Path) -> None:
    sign(folder, lambda manifest: manifest.update(name="n" * 50))
    assert manifests.read_manifest(folder).name == "n" * 50
    sign(folder, lambda manifest: manifest.update(name="n" * 201))
    with pytest.raises(InputError, match=r"manifest\.json: name: "):
        manifests.read_manifest(folder)


def grow(folder: Path, size_bytes: int) -> None:
    """Name so many steps in the manifest that it has this size."""
    sign(folder, lambda manifest: manifest.update(created_from={"00000": ""}))
    left = size_bytes - (folder / "manifest.json").stat().st_size
    count, rest = divmod(left, len('    "00000": "",\n') + 100)
    steps = {f"{n:05}": "x" * (100 if n else rest) for n in range(count + 1)}
    sign(folder, lambda manifest: manifest.update(created_from=steps))
    assert (folder / "manifest.json").stat().st_size == size_bytes


def test_a_manifest_has_1_mib_at_most(folder: Path) -> None:
    grow(folder, 2**20)
    assert len(manifests.read_manifest(folder).created_from) > 8000
    grow(folder, 2**20 + 1)
    with pytest.raises(InputError, match="got more than 1048576 bytes"):
        manifests.read_manifest(folder)


def first_input(manifest: dict) -> dict:
    found: dict = manifest["interface"]["inputs"][0]
    return found


OTHER_INTERFACES: dict[str, Callable[[dict], object]] = {
    "none": lambda m: m.pop("interface"),
    "a list": lambda m: m.update(interface=[]),
    "text": lambda m: m.update(interface="images to logits"),
    "no inputs": lambda m: m["interface"].update(inputs=[]),
    "no outputs": lambda m: m["interface"].update(outputs=[]),
    "inputs without names": lambda m: first_input(m).pop("name"),
    "unknown key": lambda m: first_input(m).update(run="rm -rf"),
    "a path as name": lambda m: first_input(m).update(name="../images"),
    "a name twice": lambda m: first_input(m).update(name="logits"),
    "unknown type": lambda m: first_input(m).update(dtype="object"),
    "unknown kind": lambda m: first_input(m).update(kind="hologram"),
    "a size that is text": lambda m: first_input(m).update(shape=["batch", "1", 4, 4]),
    "a size below 1": lambda m: first_input(m).update(shape=["batch", 0, 4, 4]),
    "a size beyond reason": lambda m: first_input(m).update(shape=["batch", 2**31, 4, 4]),
    "many values": lambda m: first_input(m).update(shape=["batch", 2**15, 2**15, 4]),
    "many axes": lambda m: first_input(m).update(shape=["batch", *[1] * 20]),
    "many ends": lambda m: m["interface"].update(
        inputs=[{**first_input(m), "name": f"n{n}"} for n in range(300)]
    ),
    "a number as shape": lambda m: first_input(m).update(shape=4),
    "sizes out of order": lambda m: m["interface"]["axes"][0].update(least=3),
    "sizes that are no numbers": lambda m: m["interface"]["sizes"].update(classes="3"),
    "deep": lambda m: m["interface"].update(sizes=json.loads('{"a":' * 50 + "1" + "}" * 50)),
}


@pytest.mark.parametrize("name", OTHER_INTERFACES)
def test_a_hostile_interface_is_refused(folder: Path, name: str) -> None:
    sign(folder, OTHER_INTERFACES[name])
    with pytest.raises(InputError, match=r"manifest\.json: interface") as caught:
        manifests.read_manifest(folder)
    assert "\n" not in caught.value.line() and len(caught.value.line()) < 500


@pytest.mark.parametrize(
    "change",
    [
        lambda m: first_input(m).update(shape=["batch", 1, 4, 5]),
        lambda m: first_input(m).update(shape=["batch", 16]),
        lambda m: first_input(m).update(dtype="float16"),
        lambda m: first_input(m).update(name="pictures"),
        lambda m: m["interface"]["outputs"][0].update(shape=["batch", 4]),
        lambda m: m["interface"]["outputs"][0].update(name="scores"),
        lambda m: m["interface"]["outputs"].append(
            {**m["interface"]["outputs"][0], "name": "more"}
        ),
    ],
)
def test_an_interface_that_is_not_the_golden_samples_is_refused(
    folder: Path, change: Callable[[dict], None]
) -> None:
    sign(folder, change)
    with pytest.raises(InputError, match=r"golden\.safetensors: got") as caught:
        bundle.load_bundle(folder)
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize(
    "metric",
    [{}, None, {"name": "RMSE", "unit": "volts", "better": "lower"}, {"name": "x" * 201}],
)
def test_a_hostile_metric_is_refused(folder: Path, metric: object) -> None:
    sign(folder, lambda manifest: manifest.update(metric=metric))
    with pytest.raises(InputError, match=r"manifest\.json: metric"):
        manifests.read_manifest(folder)


def test_the_score_and_its_metric_are_told(folder: Path) -> None:
    found = manifests.read_manifest(folder)
    assert found.metric.model_dump() == {
        "name": "accuracy",
        "unit": "fraction",
        "better": "higher",
    }
    assert found.chosen.validation_score == 0.9
    sign(folder, lambda manifest: manifest["chosen"].update(validation_score=-12.5))
    assert manifests.read_manifest(folder).chosen.validation_score == -12.5
