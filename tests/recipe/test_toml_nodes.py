from __future__ import annotations

import time
import tomllib
from typing import Any

import pytest

from edgekd.recipe.toml_nodes import compose
from edgekd.recipe.yaml_nodes import RecipeFault
from edgekd.recipe.yaml_nodes import RecipeNode

TEXT = """\
name = "x"

[teacher]
model = "resnet20"
train = { epochs = 3, batch_size = 4 }

[student.train]
"epochs" = 5

[[learn]]
step = "distil"

[[learn.losses]]
name = "kd"

[[learn.losses]]
name = "cross-entropy"

[[learn]]
step = "distil"
"""


def plain(node: RecipeNode) -> Any:
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def at(node: RecipeNode, *key: str | int) -> RecipeNode:
    for part in key:
        node = node.value[part]
    return node


def test_values_are_those_of_the_standard_library() -> None:
    assert plain(compose(TEXT)) == tomllib.loads(TEXT)


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("name",), 1),
        (("teacher", "model"), 4),
        (("teacher", "train", "epochs"), 5),
        (("student", "train", "epochs"), 8),
        (("learn", 0, "step"), 11),
        (("learn", 0, "losses", 1, "name"), 17),
        (("learn", 1, "step"), 20),
    ],
)
def test_lines(key: tuple[str | int, ...], line: int) -> None:
    assert at(compose(TEXT), *key).line == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\na = 2\n", 2),
        ("a = \n", 1),
        ("a = 'x\n", None),
        ("[a]\n[a]\n", 2),
        ("a = " + "9" * 5000, None),
        ("a = " + "[" * 100_000, None),
        (".".join("a" * 100_000) + " = 1", 1),
        ("[" + ".".join("a" * 100_000) + "]", 1),
        ("x = {" + " . ".join(["'a'"] * 40) + " = 1}", 1),
        ("a = " + "{b = " * 40 + "1" + "}" * 40, 1),
    ],
)
def test_refusals_come_at_once(text: str, line: int | None) -> None:
    began_s = time.process_time()
    with pytest.raises(RecipeFault) as caught:
        compose(text)
    assert line is None or caught.value.line == line
    assert time.process_time() - began_s < 2
