"""What `edgekd methods` prints can be pasted into a recipe, and is what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from edgekd import cli
from edgekd import recipe as recipes
from edgekd.learn.losses import LOSSES
from edgekd.learn.schemes import CHAINS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.synthesis import SYNTHESIZERS

WHOLE: dict[str, Any] = {
    "name": "whole",
    "data": {"source": "digits"},
    "teacher": {"model": "resnet20"},
    "student": {"model": "resnet8"},
    "learn": [{"step": "distil", "losses": ["cross-entropy", "kd"]}],
    "targets": [{"runtime": "onnxruntime"}],
}


OF_TASKS: dict[str, dict[str, Any]] = {
    "regression": {"data": {"source": "turned-digits"}},
    "sentence-embedding": {
        "data": {"source": "text-pairs:pairs.csv"},
        "teacher": {"model": "text-embedder"},
        "student": {"model": "text-embedder"},
    },
}
"""Data and models of a snippet's task, where it says neither."""


def printed() -> list[tuple[str, str, dict[str, Any]]]:
    """Family, name and snippet of every method."""
    rows = json.loads(CliRunner().invoke(cli.main, ["methods", "--json"]).stdout)
    return [(row["family"], row["name"], yaml.safe_load(row["snippet"])) for row in rows]


PRINTED = printed()
LEARNS = {name: snippet for family, name, snippet in PRINTED if family != "synthesis"}


def pasted(whole: Any, part: Any) -> Any:
    """The recipe with a part of it said anew; where both have a mapping, key by key."""
    if not isinstance(whole, dict) or not isinstance(part, dict):
        return part
    return whole | {key: pasted(whole.get(key), value) for key, value in part.items()}


@pytest.mark.parametrize(("family", "name", "snippet"), PRINTED, ids=lambda value: str(value)[:30])
def test_every_snippet_makes_a_recipe_that_loads(
    family: str, name: str, snippet: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    whole = WHOLE | OF_TASKS.get(snippet.get("task", ""), {})
    path.write_text(yaml.safe_dump(pasted(whole, snippet)))
    loaded = recipes.load(path)
    if family == "chains":
        assert {step.step for step in loaded.learn} == {"distil"} and len(loaded.learn) > 1
        return
    (step,) = loaded.learn
    assert step.step == "distil"
    if family == "synthesis":
        assert loaded.synthesis is not None and loaded.synthesis.method.name == name
    elif family == "schemes":
        assert step.scheme.name == name
    else:
        assert name in [term.loss.name for term in (*step.losses, *loaded.teacher.losses)]


def test_all_methods_are_there() -> None:
    assert len(PRINTED) == len(LOSSES) + len(SCHEMES) + len(CHAINS) + len(SYNTHESIZERS)


def test_a_chain_of_generations_is_found_by_its_name() -> None:
    listed = CliRunner().invoke(cli.main, ["methods"])
    assert "born-again" in listed.stdout and "Furlanello et al. 2018" in listed.stdout
    alone = CliRunner().invoke(cli.main, ["methods", "born-again"])
    assert alone.exit_code == 0 and "teachers: [distil-1]" in alone.stdout
    first, second = LEARNS["born-again"]["learn"]
    assert second == {**first, "teachers": ["distil-1"]}
    assert LEARNS["born-again"]["student"]["model"] == WHOLE["teacher"]["model"]


def names(snippet: dict[str, Any]) -> list[str]:
    terms = snippet["learn"][0]["losses"]
    return [term if isinstance(term, str) else term["name"] for term in terms]


@pytest.mark.parametrize("name", ["fitnet", "rkd", "crd", "adversarial-logits"])
def test_a_loss_that_reads_no_logits_has_the_labels_beside_it(name: str) -> None:
    assert names(LEARNS[name]) == ["cross-entropy", name]
    assert names(LEARNS["simkd"]) == ["simkd"] and names(LEARNS["irg"]) == ["irg"]


@pytest.mark.parametrize(
    "name", ["uskd", "adversarial-training", "lwf", "lwf-mc", "less-forgetting", "supernet"]
)
def test_a_scheme_without_a_teacher_s_logits_compares_none(name: str) -> None:
    assert names(LEARNS[name]) == ["cross-entropy"]


def test_what_must_stand_beside_is_there() -> None:
    assert LEARNS["route"]["teacher"] == {"waypoints": 3}
    assert LEARNS["adaptive"]["learn"][0]["teachers"] == [
        "teacher",
        *LEARNS["adaptive"]["teachers"],
    ]
    old, new = LEARNS["lwf"]["teacher"]["only"], LEARNS["lwf"]["learn"][0]["only"]
    assert sorted({*old, *new}) == [str(number) for number in range(10)]
    assert LEARNS["lwf"]["learn"][0]["scheme"]["old"] == len(old)
    (trained,), (taught,) = (
        words["losses"]
        for words in (LEARNS["defensive"]["teacher"], LEARNS["defensive"]["learn"][0])
    )
    assert trained["temperature"] == taught["temperature"]
