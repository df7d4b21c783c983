"""How many logits a file gives where nobody asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edgekd.interface import LOGITS_TO_KEEP
from edgekd.learn.export.fused_decoder import FusedDecoder
from edgekd.learn.export.last_logits import set_default
from tests import decoder_example as example


def test_a_file_that_gives_the_last_alone(tmp_path: Path) -> None:
    proto = onnx.load(example.write(tmp_path / "a.onnx", FusedDecoder(example.decoder())))
    assert LOGITS_TO_KEEP in [value.name for value in proto.graph.input]
    set_default(proto, 1)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    feeds = {**example.texts((7,)), **example.empty_states(1)}
    (last,) = session.run(["logits"], feeds)
    (whole,) = session.run(["logits"], {**feeds, LOGITS_TO_KEEP: np.array([0])})
    assert last.shape == (1, 1, example.VOCABULARY)
    np.testing.assert_array_equal(last[:, 0], whole[:, -1])


def test_a_file_that_gives_all_in_any_case(tmp_path: Path) -> None:
    proto = onnx.load(example.write(tmp_path / "a.onnx", example.decoder()))
    with pytest.raises(ValueError, match="got no input logits_to_keep"):
        set_default(proto, 1)
