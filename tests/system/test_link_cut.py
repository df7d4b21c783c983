"""A link cut all over an order's exchange; `link_sweep.py` cuts it everywhere."""

from __future__ import annotations

from pathlib import Path

from tests.devices.sshd import Board
from tests.devices.sshd import needs_sshd
from tests.system.link_sweep import Exchange
from tests.system.link_sweep import evenly
from tests.system.link_sweep import points

pytestmark = needs_sshd


def test_an_order_over_links_that_are_cut(tmp_path: Path) -> None:
    with Board(tmp_path / "board") as board:
        exchange = Exchange(board, tmp_path)
        exchange.reference(code=True)
        packets, seconds = exchange.reference(code=False)
        every = [*evenly(points(packets, seconds, 0), 8), *points([], seconds, 2)]
        outcomes = [exchange.cut(point, code=False) for point in every]
        exchange.proxy.close()
    assert [outcome.ending for outcome in outcomes] == ["whole"] * 10, outcomes
    assert {outcome.starts for outcome in outcomes} == {1}
    assert sum(outcome.connections > 1 for outcome in outcomes) >= 8
