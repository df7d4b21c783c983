from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image as pillow

from edgekd import bundle
from edgekd.bench.generation import TokenChoice
from edgekd.bundle import archive
from edgekd.bundle import predict as bundle_predict
from edgekd.bundle import signature
from edgekd.bundle.predict import Prediction
from edgekd.cli import predict
from edgekd.cli.predict import command
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from tests import bundle_example
from tests.bundle.test_signature import write_keys


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    made = bundle_example.make(folder)
    archive.pack(made, folder / "tiny.edgekd")
    return folder / "tiny.edgekd"


def test_each_image_is_a_line_with_its_labels_and_what_was_done(
    packed: Path, tmp_path: Path
) -> None:
    pillow.new("RGB", (8, 8), (250, 250, 250)).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", np.zeros((2, 4, 4, 1), np.uint8))
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.npy")]
    for given in (packed, packed.parent / "bundle"):
        done = CliRunner().invoke(command, [str(given), *paths, "--top", "3"])
        lines = done.output.splitlines()
        assert done.exit_code == 0 and len(lines) == 3
        assert lines[0].endswith("(read as grey, 8 x 8 scaled to 4 x 4 (bilinear))")
        assert lines[1].startswith(f"{paths[1]}[0]  ") and lines[1].count(" %") == 3
    assert lines[1].partition("  ")[2] == lines[2].partition("  ")[2]


def test_how_tokens_are_drawn_goes_with_tokens_to_write() -> None:
    choose = predict._choose_sampling
    assert choose({}, 3) == TokenChoice()
    assert choose({"top_k": 5, "seed": 2}, 3) == TokenChoice(1.0, top_k=5, seed=2)
    assert choose({"top_p": 0.9, "temperature": 0.7}, 3) == TokenChoice(0.7, top_p=0.9)
    given = ["bundle", "text", "--top-k", "3", "--seed", "1"]
    refused = CliRunner().invoke(command, given)
    assert refused.exit_code == 2 and "got --top-k, --seed, want --tokens beside" in refused.output
    for wrong in (["--top-p", "0"], ["--top-p", "1.1"], ["--top-p", "nan"], ["--top-k", "0"]):
        assert (
            CliRunner().invoke(command, ["bundle", "text", "--tokens", "1", *wrong]).exit_code == 2
        )


def test_json_is_one_value(packed: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint8))
    done = CliRunner().invoke(command, [str(packed), str(tmp_path / "a.npy"), "--json"])
    (told,) = json.loads(done.output)
    assert told["input"] == str(tmp_path / "a.npy") and told["prepared"] == ""
    assert sum(one["probability"] for one in told["answers"]) == pytest.approx(1)
    assert sorted(one["text"] for one in told["answers"]) == ["a", "b", "c"]
    (logits,) = told["outputs"].values()
    shares = np.exp(logits["values"]) / np.exp(logits["values"]).sum()
    told_shares = {one["text"]: one["probability"] for one in told["answers"]}
    assert logits["shape"] == [3]
    assert [told_shares[name] for name in "abc"] == pytest.approx(list(shares))


def test_of_a_large_output_json_has_the_range() -> None:
    made = Prediction("a", "", (), {}, {"y": np.arange(1001, dtype=np.float32)[None]})
    (said,) = predict._fields(made)["outputs"].values()
    assert said == {"shape": [1, 1001], "least": 0, "mean": 500, "most": 1000}


@pytest.mark.parametrize(("task", "lines"), [("float-agreement", 21), ("classification", 25)])
def test_many_samples_without_labels_are_few_lines(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, lines: int
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint8))
    loaded = bundle.load_bundle(packed.parent / "bundle")
    other = loaded._replace(dataset=dataclasses.replace(loaded.dataset, task=task))
    monkeypatch.setattr(bundle, "load_bundle", lambda folder: other)
    answered = [Prediction(f"a[{i}]", "", (("y: [3]", None),)) for i in range(25)]
    monkeypatch.setattr(bundle_predict, "predict", lambda *given, **words: answered)
    done = CliRunner().invoke(command, [str(packed), str(tmp_path / "a.npy")])
    said = done.output.splitlines()
    assert len(said) == lines and (said[-1] == "5 more: --json") == (lines == 21)


def test_a_bad_image_a_changed_bundle_and_an_unknown_engine(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint8))
    image = str(tmp_path / "a.npy")
    done = CliRunner().invoke(command, [str(packed), image, str(tmp_path / "a.png")])
    assert done.exit_code == 2 and [line[:5] for line in done.stderr.splitlines()] == ["error"]
    assert done.stdout.startswith(f"{image}  ") and "a.png" in done.stderr
    done = CliRunner().invoke(command, [str(packed), str(tmp_path / "a.png"), image, "--json"])
    assert done.exit_code == 2
    assert [bool(one.get("error")) for one in json.loads(done.stdout)] == [False, True]
    done = CliRunner().invoke(command, [str(packed), image, "--runtime", "onnxrntime"])
    assert isinstance(done.exception, InputError)
    changed = bytearray(packed.read_bytes())
    changed[-200] ^= 1
    (tmp_path / "changed.edgekd").write_bytes(changed)
    done = CliRunner().invoke(command, [str(tmp_path / "changed.edgekd"), image])
    assert isinstance(done.exception, BudgetMissed | InputError)


def saying(folder: Path, node: onnx.NodeProto, *others: onnx.TensorProto) -> Path:
    """A bundle whose model gives what `node` makes of "logits"."""
    bundle_example.model(folder / "other.onnx")
    loaded = onnx.load(folder / "other.onnx")
    del loaded.graph.output[:]
    loaded.graph.node.append(node)
    loaded.graph.initializer.extend(others)
    loaded.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    onnx.save(loaded, folder / "other.onnx")
    return bundle_example.make(folder, model=folder / "other.onnx")


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize(
    ("node", "says"),
    [
        (onnx.helper.make_node("Log", ["logits"], ["y"]), "not finite"),
        (
            onnx.helper.make_node("Concat", ["logits", "logits"], ["y"], axis=1),
            r"want \['batch', 3\]",
        ),
        (onnx.helper.make_node("ReduceSum", ["logits"], ["y"], keepdims=0), "for 1 rows"),
        (
            onnx.helper.make_node("Cast", ["logits"], ["y"], to=8),
            r"want \['batch', 3\]|not finite|output",
        ),
    ],
)
def test_answers_that_say_nothing_are_refused_in_one_line(
    tmp_path: Path, node: onnx.NodeProto, says: str, as_json: list[str]
) -> None:
    if node.op_type == "Cast":  # to texts of which float makes nothing
        node = onnx.helper.make_node("Where", ["no", "a", "b"], ["y"])
        no = onnx.numpy_helper.from_array(np.zeros((1, 3), bool), "no")
        words = [onnx.helper.make_tensor(n, 8, [1, 3], [b"x"] * 3) for n in "ab"]
        folder = saying(tmp_path, node, no, *words)
        says = "could not convert string to float"
    else:
        folder = saying(tmp_path, node)
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint8))
    done = CliRunner().invoke(command, [str(folder), str(tmp_path / "a.npy"), *as_json])
    assert isinstance(done.exception, InputError) and done.output == ""
    assert re.search(says, str(done.exception)), done.exception


def test_a_key_must_have_signed_it(packed: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint8))
    private, public = write_keys(tmp_path)
    digest = bundle.load_bundle(packed.parent / "bundle").manifest.digest
    archive.pack(
        packed.parent / "bundle",
        tmp_path / "signed.edgekd",
        signature=signature.sign(digest, private, None),
    )
    image = str(tmp_path / "a.npy")
    done = CliRunner().invoke(
        command, [str(tmp_path / "signed.edgekd"), image, "--key", str(public)]
    )
    assert done.exit_code == 0
    done = CliRunner().invoke(command, [str(packed), image, "--key", str(public)])
    assert isinstance(done.exception, BudgetMissed) and "signature.json" in str(done.exception)
