"""Members are bound from their source text, without importing them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.learn.data import SOURCES
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.named_member import NamedMember
from edgekd.named_member import bind
from edgekd.table import Member
from edgekd.table import find_signature

SOURCE = '''
import does_not_exist

def scaled(signal, labels, *, factor: Positive = 2.0, mode: str = "a", left: Count | None = None, given: int):
    """What it does."""
'''


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Member:
    (tmp_path / "table_example.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Member("table_example", "scaled", "an example", ("given",), {"mode": "preset"})


def test_positional_names_are_signals_and_the_rest_are_knobs(member: Member) -> None:
    found = find_signature(member)
    assert found.positional == ("signal", "labels")
    assert list(found.knobs.model_fields) == ["factor", "mode", "left"]
    assert found.doc == "What it does."
    assert "table_example" not in sys.modules


def test_bound_knobs_are_complete_and_checked(member: Member) -> None:
    assert bind(member, {}) == {"factor": 2.0, "mode": "preset", "left": None}
    assert bind(member, {"factor": 3, "left": 1})["factor"] == 3.0
    for wrong in ({"factor": 0}, {"factor": float("inf")}, {"left": 0}, {"factor": "2"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            bind(member, wrong)
    with pytest.raises(ValueError, match="did you mean 'factor'"):
        bind(member, {"facto": 1.0})
    with pytest.raises(ValueError, match="unknown key 'given'"):
        bind(member, {"given": 1})


def test_named_takes_a_name_a_mapping_and_a_reference(member: Member) -> None:
    table = {"scaled": member}
    assert NamedMember.parse("scaled", table, "thing").arguments["factor"] == 2.0
    assert (
        NamedMember.parse({"name": "scaled", "factor": 4.0}, table, "thing").arguments["factor"]
        == 4
    )
    again = NamedMember.parse(
        NamedMember.parse("scaled", table, "thing").model_dump(), table, "thing"
    )
    assert again == NamedMember.parse("scaled", table, "thing")
    with pytest.raises(ValueError, match="did you mean 'scaled'"):
        NamedMember.parse("scalde", table, "thing")
    for wrong in (3, None, [], {"factor": 1}, {"name": 3}):
        with pytest.raises(ValueError, match="want the name of a thing"):
            NamedMember.parse(wrong, table, "thing")
    with pytest.raises(ValueError, match="reference"):
        NamedMember.parse("scaled:x", table, "thing")


def test_a_reference_is_kept_and_shown() -> None:
    named = NamedMember.parse("npz:folder/file.npz", SOURCES, "data source")
    assert named.arguments["reference"] == "folder/file.npz"
    assert str(named) == "npz:folder/file.npz"


@pytest.mark.parametrize("table", [LOSSES, MODELS, SOURCES], ids=["losses", "models", "sources"])
def test_every_line_of_every_table_can_be_read(table: dict[str, Member]) -> None:
    for name, member in table.items():
        assert find_signature(member).doc, name
        assert member.summary, name
        assert name == name.lower()


def test_a_line_that_leads_nowhere_is_an_error() -> None:
    with pytest.raises(InputError, match="no function 'nothing'"):
        find_signature(Member("edgekd.units", "nothing", ""))
