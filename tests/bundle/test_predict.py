from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd import bundle
from edgekd import runtimes
from edgekd.bundle import predict as bundle_predict
from edgekd.bundle.user_inputs import Question
from edgekd.errors import InputError
from edgekd.errors import MachineError
from tests import bundle_example

BLACK = np.zeros((4, 4, 1), np.uint8)


def ask(pixels: np.ndarray = BLACK, name: str = "a") -> Question:
    """A question about one image."""
    return Question(name, {"images": pixels[None]}, "")


def test_the_answers_are_those_of_the_model_by_hand(tmp_path: Path) -> None:
    weights = bundle_example.model(tmp_path / "model.onnx")
    pixels = np.random.default_rng(2).integers(0, 256, (5, 4, 4, 1), np.uint8)
    found = bundle.load_bundle(bundle_example.make(tmp_path))
    told = bundle_predict.predict(found, [ask(p, f"{n}") for n, p in enumerate(pixels)], top=3)
    logits = ((pixels / 255.0 - 0.5) / 0.25).reshape(5, 16) @ weights
    want = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for row, one in zip(want, told, strict=True):
        assert [text for text, _ in one.answers] == ["abc"[i] for i in np.argsort(-row)]
        assert dict(one.answers) == pytest.approx(dict(zip("abc", row, strict=True)), rel=1e-4)


def answered(
    folder: Path, monkeypatch: pytest.MonkeyPatch, logits: list[float], top: int
) -> tuple[tuple[str, float | None], ...]:
    """What is told of these logits."""
    outputs = {"logits": np.array([logits], np.float32)}
    monkeypatch.setattr(bundle_predict, "compute_outputs", lambda *_, **__: outputs)
    found = bundle.load_bundle(bundle_example.make(folder))
    (told,) = bundle_predict.predict(found, [ask()], top=top)
    return told.answers


def test_probabilities_sum_to_one_however_large_the_logits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = answered(tmp_path, monkeypatch, [1e4, 0, -1e4], 3)
    assert got == (("a", 1.0), ("b", 0.0), ("c", 0.0))


def test_equal_labels_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got = answered(tmp_path, monkeypatch, [0, np.log(2), 0], 2)
    assert got == (("b", pytest.approx(0.5)), ("a", pytest.approx(0.25)))


def test_no_engine_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = runtimes.find_runtime
    monkeypatch.setattr(
        runtimes, "find_runtime", lambda name: find(name)._replace(why_not=lambda: f"no {name}")
    )
    found = bundle.load_bundle(bundle_example.make(tmp_path))
    with pytest.raises(MachineError, match="no onnxruntime"):
        bundle_predict.predict(found, [ask()], top=3)


@pytest.mark.parametrize(
    ("logits", "says"),
    [
        (np.array([[1, np.nan, 2]], np.float32), "not finite"),
        (np.array([[1, np.inf, 2]], np.float32), "not finite"),
        (np.zeros((1, 4), np.float32), r"logits: got \[1, 4\]"),
        (np.zeros((1, 2), np.float32), r"logits: got \[1, 2\]"),
        (np.zeros((1, 3, 1), np.float32), r"logits: got \[1, 3, 1\]"),
        (np.zeros(1, np.float32), r"logits: got \[1\]"),
    ],
)
def test_answers_are_a_finite_number_for_each_label(
    logits: np.ndarray, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_predict, "compute_outputs", lambda *_, **__: {"logits": logits})
    found = bundle.load_bundle(bundle_example.make(tmp_path))
    with pytest.raises(InputError, match=f"^tiny: .*{says}"):
        bundle_predict.predict(found, [ask()], top=3)


def test_the_timeout_is_the_workers(tmp_path: Path) -> None:
    found = bundle.load_bundle(bundle_example.make(tmp_path))
    with pytest.raises(MachineError, match=r"did not end within 0\.01 s"):
        bundle_predict.predict(found, [ask()], top=3, timeout_s=0.01)
