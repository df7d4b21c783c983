"""A bundle with an engine for each bucket of sizes: written, checked, asked by length, and what of it is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd import bundle
from edgekd.bench import golden
from edgekd.bundle import archive
from edgekd.bundle import manifest as manifests
from edgekd.bundle import models as bundle_models
from edgekd.bundle import predict as bundle_predict
from edgekd.bundle import verify as bundle_verify
from edgekd.bundle import write as bundle_write
from edgekd.bundle.user_inputs import Question
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.field import from_rows
from tests import text_example
from tests.bundle import sized_example
from tests.bundle.sized_example import BOUND
from tests.bundle.sized_example import FAST
from tests.bundle.sized_example import SCALE
from tests.bundle.sized_example import SURE
from tests.bundle.test_manifest import sign


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return sized_example.make(tmp_path)


def question(length: int) -> Question:
    tokens = np.random.default_rng(length).integers(1, text_example.VOCABULARY, length, np.int32)
    return Question(f"{length}", {"text": from_rows([tokens], tokens)}, "")


def test_the_table_names_what_answers_at_which_size(made: Path) -> None:
    found = bundle.load_bundle(made)
    assert found.manifest.format == "edgekd.bundle/3" and found.manifest.chosen.name == FAST
    short, long = bundle_models.models_by_size(found)
    assert (short.most, short.path.name, short.chosen.name) == (BOUND, "model.onnx", FAST)
    assert (long.most, long.path.name, long.chosen.name) == (None, "model-2.onnx", SURE)
    assert list(short.golden) == ["usual"] and list(long.golden) == ["longest"]


def test_one_row_for_all_sizes_is_written_as_ever(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = sized_example.make(tmp_path / "a", by_size=sized_example.by_size(FAST, FAST))
    other = sized_example.make(tmp_path / "b", by_size=None)
    content = {path.name: path.read_bytes() for path in one.iterdir()}
    assert content == {path.name: path.read_bytes() for path in other.iterdir()}
    assert bundle.load_bundle(one).manifest.format == "edgekd.bundle/2"
    assert not bundle_models.models_by_size(bundle.load_bundle(one))


def test_neighbours_of_one_row_are_one_bucket(tmp_path: Path) -> None:
    choice = sized_example.by_size(FAST, SURE)
    choice["buckets"] = [{"most": 2, "row": FAST}, *choice["buckets"]]
    found = bundle.load_bundle(sized_example.make(tmp_path, by_size=choice))
    assert found.manifest.by_size is not None
    assert [each.most for each in found.manifest.by_size.buckets] == [BOUND, None]


def test_each_question_is_answered_by_the_engine_for_its_length(made: Path) -> None:
    """The second file's logits are ten times the first one's; numpy knows both."""
    lengths = (5, 2, 9, 4, 1, 6)
    asked = [question(length) for length in lengths]
    told = bundle_predict.predict(bundle.load_bundle(made), asked, top=3)
    for length, one, answer in zip(lengths, asked, told, strict=True):
        tokens = one.rows["text"].row(0)[None]
        feeds = {"text": tokens, "text_mask": np.ones_like(tokens)}
        want = text_example.answers(feeds)["logits"][0] * (SCALE if length > BOUND else 1)
        np.testing.assert_allclose(answer.outputs["logits"], want, rtol=1e-4, atol=1e-5)


def test_each_bucket_is_verified_by_golden_answers_of_its_sizes(made: Path, tmp_path: Path) -> None:
    report = bundle_verify.verify(made)
    bundle_verify.require_sound(report)
    checks = [check for check in report.checks if check.what.startswith(bundle_verify.WHAT)]
    assert [check.what for check in checks] == [
        "golden answers, onnxruntime fp32",
        "golden answers up to size 4, onnxruntime fp32",
        "golden answers beyond, openvino fp32",
    ]
    (tmp_path / "other").mkdir()
    wrong = sized_example.make(tmp_path / "other")  # the second file answers as the first should
    golden.write(tmp_path / "wrong", sized_example.groups(1.0))

    def change(contents: dict[str, Any]) -> None:
        contents["files"]["golden-2.safetensors"] = described(wrong / "golden-2.safetensors")

    (wrong / "golden-2.safetensors").write_bytes((tmp_path / "wrong").read_bytes())
    sign(wrong, change)
    with pytest.raises(BudgetMissed, match="golden answers beyond, openvino fp32: "):
        bundle_verify.require_sound(bundle_verify.verify(wrong))


def described(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"sha256": bundle_write.files.digest_bytes(data), "size_bytes": len(data)}


def test_it_is_packed_and_opened_as_any_other(made: Path, tmp_path: Path) -> None:
    archive.pack(made, tmp_path / "one.edgekd")
    with archive.open_bundle(tmp_path / "one.edgekd") as folder:
        assert len(bundle_models.models_by_size(bundle.load_bundle(folder))) == 2
        (folder / "model-2.onnx").unlink()
        with pytest.raises(BudgetMissed, match=r"model-2\.onnx: is missing"):
            bundle.load_bundle(folder)


Change = Callable[[dict[str, Any]], Any]


def _buckets(change: Callable[[list[dict[str, Any]]], Any]) -> Change:
    return lambda manifest: change(manifest["by_size"]["buckets"])


def _rename(name: str, golden_name: str) -> Change:
    """The second file, called otherwise wherever it is named."""

    def change(manifest: dict[str, Any]) -> None:
        table = manifest["by_size"]
        table["buckets"][1]["model"] = name
        table["models"] = {name: {**table["models"].pop("model-2.onnx"), "golden": golden_name}}
        for old, new in (("model-2.onnx", name), ("golden-2.safetensors", golden_name)):
            manifest["files"][new] = manifest["files"].pop(old)

    return change


def _repeat(buckets: list[dict[str, Any]]) -> None:
    buckets[:] = [
        {**copy.deepcopy(buckets[0]), "most": n + 1} for n in range(manifests.MOST_BUCKETS)
    ] + [buckets[1]]


HOSTILE: dict[str, Change] = {
    "a file outside": _rename("../model.onnx", "golden-2.safetensors"),
    "an absolute file": _rename("/etc/passwd", "golden-2.safetensors"),
    "golden answers outside": _rename("model-2.onnx", "../golden.safetensors"),
    "the first file's golden answers": _rename("model-2.onnx", "golden.safetensors"),
    "a program": _rename("model-2.py", "golden-2.safetensors"),
    "a file that is not there": _buckets(lambda b: b[1].update(model="model-3.onnx")),
    "the same bound twice": _buckets(lambda b: b.insert(0, dict(b[0]))),
    "bounds that fall": _buckets(lambda b: b.insert(1, {**b[0], "most": BOUND - 1})),
    "no bound in the midst": _buckets(lambda b: b.insert(0, {**b[0], "most": None})),
    "no last bucket": _buckets(lambda b: b[1].update(most=9)),
    "one bucket": _buckets(lambda b: b.pop(0)),
    "no buckets": _buckets(lambda b: b.clear()),
    "very many buckets": _buckets(_repeat),
    "a bound of 0": _buckets(lambda b: b[0].update(most=0)),
    "a negative bound": _buckets(lambda b: b[0].update(most=-1)),
    "a bound as text": _buckets(lambda b: b[0].update(most="4")),
    "a bound in part": _buckets(lambda b: b[0].update(most=4.5)),
    "an unknown precision": _buckets(lambda b: b[1]["chosen"].update(precision="fp1")),
    "a bucket's own key": _buckets(lambda b: b[1].update(run="rm")),
    "a file for no bucket": _buckets(lambda b: b[1].update(model="model.onnx")),
    "another axis": lambda m: m["by_size"].update(axis="frames"),
    "the batch": lambda m: m["by_size"].update(axis="batch"),
    "an older format": lambda m: m.update(format="edgekd.bundle/2"),
    "no table": lambda m: m.pop("by_size"),
    "null as table": lambda m: m.update(by_size=None),
    "an unlisted file": lambda m: m["files"].pop("model-2.onnx"),
}


RENAMED = tuple(HOSTILE)[:5]
"""Refused before any file of such a name is looked for."""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_table_is_refused_in_a_line(made: Path, name: str) -> None:
    sign(made, HOSTILE[name])
    with pytest.raises(InputError) as caught:
        bundle.load_bundle(made)
    line = caught.value.line()
    assert "\n" not in line and len(line) < 600
    assert ("want model-2.onnx with golden-2.safetensors" in line) == (name in RENAMED)


def test_buckets_without_golden_answers_are_refused(tmp_path: Path) -> None:
    """Whoever ships them could never tell whether that file answers right."""
    golden.write(tmp_path / "short", sized_example.groups(SCALE, {"usual": 3}))
    more = bundle_write.MoreModel(tmp_path / "m2.onnx", tmp_path / "short", {"allowed": 1e-4})
    found = bundle.load_bundle(sized_example.make(tmp_path, more={"openvino": more}))
    with pytest.raises(InputError, match=r"no golden answers of model-2\.onnx for text_length"):
        bundle_verify.verify(found.folder)


def test_an_unknown_engine_falls_back_to_one_that_is_here(made: Path) -> None:
    sign(made, _buckets(lambda b: b[1]["chosen"].update(runtime="no-such-engine")))
    (told,) = bundle_predict.predict(bundle.load_bundle(made), [question(9)], top=1)
    assert told.outputs["logits"].shape == (3,)
