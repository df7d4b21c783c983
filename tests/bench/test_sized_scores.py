from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekd import splits
from edgekd.bench import scores
from edgekd.bench.sized_scores import SizedEngines
from edgekd.bench.sized_scores import score_by_size
from tests import text_example
from tests.bench.test_scores import TASK
from tests.bench.test_scores import engine
from tests.bench.test_scores import texts


def test_each_sample_is_scored_by_the_engine_for_its_size(tmp_path: Path) -> None:
    """The second engine's logits are the first one's with the other sign, so its classes are others."""
    one = engine(tmp_path / "a", "onnxruntime", text_example.write_onnx(tmp_path / "m"))
    flipped = text_example.write_onnx(tmp_path / "n", scale=-1.0)
    other = engine(tmp_path / "b", "onnxruntime", flipped)
    split, data = texts(tmp_path)
    lengths = splits.read(split)["text"].lengths
    found = score_by_size(SizedEngines("text_length", (4,), (one, other)), split, data, TASK)
    each = [scores.score_engine(asked, split, data, TASK) for asked in (one, other)]
    for name, rows in found.items():
        short = (lengths <= 4)[:, None]
        np.testing.assert_allclose(rows, np.where(short, each[0][name], each[1][name]), rtol=1e-6)
    assert (each[0]["accuracy"] != each[1]["accuracy"])[lengths > 4].any()
