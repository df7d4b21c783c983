"""Bundles of other tasks than classification, from the file to the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result

from edgekd import bundle
from edgekd import files
from edgekd.bundle import archive
from edgekd.bundle import verify as bundle_verify
from edgekd.cli.predict import command
from edgekd.dataset import Dataset
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from tests.bundle import numbers_example
from tests.bundle.numbers_example import ONE
from tests.bundle.numbers_example import TWO
from tests.bundle.test_manifest import sign

BOTH = pytest.mark.parametrize("dataset", [ONE, TWO], ids=["one", "two"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of each, to be read alone."""
    folder = tmp_path_factory.mktemp("numbers")
    return {d.task: numbers_example.make(folder / d.task[:6], d) for d in (ONE, TWO)}


@BOTH
def test_it_comes_back_as_it_was_written(made: dict[str, Path], dataset: Dataset) -> None:
    found = bundle.load_bundle(made[dataset.task])
    assert found.dataset == dataset
    ends = (*found.interface.inputs, *found.interface.outputs)
    assert ends == numbers_example.interface_ends(dataset)
    assert found.manifest.metric.model_dump() == {
        "name": "RMSE",
        "unit": "number",
        "better": "lower",
    }
    assert found.manifest.chosen.validation_score == 1.25


@BOTH
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_it_verifies(made: dict[str, Path], dataset: Dataset, runtime: str) -> None:
    report = bundle_verify.verify(made[dataset.task], runtime)
    bundle_verify.require_sound(report)
    last = report.checks[-1].text
    if dataset is ONE:
        assert "agreement 100.00%" in last
    else:
        assert last.endswith("which is not run") and "largest difference of " in last
    assert {c.what: c.verdict for c in report.checks}["preprocessing"] == "ok"


@BOTH
def test_another_models_answers_fail(tmp_path: Path, dataset: Dataset) -> None:
    other = numbers_example.write_onnx(tmp_path / "other.onnx", dataset, noise=0.5)
    report = bundle_verify.verify(numbers_example.make(tmp_path, dataset, model=other))
    with pytest.raises(BudgetMissed, match="largest difference"):
        bundle_verify.require_sound(report)


@BOTH
def test_stored_rows_that_become_another_input_fail(tmp_path: Path, dataset: Dataset) -> None:
    folder = numbers_example.make(tmp_path, dataset)
    value = json.loads((folder / "task.json").read_bytes())
    value["inputs"]["facts"]["mean"][1] = 3.5
    data = files.pretty_json(value)
    (folder / "task.json").write_bytes(data)
    entry = {"sha256": files.digest_bytes(data), "size_bytes": len(data)}
    sign(folder, lambda manifest: manifest["files"].update({"task.json": entry}))
    with pytest.raises(BudgetMissed, match="preprocessing: facts becomes an input"):
        bundle_verify.require_sound(bundle_verify.verify(folder))


def predict(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(command, [str(folder), *more])


def price(dataset: Dataset, **stored: list[float]) -> float:
    """By hand: mean 10 and std 4."""
    inputs = dataset.prepare_inputs({k: np.array([v], np.float32) for k, v in stored.items()})
    return 10 + 4 * float(numbers_example.answers(dataset, inputs)["values"][0, 0])


@pytest.mark.parametrize(
    "text", ["[120, 4]", "120,4", '{"rooms": 4, "area": 120}', "area,rooms\n120,4"]
)
@pytest.mark.parametrize("as_file", [False, True])
def test_numbers_are_asked_as_text_or_a_file(
    made: dict[str, Path], tmp_path: Path, text: str, as_file: bool
) -> None:
    given = text
    if as_file:
        (tmp_path / "asked").write_text(text)
        given = str(tmp_path / "asked")
    done = predict(made[ONE.task], given, "--json")
    assert done.exit_code == 0, done.exception
    (told,) = json.loads(done.output)
    (answer,) = told["answers"]
    assert told["input"] == given and told["prepared"] == "" and answer["probability"] is None
    name, value, unit = answer["text"].split()
    assert (name, unit) == ("price:", "k€")
    assert float(value) == pytest.approx(price(ONE, facts=[120, 4]), rel=1e-4)


def test_several_rows_are_several_answers(made: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "asked.csv").write_text("rooms,area\n4,120\n2,55\n3,80\n")
    done = predict(made[ONE.task], str(tmp_path / "asked.csv"), "[[60, 1], [70, 2]]")
    lines = done.output.splitlines()
    assert done.exit_code == 0 and len(lines) == 5
    assert lines[1].startswith(f"{tmp_path / 'asked.csv'}[1]  price: ")
    assert float(lines[1].split()[2]) == pytest.approx(price(ONE, facts=[55, 2]), rel=1e-4)
    assert lines[4].startswith("[[60, 1], [70, 2]][1]  price: ")


def test_two_inputs_are_asked_by_name_in_any_order(made: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "place.json").write_text("[1, 2, 3]")
    place, want = f"place={tmp_path / 'place.json'}", price(TWO, facts=[120, 4], place=[1, 2, 3])
    for given in (("facts=120,4", place), (place, "facts=[120, 4]")):
        done = predict(made[TWO.task], *given, "--allow-code", "--json")
        assert done.exit_code == 0, done.exception
        (told,) = json.loads(done.output)
        kind, number = told["answers"]
        assert kind["text"] in ("flat", "house") and 0.5 <= kind["probability"] <= 1
        assert float(number["text"].split()[-1]) == pytest.approx(want, rel=1e-3)
    shown = predict(made[TWO.task], "facts=120,4", place, "--allow-code").output
    assert "\x1b" not in shown and "\\x1b[2Jprice" in shown and len(shown.splitlines()) == 1


WRONG: dict[str, tuple[Dataset, list[str], str]] = {
    "no name": (TWO, ["120,4", "place=1,2,3"], "want facts=FILE place=FILE"),
    "one missing": (TWO, ["facts=120,4"], "want facts=FILE place=FILE"),
    "one twice": (TWO, ["facts=1,2", "facts=1,2", "place=1,2,3"], "want facts=FILE place=FILE"),
    "one unknown": (TWO, ["facts=1,2", "place=1,2,3", "age=3"], "want facts=FILE place=FILE"),
    "other counts": (TWO, ["facts=[[1,2],[3,4]]", "place=1,2,3"], "got 2 of facts, 1 of place"),
    "a row too short": (ONE, ["[1]"], "facts: got a row of 1 numbers, want 2"),
    "words": (ONE, ["large,many"], "facts: got 'large', want a number"),
    "no number": (ONE, ["[NaN, 1]"], "facts: got 'nan', want a finite number"),
    "huge": (ONE, ["[1e300, 1]"], "facts: got '1e+300', want a finite number"),
    "broken": (ONE, ["[1, 2"], "want JSON"),
    "other columns": (ONE, ['{"area": 1, "doors": 2}'], "got the columns area, doors"),
    "nothing": (ONE, [""], "facts: got "),
    "lines": (ONE, ["1,2\n\x1b[2J"], "facts: line 2: got "),
    "missing.csv": (ONE, ["missing.csv"], "facts: got 'missing.csv', want a number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_asked_is_wrong_input_in_one_line(made: dict[str, Path], name: str) -> None:
    dataset, given, says = WRONG[name]
    done = predict(made[dataset.task], *given, "--allow-code")
    assert isinstance(done.exception, InputError) and done.output == ""
    line = done.exception.line()
    assert says in line and "\n" not in line and "\x1b" not in line


def test_the_authors_own_task_does_not_run_unasked(made: dict[str, Path]) -> None:
    done = predict(made[TWO.task], "facts=1,2", "place=1,2,3")
    assert isinstance(done.exception, InputError) and "--allow-code" in done.exception.line()


@BOTH
def test_it_is_packed_and_unpacked(made: dict[str, Path], tmp_path: Path, dataset: Dataset) -> None:
    archive.pack(made[dataset.task], tmp_path / "numbers.edgekd")
    with archive.open_bundle(tmp_path / "numbers.edgekd") as folder:
        assert (
            bundle.load_bundle(folder).manifest == bundle.load_bundle(made[dataset.task]).manifest
        )


def own_task(folder: Path, **changes: Any) -> Path:
    """The bundle of two with another task.json, its digests fit."""
    made = numbers_example.make(folder, TWO)
    value = {**json.loads((made / "task.json").read_bytes()), **changes}
    data = files.pretty_json(value)
    (made / "task.json").write_bytes(data)
    entry = {"sha256": files.digest_bytes(data), "size_bytes": len(data)}
    sign(made, lambda manifest: manifest["files"].update({"task.json": entry}))
    return made


def test_targets_that_are_not_the_own_tasks_are_wrong_input(tmp_path: Path) -> None:
    folder = own_task(tmp_path, targets={})
    done = predict(folder, "facts=1,2", "place=1,2,3", "--allow-code")
    assert isinstance(done.exception, InputError)
    assert "task.json: labels: got none, want a target of kind 'class'" in done.exception.line()


@pytest.mark.parametrize("task", ["python:os:system", "python:no_such_module:TASK", "parsing"])
def test_a_task_that_is_none_is_wrong_input(tmp_path: Path, task: str) -> None:
    done = predict(own_task(tmp_path, task=task), "facts=1,2", "place=1,2,3", "--allow-code")
    assert isinstance(done.exception, InputError) and "\n" not in done.exception.line()
