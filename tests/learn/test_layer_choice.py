"""Which layers of a larger network a smaller one takes."""

from __future__ import annotations

import pytest

from edgekd.learn.layer_choice import parse_layers
from edgekd.learn.layer_choice import spread_evenly
from edgekd.learn.layer_choice import take_layers


@pytest.mark.parametrize(
    "count, of, want",
    [
        (6, 12, (0, 2, 4, 7, 9, 11)),  # DistilBERT
        (3, 6, (0, 3, 5)),
        (2, 2, (0, 1)),
        (1, 6, (0,)),
        (4, 4, (0, 1, 2, 3)),
    ],
)
def test_layers_are_spread_with_both_ends(count: int, of: int, want: tuple[int, ...]) -> None:
    assert spread_evenly(count, of) == want


def test_words_of_a_recipe() -> None:
    assert parse_layers(0, "", 3) == (0, 1, 2)
    assert parse_layers(2, "", 6) == (0, 5)
    assert parse_layers(0, "0,2, 3-5", 6) == (0, 2, 3, 5)
    for count, numbers in ((7, ""), (0, "6"), (0, "1,1"), (0, "-1"), (0, "1;2"), (1, "1")):
        with pytest.raises(ValueError, match="layers: got"):
            parse_layers(count, numbers, 6)


def test_what_lies_outside_of_the_stack_stays() -> None:
    names = ["emb", "a.layer.0.w", "a.layer.1.w", "a.layer.2.w", "a.layer.9.w", "a.layers.1.w"]
    found = take_layers({name: name for name in names}, "a.layer", (0, 2), 3)
    assert found == {
        "emb": "emb",
        "a.layer.0.w": "a.layer.0.w",
        "a.layer.1.w": "a.layer.2.w",
        "a.layer.9.w": "a.layer.9.w",
        "a.layers.1.w": "a.layers.1.w",
    }
