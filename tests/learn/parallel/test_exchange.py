"""Ranks that share memory find the same sums and rows, and notice who is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from edgekd.learn.parallel import exchange
from edgekd.learn.parallel.exchange import Exchange

pytestmark = pytest.mark.skipif(not exchange.is_possible(), reason="no memory that ranks share")
RANKS, TURNS = 3, 300
TYPES = (torch.float32, torch.float64, torch.int64, torch.uint8)


def make_own(turn: int, rank: int) -> Tensor:
    """What a rank brings to a turn: of many sizes and types, the same form on all."""
    draw = np.random.default_rng([turn, 0])
    shape = (int(draw.integers(1, 5)), int(draw.choice([1, 16, 3000])))
    values = np.random.default_rng([turn, 1 + rank]).integers(0, 80, shape)
    return torch.from_numpy(values).to(TYPES[turn % len(TYPES)]) / (1 if turn % 4 > 1 else 7)


def take_part(own: Exchange, rank: int) -> list[Tensor]:
    """What one rank finds; now and then it is late."""
    late, found = np.random.default_rng(rank), []
    for turn in range(TURNS):
        tensor = make_own(turn, rank)
        if late.random() < 0.05:
            time.sleep(late.random() * 2e-3)
        if turn % 3:
            own.add_up(tensor)
            found.append(tensor)
        else:
            found.append(own.gather(tensor))
    return found


def test_sums_and_rows_are_those_of_all_ranks() -> None:
    with exchange.create_memory(RANKS) as path:
        ends = [Exchange(path, rank, [os.getpid()] * RANKS) for rank in range(RANKS)]
    assert not path.exists()
    with ThreadPoolExecutor(RANKS) as pool:
        found = list(pool.map(take_part, ends, range(RANKS)))
    for turn in range(TURNS):
        brought = [make_own(turn, rank) for rank in range(RANKS)]
        wanted = brought[0] + brought[1] + brought[2] if turn % 3 else torch.cat(brought)
        for rank in range(RANKS):
            assert torch.equal(found[rank][turn], wanted), (turn, rank)


def test_a_rank_that_is_gone_is_named() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with exchange.create_memory(2) as path:
        own = Exchange(path, 0, [os.getpid(), gone.pid])
    with pytest.raises(ConnectionError, match="rank 1 is gone"):
        own.add_up(torch.ones(3))


def test_only_tensors_that_have_a_place_are_taken() -> None:
    with exchange.create_memory(1) as path:
        own = Exchange(path, 0, [os.getpid()])
    largest = torch.zeros(exchange.SLOT_BYTES // 4)
    assert own.can_take(largest)
    assert not own.can_take(torch.zeros(len(largest) + 1))
    assert not own.can_take(torch.zeros(4, 4).t()[1:])
    assert not own.can_take(torch.zeros(0))


def test_where_there_is_no_room_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: int) -> None:
        raise OSError(28, "no space left on device")

    before = set(exchange.MEMORY.iterdir())
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="no space"), exchange.create_memory(2):
        pass
    assert not {
        each.name for each in set(exchange.MEMORY.iterdir()) - before if "edgekd" in each.name
    }
