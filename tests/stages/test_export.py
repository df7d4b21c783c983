from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from edgekd.bench import golden
from edgekd.bench import golden_choice
from edgekd.bench.differences import Differences
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.label import Label
from edgekd.fields.tokens import Tokens
from edgekd.learn.evaluation import EvaluationSplit
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stage import Made
from edgekd.stages import export
from edgekd.tasks import load_task
from tests import data_example
from tests import ends_example
from tests.learn.blueprint_example import image_blueprint

MEAN, STD = 0.3, 0.5
IMAGE = data_example.image(8, 8, mean=MEAN, std=STD)


def exported(folder: Path, config: export.ExportConfig, images: np.ndarray, seed: int = 3) -> Made:
    """The stage run on a small resnet with random weights."""
    import torch

    from edgekd.learn import blueprint

    labels = np.arange(len(images)) % 3
    given = data_example.write_data(folder, IMAGE, "abc", validation=(images, labels))
    plan = image_blueprint(
        builder="resnet8", arguments={}, classes=3, channels=1, height=8, width=8
    )
    torch.manual_seed(0)
    saved = blueprint.save(blueprint.build(plan), plan, folder)
    given |= {"blueprint": saved["blueprint.json"], "weights": saved["weights.safetensors"]}
    (folder / "out").mkdir()
    context = Context(
        folder=folder / "out", checkpoints=folder / "kept", seed=seed, progress=Silent()
    )
    return export.run(config, given, context)


def quantized(folder: Path, config: export.ExportConfig, images: np.ndarray) -> Made:
    """The stage run on that resnet, calibrated and rounded, not trained."""
    import torch

    from edgekd.learn import blueprint
    from edgekd.learn.quant import post_training
    from edgekd.profile import NUMERICS
    from edgekd.profile import PROFILES

    exported(folder, export.ExportConfig(golden=1), images)  # for its files
    plan = blueprint.read(folder / "blueprint.json")
    model = blueprint.load(folder / "blueprint.json", folder / "weights.safetensors")
    numerics = PROFILES[config.profile].numerics
    x = torch.from_numpy((images.transpose(0, 3, 1, 2) / 255 - MEAN) / STD).float()
    started = post_training.quantize(model, plan.interface, NUMERICS[numerics], lambda: [(x,)])
    plan = plan.model_copy(update={"edits": ({"name": "quantize", "scheme": numerics},)})
    saved = blueprint.save(started.model, plan, folder)
    given = {
        "blueprint": saved["blueprint.json"],
        "weights": saved["weights.safetensors"],
        "data": folder / "data.json",
        "validation": folder / "validation",
    }
    (folder / "int8").mkdir()
    context = Context(
        folder=folder / "int8", checkpoints=folder / "kept", seed=3, progress=Silent()
    )
    return export.run(config, given, context)


def some_images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def test_parts_of_an_export_are_told_in_their_order() -> None:
    assert sorted(export.PARTS.values()) == list(export.PARTS.values())
    assert max(export.PARTS.values()) < 10


def test_the_stage_gives_a_model_that_answers_as_torch_does(tmp_path: Path) -> None:
    images = some_images(40)
    images[20:] = images[:20]  # every sample twice
    made = exported(tmp_path, export.ExportConfig(golden=16), images)
    assert set(made) == {"model.onnx", "golden.safetensors", "parity.json"}
    usual = golden.read(made["golden.safetensors"])["usual"]
    assert usual.inputs["images"].shape == (16, 1, 8, 8)
    assert usual.outputs["logits"].shape == (16, 3)
    real = {
        (((image / 255) - MEAN) / STD).astype(np.float32).round(4).tobytes() for image in images
    }
    found = {sample.transpose(1, 2, 0).round(4).tobytes() for sample in usual.inputs["images"]}
    assert len(found) == 16 and found <= real
    parity = json.loads(made["parity.json"].read_text())
    assert parity["max_abs"] <= 1e-4 and parity["agreement"] == 1
    assert (parity["samples"], parity["opset"], parity["tolerance"]) == (16, 18, 1e-4)
    answers = export.run_onnx(made["model.onnx"], usual)
    assert list(answers) == ["logits"]
    assert np.abs(answers["logits"] - usual.outputs["logits"]).max() == parity["max_abs"]


def test_only_golden_samples_are_answered_and_every_class_is_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekd.learn import answers

    right, asked = answers.compute_outputs, list[int]()

    def counted(model: Any, rows: Any, *rest: Any, **more: Any) -> dict[str, np.ndarray]:
        asked.append(len(rows["images"]))
        return right(model, rows, *rest, **more)

    monkeypatch.setattr(answers, "compute_outputs", counted)
    images = some_images(300)
    made = exported(tmp_path, export.ExportConfig(golden=9), images)
    assert asked == [9]
    usual = golden.read(made["golden.safetensors"])["usual"]
    inputs = usual.inputs["images"].transpose(0, 2, 3, 1)
    wanted = ((images / 255 - MEAN) / STD).astype(np.float32)
    where = [int(np.abs(wanted - one).max((1, 2, 3)).argmin()) for one in inputs]
    assert sorted(index % 3 for index in where) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_few_distinct_samples_are_all_taken(tmp_path: Path) -> None:
    made = exported(tmp_path, export.ExportConfig(golden=64), np.repeat(some_images(5), 3, axis=0))
    assert golden.read(made["golden.safetensors"])["usual"].sample_count == 5


def test_the_same_seed_picks_the_same_samples_and_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(exported(tmp_path / name, export.ExportConfig(golden=8), some_images(200)))
    for name, path in made[0].items():
        assert path.read_bytes() == made[1][name].read_bytes(), name


def test_distinct_leaves_out_copies_and_follows_the_seed() -> None:
    images = np.repeat(some_images(10), 2, axis=0)
    picked = golden_choice.find_distinct([images], 6, 1)
    assert len({images[i].tobytes() for i in picked}) == len(picked) == 6
    assert list(picked) == list(golden_choice.find_distinct([images], 6, 1))
    assert list(picked) != list(golden_choice.find_distinct([images], 6, 2))


def test_samples_are_distinct_by_all_their_inputs_and_by_where_rows_end() -> None:
    one, other = np.array([[1], [1], [2], [1]]), np.array([[5], [6], [5], [5]])
    assert sorted(golden_choice.find_distinct([one, other], 9, 0)) in ([0, 1, 2], [1, 2, 3])
    values = np.array([7, 8, 9, 7, 8, 9, 7, 8])
    rows = RaggedRows(values, np.array([0, 2, 3, 6, 8]))  # the first and the last are the same
    assert sorted(golden_choice.find_distinct([rows], 9, 0)) in ([0, 1, 2], [1, 2, 3])
    two = [
        from_rows([values[:2], values[:1]], values),
        from_rows([values[2:3], values[1:3]], values),
    ]
    assert len(golden_choice.find_distinct(two, 9, 0)) == 2  # 7 8 | 9 and 7 | 8 9


def test_spread_takes_each_class_in_turn() -> None:
    classes = np.array([0] * 50 + [1] * 3 + [2] * 20)
    taken = classes[golden_choice.pick_evenly(classes, 9)]
    assert list(np.bincount(taken)) == [3, 3, 3]
    assert list(np.bincount(classes[golden_choice.pick_evenly(classes, 21)])) == [9, 3, 9]
    assert len(golden_choice.pick_evenly(classes, 500)) == 73


def differences(got: np.ndarray, want: np.ndarray) -> Differences:
    """Of the logits [N, C] of a classifier."""
    wanted = {"usual": golden.GoldenGroup({"x": np.zeros((len(want), 1))}, {"logits": want})}
    dataset = data_example.labelled(data_example.image(8, 8), data_example.names(want.shape[1]))
    split = EvaluationSplit(load_task("classification"), dataset, {})
    return export.find_differences({"usual": {"logits": got}}, wanted, split)


def test_without_onnxruntime_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekd import runtimes

    missing = runtimes.find_runtime("onnxruntime")._replace(
        why_not=lambda: "it is not installed: pip ..."
    )
    monkeypatch.setattr(runtimes, "find_runtime", lambda name: missing)
    with pytest.raises(MachineError, match="pip"):
        export.require_onnxruntime()


def test_the_operator_sets_are_those_of_the_exporter() -> None:
    from edgekd.learn.export.to_onnx import OPSETS

    for opset in OPSETS:
        assert export.ExportConfig(opset=opset).opset == opset
    for opset in (OPSETS[0] - 1, OPSETS[1] + 1):
        with pytest.raises(ValidationError):
            export.ExportConfig(opset=opset)


def test_a_quantized_model_is_held_against_its_own_roundings(tmp_path: Path) -> None:
    images = some_images(64)
    made = quantized(tmp_path, export.ExportConfig(golden=32, profile="x86"), images)
    parity = json.loads(made["parity.json"].read_text())
    assert parity["profile"] == "x86" and parity["samples"] == 32
    assert parity["logit_step"] > 0
    assert parity["max_steps"] == pytest.approx(parity["max_abs"] / parity["logit_step"])
    assert 0 < parity["rounding"]["rms"]["logits"] < 4 * parity["logit_step"]
    assert parity["rounding"]["agreement"] >= 0.9
    usual = golden.read(made["golden.safetensors"])["usual"]
    answers = export.run_onnx(made["model.onnx"], usual)
    assert list(answers) == ["logits"]
    assert np.abs(answers["logits"] - usual.outputs["logits"]).max() == pytest.approx(
        parity["max_abs"]
    )
    names = made["model.onnx"].read_bytes()
    assert b"QuantizeLinear" in names
    float_bytes = (tmp_path / "out" / "model.onnx").stat().st_size
    assert made["model.onnx"].stat().st_size < 0.5 * float_bytes


def test_what_is_not_finite_is_refused() -> None:
    want = np.eye(4, dtype=np.float32)
    for wrong in (np.nan, np.inf):
        with pytest.raises(InputError, match="export: got answers that are not finite"):
            differences(np.full_like(want, wrong), want)
    assert differences(want + np.float32(0.1), want).max_abs == pytest.approx(0.1)


def test_branches_for_training_are_merged_before_export(tmp_path: Path) -> None:
    from edgekd.learn import blueprint
    from tests.learn.test_deploy_form import Net

    images = some_images(20)
    exported(tmp_path, export.ExportConfig(golden=1), images)  # for its files
    plan = image_blueprint(
        builder="python",
        arguments={"reference": "tests.learn.test_deploy_form:Single"},
        classes=3,
        channels=1,
        height=8,
        width=8,
    )
    saved = blueprint.save(Net(classes=3, channels=1), plan, tmp_path)
    given = {
        "blueprint": saved["blueprint.json"],
        "weights": saved["weights.safetensors"],
        "data": tmp_path / "data.json",
        "validation": tmp_path / "validation",
    }
    folder = tmp_path / "merged"
    folder.mkdir()
    context = Context(folder=folder, checkpoints=folder, seed=3, progress=Silent(), allow_code=True)
    made = export.run(export.ExportConfig(golden=8), given, context)
    about = json.loads(made["deploy.json"].read_bytes())
    assert (about["convolutions_before"], about["convolutions_after"]) == (4, 2)
    nodes = onnx.load(made["model.onnx"]).graph.node
    assert [node.op_type for node in nodes].count("Conv") == 2


def text_split(lengths: Sequence[int], usual: int) -> EvaluationSplit:
    """Texts of these lengths, each with one of three classes."""
    random = np.random.default_rng(0)
    rows = [random.integers(0, ends_example.VOCABULARY, length) for length in lengths]
    text = Tokens(vocabulary=ends_example.VOCABULARY, usual=usual, longest=max(lengths))
    label = Label(names=data_example.names(ends_example.CLASSES))
    dataset = Dataset(task="classification", inputs={"text": text}, targets={"labels": label})
    fields = {"text": from_rows(rows, rows[0]), "labels": np.arange(len(rows)) % 3}
    return EvaluationSplit(load_task("classification"), dataset, fields)


def test_texts_have_golden_samples_of_the_least_usual_and_longest_size() -> None:
    import torch

    lengths = [4, 2, 9, 5, 2, 7, 3, 5, 9, 4, 6, 2, 8, 5]
    split = text_split(lengths, usual=6)
    groups = export.choose_groups(split, 5, 0)
    sizes = {name: [lengths[at] for at in chosen.tolist()] for name, chosen in groups.items()}
    assert set(sizes["least"]) == {2} and len(sizes["least"]) == 3
    assert set(sizes["longest"]) == {9} and len(sizes["longest"]) == 2
    assert len(sizes["usual"]) == 5 and sizes["usual"][0] == max(sizes["usual"]) == 6
    torch.manual_seed(0)
    model = ends_example.Encoder().eval()
    for name, size in (("least", 2), ("usual", 6), ("longest", 9)):
        group = export.make_group(model, split, groups[name])
        assert group.inputs["text"].shape == group.inputs["text_mask"].shape
        assert group.inputs["text"].shape[1] == size
        (row,) = group.rows["text"]
        np.testing.assert_array_equal(group.inputs["text"][0], row)
        for at, logits in zip(groups[name].tolist(), group.outputs["logits"], strict=True):
            alone = split.dataset.prepare_inputs({"text": split.rows["text"][at : at + 1]})
            with torch.no_grad():
                want = model(*map(torch.from_numpy, alone.values()))[0].numpy()
            np.testing.assert_allclose(logits, want, atol=1e-5)


def test_texts_that_are_all_longer_than_usual_have_groups_too() -> None:
    groups = export.choose_groups(text_split([5, 5, 5], usual=3), 2, 0)
    assert {name: len(chosen) for name, chosen in groups.items()} == {
        "usual": 2,
        "least": 2,
        "longest": 2,
    }


def test_samples_of_one_size_are_one_group() -> None:
    images = some_images(30)
    dataset = data_example.labelled(IMAGE, data_example.names(3))
    rows = {"images": images, "labels": np.arange(30) % 3}
    split = EvaluationSplit(load_task("classification"), dataset, rows)
    (name,) = groups = export.choose_groups(split, 9, 4)
    assert name == "usual"
    np.testing.assert_array_equal(groups[name], export.choose_golden(split, 9, 4))


def test_each_size_that_a_recipe_names_has_the_samples_nearest_from_below() -> None:
    split = text_split([2, 2, 3, 5, 8, 8, 9], usual=3)
    groups = export.choose_groups(split, 4, 0, {"text_length": (1, 4, 8, 9)})
    lengths = split.rows["text"].lengths
    assert list(groups) == ["usual", "least", "longest", "upto-4", "upto-8", "upto-9"]
    assert lengths[groups["upto-4"]].tolist() == [3]
    assert lengths[groups["upto-8"]].tolist() == [8, 8]
    assert lengths[groups["upto-9"]].tolist() == [9]
