"""The order of the cuts: aligned widths, the least worth first, what a channel costs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from edgekd.learn.blueprint import build
from edgekd.learn.complexity import count_macs
from edgekd.learn.complexity import count_parameters
from edgekd.learn.pruning import cuts
from edgekd.learn.pruning import narrow
from edgekd.learn.pruning.groups import ChannelGroup
from edgekd.learn.pruning.trial import sound_groups
from tests.learn.blueprint_example import image_blueprint


@settings(deadline=None, max_examples=40)
@given(
    widths=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    multiple=st.sampled_from([1, 8, 16]),
    seed=st.integers(0, 99),
)
def test_widths_are_aligned_and_the_best_stay(widths: list[int], multiple: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    groups = [ChannelGroup(str(number), width, ()) for number, width in enumerate(widths)]
    worth = {g.name: torch.rand(g.width, generator=random, dtype=torch.float64) for g in groups}
    saving = {group.name: 1.0 + number for number, group in enumerate(groups)}
    found = cuts.order_cuts(groups, worth, saving, multiple)
    assert [cut.rate for cut in found] == sorted(cut.rate for cut in found)
    left = {group.name: group.width for group in groups}
    for number, cut in enumerate(found):
        assert cut.width % multiple == 0 and 0 < cut.width < left[cut.group]
        assert cut.width >= cuts.LEAST * len(worth[cut.group])
        left[cut.group] = cut.width
        stays = cuts.find_kept(found[: number + 1], worth)[cut.group]
        assert len(stays) == cut.width and stays == tuple(sorted(stays))
        gone = set(range(len(worth[cut.group]))) - set(stays)
        assert max(worth[cut.group][list(gone)]) <= min(worth[cut.group][list(stays)])
    for group in groups:  # nothing that could go stays
        assert left[group.name] - multiple < max(multiple, cuts.LEAST * group.width) or (
            left[group.name] == group.width <= multiple
        )


def test_what_a_channel_costs_is_what_its_going_saves() -> None:
    plan = image_blueprint(builder="resnet8", classes=3, channels=1, height=8, width=8)
    model, images = build(plan).eval(), torch.zeros(1, 1, 8, 8)
    groups, _ = sound_groups(model, torch.zeros(2, 1, 8, 8))
    costs = cuts.channel_macs(model, groups, images), cuts.channel_parameters(model, groups)
    for group in groups:
        kept = {group.name: tuple(range(1, group.width))}
        other = narrow.prune_channels(model, groups, kept, images)
        saved = (
            count_macs(model, plan) - count_macs(other, plan),
            count_parameters(model) - count_parameters(other),
        )
        for cost, of, also in zip(costs, saved, (64, 9), strict=True):
            # A layer whose inputs and outputs are both of the group saves one corner less than the sum.
            assert of <= cost[group.name] <= of + also * len(group.members)


def test_a_multiple_is_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        cuts.order_cuts([], {}, {}, 0)
