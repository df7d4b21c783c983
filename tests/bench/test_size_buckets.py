from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd import splits
from edgekd.bench import size_buckets
from tests.bench.test_scores import texts


def test_a_sample_belongs_to_the_first_bucket_that_holds_it() -> None:
    lengths = np.array([1, 3, 4, 5, 8, 9, 100])
    assert size_buckets.assign_buckets(lengths, [4, 8]).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert not size_buckets.assign_buckets(lengths, []).any()


def test_shares_are_those_of_the_samples_and_sum_to_one(tmp_path: Path) -> None:
    split, data = texts(tmp_path, 40)
    lengths = splits.read(split)["text"].lengths
    rows = [{"name": str(size), "sizes": {"text_length": size}} for size in (5, 2, 8)]
    found = size_buckets.share_sizes(rows, {"text_length": (2, 8)}, data, split)
    want = [((lengths > 2) & (lengths <= 5)).mean(), (lengths <= 2).mean(), (lengths > 5).mean()]
    assert [row["share"] for row in found] == pytest.approx(want) and sum(want) == 1
    assert size_buckets.share_sizes(rows, {}, data, split) == rows
    with pytest.raises(ValueError, match="frames: got no input of this free axis"):
        size_buckets.read_lengths(data, "frames", splits.read(split))
