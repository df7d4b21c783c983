from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.bench.outputs import write_inputs
from edgekd.bench.pair.significance import LEVEL
from edgekd.errors import InputError
from edgekd.gate import EvaluationSamples
from edgekd.gates import score
from tests import gate_example


def test_the_same_model_loses_nothing(tmp_path: Path) -> None:
    found = gate_example.only(score.judge(gate_example.pair(tmp_path), score.ScoreConfig(), 0))
    assert (found.verdict, found.got, found.interval, found.p_value) == ("pass", 0, (0, 0), 1.0)
    assert found.text.startswith("90.00 % against 90.00 % on 400 samples of made up: 0 lost")


def test_a_worse_model_is_far_beyond_the_limit(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path, seed=5)
    held = gate_example.labels(5, wrong=0) == gate_example.labels()  # by numpy alone
    before = gate_example.labels(0, wrong=0) == gate_example.labels()
    found = gate_example.only(score.judge(pair, score.ScoreConfig(), 0))
    assert found.got == pytest.approx(100 * (before.mean() - held.mean()))
    assert found.evidence["lost"] == (before & ~held).sum()
    assert found.evidence["gained"] == (held & ~before).sum()
    assert found.interval.low > found.allowed and found.p_value < LEVEL / 10


def test_a_better_model_passes(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    better = pair._replace(run=pair.baseline, baseline=gate_example.side(tmp_path / "worse", 5))
    found = gate_example.only(score.judge(better, score.ScoreConfig(), 0))
    assert found.verdict == "pass" and found.got < 0 and found.p_value == 1.0


def test_a_second_look_draws_its_bootstrap_anew(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path, seed=5)
    drop = gate_example.only(score.judge(pair, score.ScoreConfig(), 0)).got
    config = score.ScoreConfig(allowed_drop=drop, resamples=1000)  # p near one half
    p_values = [gate_example.only(score.judge(pair, config, look)).p_value for look in (0, 0, 1)]
    assert p_values[0] == p_values[1] != p_values[2]


def test_samples_that_are_missing_or_few_decide_nothing(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path, samples="they are gone")
    found = gate_example.only(score.judge(pair, score.ScoreConfig(), 0))
    assert (found.verdict, found.text) == ("inconclusive", "not measured: they are gone")
    few = pair._replace(samples=gate_example.samples(tmp_path, 60))
    found = gate_example.only(score.judge(few, score.ScoreConfig(), 0))
    assert "got 60 samples, want at least 100" in found.text


def test_images_that_do_not_fit_are_the_users_fault(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    assert isinstance(pair.samples, EvaluationSamples)
    write_inputs({"images": np.zeros((400, 5, 4, 1), np.uint8)}, pair.samples.split)
    with pytest.raises(InputError):
        score.judge(pair, score.ScoreConfig(), 0)
