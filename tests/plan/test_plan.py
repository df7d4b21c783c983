"""Plans: every input comes from an earlier step; what cannot run is refused at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.bench.machine import host
from edgekd.device import Device
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.plan import checks
from edgekd.plan import closing
from edgekd.plan import learning
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import tune
from edgekd.store import Blob
from edgekd.store import CreationTime
from edgekd.store import StoreEntry

ROOT = Path(__file__).parent.parent.parent
TWO = ROOT / "pipelines" / "quickstart.yaml"
SECOND = "learn=[{step: distil, losses: [kd]}, {step: distil, knowledge: online, losses: [kd]}]"

INPUTS = {"stage": "toy", "packages": {"numpy": "2.0"}, "settings": {"candidates": []}}
EMPTY = StoreEntry("0" * 64, INPUTS, {}, CreationTime("2026-01-02T03:04:05Z", 1.0))


def planned(tmp_path: Path, *overrides: str, **options: Any) -> tuple[Step, ...]:
    recipe = recipes.load(TWO, overrides)
    return plan.steps(
        recipe, TWO.parent, Options(run_dir=tmp_path / "run", store=tmp_path / "store", **options)
    )


@pytest.mark.parametrize("overrides", [(), (SECOND,), ("learn.0.knowledge=online",)])
def test_inputs_come_from_earlier_steps(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    steps = planned(tmp_path, *overrides)
    labels = [step.label for step in steps]
    assert len(set(labels)) == len(labels)
    for number, step in enumerate(steps):
        assert {label for label, _ in step.takes.values()} <= set(labels[:number]), step.label


def test_the_second_step_goes_on_from_the_first(tmp_path: Path) -> None:
    steps = {step.label: step for step in planned(tmp_path, SECOND)}
    assert steps["distil-2"].takes["start_weights"] == ("distil-1", "weights.safetensors")
    assert "knowledge" not in steps["distil-2"].takes
    assert steps["distil-2"].takes["teacher_weights"][0] == "teacher"
    assert steps["export-student"].takes["weights"][0] == "distil-2"


def test_online_knowledge_is_not_stored(tmp_path: Path) -> None:
    labels = [step.label for step in planned(tmp_path, "learn.0.knowledge=online")]
    assert "knowledge" not in labels


def test_a_student_and_its_control_share_seed_and_views(tmp_path: Path) -> None:
    steps = {step.label: step for step in planned(tmp_path, "student_seed=7", "seed=3")}
    control, student = steps["control"], steps["distil"]
    assert control.seed == student.seed == 7
    assert steps["teacher"].seed == 3
    for name in ("views", "views_seed", "model", "train"):
        assert getattr(control.settings, name) == getattr(student.settings, name)


def test_a_teacher_may_have_views_of_its_own(tmp_path: Path) -> None:
    steps = {s.label: s for s in planned(tmp_path, "teacher.views={count: 3, erase: 0.5}")}
    assert steps["teacher"].settings.views.count == 3  # type: ignore[attr-defined]
    assert steps["knowledge"].settings.views.count == 30  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["data.source", "teacher.model", "student.model"])
def test_code_needs_leave(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match=f"{key}.*leave to run it"):
        planned(tmp_path, f"{key}=python:some.module:function")


def test_a_user_s_own_model_file_is_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "plan_own_model.py"
    module.write_text("def f(): ...")
    monkeypatch.syspath_prepend(str(tmp_path))
    steps = planned(tmp_path, "student.model=python:plan_own_model:f", allow_code=True)
    control = next(step for step in steps if step.label == "control")
    assert control.origin is not None
    before = control.origin()
    module.write_text("def f(): return 1")
    assert control.origin() != before


def test_what_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = Options(run_dir=tmp_path, store=tmp_path)
    monkeypatch.setattr(checks, "package_version", lambda name: None if name == "torch" else "1")
    with pytest.raises(MachineError, match="torch") as caught:
        checks.require_installed(recipes.load(TWO), options)
    assert caught.value.hint == "pip install 'edgekd[learn]'"


def test_a_device_without_the_engine_is_named_with_what_sets_it_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    board = Device("board", lambda order: pytest.fail("asked twice"))
    missing = {"onnxruntime": None, "openvino": "openvino is not installed"}
    told = host.describe_host()._replace(name="board", missing=missing)
    monkeypatch.setattr(host, "describe_host", lambda device: told)
    options = Options(run_dir=tmp_path, store=tmp_path, device=board)
    with pytest.raises(MachineError, match="device board: has no openvino") as caught:
        checks.require_installed(recipes.load(TWO), options)
    assert caught.value.hint == "edgekd device setup board"


def test_targets_that_cannot_be_measured_are_listed_and_refused_where_no_other_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = host.describe_host()
    missing = {**told.missing, "tensorrt": None, "onnxruntime": None}
    told = told._replace(missing=missing, idle={**told.idle, "tensorrt": "no CUDA device"})
    monkeypatch.setattr(host, "describe_host", lambda device: told)
    monkeypatch.setattr(checks, "package_version", lambda name: "1")
    both = ["targets=[{runtime: tensorrt}, {runtime: onnxruntime}]"]
    board = Device("board", lambda order: pytest.fail("asked twice"))
    for given, where in (({}, "here"), ({"device": board}, "on board")):
        options = Options(run_dir=tmp_path, store=tmp_path, **given)
        recipe = recipes.load(TWO, both)
        assert checks.list_unmeasurable(recipe, options) == ["tensorrt: no CUDA device"]
        checks.require_measurable(recipe, options)
        says = f"none can be measured {where}: tensorrt: no CUDA device"
        with pytest.raises(MachineError, match=says):
            planned(tmp_path, "targets=[{runtime: tensorrt}]", **given)


def test_threads_are_the_recipe_s_or_all_there_are() -> None:
    train = recipes.load(TWO, ["student.train.threads=3"]).student.train
    assert learning.threads(train) == 3
    assert learning.threads(train.model_copy(update={"threads": None})) >= 1


INT8 = (
    "learn=[{step: distil, losses: [kd]}, {step: prune, macs: 0.5, recover: {losses: [kd], "
    "knowledge: online}}, {step: factorize, speedup: 1.2}, {step: quantize}]"
)
VNNI = "targets.0.profile=x86"
"""So that no test depends on the processor it runs on."""


def test_two_targets_of_one_scheme_share_what_is_learned(tmp_path: Path) -> None:
    steps = {step.label: step for step in planned(tmp_path, INT8, VNNI)}
    quantized = [label for label in steps if label.startswith("quantize")]
    assert quantized == ["quantize-asymmetric"]
    for profile in ("x86", "openvino"):
        export = steps[f"export-student-{profile}"]
        assert export.takes["weights"] == ("quantize-asymmetric", "weights.safetensors")
        assert export.settings.profile == profile  # type: ignore[attr-defined]
    compiled = {"onnxruntime": "x86", "openvino": "openvino"}
    for runtime, profile in compiled.items():
        takes = steps[f"compile-student-{runtime}-int8"].takes
        beside = steps.get(f"compile-student-{runtime}-int8-bf16")
        assert (beside is not None) == (runtime == "openvino")
        assert beside is None or beside.takes == takes  # the same file
        assert takes["model"] == (f"export-student-{profile}", "model.onnx")
        assert steps["measure"].takes[f"student-{profile}/golden"][0] == f"export-student-{profile}"
    assert steps["compile-student-openvino-fp32"].takes["model"][0] == "export-student"
    assert "compile-teacher-openvino-int8" not in steps
    assert steps["evaluate"].takes["quantize-asymmetric_weights"][0] == "quantize-asymmetric"


def test_other_schemes_are_learned_apart(tmp_path: Path) -> None:
    steps = planned(tmp_path, INT8, "targets.0.profile=x86-no-vnni")
    labels = [step.label for step in steps if step.label.startswith("quantize")]
    assert labels == ["quantize-asymmetric-w7", "quantize-asymmetric"]


def test_each_step_goes_on_from_the_one_before(tmp_path: Path) -> None:
    steps = {step.label: step for step in planned(tmp_path, INT8, VNNI)}
    chain = ["distil", "prune", "prune-recover", "factorize", "quantize-asymmetric"]
    for before, label in zip(chain, chain[1:], strict=False):
        takes = steps[label].takes
        assert takes["start_blueprint"] == (before, "blueprint.json")
        assert takes["start_weights"] == (before, "weights.safetensors")
    assert "start_weights" not in steps["distil"].takes
    assert steps["prune-recover"].stage is steps["distil"].stage
    assert steps["prune-recover"].takes["teacher_weights"][0] == "teacher"
    assert steps["prune-recover"].takes["whole_weights"] == ("distil", "weights.safetensors")
    assert "whole_weights" not in steps["distil"].takes
    assert steps["export-student"].takes["weights"][0] == "factorize"
    assert steps["choose"].takes["reference_score"][0] == "teacher"
    for label in ("prune", "factorize"):
        settings: Any = steps[label].settings
        assert (settings.runtime, settings.threads, settings.quantized) == ("onnxruntime", 1, True)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("", ["knowledge"]),
        (", knowledge: online", ["teacher_blueprint", "teacher_weights"]),
        (", teachers: [student]", []),
        (", train: null", []),
    ],
)
def test_a_quantized_student_is_taught_by_whom_the_recipe_says(
    tmp_path: Path, words: str, asked: list[str]
) -> None:
    online = "{step: distil, knowledge: online, losses: [kd]}"
    steps = planned(tmp_path, f"learn=[{online}, {{step: quantize{words}}}]", VNNI)
    found = {step.label: step for step in steps}
    teaching = {name for name in found["quantize-asymmetric"].takes if name in TEACHING}
    assert teaching == set(asked)
    assert ("knowledge" in found) == ("knowledge" in asked)


TEACHING = ("knowledge", "teacher_blueprint", "teacher_weights")


def test_a_step_is_keyed_as_before_if_it_says_nothing_new(tmp_path: Path) -> None:
    """What a recipe does not say stands in no key."""
    steps = {step.label: step for step in planned(tmp_path, SECOND)}
    fields = {"model", "losses", "knowledge", "train", "views", "views_seed"}
    assert set(steps["distil-1"].settings.model_dump()) == fields
    assert "start_blueprint" not in steps["distil-2"].takes


@pytest.mark.parametrize(
    ("override", "again"),
    [
        ("student.train.epochs=40", False),
        ("student.train.batch_size=32", True),
        ("student.train.optimizer=adamw", True),
    ],
)
def test_a_rehearsal_does_not_depend_on_how_long_is_trained(
    tmp_path: Path, override: str, again: bool
) -> None:
    one, other = (
        next(step for step in planned(tmp_path, *overrides) if step.label == "check").settings
        for overrides in ((), (override,))
    )
    assert (one != other) is again


def test_a_rehearsal_with_differential_privacy_knows_the_epochs(tmp_path: Path) -> None:
    private = (
        "learn=[{step: distil, losses: [kd], private: {epsilon: 8, delta: 1e-5}}]",
        "student.norm=group",
        "views.count=1",
    )
    settings = [
        next(step for step in planned(tmp_path, *private, epochs) if step.label == "check").settings
        for epochs in ("student.train.epochs=40", "student.train.epochs=41")
    ]
    assert settings[0] != settings[1]


def test_weights_of_4_bits_are_written_in_an_operator_set_that_has_them(tmp_path: Path) -> None:
    int4 = "learn=[{step: distil, losses: [kd]}, {step: quantize, weight_bits: 4}]"
    steps = {step.label: step for step in planned(tmp_path, int4, VNNI, "export={}")}
    opsets = {label: getattr(step.settings, "opset", None) for label, step in steps.items()}
    assert opsets["export-student"] == 18 and opsets["export-student-x86"] == 21


def test_the_bundle_is_made_of_the_chosen_row_s_own_export(tmp_path: Path) -> None:
    recipe = recipes.load(TWO, [INT8, VNNI])
    steps = planned(tmp_path, INT8, VNNI)
    entries = {step.label: EMPTY for step in steps}
    tables = {"factorize": "factorize.json", "quantize-asymmetric": "sensitivity.json"}
    for label, file in tables.items():
        entries[label] = EMPTY._replace(files={file: Blob("1" * 64, 1)})
    for profile, maker in (("x86", "export-student-x86"), ("", "export-student")):
        packed, learned, told = closing.steps(
            recipe, entries, {"profile": profile, "runtime": "onnxruntime"}
        )
        assert {packed.takes[name][0] for name in ("model", "golden", "parity")} == {maker}
    packed, *_ = closing.steps(
        recipe, entries, {"profile": "x86", "runtime": "onnxruntime"}, (), ("",)
    )
    assert packed.takes["/model"] == ("export-student", "model.onnx")
    assert packed.takes["model"][0] == "export-student-x86" and packed.settings.more == ("",)
    assert told.takes["table/factorize.json"] == ("factorize", "factorize.json")
    assert told.takes["table/sensitivity-asymmetric.json"][0] == "quantize-asymmetric"
    assert told.takes["quantize-asymmetric_score"] == ("quantize-asymmetric", "score.json")
    assert told.takes["student_score"][0] == "factorize"
    assert learned.takes["student_weights"][0] == "factorize"
    assert told.takes["explain.json"] == ("explain", "explain.json")
    assert told.settings.durations_s == {"toy": float(len(entries))}
    assert {"python", "numpy"} == set(told.settings.versions)
    labels = [step.label for step in closing.steps(recipe, entries, None)]
    assert labels == ["explain", "report"]


@pytest.mark.parametrize(
    ("words", "want"),
    [
        ({}, (False, None)),  # its precision is fixed: its bytes are, too
        ({"precision": "auto"}, ("gpu", "g++ 1")),
        ({"precision": "auto", "compile": "false"}, (False, None)),
        ({"compile": "auto"}, ("auto", "g++ 1")),
        ({"compile": "true"}, (True, "g++ 1")),
    ],
)
def test_compilation_is_tried_where_the_arithmetic_is_open_or_a_recipe_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, str], want: object
) -> None:
    monkeypatch.setattr(learning, "find_compiler", lambda: "g++ 1")
    steps = planned(tmp_path, *(f"student.train.{name}={value}" for name, value in words.items()))
    settings = next(step for step in steps if step.label == "tune-student").settings
    assert isinstance(settings, tune.TuneConfig)
    assert (settings.compile, settings.compiler) == want
    teacher = next(step for step in steps if step.label == "tune-teacher").settings
    assert isinstance(teacher, tune.TuneConfig) and teacher.compile is False


def test_weights_come_before_the_trial_and_are_tuned_for_nothing(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"")
    more = (
        f"teacher={{model: resnet8, weights: {weights}}}",
        f"teachers={{wide: {{model: wrn-16-2, weights: {weights}}}, own: {{model: wrn-16-1}}}}",
        "learn=[{step: distil, losses: [kd], teachers: [teacher, wide, own]}]",
        "synthesis={name: dafl}",
    )
    try:
        steps = planned(tmp_path, *more)
    except InputError:
        steps = planned(tmp_path, *more[:-1])
    order = [step.label for step in steps]
    opened = ["open-teacher", "open-teacher-wide"]  # before the data are read
    assert order[:6] == [*opened, "data", "teacher", "teacher-wide", "check"]
    tuned = [label for label in order if label.startswith("tune-")]
    assert tuned == ["tune-teacher-own", "tune-student"]
    by_label = {step.label: step for step in steps}
    for name, want in (("knowledge", "student"), ("knowledge-own", "teacher-own")):
        assert by_label[name].takes["resolved"] == (f"tune-{want}", "resolved.json")
    for step in steps:  # every input is made by an earlier step
        for label, _ in step.takes.values():
            assert order.index(label) < order.index(step.label)


def test_a_step_takes_the_layers_that_any_step_before_it_changed(tmp_path: Path) -> None:
    changes, plain = "{step: distil, losses: [simkd]}", "{step: distil, losses: [kd]}"
    steps = {s.label: s for s in planned(tmp_path, f"learn=[{changes}, {plain}, {plain}]")}
    for number in (
        2,
        3,
    ):  # the last step changes nothing itself: the first one's layers are there still
        takes = steps[f"distil-{number}"].takes
        assert takes["start_blueprint"] == (f"distil-{number - 1}", "blueprint.json")


def test_weights_with_training_beside_them_are_loaded_first_and_then_trained(
    tmp_path: Path,
) -> None:
    recipe = recipes.load(TWO)
    words = recipe.teacher.model_copy(update={"weights": "w.pt"})
    options = Options(run_dir=tmp_path / "run", store=tmp_path / "store")
    settled = plan.steps(recipe.model_copy(update={"teacher": words}), TWO.parent, options)
    steps = {step.label: step for step in settled}
    assert words.train is not None  # the recipe says how its teacher is trained
    loaded, taught = steps["load-teacher"], steps["teacher"]
    assert loaded.settings.for_training and loaded.external["user_weights"].name == "w.pt"
    assert (loaded.stage.name, taught.stage.name) == ("load", "train")
    assert taught.takes["start_weights"] == ("load-teacher", "weights.safetensors")
    labels = list(steps)
    assert labels.index("load-teacher") < labels.index("check") < labels.index("tune-teacher")
    bare = words.model_copy(update={"train": None})
    settled = plan.steps(recipe.model_copy(update={"teacher": bare}), TWO.parent, options)
    steps = {step.label: step for step in settled}
    assert steps["teacher"].stage.name == "load" and "load-teacher" not in steps
    assert not steps["teacher"].settings.for_training and "tune-teacher" not in steps
