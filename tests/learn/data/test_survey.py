from __future__ import annotations

import pytest

from edgekd.learn.data.survey import propose_side


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(28, 28), (28, 28)], None),
        ([(64, 48)] * 3, None),
        ([(28, 28), (30, 28)], 32),
        ([(4000, 3000), (3000, 4000)], 128),
        ([(640, 640)] * 3, 128),
        ([(100, 70), (90, 200), (70, 71)], 64),
    ],
)
def test_the_side_that_is_proposed_is_one_that_half_of_the_images_fill(
    sizes: list[tuple[int, int]], side: int | None
) -> None:
    assert propose_side(sizes) == side
