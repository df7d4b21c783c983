from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.recipe.yaml_nodes import RecipeFault
from edgekd.recipe.yaml_nodes import RecipeNode
from edgekd.recipe.yaml_nodes import compose


def plain(node: RecipeNode) -> Any:
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | FLOATS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 2]))
def test_json_is_yaml(value: Any, indent: int | None) -> None:
    """Every JSON text means in YAML 1.2 what it means in JSON (yaml.org/spec/1.2.2, 1.2)."""
    assert plain(compose(json.dumps(value, indent=indent))) == value


@pytest.mark.parametrize(
    ("text", "want"),
    [  # yaml.org/spec/1.2.2, 10.3.2, and what YAML 1.1 reads otherwise
        ("1e-4", 1e-4),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("+12", 12),
        (".5", 0.5),
        ("1.", 1.0),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-01-31", "2026-01-31"),
        ("~", None),
        ("", None),
        ("True", True),
        ('"1"', "1"),
        ("! 1", "1"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("!!int '7'", 7),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_core_scalars(text: str, want: Any) -> None:
    got = compose(text).value
    assert got == want and type(got) is type(want)


def test_numbers_that_are_none() -> None:
    assert math.isnan(compose(".nan").value)
    assert compose("-.INF").value == compose("-1e309").value == -math.inf


def test_lines_are_those_of_the_keys() -> None:
    node = compose("# first\na:\n  b:\n    - 1\n    - c: 2\n")
    inner = node.value["a"].value["b"]
    assert (node.value["a"].line, inner.line) == (2, 3)
    assert [item.line for item in inner.value] == [4, 5]


def test_an_alias_stands_for_its_anchor() -> None:
    assert plain(compose("a: &x {e: 1}\nb: *x\n")) == {"a": {"e": 1}, "b": {"e": 1}}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' twice"),
        ("a: 1\n2: 3\n", 2, "the key 2, want text"),
        ("{[1]: 2}", 1, "a list or mapping, want text"),
        ("a: !!python/object:os.system {}", 1, "the tag"),
        ("a: !!python/name:os.system x", 1, "the tag"),
        ("a: !!binary aGk=", 1, "the tag"),
        ("a: !!set {x}", 1, "the tag"),
        ("a: !!int x", 1, "want what its tag 'int' says"),
        ("a: !local x", 1, "the tag"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("a: &x [*x]", 1, "before its anchor's end"),
        ("a: *nowhere", 1, "before its anchor's end"),
        ("a: [1, 2", 1, "no YAML"),
        ("a: 'b", 1, "no YAML"),
        ('a: "\\UFFFFFFFF"', None, "no YAML"),
        ("a: b: c", 1, "no YAML"),
        ("%YAML 9.9\n---\na: 1\n", None, "no YAML"),
        ("a: 99999999999999999999999999", 1, "an integer of 26 digits"),
    ],
)
def test_refusals(text: str, line: int | None, message: str) -> None:
    with pytest.raises(RecipeFault, match="got") as caught:
        compose(text)
    assert message in str(caught.value)
    assert line is None or caught.value.line == line


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "\n".join(" " * i + "a:" for i in range(1000)),
        "[" + "1," * 500_000 + "]",
        "a: " + "9" * 900_000,
        "\n".join(f"k{i}: 1" for i in range(50_000)),
        "? " * 100_000,
    ],
    ids=["lists", "maps", "dashes", "indents", "long", "digits", "keys", "marks"],
)
def test_hostile_sizes_are_refused_at_once(text: str) -> None:
    began_s = time.process_time()
    with pytest.raises(RecipeFault):
        compose(text)
    assert time.process_time() - began_s < 2
