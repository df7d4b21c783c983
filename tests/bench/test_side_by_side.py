"""Answers asked side by side: in order, the first failure wins, nothing new is begun after it."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest

from edgekd.bench import side_by_side
from edgekd.bench.side_by_side import begin_side_by_side
from edgekd.bench.side_by_side import choose_width
from edgekd.bench.side_by_side import map_side_by_side
from edgekd.device import Device
from edgekd.devices import local
from tests.data_example import image
from tests.data_example import labelled
from tests.data_example import names


@pytest.mark.parametrize("width", [1, 2, 9])
def test_answers_come_in_the_order_of_the_questions(width: int) -> None:
    def ask(number: int) -> int:
        time.sleep(0.01 * (3 - number))
        return number * number

    assert list(map_side_by_side(ask, [0, 1, 2, 3], width)) == [0, 1, 4, 9]
    assert list(map_side_by_side(ask, [], width)) == []


def test_two_are_asked_at_once() -> None:
    both = threading.Barrier(2, timeout=30)
    assert list(map_side_by_side(lambda _: both.wait() < 2, [0, 1], 2)) == [True, True]


def test_is_asked_while_the_block_does_something_else() -> None:
    begun = threading.Event()

    def ask(number: int) -> int:
        begun.set()
        return number

    with begin_side_by_side(ask, [7], 2) as answers:
        assert begun.wait(30)
        assert list(answers) == [7]


def test_nothing_is_begun_after_the_block() -> None:
    begun, go = [], threading.Event()

    def ask(number: int) -> int:
        begun.append(number)
        go.wait(30)
        return number

    with pytest.raises(KeyError), begin_side_by_side(ask, range(100), 2):
        raise KeyError
    go.set()
    time.sleep(0.2)
    assert len(begun) <= 2


def test_alone_each_is_asked_when_its_answer_is_taken() -> None:
    begun: list[int] = []
    with begin_side_by_side(lambda number: begun.append(number), [1, 2, 3], 1) as answers:
        assert begun == []
        next(answers)
        assert begun == [1]


def test_the_first_failure_is_raised_and_nothing_begun_after_it() -> None:
    begun = []

    def ask(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError("no")
        time.sleep(0.05)
        return number

    with pytest.raises(ValueError, match="no"):
        list(map_side_by_side(ask, range(100), 2))
    time.sleep(0.2)
    assert len(begun) < 50


def test_one_at_a_time_elsewhere_and_for_a_users_own_task(monkeypatch: pytest.MonkeyPatch) -> None:
    data = labelled(image(8, 8), names(2))
    own = dataclasses.replace(data, task="python:mine:task")
    monkeypatch.setattr(side_by_side, "count_cores", lambda: 8)
    assert choose_width(data, local.DEVICE) == side_by_side.MOST
    assert choose_width(data, Device("board", local.run)) == 1
    assert choose_width(own, local.DEVICE) == 1
    monkeypatch.setattr(side_by_side, "count_cores", lambda: 1)
    assert choose_width(data, local.DEVICE) == 1
