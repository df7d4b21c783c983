"""Which rank this process is."""

from __future__ import annotations

import pytest

from edgekd.errors import InputError
from edgekd.launch import environment
from edgekd.launch.environment import Launch

VARIABLES = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}


def test_without_a_launcher_there_is_one_rank() -> None:
    assert environment.read_launch({}) == Launch(0, 1, 0, 1)
    assert environment.read_launch({"WORLD_SIZE": "1", "RANK": "x"}) == Launch(0, 1, 0, 1)


def test_a_rank_knows_its_place() -> None:
    found = environment.read_launch(VARIABLES)
    assert found == Launch(3, 4, 1, 2)
    assert not found.is_on_one_machine
    assert Launch(1, 2, 1, 2).is_on_one_machine


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"])
@pytest.mark.parametrize("text", ["", "-1", "two", "99999999"])
def test_what_is_no_number_is_refused(name: str, text: str) -> None:
    with pytest.raises(InputError, match=f"{name}: got"):
        environment.read_launch({**VARIABLES, name: text})


@pytest.mark.parametrize(("name", "text"), [("RANK", "4"), ("LOCAL_RANK", "2")])
def test_a_rank_beyond_their_number_is_refused(name: str, text: str) -> None:
    with pytest.raises(InputError, match="want each below its count"):
        environment.read_launch({**VARIABLES, name: text})


def test_of_each_machine_one_rank_speaks_where_the_first_cannot() -> None:
    machines = [Launch(rank, 6, rank % 3, 3) for rank in range(6)]
    assert [each.rank for each in machines if each.is_first_of_others] == [1, 3]


def test_who_works_alone_has_no_partners(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert environment.count_partners() == 4
    with environment.work_alone():
        assert environment.count_partners() == 1
    assert environment.count_partners() == 4
