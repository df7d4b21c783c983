"""A decoder's two files hold their weights once, and all that reads a bundle runs the right one."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from edgekd import bundle
from edgekd import files
from edgekd.admission import weight_files
from edgekd.bundle import archive
from edgekd.bundle import generation
from edgekd.bundle import manifest as manifests
from edgekd.bundle import verify
from edgekd.bundle.engine import choose_file
from edgekd.bundle.engine import prepare_engine
from edgekd.bundle.genai_folder import write_genai_folder
from edgekd.bundle.models import usual_model
from edgekd.errors import InputError
from tests import decoder_bundle_example as example


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example.make(tmp_path_factory.mktemp("decoder"))


def test_weights_are_stored_once(made: Path) -> None:
    """All but what is too small to be worth a name, or made for the fused operators alone."""
    inside = sum(len(w.raw_data) for w in onnx.load(made.parent / "fused.onnx").graph.initializer)
    shared = onnx.load(made / "fused.onnx", load_external_data=False).graph.initializer
    left = sum(len(weight.raw_data) for weight in shared)
    assert inside > 10_000 and left < 0.1 * inside
    places = {e.value for w in shared for e in w.external_data if e.key == "location"}
    assert places == {"model.onnx"}


def test_the_engine_gets_the_file_that_was_fused(made: Path, tmp_path: Path) -> None:
    found = usual_model(bundle.load_bundle(made))
    whole = choose_file(found, "onnxruntime", tmp_path)
    weights, alone = (
        {w.name: w.raw_data for w in onnx.load(path).graph.initializer}
        for path in (whole, made.parent / "fused.onnx")
    )
    assert weights == alone
    assert choose_file(found, "openvino", tmp_path) == made / "model.onnx"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_verify_and_text_through_both_engines(made: Path, tmp_path: Path, runtime: str) -> None:
    archive.pack(made, tmp_path / "a.edgekd")
    with archive.open_bundle(tmp_path / "a.edgekd") as folder:
        report = verify.verify(folder, runtime)
        verify.require_sound(report)
        (text,) = (check for check in report.checks if check.what.startswith(generation.WHAT))
        assert text.text.startswith("the first 16 of 16 tokens")


def test_a_bundle_whose_fused_file_holds_its_weights_still_verifies(tmp_path: Path) -> None:
    """As they were written before."""
    folder = example.make(tmp_path)
    whole = (tmp_path / "fused.onnx").read_bytes()
    rewrite(folder, manifests.FUSED, whole)
    verify.require_sound(verify.verify(folder, "onnxruntime"))


@pytest.mark.parametrize(
    "location", ["../fused.onnx", "/etc/passwd", "absent.bin", "manifest.json"]
)
def test_weights_elsewhere_are_refused_in_one_line(tmp_path: Path, location: str) -> None:
    folder = example.make(tmp_path)
    proto = onnx.load(folder / "fused.onnx", load_external_data=False)
    for weight in proto.graph.initializer:
        for entry in weight.external_data:
            if entry.key == "location":
                entry.value = location
    rewrite(folder, manifests.FUSED, proto.SerializeToString())
    with pytest.raises(InputError, match="fused.onnx: .*got ") as caught:
        prepare_engine(usual_model(bundle.load_bundle(folder)), "onnxruntime", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_changed_weight_is_found(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(made, folder)
    data = bytearray((folder / "model.onnx").read_bytes())
    at = next(iter(weight_files.locate_weights(folder / "model.onnx").values()))
    data[at] ^= 1
    (folder / "model.onnx").write_bytes(data)
    checks = {each.what: each.verdict for each in verify.verify(folder, "onnxruntime").checks}
    assert checks["model.onnx"] == "failed" and checks[verify.WHAT] == "not checked"


def test_the_folder_for_genai_holds_its_weights(made: Path, tmp_path: Path) -> None:
    write_genai_folder(bundle.load_bundle(made), tmp_path / "genai")
    whole = onnx.load(tmp_path / "genai" / "model.onnx", load_external_data=False)
    assert not any(weight.external_data for weight in whole.graph.initializer)


def rewrite(folder: Path, name: str, data: bytes) -> None:
    """Put another file into a bundle, with its digest."""
    (folder / name).write_bytes(data)
    manifest = files.read_json(folder / manifests.MANIFEST)
    del manifest["digest"]
    manifest["files"][name] = {"sha256": files.digest_bytes(data), "size_bytes": len(data)}
    digest = files.digest_bytes(files.canonical_json(manifest))
    text = files.pretty_json({**manifest, "digest": digest})
    (folder / manifests.MANIFEST).write_bytes(text)
